"""Pooling: one number for each window of an image, the largest or the mean; and the way back from it.

input (N, C, H, W) or (C, H, W); a window is (KH, KW) pixels, and windows are `stride` apart. The loops, and the rules
for ties and NaN, are in kernels/pooling/windows.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.functional.arguments import IntOrPair, as_pair, check_floats, check_image, window_counts
from minicnn.functional.shaping import squeeze, unsqueeze
from minicnn.kernels import layout
from minicnn.kernels.pooling import windows as kernels
from minicnn.tensor import Tensor, as_tensor, make_result

OutputSize = int | None | Sequence[int | None]


def max_pool2d(
    input: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest value in each window, (N, C, OH, OW); with `return_indices` also where it was.

    OH = (H + 2*padding - dilation*(KH-1) - 1)//stride + 1; `stride` is `kernel_size` if None, and `ceil_mode` rounds up
    instead, unless the last window would begin past the image and its padding. A place in the padding never wins. The
    first of equal values wins and gets the whole gradient; a NaN wins over all. Indices are int64, h * W + w.
    Raises ValueError where no window fits or padding is more than half a window, TypeError for integer input.
    """
    x = _checked("max_pool2d", input)
    if x.ndim == 3:
        result = max_pool2d(unsqueeze(x, 0), kernel_size, stride, padding, dilation, ceil_mode, return_indices)
        return _without_batch(result)
    kernel, steps, edges = _window("max_pool2d", kernel_size, stride, padding)
    gaps = as_pair("max_pool2d", "dilation", dilation, 1)
    size = x.shape[2:]
    counts = window_counts("max_pool2d", size, kernel, steps, edges, gaps, ceil_mode)
    # (N, H, W, C) -> (N, OH, OW, C), twice
    y, indices = kernels.max_pool2d(layout.to_kernel(x.data), kernel, steps, edges, gaps, counts)
    return _maxima(x, y, indices, "max_pool2d", return_indices)


def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """Each value of `input` (N, C, OH, OW) back at the place that `indices` names, zeros elsewhere: (N, C, H, W).

    `indices` are those of max_pool2d. H is (OH-1)*stride - 2*padding + KH unless `output_size`, (H, W) or the whole
    shape, says otherwise: several sizes are pooled to one. Where windows overlapped, the later of two values stays.
    Raises ValueError for indices outside the result and for sizes that no such pooling has, TypeError for wrong dtypes.
    """
    x, where = _checked("max_unpool2d", input), as_tensor(indices)
    if where.dtype != np.int64:
        raise TypeError(f"max_unpool2d: indices must be int64, as max_pool2d returns them, but are {where.dtype}")
    if where.shape != x.shape:
        raise ValueError(f"max_unpool2d: indices {where.shape} and input {x.shape} must have the same shape")
    if x.ndim == 3:
        batch = max_unpool2d(unsqueeze(x, 0), unsqueeze(where, 0), kernel_size, stride, padding, output_size)
        return squeeze(batch, 0)
    kernel, steps, edges = _window("max_unpool2d", kernel_size, stride, padding, half=False)
    size = _unpooled_size(x.shape[2:], kernel, steps, edges, output_size)
    places = layout.to_kernel(where.data)
    if places.size and not (places.min() >= 0 and places.max() < size[0] * size[1]):
        raise ValueError(
            f"max_unpool2d: indices must be from 0 to H*W - 1 = {size[0]}*{size[1]} - 1 = {size[0] * size[1] - 1}, but "
            f"range from {places.min()} to {places.max()}; pass output_size, the size before pooling"
        )
    y = kernels.max_unpool2d(layout.to_kernel(x.data), places, size)  # (N, OH, OW, C) -> (N, H, W, C)

    def backward(gradient: np.ndarray):  # keeps the indices
        return (layout.from_kernel(kernels.max_unpool2d_backward(layout.to_kernel(gradient), places)),)

    return make_result(layout.from_kernel(y), (x,), backward, "max_unpool2d")


