"""The checks of lesson 1: a convolution as loops, and a kernel for rising edges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn import functional as F
from minicnn.random import stream
from minicnn.teach.answers import call, compare, need


def convolve(answer: Callable) -> None:
    """01a: the answers of a kernel at every place of a picture; sizes that are not square show exchanged axes."""
    hint = "at row i and column j: the sum over a and b of picture[i + a, j + b] * kernel[a, b]"
    generator = stream("check 01a", seed=0)
    sizes = [((3, 3), (3, 3)), ((4, 6), (3, 3)), ((5, 4), (2, 3))]
    for picture_size, kernel_size in sizes:
        picture = generator.integers(0, 10, picture_size).astype(np.float64)
        kernel = generator.integers(-3, 4, kernel_size).astype(np.float64)
        expected = F.conv2d(picture[None, None], kernel[None, None]).numpy()[0, 0]
        yours = call(answer, picture, kernel, hint=hint)
        compare(yours, expected, f"convolve(picture of {picture_size}, kernel of {kernel_size})", hint)


def rising_kernel(answer: Callable) -> None:
    """01b: a kernel by what it answers to: nothing to a plain picture and to falling edges, most to rising ones."""
    hint = "the upright kernel compares left with right; compare the upper left corner with the lower right one"
    yours = call(answer, hint=hint)
    kernel = np.asarray(yours, dtype=np.float64)
    need(kernel.shape == (3, 3), "rising_kernel(): its shape", kernel.shape, "(3, 3)", hint)
    need(bool(np.abs(kernel).sum() > 0), "rising_kernel(): its weights", "all zero", "some that are not", hint)
    angles = np.arange(0, 180, 15)
    strengths = _answers_to_edges(kernel, angles) / np.abs(kernel).sum()
    total = float(kernel.sum() / np.abs(kernel).sum())
    brightness = "weights that are not 0 must cancel: add them up"
    need(abs(total) < 1e-6, "rising_kernel(): the sum of its weights", f"{kernel.sum():.4g}", "0", brightness)
    best = int(angles[strengths.argmax()])
    need(best == 45, "rising_kernel(): the direction that it answers most, in degrees", best, "45", hint)
    falling = float(strengths[angles == 135].item() / strengths.max())
    need(falling < 0.01, "rising_kernel(): its answer to falling edges, as a share", f"{falling:.3g}", "0", hint)


def _answers_to_edges(kernel: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """The size of the kernel's answer to a soft edge through its middle, for each angle in degrees."""
    turn = np.deg2rad(angles)[:, None, None]
    y, x = np.mgrid[-1:2, -1:2]
    windows = 0.5 + (x * np.sin(turn) + y * np.cos(turn)) / 4  # (A, 3, 3)
    return np.abs((windows * kernel).sum(axis=(1, 2)))


CHECKS = {"01a": convolve, "01b": rising_kernel}
