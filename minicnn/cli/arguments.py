"""What commands share: an option, and types of options, text to checked values or an error that says what is wanted."""

import argparse
import json
import math
from typing import Any


def add_backbone_options(parser: argparse.ArgumentParser) -> None:
    """Add --set KEY=VALUE, for what a backbone takes beside its classes and channels, as pairs in `model_options`."""
    parser.add_argument(
        "--set", dest="model_options", type=key_and_value, action="append", default=[], metavar="KEY=VALUE",
        help="an option of the backbone, such as width=8; may be given several times",
    )  # fmt: skip


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
    """("width", 8) of "width=8"; the value is read as JSON, and as plain text if it is none."""
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
