"""one_hot: class numbers as rows of 0 and a single 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.tensor import Tensor, as_tensor


def one_hot(tensor: Any, num_classes: int = -1) -> Tensor:
    """1 at each class number and 0 elsewhere, int64: (...) -> (..., num_classes); -1 means the largest number + 1.

    Raises TypeError unless the numbers are integers, and ValueError for a number out of range or if there is none to
    tell the classes from.
    """
    labels = as_tensor(tensor).data
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: class numbers must be integers, but their dtype is {labels.dtype}; use .long()")
    if num_classes == -1:
        if not labels.size:
            raise ValueError("one_hot: without any class number, num_classes must be given")
        num_classes = max(int(labels.max()) + 1, 1)
    if num_classes < 1:
        raise ValueError(
            f"one_hot: num_classes must be positive, or -1 for the largest number + 1, but is {num_classes}"
        )
    bad = (labels < 0) | (labels >= num_classes)
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
        raise ValueError(
            f"one_hot: class number {int(labels[index])} at index {index} is out of range: {num_classes} classes allow "
            f"0 to {num_classes - 1}"
        )
    return Tensor((labels[..., None] == np.arange(num_classes)).astype(np.int64))
