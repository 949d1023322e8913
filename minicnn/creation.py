"""New Tensors: zeros, ones, randn, from_numpy. Four axes (N, C, H, W) get the memory order of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import random
from minicnn.kernels import layout
from minicnn.tensor import Tensor


def _shape_of(size: tuple[Any, ...]) -> tuple[int, ...]:
    """zeros(2, 3) and zeros((2, 3)) mean the same. Raises ValueError for a negative size, TypeError for a fraction."""
    sizes = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    for one in sizes:
        if isinstance(one, bool) or not isinstance(one, (int, np.integer)):
            raise TypeError(f"size must be integers, but {one!r} in {sizes} is {type(one).__name__}")
        if one < 0:
            raise ValueError(f"size must not be negative, but is {sizes}")
    return tuple(int(one) for one in sizes)


def zeros(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A Tensor of zeros of this size. Raises ValueError for a negative size."""
    return Tensor(layout.zeros(_shape_of(size), dtype), requires_grad)


def ones(*size: Any, dtype: Any = np.float32, requires_grad: bool = False) -> Tensor:
    """A Tensor of ones of this size. Raises ValueError for a negative size."""
    array = layout.empty(_shape_of(size), dtype)
    array[...] = 1
    return Tensor(array, requires_grad)


def randn(
    *size: Any, dtype: Any = np.float32, requires_grad: bool = False, generator: np.random.Generator | None = None
) -> Tensor:
    """A Tensor of this size, drawn from the normal distribution with mean 0 and variance 1.

    `generator=None` draws from the stream that `manual_seed` governs. Raises ValueError for a negative size.
    """
    shape = _shape_of(size)
    array = layout.empty(shape, dtype)
    array[...] = random.next_stream("randn", generator).standard_normal(shape)
    return Tensor(array, requires_grad)


def from_numpy(array: np.ndarray) -> Tensor:
    """A Tensor over this array, sharing its memory. Raises TypeError for another type."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy needs a NumPy array, but got {type(array).__name__}; Tensor() takes lists as well")
    return Tensor(array)
