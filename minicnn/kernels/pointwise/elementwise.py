"""Element-wise passes over large arrays: relu and its kin, sums, and both in one.

NumPy runs them on one thread, and its result is a fresh array each time (memory.py says what that costs). For the slope
of relu it offers two ways, and neither will do: `np.where` branches at every element, and on signs that no processor
can predict it takes several times as long as a product; a product with a mask of 0 and 1 makes NaN of inf * 0.
"""

import numpy as np
from numba import prange

from minicnn.kernels import layout
from minicnn.kernels.compiling.compile import compile, kernel_array

SMALLEST = 1 << 14  # elements: below this NumPy is done before a second thread has begun


def scale_below_zero(values, x, slope) -> np.ndarray:
    """`values` where x > 0 or is NaN, else slope * values (0 for slope 0, whatever the value); any one shape."""
    result, flat_values, flat_x = _result_and_flat(values, x)
    if slope == 0:
        keep_above_zero_compiled(flat_values, flat_x, _flat(result))
    else:
        scale_elements_compiled(flat_values, flat_x, x.dtype.type(slope), _flat(result))
    return result


def add(a, b) -> np.ndarray:
    """a + b. Large float32 arrays of one shape and memory order take one pass on all threads; NumPy adds all others."""
    if not _alike(a, b):
        with np.errstate(over="ignore", invalid="ignore"):
            return a + b
    result, flat_a, flat_b = _result_and_flat(a, b)
    add_elements_compiled(flat_a, flat_b, _flat(result))
    return result


def add_relu(a, b) -> np.ndarray:
    """max(a + b, 0), NaN where the sum is NaN: `add` and relu in one pass over memory."""
    if not _alike(a, b):
        with np.errstate(over="ignore", invalid="ignore"):
            return np.maximum(a + b, 0)
    result, flat_a, flat_b = _result_and_flat(a, b)
    add_relu_elements_compiled(flat_a, flat_b, _flat(result))
    return result


def _alike(a, b) -> bool:
    same = a.shape == b.shape and a.dtype == b.dtype == np.float32 and a.size >= SMALLEST
    return same and layout.is_channels_last(a) == layout.is_channels_last(b)


def _result_and_flat(a, b):
    """An uninitialised array in the memory order of b, and the elements of a and b in that order."""
    result = layout.empty_like(b)
    if layout.is_channels_last(b):
        a, b = layout.to_kernel(a), layout.to_kernel(b)  # (N, C, H, W) -> (N, H, W, C)
    return result, kernel_array(a).reshape(-1), kernel_array(b).reshape(-1)  # (...) -> (M,)


def _flat(result):
    """A view (M,) of an array that `_result_and_flat` has made."""
    return (layout.to_kernel(result) if layout.is_channels_last(result) else result).reshape(-1)  # (...) -> (M,)


def keep_above_zero(values, x, result):
    zero = result.dtype.type(0)  # a plain 0 is an integer, and would make the choice one of float64
    for i in prange(x.size):
        result[i] = zero if x[i] <= 0 else values[i]


keep_above_zero_compiled = compile(keep_above_zero, parallel=True)


def scale_elements(values, x, slope, result):
    for i in prange(x.size):
        result[i] = values[i] * slope if x[i] <= 0 else values[i]


scale_elements_compiled = compile(scale_elements, parallel=True)


def add_elements(a, b, result):
    for i in prange(a.size):
        result[i] = a[i] + b[i]


add_elements_compiled = compile(add_elements, parallel=True)


def add_relu_elements(a, b, result):
    zero = result.dtype.type(0)
    for i in prange(a.size):
        total = a[i] + b[i]
        result[i] = zero if total <= 0 else total


add_relu_elements_compiled = compile(add_relu_elements, parallel=True)
