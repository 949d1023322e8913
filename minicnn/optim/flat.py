"""One parameter's arrays and settings as the update kernels take them: flat, of one dtype, in one memory order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.kernels import layout

NO_ARRAY = np.empty(0)  # in place of a buffer that the settings leave unused


@contextlib.contextmanager
def flat(parameter: np.ndarray, gradient: np.ndarray, *buffers: np.ndarray) -> Iterator[list[np.ndarray]]:
    """(M,) versions of the arrays, element for element in the parameter's order; changes to them reach the arrays.

    An array in the parameter's memory order becomes a view. Any other array is copied, and the copy is written back at
    the end; the gradient's copy is not, because no rule changes the gradient.
    """
    images = layout.is_channels_last(parameter)
    ordered = [
        array.transpose(0, 2, 3, 1) if images and array is not NO_ARRAY else array  # (N, C, H, W) -> (N, H, W, C)
        for array in (parameter, gradient, *buffers)
    ]
    arrays = [np.require(array, parameter.dtype, ["C", "A", "W"]).reshape(-1) for array in ordered]  # (...) -> (M,)
    if np.may_share_memory(arrays[0], arrays[1]):  # a step must not change the gradient while it reads it
        arrays[1] = arrays[1].copy()
    yield arrays
    for array, target in zip(arrays, ordered, strict=True):
        if target is not ordered[1] and not np.may_share_memory(array, target):
            target[...] = array.reshape(target.shape)  # (M,) -> (...)


def in_dtype_of(parameter: np.ndarray, *settings: float) -> list[Any]:
    """The settings as numbers of the parameter's dtype: a float64 setting would make a float32 rule compute wider."""
    return [parameter.dtype.type(setting) for setting in settings]


def direction(parameter: np.ndarray, group: dict[str, Any]) -> Any:
    """1 to go down the gradient, -1 to go up (`maximize`), in the parameter's dtype."""
    return parameter.dtype.type(-1 if group["maximize"] else 1)
