"""The checks of lesson 1: a convolution as loops, and a kernel for rising edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.random import stream
from minicnn.teach.answers import Answer, agree, call, compare, need


def convolve(answer: Answer) -> None:
    """01a: the results of a kernel at every place of a picture; sizes that are not square show exchanged axes."""
    hint = "at row i and column j: the sum over a and b of picture[i + a, j + b] * kernel[a, b]"
    fixed, fresh = stream("check 01a", seed=0), np.random.default_rng()
    cases = []
    for picture_size, kernel_size in (((3, 3), (3, 3)), ((4, 6), (3, 3)), ((5, 4), (2, 3))):
        picture = fixed.integers(0, 10, picture_size).astype(np.float64)
        cases.append((picture, fixed.integers(-3, 4, kernel_size).astype(np.float64)))
    bytes_and_fractions = (fixed.integers(0, 256, (5, 7), np.uint8), fixed.integers(-8, 9, (3, 2)) / 8)
    cases += [bytes_and_fractions, (fresh.standard_normal((6, 5)), fresh.standard_normal((1, 4)))]
    cases += [(fresh.standard_normal((9, 12)), fresh.standard_normal((5, 3)))]
    agree(answer, cases, _correlated, hint, _convolve_case)


def _convolve_case(picture: np.ndarray, kernel: np.ndarray) -> str:
    kinds = "" if picture.dtype == kernel.dtype else f", their numbers {picture.dtype} and {kernel.dtype}"
    return f"convolve(picture of {picture.shape}, kernel of {kernel.shape}{kinds})"


def _correlated(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(picture.astype(np.float64), kernel.shape)  # (OH, OW, KH, KW)
    results: np.ndarray = np.einsum("ijab,ab->ij", windows, kernel.astype(np.float64))
    return results


def rising_kernel(answer: Answer) -> None:
    """01b: a kernel by its results: 0 on a plain picture and on falling edges, the largest on rising ones."""
    hint = "the upright kernel compares left with right; compare the upper left corner with the lower right one"
    yours = call(answer, hint=hint)
    shape = _shape(yours)
    need(shape == (3, 3), "rising_kernel(): its shape", shape, "(3, 3)", hint)
    compare(yours, _finite(yours), "rising_kernel(): its weights", hint)
    kernel = np.asarray(yours, dtype=np.float64)
    size = float(np.abs(kernel).sum())
    need(size > 0, "rising_kernel(): its weights", "all zero", "some that are not", hint)
    total = float(kernel.sum())
    brightness = "weights that are not 0 must cancel: add them up"
    need(abs(total) < 1e-6 * size, "rising_kernel(): the sum of its weights", f"{total:.4g}", "0", brightness)
    angles = np.arange(0, 180, 15)
    strengths = _results_at_edges(kernel, angles) / size
    need(strengths.max() > 1e-6, "rising_kernel(): its results at edges of all directions", "0", "not 0", hint)
    best = int(angles[strengths.argmax()])
    need(best == 45, "rising_kernel(): the direction at which its result is largest, in degrees", best, "45", hint)
    falling = float(strengths[angles == 135].item() / strengths.max())
    need(falling < 0.01, "rising_kernel(): its result at falling edges, as a share", f"{falling:.3g}", "0", hint)
    beside = "also where the edge lies beside the middle: in each diagonal as in \\ the weights must cancel"
    for offset in range(-2, 3):
        sharp = float((np.tri(3, 3, offset) * kernel).sum()) / size
        what = f"rising_kernel(): its result at a sharp falling edge {abs(offset)} pixels beside the middle, as a share"
        need(abs(sharp) < 1e-6, what, f"{sharp:.3g}", "0", beside)
    compare(call(answer, hint=hint), kernel, "rising_kernel(), called once more", "the kernel must not depend on calls")


def _shape(yours: Any) -> tuple[int, ...] | str:
    try:
        shape: tuple[int, ...] = np.shape(yours)
        return shape
    except ValueError:
        return "rows of several lengths"
    except Exception:  # whatever an object of the reader's raises
        return type(yours).__name__


def _finite(yours: Any) -> np.ndarray:
    """The weights with 0 in place of infinities and NaN, so that a comparison shows these."""
    try:
        return np.nan_to_num(np.asarray(yours, dtype=np.float64), posinf=0, neginf=0)
    except (TypeError, ValueError):
        return np.zeros((3, 3))


def _results_at_edges(kernel: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The size of the kernel's result at a soft edge through its middle, for each angle in degrees."""
    turn = np.deg2rad(angles)[:, None, None]
    y, x = np.mgrid[-1:2, -1:2]
    windows = 0.5 + (x * np.sin(turn) + y * np.cos(turn)) / 4  # (A, 3, 3)
    results: np.ndarray = np.abs((windows * kernel).sum(axis=(1, 2)))
    return results


CHECKS = {"01a": convolve, "01b": rising_kernel}
