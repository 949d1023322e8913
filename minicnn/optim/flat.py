"""The arrays and settings of one parameter as the update kernels take them: flat, of one dtype, in one memory order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.kernels import layout

NOTHING = np.empty(0)  # in place of a buffer that the settings leave unused


@contextlib.contextmanager
def flat(parameter: np.ndarray, gradient: np.ndarray, *buffers: np.ndarray) -> Iterator[list[np.ndarray]]:
    """(M,) versions of the arrays, element for element in the parameter's order; what is written to them arrives.

    They are views, unless an array lies in memory in another order: then a copy stands in, and is written back but for
    the gradient, which nobody changes.
    """
    images = layout.is_channels_last(parameter)
    ordered = [
        array.transpose(0, 2, 3, 1) if images and array is not NOTHING else array  # (N, C, H, W) -> (N, H, W, C)
        for array in (parameter, gradient, *buffers)
    ]
    arrays = [np.require(array, parameter.dtype, ["C", "A", "W"]).reshape(-1) for array in ordered]  # (...) -> (M,)
    yield arrays
    for array, target in zip(arrays, ordered, strict=True):
        if target is not ordered[1] and not np.may_share_memory(array, target):
            target[...] = array.reshape(target.shape)  # (M,) -> (...)


def alike(parameter: np.ndarray, *settings: float) -> list[Any]:
    """The settings in the parameter's dtype."""
    return [parameter.dtype.type(setting) for setting in settings]


def sign(parameter: np.ndarray, group: dict[str, Any]) -> Any:
    """-1 to go up the gradient, 1 to go down, in the parameter's dtype."""
    return parameter.dtype.type(-1 if group["maximize"] else 1)
