"""Losses between numbers: squared, absolute, and the two that are squared near 0 and absolute far away.

All are functions of difference = input - target; with slope = d loss / d difference, the gradients are slope for the
input and -slope for the target.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.functional.arithmetic import operands_of
from minicnn.functional.checks import need_choice, need_float
from minicnn.functional.loss_reduction import REDUCTIONS, reduce_loss, spread
from minicnn.tensor import Tensor, as_tensor, make_result

Elementwise = Callable[[np.ndarray], np.ndarray]


def mse_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Tensor:
    """(input - target) ** 2, averaged, summed or place by place; a weighted mean divides by the sum of the weights.

    `weight` has the input's shape. Raises ValueError for shapes that don't fit and TypeError for integers; shapes that
    broadcast are allowed with a warning, as in PyTorch.
    """
    return _of_difference("mse_loss", input, target, reduction, weight, np.square, lambda difference: 2 * difference)


def l1_loss(input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Tensor:
    """|input - target|, with slope 0 at 0; reductions, `weight` and errors as in mse_loss."""
    return _of_difference("l1_loss", input, target, reduction, weight, np.abs, np.sign)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """difference ** 2 / (2 * beta) where |difference| < beta, else |difference| - beta / 2; beta = 0 is l1_loss.

    Reductions and errors as in mse_loss; ValueError for a negative beta. Source: Girshick 2015, equation 3.
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must be 0 or more, but is {beta}")
    if beta == 0:
        return _of_difference("smooth_l1_loss", input, target, reduction, None, np.abs, np.sign)

    def value(difference: np.ndarray) -> np.ndarray:
        size = np.abs(difference)
        return np.where(size < beta, 0.5 * size * size / beta, size - 0.5 * beta)

    def slope(difference: np.ndarray) -> np.ndarray:
        return np.clip(difference / beta, -1, 1)

    return _of_difference("smooth_l1_loss", input, target, reduction, None, value, slope)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Tensor:
    """difference ** 2 / 2 where |difference| <= delta, else delta * (|difference| - delta / 2).

    Reductions and errors as in mse_loss, but a weighted mean divides by the number of elements, as in PyTorch.
    ValueError unless delta > 0. Source: Huber 1964.
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, but is {delta}")

    def value(difference: np.ndarray) -> np.ndarray:
        size = np.abs(difference)
        return np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))

    def slope(difference: np.ndarray) -> np.ndarray:
        return np.clip(difference, -delta, delta)

    return _of_difference("huber_loss", input, target, reduction, weight, value, slope, over_weights=False)


def _of_difference(
    name: str,
    input: Any,
    target: Any,
    reduction: str,
    weight: Any,
    value: Elementwise,
    slope: Elementwise,
    over_weights: bool = True,
) -> Tensor:
    need_choice(name, "reduction", reduction, REDUCTIONS)
    (x, y), (a, b) = operands_of(name, input, target)
    need_float(name, a, "input or target")
    if x.shape != y.shape:
        warnings.warn(
            f"{name}: input {x.shape} and target {y.shape} differ in shape and are broadcast to "
            f"{np.broadcast_shapes(x.shape, y.shape)}; this is seldom what was meant, so reshape one of them",
            stacklevel=3,
        )
    with np.errstate(all="ignore"):
        difference = a - b
    weights = None if weight is None else as_tensor(weight).data.astype(a.dtype, copy=False)
    if weights is not None and weights.shape != x.shape:
        raise ValueError(f"{name}: weight must have the input's shape {x.shape}, but its shape is {weights.shape}")
    with np.errstate(all="ignore"):  # the square of a large number is infinite
        values = value(difference) if weights is None else value(difference) * weights
    divisor = float(values.size if weights is None or not over_weights else weights.sum(dtype=np.float64))

    def backward(gradient: np.ndarray):  # keeps the difference and the weights
        share = spread(gradient, reduction, divisor)
        to_input = slope(difference) * (share if weights is None else share * weights)
        return to_input, -to_input

    return make_result(reduce_loss(values, reduction, divisor), (x, y), backward, name)
