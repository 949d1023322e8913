"""The checks of lesson 8: two kernels as one, and how wide the map between them may be."""

from __future__ import annotations

import numpy as np

from minicnn.random import stream
from minicnn.teach.answers import Answer, agree, call, compare


def compose(answer: Answer) -> None:
    """08a: the composed kernel, as two convolutions of pictures with a single 1 show."""
    hint = "the weight second[o, m, i, j] lays first[m, c] on the rows i to i + 2 and columns j to j + 2 of the result"
    first, second = np.zeros((2, 1, 1, 3, 3))
    first[0, 0, 0, 1], second[0, 0, 2, 0] = 5, 2
    what = "compose(first with a single 5 at row 0, column 1; second with a single 2 at row 2, column 0)"
    compare(call(answer, first, second, hint=hint), _as_one_kernel(first, second), what, hint)
    fixed, fresh = stream("check 08a", seed=0), np.random.default_rng()
    cases: list[tuple[np.ndarray, np.ndarray]] = []
    for inputs, middle, outputs in ((1, 1, 1), (1, 3, 1), (2, 3, 4), (3, 3, 3)):
        first = fixed.integers(-3, 4, (middle, inputs, 3, 3)).astype(np.float64)
        cases.append((first, fixed.integers(-3, 4, (outputs, middle, 3, 3)).astype(np.float64)))
    cases.append((fixed.integers(-3, 4, (2, 3, 3, 3)), fixed.integers(-8, 9, (2, 2, 3, 3)) / 8))
    cases.append((fresh.standard_normal((4, 2, 3, 3)), fresh.standard_normal((3, 4, 3, 3))))
    cases.append((fresh.standard_normal((5, 6, 3, 3)), fresh.standard_normal((1, 5, 3, 3))))
    agree(answer, cases, _as_one_kernel, hint, _compose_case)


def _compose_case(first: np.ndarray, second: np.ndarray) -> str:
    kinds = "" if first.dtype == second.dtype else f", their numbers {first.dtype} and {second.dtype}"
    return f"compose(first of {first.shape}, second of {second.shape}{kinds})"


def widest_middle(answer: Answer) -> None:
    """08b: the widest middle, by trying one width after the other."""
    fresh = np.random.default_rng()
    cases = [
        (32, 32),
        (18, 18),
        (64, 128),
        (3, 64),
        (256, 64),
        (1, 1),
        (6, 9),
        (9, 16),
        (36, 36),
        (42, 378),
        (2048, 512),
    ]
    cases.append((int(fresh.integers(40, 400)), int(fresh.integers(401, 900))))
    cases.append((int(fresh.integers(1, 9)), int(fresh.integers(9, 90))))
    for inputs, outputs in cases:
        expected, what = _widest_pair(inputs, outputs), f"widest_middle({inputs}, {outputs})"
        pairs = [f"{_weights_of_pair(inputs, m, outputs):,} with m = {m}" for m in (expected, expected + 1)]
        hint = (
            f"the two 3x3 have 9 * in * m + 9 * m * out weights, here {' and '.join(pairs)}; the 5x5 has "
            f"25 * in * out, here {25 * inputs * outputs:,}"
        )
        yours = call(answer, inputs, outputs, hint=hint)
        compare(yours, expected, what, hint, tolerance=0)
    agree(answer, cases, _widest_pair, "the same numbers must give the same answer, whatever was asked before")


def _as_one_kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The result of both for a 1 in the middle of each input channel, read backwards: the composed kernel."""
    inputs = first.shape[1]
    pictures = np.zeros((inputs, inputs, 9, 9))
    pictures[range(inputs), range(inputs), 4, 4] = 1
    answers = _convolved(_convolved(pictures, first), second)  # (C_in, C_out, 5, 5)
    kernel: np.ndarray = answers[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    return kernel


def _convolved(pictures: np.ndarray, kernels: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(pictures, (3, 3), axis=(2, 3))  # (N, C, OH, OW, 3, 3)
    results: np.ndarray = np.einsum("ncijab,ocab->noij", windows, kernels.astype(np.float64))
    return results


def _weights_of_pair(inputs: int, middle: int, outputs: int) -> int:
    return 9 * inputs * middle + 9 * middle * outputs


def _widest_pair(inputs: int, outputs: int) -> int:
    allowed = 25 * inputs * outputs
    middle = 1
    while _weights_of_pair(inputs, middle, outputs) <= allowed:
        middle += 1
    return middle - 1


CHECKS = {"08a": compose, "08b": widest_middle}
