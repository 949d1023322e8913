"""Softmax's logarithm, row by row: one pass over memory where NumPy takes seven.

The classes of a row lie side by side, as the channels of a pixel do: a segmenter's scores (N, C, H, W) are N*H*W rows.
"""

import numpy as np
from numba import prange

from minicnn.kernels import layout
from minicnn.kernels.compiling.compile import compile, kernel_array

SMALLEST = 1 << 16  # elements: below this NumPy, whose exponential is made for vectors, is as fast


def applies(x, axis: int) -> bool:
    """True if this is the way to take softmax of x along `axis`: large float32 rows that lie together in memory."""
    together = layout.is_channels_last(x) if x.ndim == 4 and axis == 1 else x.flags.c_contiguous and axis == x.ndim - 1
    return bool(x.dtype == np.float32 and x.size >= SMALLEST and x.shape[axis] and together)


def log_softmax(x, axis: int) -> np.ndarray:
    """log(softmax(x)) along `axis`, for which `applies` is True. A row with NaN, or without a finite number, is NaN."""
    y = layout.empty_like(x)
    log_softmax_rows_compiled(_rows(x, axis), _rows(y, axis))
    return y


def log_softmax_backward(gradient, y, axis: int) -> np.ndarray:
    """The gradient for the input of `log_softmax`, from that of its result y."""
    gx = layout.empty_like(y)
    log_softmax_backward_rows_compiled(_rows(gradient, axis), _rows(y, axis), _rows(gx, axis))
    return gx


def _rows(x, axis):
    """(N, C, H, W) -> (N*H*W, C) if axis is 1, else (..., C) -> (M, C); a view of what lies so in memory."""
    pixels = layout.to_kernel(x) if x.ndim == 4 and axis == 1 else x
    return kernel_array(pixels).reshape(-1, x.shape[axis])


def log_softmax_rows(x, y):
    rows, classes = x.shape
    for m in prange(rows):
        largest = x[m, 0]
        for c in range(1, classes):
            largest = max(largest, x[m, c])
        total = y.dtype.type(0)
        for c in range(classes):  # of numbers from 0 to 1: nothing overflows
            y[m, c] = x[m, c] - largest
            total += np.exp(y[m, c])
        logarithm = np.log(total)
        for c in range(classes):
            y[m, c] -= logarithm


log_softmax_rows_compiled = compile(log_softmax_rows, parallel=True)


def log_softmax_backward_rows(gradient, y, gx):
    rows, classes = y.shape
    for m in prange(rows):
        total = y.dtype.type(0)
        for c in range(classes):
            total += gradient[m, c]
        for c in range(classes):
            gx[m, c] = gradient[m, c] - np.exp(y[m, c]) * total


log_softmax_backward_rows_compiled = compile(log_softmax_backward_rows, parallel=True)
