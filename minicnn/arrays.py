"""The one door by which foreign arrays come in: what NumPy can read becomes an array that the kernels know."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_array(value: Any) -> np.ndarray:
    """The array of `value`, anything NumPy can read: booleans, whole numbers, float32 or float64, in native byte order.

    An array of these is returned itself, not copied. Python floats, and lists of them, become float32; float16 becomes
    float32, which holds every float16 exactly, and a big-endian array is turned round. Raises ValueError for rows of
    different lengths and for masked elements, and TypeError for all that is not numbers, and for wider floats.
    """
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"a Tensor has no mask, but {int(np.sum(value.mask))} elements of the array are masked; say what "
            "stands in their place with .filled(value)"
        )
    try:
        array = np.asarray(value)
    except ValueError as error:  # NumPy's message speaks of inhomogeneous shapes
        raise ValueError(
            f"a Tensor needs rows of equal lengths, but this {type(value).__name__} has parts of different shapes; "
            "bring pictures to one size first"
        ) from error
    if array.dtype == np.float64 and not isinstance(value, (np.ndarray, np.generic)):
        return array.astype(np.float32)  # Python's floats say nothing of precision; the default is float32
    return array if array.dtype.char in _KNOWN and array.dtype.isnative else _known(array, type(value).__name__)


_KNOWN = "?bhilqBHILQfd"


def _known(array: np.ndarray, kind: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a Tensor holds numbers or booleans, but got {kind} of dtype {array.dtype}")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise TypeError(
            f"a Tensor holds float32 or float64, but got {kind} of dtype {array.dtype}; round it with "
            ".astype(np.float64)"
        )
    if array.dtype == np.float16:
        return array.astype(np.float32)
    return array.astype(f"={array.dtype.kind}{array.dtype.itemsize}")
