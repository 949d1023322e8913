"""Indexing: tensor[index] with integers, slices, None, ..., boolean masks and arrays of positions, as in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.kernels import layout
from minicnn.tensor import Tensor, as_tensor, make_result


def getitem(input: Any, index: Any) -> Tensor:
    """input[index]. An element that is picked several times gets the sum of its gradients.

    Raises IndexError for a position out of range.
    """
    x = as_tensor(input)
    plain = _without_tensors(index)
    try:
        picked = x.data[plain]
    except IndexError as error:
        raise IndexError(f"{error} (indexing a Tensor of shape {x.shape})") from None
    shape, channels_last = x.shape, layout.is_channels_last(x.data)
    basic = _is_basic(plain)

    def backward(gradient: np.ndarray):  # keeps the index
        result = layout.zeros(shape, gradient.dtype) if channels_last else np.zeros(shape, gradient.dtype)
        if basic:
            result[plain] = gradient
        else:
            np.add.at(result, plain, gradient)  # positions may repeat
        return (result,)

    return make_result(picked, (x,), backward, "getitem")


def _without_tensors(index: Any) -> Any:
    """The index with the arrays of Tensors in place of the Tensors."""
    if isinstance(index, tuple):
        return tuple(_without_tensors(part) for part in index)
    return index.data if isinstance(index, Tensor) else index


def _is_basic(index: Any) -> bool:
    """True if every part is an integer, a slice, None or `...`, so that no element can be picked twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or isinstance(part, (slice, np.integer))
        or (isinstance(part, int) and not isinstance(part, bool))
        for part in parts
    )
