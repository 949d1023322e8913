"""Checks that several families of operations share; each raises an error that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def need_float(name: str, array: np.ndarray, argument: str = "input") -> None:
    """Raise TypeError unless the values are floating-point numbers."""
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} needs a floating-point {argument}, but its dtype is {array.dtype}; {to_float(array.dtype)}"
        )


def to_float(dtype: np.dtype) -> str:
    """What to do with values that are not floating-point; uint8 values are pictures as a rule."""
    if dtype == np.uint8:
        return "convert it with .float() / 255, a NumPy array with .astype(np.float32) / 255"
    return "convert it with .float(), a NumPy array with .astype(np.float32)"


def need_choice(name: str, argument: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise ValueError, naming the choices, unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}: {argument} must be one of {', '.join(map(repr, allowed))}, but is {value!r}")


def need_size(name: str, argument: str, array: np.ndarray, size: int, meaning: str) -> None:
    """Raise ValueError unless `array` is a vector of `size` elements, `meaning` telling where they come from."""
    if array.shape != (size,):
        raise ValueError(f"{name}: {argument} must have shape ({size},), {meaning}, but its shape is {array.shape}")
