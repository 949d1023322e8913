"""The checks of lesson 4: the field of a row of windows, and a network that sees far and is cheap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minicnn import nn
from minicnn.teach.answers import call, compare, need

_MOST_MULTIPLY_ADDS = 1_500_000


def receptive_field(answer: Callable) -> None:
    """04a: the side of the field, found here from the output back to the pixels."""
    hint = "a window sees what one place sees, and kernel - 1 steps more; its stride lengthens the step for later ones"
    rows = [
        [],
        [(3, 1)],
        [(3, 1), (3, 1)],
        [(5, 1), (3, 1), (2, 1)],
        [(2, 2), (3, 1)],
        [(3, 1), (3, 2), (3, 1)],
        [(3, 2), (1, 2), (3, 1), (3, 1)],
        [(7, 2), (3, 2), (3, 1), (3, 1), (3, 2)],
    ]
    for windows in rows:
        yours = call(answer, windows, hint=hint)
        compare(yours, _pixels_reached(windows), f"receptive_field({windows})", hint)


def _pixels_reached(windows: Sequence[tuple[int, int]]) -> int:
    """The side: the output alone, then the places of the map before it that its window covers, and so on back."""
    first, last = 0, 0
    for kernel, stride in reversed(windows):
        first, last = first * stride, last * stride + kernel - 1
    return last - first + 1


def far_and_cheap(answer: Callable) -> None:
    """04b: a network by its properties, each asked of the network itself."""
    form = "a list of triples, such as [(3, 2, 8), (3, 1, 16)]"
    yours = call(answer, hint=form)
    triples = _triples(yours)
    need(triples is not None, "far_and_cheap(): its form", repr(yours), "triples (kernel, stride, channels)", form)
    layers, colours = [], 3
    for kernel, stride, channels in triples or []:
        layers.append(nn.Conv2d(colours, channels, kernel, stride, padding=kernel // 2))
        colours = channels
    report = nn.summary(nn.Sequential(*layers), (3, 32, 32))
    last = report.rows[-1]
    channels, height, _ = last.output_shape
    side = 0 if last.receptive_field is None else last.receptive_field[0]
    hint = "two strides of 2 leave 8x8 places of 32x32; a third one is too many"
    need(height >= 8, "far_and_cheap(): places on a side of the last map", height, "8 or more", hint)
    hint = "only the last map needs so many"
    need(channels >= 32, "far_and_cheap(): channels of the last map", channels, "32 or more", hint)
    hint = "after two strides of 2, every further 3x3 kernel sees 8 pixels more; before them only 2"
    need(side >= 31, "far_and_cheap(): pixels that it sees on a side", side, "31 or more", hint)
    costs = "\n            ".join(
        f"layer {number}: {row.multiply_adds:,} for {'x'.join(map(str, row.output_shape))}"
        for number, row in enumerate(report.rows, 1)
    )
    need(
        report.multiply_adds <= _MOST_MULTIPLY_ADDS,
        "far_and_cheap(): multiply-adds",
        f"{report.multiply_adds:,}\n            {costs}",
        f"{_MOST_MULTIPLY_ADDS:,} or fewer",
        "a layer costs places x kernel x kernel x channels before x channels behind: make the dearest one cheaper, by "
        "an earlier stride or by fewer channels",
    )


def _triples(yours: object) -> list[list[int]] | None:
    """The answer as triples of ints above 0; None if it is nothing of the kind."""
    try:
        numbers = np.asarray(yours)
    except ValueError:  # rows of several lengths
        return None
    are_triples = numbers.ndim == 2 and numbers.shape[1] == 3 and numbers.size > 0
    return numbers.tolist() if are_triples and numbers.dtype.kind == "i" and numbers.min() >= 1 else None


CHECKS = {"04a": receptive_field, "04b": far_and_cheap}
