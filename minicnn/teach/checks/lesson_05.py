"""The checks of lesson 5: the cost of a convolution, and the loss of a classifier."""

from __future__ import annotations

import math

import numpy as np

from minicnn import nn
from minicnn.random import stream
from minicnn.teach.answers import Answer, agree, call, compare


def count_convolution(answer: Answer) -> None:
    """05a: (parameters, multiply-adds) as the library's own summary counts them, for LeNet's convolutions too."""
    hint = (
        "one output adds up in_channels * kernel_size**2 products, and each output channel has those weights and a "
        "bias; how many rows and columns of outputs are there?"
    )
    fresh = np.random.default_rng()
    drawn = [int(fresh.integers(low, high)) for low, high in ((9, 30), (31, 50), (2, 9), (10, 20), (2, 6), (1, 4))]
    # height, width, in_channels, out_channels, kernel_size, padding: not square, so that exchanged numbers show
    cases: list[tuple[int, ...]] = [
        (3, 3, 1, 1, 3, 0),
        (5, 7, 1, 2, 3, 0),
        (6, 9, 3, 4, 3, 1),
        (32, 32, 3, 6, 5, 0),
        (14, 14, 6, 16, 5, 0),
        (8, 6, 2, 3, 2, 0),
        (4, 9, 2, 3, 1, 2),
        (224, 320, 64, 96, 7, 3),
        (223, 317, 3, 97, 7, 3),
        tuple(drawn),
    ]
    agree(answer, cases, _counted, hint, _count_case, tolerance=0)
    compare(call(answer, 5, 7, 1, 2, 3, hint=hint), _counted(5, 7, 1, 2, 3, 0), _count_case(5, 7, 1, 2, 3), hint)


def _counted(height: int, width: int, in_channels: int, out_channels: int, kernel_size: int, padding: int) -> list[int]:
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)
    counted = nn.summary(layer, (in_channels, height, width))
    return [counted.parameters, counted.multiply_adds]


def _count_case(*case: int) -> str:
    return f"count_convolution{case}: (parameters, multiply-adds)"


def cross_entropy(answer: Answer) -> None:
    """05b: equal scores, of which the loss is log C; scores by chance; scores for which exp gives infinity or 0."""
    hint = "log(sum of exp(logits)) - logits[right class] for each picture (each row), natural logarithm, then the mean"
    name = "cross_entropy of 10 equal scores is log(10)"
    compare(call(answer, np.zeros((2, 10)), np.array([3, 7]), hint=hint), math.log(10), name, hint)
    fixed, fresh = stream("check 05b", seed=0), np.random.default_rng()
    cases: list[tuple[np.ndarray, np.ndarray]] = []
    for pictures, classes in ((1, 3), (3, 3), (5, 4), (4, 1), (7, 12)):
        logits = fixed.integers(-30, 31, (pictures, classes)) / 10
        cases.append((logits, fixed.integers(0, classes, pictures)))
    cases.append((fixed.integers(-5, 6, (3, 4)), np.array([0, 3, 1])))
    cases.append((fresh.standard_normal((6, 5)) * 3, fresh.integers(0, 5, 6)))
    agree(answer, cases, _expected, hint, _loss_case)
    stable = "exp of the largest must not overflow: subtract each picture's largest logit from all of its logits first"
    finite = (
        "a probability may be rounded to 0, and log(0) is not a number: do not divide; take the "
        "logarithm of the sum of exp, and subtract the right class's logit"
    )
    large = [([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1003.0]], [1, 2], stable)]
    large += [([[1000.0, -1000.0]], [1], finite), ([[-1000.0, 1000.0, 999.0], [2.0, 1.0, 0.0]], [0, 2], finite)]
    large += [([[0.0, -800.0, 710.0]], [1], finite)]
    for rows, right, how in large:
        logits, labels = np.array(rows), np.array(right)
        shown = f"cross_entropy({rows}, {right})"
        compare(call(answer, logits, labels, hint=how), _expected(logits, labels), shown, how, 1e-9)


def _loss_case(logits: np.ndarray, labels: np.ndarray) -> str:
    whole = ", whole numbers" if logits.dtype.kind == "i" else ""
    return f"cross_entropy(logits of shape {logits.shape}{whole}, labels {labels.tolist()})"


def _expected(logits: np.ndarray, labels: np.ndarray) -> float:
    """By adding one class after the other on the scale of logarithms, which never overflows."""
    total = np.logaddexp.reduce(logits.astype(np.float64), axis=1)  # (N, C) -> (N,)
    return float(np.mean([total[i] - logits[i, label] for i, label in enumerate(labels)]))


CHECKS = {"05a": count_convolution, "05b": cross_entropy}
