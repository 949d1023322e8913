"""Losses between probabilities given place by place: yes or no, and the divergence of two distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.activation import logistic
from minicnn.functional.arithmetic import operands_of
from minicnn.functional.checks import need_choice, need_float
from minicnn.functional.loss_reduction import REDUCTIONS, reduce_loss, spread
from minicnn.tensor import Tensor, as_tensor, make_result


@np.errstate(all="ignore")
def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Tensor:
    """-(target * log(input) + (1 - target) * log(1 - input)) for probabilities; logarithms are cut at -100.

    `weight` broadcasts to the shape of both. Raises ValueError for different shapes and for an input outside [0, 1],
    and TypeError for integers. Scores before the sigmoid belong into binary_cross_entropy_with_logits, which loses no
    digits.
    """
    name = "binary_cross_entropy"
    (x, y), (a, b), weights = _checked(name, input, target, weight, reduction)
    outside = ~((a >= 0) & (a <= 1)) & ~np.isnan(a)
    if outside.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(outside)), a.shape))
        raise ValueError(
            f"{name}: the input must hold probabilities in [0, 1], but is {a[index]} at index {index}; "
            "for raw scores use binary_cross_entropy_with_logits"
        )
    with np.errstate(divide="ignore"):
        log_yes, log_no = np.maximum(np.log(a), -100), np.maximum(np.log1p(-a), -100)
    values = -(b * log_yes + (1 - b) * log_no) * weights
    divisor = float(values.size)

    def backward(gradient: np.ndarray):  # keeps the probabilities, the targets and both logarithms
        share = spread(gradient, reduction, divisor) * weights
        slope = (a - b) / np.maximum(a * (1 - a), 1e-12)
        return slope * share, (log_no - log_yes) * share

    return make_result(reduce_loss(values, reduction, divisor), (x, y), backward, name)


@np.errstate(all="ignore")
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """binary_cross_entropy(sigmoid(input), target), computed from the scores so that nothing overflows.

    `weight` and `pos_weight` broadcast to the shape of both; `pos_weight` scales the part of the positives.
    Raises ValueError for different shapes and TypeError for integers.
    """
    name = "binary_cross_entropy_with_logits"
    (x, y), (a, b), weights = _checked(name, input, target, weight, reduction)
    positive = _factor(name, "pos_weight", pos_weight, a)
    log_yes, log_no = -_softplus(-a), -_softplus(a)  # log(sigmoid(a)) and log(1 - sigmoid(a))
    values = -(positive * b * log_yes + (1 - b) * log_no) * weights
    divisor = float(values.size)

    def backward(gradient: np.ndarray):  # keeps the scores, the targets and both logarithms
        share = spread(gradient, reduction, divisor) * weights
        slope = (positive * b + 1 - b) * logistic(a) - positive * b
        return slope * share, (log_no - positive * log_yes) * share

    return make_result(reduce_loss(values, reduction, divisor), (x, y), backward, name)


@np.errstate(all="ignore")
def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """target * (log(target) - input), where `input` holds log probabilities, and so does `target` with log_target=True.

    Summed, or divided by the number of elements ("mean") or by that of rows ("batchmean": Kullback and Leibler's
    divergence). Raises ValueError for shapes that don't broadcast and TypeError for integers.
    """
    need_choice("kl_div", "reduction", reduction, (*REDUCTIONS, "batchmean"))
    (x, y), (a, b) = operands_of("kl_div", input, target)
    need_float("kl_div", a, "input or target")
    with np.errstate(divide="ignore", invalid="ignore"):
        probability, log_probability = (np.exp(b), b) if log_target else (b, np.log(b))
        # 0 * log(0) is 0
        values = np.where(probability == 0, -probability * a, probability * (log_probability - a))
    divisor = float(x.shape[0] if reduction == "batchmean" and x.ndim else values.size)
    if reduction == "batchmean":
        reduction = "mean" if x.ndim else "sum"

    def backward(gradient: np.ndarray):  # keeps the input and the target
        share = spread(gradient, reduction, divisor)
        with np.errstate(invalid="ignore"):
            slope = log_probability - a + 1
            return -probability * share, (probability * slope if log_target else slope) * share

    return make_result(reduce_loss(values, reduction, divisor), (x, y), backward, "kl_div")


def _checked(
    name: str, input: Any, target: Any, weight: Any, reduction: str
) -> tuple[list[Tensor], list[np.ndarray], np.ndarray]:
    """The Tensors, their arrays in one dtype, and the weight as an array that multiplies them."""
    need_choice(name, "reduction", reduction, REDUCTIONS)
    tensors, arrays = operands_of(name, input, target)
    if arrays[0].shape != arrays[1].shape:
        raise ValueError(
            f"{name}: input and target must have the same shape, but have {arrays[0].shape} and {arrays[1].shape}; "
            "reshape one of them"
        )
    need_float(name, tensors[0].data)
    return tensors, arrays, _factor(name, "weight", weight, arrays[0])


def _factor(name: str, argument: str, value: Any, like: np.ndarray) -> np.ndarray:
    """`value` as an array that multiplies `like`; 1 for None."""
    if value is None:
        return np.ones((), like.dtype)
    array = as_tensor(value).data.astype(like.dtype, copy=False)
    try:
        fits = np.broadcast_shapes(array.shape, like.shape) == like.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name}: {argument} of shape {array.shape} does not broadcast to the input's {like.shape}")
    return array


def _softplus(a: np.ndarray) -> np.ndarray:
    """log(1 + exp(a)), without overflow."""
    return np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a)))
