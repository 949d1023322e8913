"""What all losses do last: keep the loss of each place, add them up, or average them.

Sums are taken in float64: their error must not grow with the number of pictures or pixels.
"""

from __future__ import annotations

import numpy as np

REDUCTIONS = ("none", "mean", "sum")


def reduce_loss(values: np.ndarray, reduction: str, divisor: float) -> np.ndarray:
    """`values` for "none", their sum for "sum", and the sum over `divisor` for "mean": NaN for 0 / 0, as in PyTorch."""
    if reduction == "none":
        return values
    total = values.sum(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(total / divisor if reduction == "mean" else total, values.dtype)


def spread(gradient: np.ndarray, reduction: str, divisor: float) -> np.ndarray:
    """The gradient of each place's loss, from that of reduce_loss's result; it broadcasts to the places."""
    if reduction != "mean":
        return gradient
    with np.errstate(divide="ignore", invalid="ignore"):
        return gradient / np.asarray(divisor, gradient.dtype)
