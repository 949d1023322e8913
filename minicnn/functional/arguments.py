"""What the image operations ask of their arguments: pairs, axes, dtypes, sizes; and the errors when they don't fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minicnn.functional.checks import to_float
from minicnn.kernels.shapes import pooling_output_size
from minicnn.tensor import Tensor

IntOrPair = int | Sequence[int]


def are_ints(values: Sequence) -> bool:
    """True if all values are ints; True and False are none."""
    return all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in values)


def need_count(name: str, argument: str, value: int, least: int = 1) -> None:
    """Raise TypeError unless `value` is an int, ValueError unless it is at least `least`."""
    if not are_ints([value]):
        raise TypeError(f"{name}: {argument} must be an int, but is {type(value).__name__}: {value!r}")
    if value < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, but is {value}")


def as_pair(name: str, argument: str, value: IntOrPair, least: int) -> tuple[int, int]:
    """`value` as a pair (h, w): an int, or a sequence of one int, counts for both.

    Raises TypeError unless they are ints, ValueError unless there are one or two, all at least `least`.
    """
    numbers = list(value) if isinstance(value, Sequence) else [value]
    if not are_ints(numbers):
        raise TypeError(f"{name}: {argument} must be an int or a pair of ints (h, w), but is {value!r}")
    if len(numbers) not in (1, 2):
        raise ValueError(
            f"{name}: {argument} must be an int or a pair (h, w), but has {len(numbers)} numbers: {value!r}"
        )
    if min(numbers) < least:
        raise ValueError(f"{name}: {argument} must be at least {least}, but is {value!r}")
    return int(numbers[0]), int(numbers[-1])


def check_image(name: str, input: Tensor) -> None:
    """Raise ValueError unless `input` is (N, C, H, W), or (C, H, W), with C, H and W at least 1; N may be 0."""
    if input.ndim not in (3, 4):
        raise ValueError(
            f"{name}: input must have 4 axes (N, C, H, W), or 3 (C, H, W) for one image, but has {input.ndim}: "
            f"shape {input.shape}"
        )
    if 0 in input.shape[-3:]:
        raise ValueError(f"{name}: only the batch may be empty, but input has shape {input.shape}")


def check_floats(name: str, **tensors: Tensor | None) -> None:
    """Raise TypeError unless all the tensors that are there have one floating-point dtype."""
    dtypes = {argument: tensor.dtype for argument, tensor in tensors.items() if tensor is not None}
    for argument, dtype in dtypes.items():
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"{name}: {argument} must be float32 or float64, but is {dtype}; {to_float(dtype)}")
    if len(set(dtypes.values())) > 1:
        found = ", ".join(f"{argument} is {dtype}" for argument, dtype in dtypes.items())
        raise TypeError(
            f"{name}: all dtypes must be equal, but {found}; convert with .float() or .double(), a NumPy array with "
            ".astype(np.float32)"
        )


def window_counts(
    name: str,
    size: tuple[int, ...],
    kernel_size: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    ceil_mode: bool = False,
) -> tuple[int, int]:
    """(OH, OW), how many windows fit into an image (H, W). Raises ValueError, with the arithmetic, if none does."""
    axes = zip(size, kernel_size, stride, padding, dilation, strict=True)
    oh, ow = (pooling_output_size(*axis, ceil_mode) for axis in axes)
    need_windows(name, (oh, ow), size, kernel_size, stride, padding, dilation, ceil_mode)
    return oh, ow


def need_windows(
    name: str,
    output_size: tuple[int, int],
    size: tuple[int, ...],
    kernel_size: tuple[int, ...],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    ceil_mode: bool = False,
) -> None:
    """Raise ValueError, with the arithmetic, unless the output (OH, OW) of an image (H, W) has at least one pixel."""
    for axis, letter, side in ((0, "H", "height"), (1, "W", "width")):
        n, k, s, p, d = size[axis], kernel_size[axis], stride[axis], padding[axis], dilation[axis]
        count = output_size[axis]
        if count < 1:
            up, up_number = (" + stride - 1", f" + {s} - 1") if ceil_mode else ("", "")
            raise ValueError(
                f"{name}: output {side} ({letter} + 2*padding - dilation*(K{letter}-1) - 1{up})//stride + 1 = "
                f"({n} + 2*{p} - {d}*({k}-1) - 1{up_number})//{s} + 1 = {count} with {letter}={n}: "
                "pad the input or use a smaller kernel"
            )
