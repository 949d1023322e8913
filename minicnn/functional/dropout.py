"""Dropout: random elements, or whole channels, set to 0 in training, and the rest scaled up to keep the mean.

Source: Srivastava et al., "Dropout" (2014); whole channels: Tompson et al. 2015, section 3.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.checks import need_float
from minicnn.kernels import layout
from minicnn.random import next_stream
from minicnn.tensor import Tensor, as_tensor, make_result


def dropout(
    input: Any, p: float = 0.5, training: bool = True, *, generator: np.random.Generator | None = None
) -> Tensor:
    """The input with each element set to 0 with probability `p`, the others over 1 - p; in evaluation, the input.

    The mask comes from `generator`, or else from the stream "dropout" of minicnn.random. Raises ValueError unless
    0 <= p <= 1, and TypeError for integers in training.
    """
    x = as_tensor(input)
    _check_probability("dropout", p)
    if not training:
        return x
    need_float("dropout", x.data)
    if layout.is_channels_last(x.data):  # drawn in the order of memory, so that the mask lies as the input does
        n, c, h, w = x.shape
        return _drop(x, layout.from_kernel(_kept((n, h, w, c), p, generator)), p, "dropout")
    return _drop(x, _kept(x.shape, p, generator), p, "dropout")


def dropout2d(
    input: Any, p: float = 0.5, training: bool = True, *, generator: np.random.Generator | None = None
) -> Tensor:
    """The input (N, C, H, W) with each channel of each image set to 0 with probability `p`, the others over 1 - p.

    Three axes are read as (N, C, L), as in PyTorch. Raises ValueError for other shapes or unless 0 <= p <= 1.
    """
    x = as_tensor(input)
    _check_probability("dropout2d", p)
    if x.ndim not in (3, 4):
        raise ValueError(f"dropout2d needs an input (N, C, H, W) or (N, C, L), but its shape is {x.shape}")
    if not training:
        return x
    need_float("dropout2d", x.data)
    channels = _kept(x.shape[:2], p, generator)
    return _drop(x, channels.reshape(channels.shape + (1,) * (x.ndim - 2)), p, "dropout2d")


def _check_probability(name: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p, the probability of setting an element to 0, must lie in [0, 1], but is {p}")


def _kept(shape: tuple[int, ...], p: float, generator: np.random.Generator | None) -> np.ndarray:
    """True with probability 1 - p: random() draws from [0, 1), so p = 0 keeps all and p = 1 nothing."""
    return next_stream("dropout", generator).random(shape, dtype=np.float32) >= p


def _drop(x: Tensor, kept: np.ndarray, p: float, name: str) -> Tensor:
    scale = np.asarray(0 if p == 1 else 1 / (1 - p), x.dtype)

    def backward(gradient: np.ndarray):  # keeps the mask, one byte an element
        return (gradient * scale * kept,)

    return make_result(x.data * scale * kept, (x,), backward, name)
