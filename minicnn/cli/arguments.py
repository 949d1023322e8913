"""Options that commands share, of one name and one meaning everywhere, and types that turn text into checked values."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

PREDICTION_BATCH = 256


def add_model(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add --model, and --set KEY=VALUE for the backbone's own options, as pairs in `model_options`.

    Without a `default`, in words, --model is required.
    """
    end = "" if default is None else f" (default: {default})"
    parser.add_argument(
        "--model", required=default is None, metavar="NAME", help=f"a backbone; `minicnn list models` shows all{end}"
    )
    parser.add_argument(
        "--set", dest="model_options", type=key_and_value, action="append", default=[], metavar="KEY=VALUE",
        help="an option of the backbone, such as width=8; may be given several times (default: the backbone's own)",
    )  # fmt: skip


def add_positional_model(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the backbone as `add_model` does, and also as the command's first argument; `named_model` reads them."""
    parser.add_argument("positional_model", metavar="MODEL", nargs="?", help="the same as --model MODEL")
    add_model(parser, default or "the first argument")


def named_model(arguments: argparse.Namespace) -> str | None:
    """The backbone that the command line names, in one of two ways. Raises ValueError for two names."""
    names = {name for name in (arguments.positional_model, arguments.model) if name is not None}
    if len(names) > 1:
        raise ValueError(f"two backbones are named: {arguments.positional_model} and --model {arguments.model}")
    return next(iter(names), None)


def add_weights(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add --weights FILE or NAME; without a `default`, in words, the option is required."""
    end = "" if default is None else f" (default: {default})"
    parser.add_argument("--weights", required=default is None, metavar="FILE",
        help=f"a file of weights, or the name of a set of weights; `minicnn list weights` shows all{end}")  # fmt: skip


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add --data SET or folder, which is required."""
    parser.add_argument("--data", required=True, metavar="DATA",
        help="a data set of `minicnn list data`, or a folder that holds one folder of pictures a class")  # fmt: skip


def add_out(parser: argparse.ArgumentParser, contents: str, default: str | None, words: str = "") -> None:
    """Add --out DIR for `contents`; `words` describe a default that is not a fixed folder."""
    parser.add_argument("--out", type=Path, metavar="DIR", default=None if default is None else Path(default),
        help=f"folder for {contents}{f' (default: {words})' if words else ''}")  # fmt: skip


def add_image_size(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --image-size N, the side of square pictures; `default` tells in words the side without the option."""
    parser.add_argument(
        "--image-size", type=count, metavar="N", help=f"side of the pictures, in pixels (default: {default})"
    )


def add_input(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --image-size N and, for images that are not square or have other channels, --input C H W."""
    add_image_size(parser, default)
    parser.add_argument("--input", type=count, nargs=3, metavar=("C", "H", "W"),
        help="channels, height and width, instead of --image-size (default: 3 channels, square)")  # fmt: skip


def input_shape(arguments: argparse.Namespace, channels: int = 3) -> tuple[int, int, int] | None:
    """(C, H, W) of the images as the options of `add_input` say; None if they say nothing.

    Raises ValueError if both options are given.
    """
    if arguments.input is not None:
        if arguments.image_size is not None:
            raise ValueError("--image-size and --input both give the size of the images; leave one of them out")
        depth, height, width = arguments.input
        return depth, height, width
    side = arguments.image_size
    return None if side is None else (channels, side, side)


def add_num_classes(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --num-classes N; `default` tells in words the number without the option."""
    parser.add_argument("--num-classes", type=count, metavar="N", help=f"classes of the head (default: {default})")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add --seed N."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all random numbers")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add --threads N, for `use_threads`."""
    parser.add_argument("--threads", type=count, metavar="N",
        help="threads of the kernels; results do not depend on the number (default: all)")  # fmt: skip


def use_threads(arguments: argparse.Namespace) -> None:
    """Let the kernels run on as many threads as --threads says. Raises ValueError for more than there are."""
    from minicnn.kernels.compiling.compile import set_num_threads

    if arguments.threads is not None:
        set_num_threads(arguments.threads)


def add_batch_size(parser: argparse.ArgumentParser, default: int = PREDICTION_BATCH) -> None:
    """Add --batch-size N."""
    parser.add_argument("--batch-size", type=count, default=default, metavar="N", help="pictures in a batch")


def add_quick_limit(parser: argparse.ArgumentParser) -> None:
    """Add --quick-limit N, for a look at the whole way with few pictures."""
    parser.add_argument("--quick-limit", type=count, metavar="N",
        help="use at most N pictures of each split, the same share of every class (default: all)")  # fmt: skip


def count(text: str) -> int:
    """A whole number of 1 or more."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, but got {text!r}")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, but got {text!r}")
    return value


def fraction(text: str) -> float:
    """A number from 0 up to, but without, 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 to below 1, but got {text!r}")
    return value


def key_and_value(text: str) -> tuple[str, Any]:
    """("width", 8) of "width=8"; the value is read as JSON, or is plain text if that fails."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, such as width=8, but got {text!r}")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
