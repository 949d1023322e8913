"""The checks of lesson 5: what a convolution costs, and the loss of a classifier."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from minicnn import nn
from minicnn.random import stream
from minicnn.teach.answers import call, compare


def count_convolution(answer: Callable) -> None:
    """05a: (parameters, multiply-adds) as the library's own summary counts them; LeNet's two convolutions come last."""
    hint = (
        "one output adds up in_channels * kernel_size**2 products, and each output channel has those weights and a "
        "bias; how many rows and columns of outputs are there?"
    )
    # height, width, in_channels, out_channels, kernel_size, padding: not square, so that exchanged numbers show
    for case in (
        (3, 3, 1, 1, 3, 0),
        (5, 7, 1, 2, 3, 0),
        (6, 9, 3, 4, 3, 1),
        (32, 32, 3, 6, 5, 0),
        (14, 14, 6, 16, 5, 0),
    ):
        height, width, in_channels, out_channels, kernel_size, padding = case
        layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)
        counted = nn.summary(layer, (in_channels, height, width))
        expected = (counted.parameters, counted.multiply_adds)
        what = f"count_convolution{case}: (parameters, multiply-adds)"
        compare(call(answer, *case, hint=hint), expected, what, hint, tolerance=0)


def cross_entropy(answer: Callable) -> None:
    """05b: equal scores, of which the loss is log C; scores by chance; scores so large that exp alone overflows."""
    hint = "log(sum of exp(logits)) - logits[right class] for each picture (each row), natural logarithm, then the mean"
    compare(
        call(answer, np.zeros((2, 10)), np.array([3, 7]), hint=hint),
        math.log(10),
        "cross_entropy of 10 equal scores is log(10)",
        hint,
    )
    generator = stream("check 05b", seed=0)
    for pictures, classes in ((1, 3), (3, 3), (5, 4)):
        logits = generator.integers(-30, 31, (pictures, classes)) / 10
        labels = generator.integers(0, classes, pictures)
        what = f"cross_entropy(logits of shape {logits.shape}, labels {labels.tolist()})"
        compare(call(answer, logits, labels, hint=hint), _expected(logits, labels), what, hint)
    stable = "exp of the largest must not overflow: subtract each picture's largest logit from all of its logits first"
    logits, labels = np.array([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1003.0]]), np.array([1, 2])
    with warnings.catch_warnings():  # NumPy's would come before the message, and say less
        warnings.simplefilter("ignore", RuntimeWarning)
        yours = call(answer, logits, labels, hint=stable)
    what = f"cross_entropy({logits.tolist()}, {labels.tolist()})"
    compare(yours, _expected(logits, labels), what, stable)


def _expected(logits: np.ndarray, labels: np.ndarray) -> float:
    """By adding one class after the other on the scale of logarithms, which never overflows."""
    total = np.logaddexp.reduce(logits, axis=1)  # (N, C) -> (N,)
    return float(np.mean([total[i] - logits[i, label] for i, label in enumerate(labels)]))


CHECKS = {"05a": count_convolution, "05b": cross_entropy}
