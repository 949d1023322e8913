"""`minicnn inspect`: the contents of a file of weights. Only the table of contents is read, and nothing is run."""

import argparse
import math
from typing import TYPE_CHECKING

from minicnn.files.plain_text import plain

if TYPE_CHECKING:
    from minicnn.weights import WeightFile, WeightsInformation

MOST_OF_A_BACKBONE = 5000  # arrays; to compare a million names with every backbone would take minutes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn inspect`."""
    from minicnn.cli.arguments import add_weights, count

    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", help="the same as --weights FILE: .safetensors, .npz, or a file of PyTorch")
    add_weights(parser, "the first argument")
    add("--most", type=count, default=2000, metavar="N", help="show no more than N arrays (default: 2000)")
    add("--check", action="store_true", help="also read every array and compare the checksums there are")


def run(arguments: argparse.Namespace) -> int:
    """Print the table. Of a file that is refused, the names that its pickle asks for are shown."""
    from minicnn.cli.stored_model import path_of
    from minicnn.weights import information_of, open_weights
    from minicnn.weights.pytorch_names import names_asked_for

    if (arguments.file is None) == (arguments.weights is None):
        raise ValueError("which file of weights? Name one, as in `minicnn inspect resnet20.PARTWORLD_V1`")
    path = path_of(arguments.file or arguments.weights)
    try:
        file = open_weights(path)
    except ValueError:
        asked = names_asked_for(path)
        if asked:
            print("its pickle asks for these, of which nothing was imported or run:")
            print("".join(f"  {plain(name)}{'' if known else '   <- refused'}\n" for name, known in asked), end="")
        raise
    with file:
        print("\n".join([*_overview(file), *_table(file, arguments.most)]))
        information = information_of(file)
        if information is not None:
            print("\n".join(_known(information)))
        if arguments.check:
            file.read()
            print(
                f"every array was read; {'its checksums fit' if _has_checksums(file) else 'the file has no checksums'}"
            )
    return 0


def _overview(file: "WeightFile") -> list[str]:
    numbers = sum(math.prod(shape) for shape in file.shapes.values())
    lines = [
        f"{plain(file.source)}: {file.form}, {file.size:,} bytes",
        f"{len(file.entries)} arrays, {numbers:,} numbers{_whose(file)}",
    ]
    told = [(key, value) for key, value in file.metadata.items() if key != "weights"]  # _known tells of these
    lines += [f"metadata {plain(key)}: {plain(value)}" for key, value in told[:100]]
    lines += [f"no part of the state: {plain(name)} ({kind})" for name, kind in list(file.ignored.items())[:100]]
    return lines


def _has_checksums(file: "WeightFile") -> bool:
    from minicnn.weights.stored import StoredArray, ZipStorage

    arrays = [entry for entry in file.entries.values() if isinstance(entry, StoredArray)]
    return file.check is not None or any(isinstance(array.storage, ZipStorage) for array in arrays)


def _whose(file: "WeightFile") -> str:
    """The backbone whose arrays have these names, where there is one."""
    from minicnn.backbones.identify import matching_backbones

    names = matching_backbones(file.entries) if len(file.entries) < MOST_OF_A_BACKBONE else []
    return f", with the names of {' and '.join(names)}" if names else ""


def _table(file: "WeightFile", most: int) -> list[str]:
    from minicnn.weights.stored import kind_of

    rows = [("name", "type", "shape", "numbers")]
    for name, entry in list(file.entries.items())[:most]:
        shape = plain(tuple(entry.shape))
        rows.append((plain(name), kind_of(entry), shape, f"{math.prod(entry.shape):,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {shape:<{widths[2]}}  {numbers:>{widths[3]}}"
        for name, kind, shape, numbers in rows
    ]
    more = len(file.entries) - most
    return lines + ([f"... and {more:,} more (--most)"] if more > 0 else [])


def _known(information: "WeightsInformation") -> list[str]:
    sizes = f"resize {information.resize}, crop {information.crop}, {information.interpolation}"
    mean, std = (", ".join(f"{value:.4g}" for value in values[:10]) for values in (information.mean, information.std))
    lines = [
        f"weights {plain(information.name)}: {plain(information.licence) or 'no licence is told'}",
        f"images: {sizes}, mean ({mean}), std ({std})",
    ]
    lines += [f"{plain(name)}: {plain(value)}" for name, value in information.metrics.items()]
    if information.categories:
        lines.append(f"{len(information.categories)} classes, from {plain(information.categories[0])!r}")
    return lines + ([f"no values for: {plain(', '.join(information.void))}"] if information.void else [])
