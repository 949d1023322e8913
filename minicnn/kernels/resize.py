"""Along one axis: places picked from others, or blended from two neighbours; what padding and resizing are made of.

Arrays have any number of axes and their logical order; an image batch (N, C, H, W) is channels-last in memory and stays
so. Inside, every array is seen as (before, axis, after): the axes before the one in question joined into one, and those
after it. An operation along several axes is one along each of them in turn.
"""

import numpy as np
from numba import prange

from minicnn.kernels import layout
from minicnn.kernels.compiling.compile import compile, kernel_array

_IN_MEMORY = {0: 0, 1: 3, 2: 1, 3: 2}  # where the axes of (N, C, H, W) are in (N, H, W, C)


def take(x, axis, places) -> np.ndarray:
    """x[..., places, ...]: along `axis`, the elements at the int64 `places`; any dtype."""
    pixels, axis = _open(x, axis)
    return _close(np.take(pixels, places, axis))


def take_backward(gradient, axis, places, size) -> np.ndarray:
    """The gradient for the input of `take`, which had `size` places along `axis`: what was picked often is added up."""
    pixels, axis = _open(gradient, axis)
    rows = _as_rows(pixels, axis)
    gx = np.zeros((rows.shape[0], size, rows.shape[2]), gradient.dtype)
    add_rows_compiled(kernel_array(rows), places, gx)
    return _close(_from_rows(gx, pixels.shape, axis))


def blend(x, axis, low, high, share) -> np.ndarray:
    """Along `axis`, x[low] * (1 - share) + x[high] * share for each of the places that low, high and share list."""
    pixels, axis = _open(x, axis)
    rows = _as_rows(pixels, axis)
    y = np.empty((rows.shape[0], len(low), rows.shape[2]), x.dtype)
    blend_rows_compiled(kernel_array(rows), low, high, share.astype(x.dtype), y)
    return _close(_from_rows(y, pixels.shape, axis))


def blend_backward(gradient, axis, low, high, share, size) -> np.ndarray:
    """The gradient for the input of `blend`, which had `size` places along `axis`."""
    pixels, axis = _open(gradient, axis)
    rows = _as_rows(pixels, axis)
    gx = np.zeros((rows.shape[0], size, rows.shape[2]), gradient.dtype)
    share_rows_compiled(kernel_array(rows), low, high, share.astype(gradient.dtype), gx)
    return _close(_from_rows(gx, pixels.shape, axis))


def _open(x, axis) -> tuple[np.ndarray, int]:
    """The array as it lies in memory, C-contiguous, and where the axis is in it."""
    return (layout.to_kernel(x), _IN_MEMORY[axis]) if x.ndim == 4 else (np.ascontiguousarray(x), axis)


def _close(pixels) -> np.ndarray:
    return layout.from_kernel(pixels) if pixels.ndim == 4 else pixels


def _as_rows(pixels, axis) -> np.ndarray:
    """(..., L, ...) -> (before, L, after)"""
    before = int(np.prod(pixels.shape[:axis], dtype=np.int64))
    after = int(np.prod(pixels.shape[axis + 1 :], dtype=np.int64))
    return pixels.reshape(before, pixels.shape[axis], after)


def _from_rows(rows, shape, axis) -> np.ndarray:
    """(before, L, after) -> (..., L, ...)"""
    return rows.reshape(*shape[:axis], rows.shape[1], *shape[axis + 1 :])


def add_rows(gradient, places, gx):
    before, length, after = gradient.shape
    for b in prange(before):
        for i in range(length):
            for a in range(after):
                gx[b, places[i], a] += gradient[b, i, a]


add_rows_compiled = compile(add_rows, parallel=True)


def blend_rows(x, low, high, share, y):
    before, length, after = y.shape
    for b in prange(before):
        for i in range(length):
            for a in range(after):
                y[b, i, a] = x[b, low[i], a] * (1 - share[i]) + x[b, high[i], a] * share[i]


blend_rows_compiled = compile(blend_rows, parallel=True)


def share_rows(gradient, low, high, share, gx):
    before, length, after = gradient.shape
    for b in prange(before):
        for i in range(length):
            for a in range(after):
                gx[b, low[i], a] += gradient[b, i, a] * (1 - share[i])
                gx[b, high[i], a] += gradient[b, i, a] * share[i]


share_rows_compiled = compile(share_rows, parallel=True)
