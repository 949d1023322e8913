"""Gradient clipping: a gradient that is too long is made shorter. Source: Pascanu et al. 2013, algorithm 1."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from minicnn.tensor import Tensor

CHUNK = 1 << 18  # elements converted to float64 at a time: a copy of a whole VGG's gradient would be a gigabyte


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """The norm of all gradients as one vector, before they are scaled in place to a norm of at most `max_norm`.

    Raises ValueError if `norm_type` is not positive, if `max_norm` is below 0 (every gradient would change its sign),
    and, with `error_if_nonfinite`, if the norm is infinite or NaN.
    """
    if not max_norm >= 0:
        raise ValueError(f"max_norm must be at least 0, but is {max_norm}")
    if not norm_type > 0:
        raise ValueError(f"norm_type must be positive or infinite, but is {norm_type}")
    gradients = _gradients(parameters)
    total = _norm([_norm(gradient.ravel(order="K"), norm_type) for gradient in gradients], norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise ValueError(
            f"the norm of the gradients is {total}; minicnn.detect_anomaly() finds the operation that made it"
        )
    scale = max_norm / (total + 1e-6)
    if not scale >= 1:  # a NaN norm makes every gradient NaN, as in PyTorch, so that the user notices
        for gradient in gradients:
            gradient *= scale
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Cut every element of every gradient, in place, to [-clip_value, clip_value]."""
    for gradient in _gradients(parameters):
        np.clip(gradient, -clip_value, clip_value, out=gradient)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[np.ndarray]:
    members = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter.grad.data for parameter in members if parameter.grad is not None]


def _norm(values: np.ndarray | list[float], norm_type: float) -> float:
    """The norm, summed in float64 chunk by chunk: a float32 sum of millions of squares would lose digits."""
    array = np.asarray(values)
    total = 0.0
    for start in range(0, len(array), CHUNK):
        magnitudes = np.abs(array[start : start + CHUNK], dtype=np.float64)
        if math.isinf(norm_type):
            total = float(np.maximum(total, magnitudes.max()))  # unlike Python's max, np.maximum passes a NaN on
        elif norm_type == 2.0:
            total += float(magnitudes @ magnitudes)
        else:
            total += float((magnitudes**norm_type).sum())
    return total if math.isinf(norm_type) else total ** (1.0 / norm_type)
