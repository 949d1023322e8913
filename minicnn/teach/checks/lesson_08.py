"""The checks of lesson 8: two kernels as one, and how wide the map between them may be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn import functional as F
from minicnn import nn
from minicnn.random import stream
from minicnn.teach.answers import call, compare, need


def compose(answer: Callable) -> None:
    """08a: the composed kernel, as two convolutions of pictures with a single 1 show it."""
    hint = "the weight second[o, m, i, j] lays first[m, c] on the rows i to i + 2 and columns j to j + 2 of the result"
    first, second = np.zeros((2, 1, 1, 3, 3))
    first[0, 0, 0, 1], second[0, 0, 2, 0] = 5, 2
    what = "compose(first with a single 5 at row 0, column 1; second with a single 2 at row 2, column 0)"
    compare(call(answer, first, second, hint=hint), _as_one_kernel(first, second), what, hint)
    generator = stream("check 08a", seed=0)
    for inputs, middle, outputs in ((1, 1, 1), (1, 3, 1), (2, 3, 4)):
        first = generator.integers(-3, 4, (middle, inputs, 3, 3)).astype(np.float64)
        second = generator.integers(-3, 4, (outputs, middle, 3, 3)).astype(np.float64)
        expected = _as_one_kernel(first, second)
        yours = call(answer, first, second, hint=hint)
        compare(yours, expected, f"compose(first of {first.shape}, second of {second.shape})", hint)


def widest_middle(answer: Callable) -> None:
    """08b: the widest middle by building ever wider pairs of layers and counting their parameters."""
    for inputs, outputs in ((32, 32), (18, 18), (64, 128), (3, 64), (256, 64)):
        expected, what = _widest_pair(inputs, outputs), f"widest_middle({inputs}, {outputs})"
        pairs = [f"{_weights_of_pair(inputs, m, outputs):,} with m = {m}" for m in (expected, expected + 1)]
        hint = (
            f"the two 3x3 have 9 * in * m + 9 * m * out weights, here {' and '.join(pairs)}; the 5x5 has "
            f"25 * in * out, here {_weights_of_one(inputs, outputs):,}"
        )
        yours = call(answer, inputs, outputs, hint=hint)
        compare(yours, expected, what, hint)
        need(float(yours).is_integer(), what, yours, f"{expected}, a whole number", hint)


def _as_one_kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What both do to a 1 in the middle of each input channel, read backwards: the composed kernel."""
    inputs = first.shape[1]
    pictures = np.zeros((inputs, inputs, 9, 9))
    pictures[range(inputs), range(inputs), 4, 4] = 1
    answers = F.conv2d(F.conv2d(pictures, first), second).numpy()  # (C_in, C_out, 5, 5)
    return answers[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)


def _weights(*layers: nn.Module) -> int:
    return sum(parameter.numel() for parameter in nn.Sequential(*layers).parameters())


def _weights_of_one(inputs: int, outputs: int) -> int:
    return _weights(nn.Conv2d(inputs, outputs, 5, bias=False))


def _weights_of_pair(inputs: int, middle: int, outputs: int) -> int:
    return _weights(nn.Conv2d(inputs, middle, 3, bias=False), nn.Conv2d(middle, outputs, 3, bias=False))


def _widest_pair(inputs: int, outputs: int) -> int:
    allowed = _weights_of_one(inputs, outputs)
    middle = 1
    while _weights_of_pair(inputs, middle, outputs) <= allowed:
        middle += 1
    return middle - 1


CHECKS = {"08a": compose, "08b": widest_middle}
