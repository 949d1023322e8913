"""Directions of vectors: normalize makes their length 1, cosine_similarity compares two of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.arithmetic import operands_of
from minicnn.functional.checks import need_float
from minicnn.functional.reduction import axes_of
from minicnn.operators import Axes
from minicnn.tensor import Tensor, as_tensor, make_result


@np.errstate(all="ignore")
def normalize(input: Any, p: float = 2.0, dim: Axes = 1, eps: float = 1e-12) -> Tensor:
    """input / max(norm, eps), where norm = sum(|input| ** p) ** (1 / p) over `dim`; p may be infinite.

    A vector of zeros stays one. Raises TypeError for integers and ValueError for an axis out of range.
    """
    x = as_tensor(input)
    need_float("normalize", x.data)
    axes, a = axes_of(dim, x.ndim), x.data
    norm = _norm(a, p, axes)
    divisor = np.maximum(norm, np.asarray(eps, a.dtype))

    def backward(gradient: np.ndarray):  # keeps the input, its norms and the divisors
        to_divisor = -(gradient * a).sum(axis=axes, keepdims=True) / np.square(divisor)
        to_norm = np.where(norm >= eps, to_divisor, 0)  # where eps was larger the divisor is a constant
        return (gradient / divisor + to_norm * _norm_slope(a, norm, p, axes),)

    return make_result(a / divisor, (x,), backward, "normalize")


def _norm(a: np.ndarray, p: float, axes: tuple[int, ...]) -> np.ndarray:
    size = np.abs(a)
    if p == np.inf:
        return size.max(axis=axes, keepdims=True, initial=0)
    if p == -np.inf:
        return size.min(axis=axes, keepdims=True)
    if p == 0:
        return (size != 0).sum(axis=axes, keepdims=True).astype(a.dtype)
    if p == 2:
        return np.sqrt(np.square(a).sum(axis=axes, keepdims=True))
    return (size**p).sum(axis=axes, keepdims=True) ** (1 / p)


def _norm_slope(a: np.ndarray, norm: np.ndarray, p: float, axes: tuple[int, ...]) -> np.ndarray:
    """d norm / d a; 0 where the norm is 0, and shared evenly among the largest for an infinite p."""
    if p == 0:
        return np.zeros_like(a)
    if abs(p) == np.inf:
        chosen = np.abs(a) == norm
        return np.sign(a) * chosen / np.maximum(chosen.sum(axis=axes, keepdims=True), 1).astype(a.dtype)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.sign(a) * (np.abs(a) / norm) ** (p - 1)
    return np.where((norm == 0) | (a == 0), 0, slope)


@np.errstate(all="ignore")
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between x1 and x2 along `dim`: their product over both lengths, each at least eps.

    The two broadcast. Raises ValueError if they can't and TypeError for integers.
    """
    tensors, (a, b) = operands_of("cosine_similarity", x1, x2)
    need_float("cosine_similarity", a, "x1 or x2")
    a, b = np.broadcast_arrays(a, b)
    axes = axes_of(dim, a.ndim)
    a_length, b_length = (np.sqrt(np.square(v).sum(axis=axes, keepdims=True)) for v in (a, b))
    a_divisor, b_divisor = np.maximum(a_length, eps), np.maximum(b_length, eps)
    a_unit, b_unit = a / a_divisor, b / b_divisor
    cosine = (a_unit * b_unit).sum(axis=axes, keepdims=True)

    def backward(gradient: np.ndarray):  # keeps both directions, lengths and the cosine
        full = gradient.reshape(cosine.shape)
        # A length below eps was replaced by a constant: nothing is subtracted there.
        to_a = (b_unit - np.where(a_length >= eps, cosine, 0) * a_unit) / a_divisor
        to_b = (a_unit - np.where(b_length >= eps, cosine, 0) * b_unit) / b_divisor
        return to_a * full, to_b * full

    return make_result(cosine.squeeze(axes), tensors, backward, "cosine_similarity")