def avg_pool2d(
    input: Any,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window, (N, C, OH, OW), where OH is that of max_pool2d with dilation 1.

    A place in the padding counts as 0. The sum is divided by `divisor_override` if given; else by the number of places
    of the window, those in the padding among them only with `count_include_pad`.
    Raises ValueError where no window fits or padding is more than half a window, TypeError for integer input.
    """
    x = _checked("avg_pool2d", input)
    if x.ndim == 3:
        batch = unsqueeze(x, 0)
        return squeeze(
            avg_pool2d(batch, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override), 0
        )
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0; leave it None to divide by the window's size")
    kernel, steps, edges = _window("avg_pool2d", kernel_size, stride, padding)
    size = x.shape[2:]
    counts = window_counts("avg_pool2d", size, kernel, steps, edges, (1, 1), ceil_mode)
    how = (bool(count_include_pad), divisor_override)
    # (N, H, W, C) -> (N, OH, OW, C)
    y = kernels.avg_pool2d(layout.to_kernel(x.data), kernel, steps, edges, counts, *how)

    def backward(gradient: np.ndarray):  # keeps nothing
        return (
            layout.from_kernel(
                kernels.avg_pool2d_backward(layout.to_kernel(gradient), kernel, steps, edges, *how, size)
            ),
        )

    return make_result(layout.from_kernel(y), (x,), backward, "avg_pool2d", keeps_inputs=False)


def adaptive_avg_pool2d(input: Any, output_size: OutputSize) -> Tensor:
    """The means of OH x OW regions that cover the image: (N, C, OH, OW).

    `output_size` is an int or a pair (OH, OW); None keeps the input's size. Region i has the rows from floor(i*H/OH) to
    ceil((i+1)*H/OH), so that neighbours overlap where OH does not divide H.
    Raises ValueError for a size below 1 or an input of wrong shape, TypeError for integer input.
    """
    x = _checked("adaptive_avg_pool2d", input)
    if x.ndim == 3:
        return squeeze(adaptive_avg_pool2d(unsqueeze(x, 0), output_size), 0)
    size = x.shape[2:]
    counts = _adaptive_size("adaptive_avg_pool2d", size, output_size)
    y = kernels.adaptive_avg_pool2d(layout.to_kernel(x.data), counts)  # (N, H, W, C) -> (N, OH, OW, C)

    def backward(gradient: np.ndarray):  # keeps nothing
        return (layout.from_kernel(kernels.adaptive_avg_pool2d_backward(layout.to_kernel(gradient), size)),)

    return make_result(layout.from_kernel(y), (x,), backward, "adaptive_avg_pool2d", keeps_inputs=False)


def adaptive_max_pool2d(
    input: Any, output_size: OutputSize, return_indices: bool = False
) -> Tensor | tuple[Tensor, Tensor]:
    """The largest values of adaptive_avg_pool2d's regions, (N, C, OH, OW); with `return_indices` also where they were.

    Ties, NaN and indices are those of max_pool2d.
    Raises ValueError for a size below 1 or an input of wrong shape, TypeError for integer input.
    """
    x = _checked("adaptive_max_pool2d", input)
    if x.ndim == 3:
        return _without_batch(adaptive_max_pool2d(unsqueeze(x, 0), output_size, return_indices))
    counts = _adaptive_size("adaptive_max_pool2d", x.shape[2:], output_size)
    y, indices = kernels.adaptive_max_pool2d(layout.to_kernel(x.data), counts)  # (N, H, W, C) -> (N, OH, OW, C), twice
    return _maxima(x, y, indices, "adaptive_max_pool2d", return_indices)


def _maxima(
    x: Tensor, y: np.ndarray, indices: np.ndarray, name: str, return_indices: bool
) -> Tensor | tuple[Tensor, Tensor]:
    """The result of a maximum: y and indices (N, OH, OW, C), and the way back along the indices."""
    size = x.shape[2:]

    def backward(gradient: np.ndarray):  # keeps the indices
        return (layout.from_kernel(kernels.max_pool2d_backward(layout.to_kernel(gradient), indices, size)),)

    result = make_result(layout.from_kernel(y), (x,), backward, name)
    return (result, Tensor(layout.from_kernel(indices.astype(np.int64)))) if return_indices else result


def _without_batch(result: Tensor | tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
    if isinstance(result, Tensor):
        return squeeze(result, 0)
    return squeeze(result[0], 0), squeeze(result[1], 0)


def _checked(name: str, input: Any) -> Tensor:
    x = as_tensor(input)
    check_floats(name, input=x)
    check_image(name, x)
    return x


def _window(
    name: str, kernel_size: IntOrPair, stride: IntOrPair | None, padding: IntOrPair, half: bool = True
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """(kernel, stride, padding) as pairs; a missing stride is the kernel's size."""
    kernel = as_pair(name, "kernel_size", kernel_size, 1)
    missing = stride is None or (isinstance(stride, Sequence) and not len(stride))
    steps = kernel if missing else as_pair(name, "stride", stride, 1)  # type: ignore[arg-type]
    edges = as_pair(name, "padding", padding, 0)
    if half and (edges[0] > kernel[0] // 2 or edges[1] > kernel[1] // 2):
        raise ValueError(
            f"{name}: padding may be at most half of kernel_size, or a window could lie in the padding altogether, but "
            f"padding is {edges} and kernel_size {kernel}"
        )
    return kernel, steps, edges


def _unpooled_size(
    size: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    output_size: Sequence[int] | None,
) -> tuple[int, int]:
    default = [(n - 1) * s - 2 * p + k for n, k, s, p in zip(size, kernel, stride, padding, strict=True)]
    if output_size is not None and (not isinstance(output_size, Sequence) or len(output_size) not in (2, 3, 4)):
        raise ValueError(f"max_unpool2d: output_size must be (H, W) or the whole shape, but is {output_size}")
    wanted = default if output_size is None else list(output_size[-2:])
    for letter, n, usual, s in zip("HW", wanted, default, stride, strict=True):
        if n < 1 or not usual - s < n < usual + s:
            raise ValueError(
                f"max_unpool2d: output_size must be positive, between {usual} - {s} and {usual} + {s} for {letter} ("
                f"both excluded), where {usual} = (O{letter}-1)*stride - 2*padding + K{letter}, but is {n}"
            )
    return wanted[0], wanted[1]


def _adaptive_size(name: str, size: tuple[int, ...], output_size: OutputSize) -> tuple[int, int]:
    pair: tuple[Any, ...] = (output_size, output_size)
    if isinstance(output_size, Sequence) and not isinstance(output_size, str):
        pair = tuple(output_size)
    if len(pair) != 2:
        raise ValueError(f"{name}: output_size must be an int or a pair (OH, OW), but is {output_size!r}")
    counts = [n if wanted is None else wanted for n, wanted in zip(size, pair, strict=True)]
    return as_pair(name, "output_size", counts, 1)
