"""Where image arrays lie in memory: channels-last underneath, (N, C, H, W) on the surface.

A user sees a batch of images as (N, C, H, W). In memory the channels of one pixel lie side by side, so that the vector
unit runs over channels in convolution, pooling, normalisation and bias alike. The two views are one array:

    images.shape                      (N, C, H, W)     what everybody sees
    images.transpose(0, 2, 3, 1)      (N, H, W, C)     C-contiguous: what a kernel sees, a view and not a copy

NumPy's element-wise operations keep this order when every full-size operand has it; `reshape(N, -1)`, `np.pad`,
`.copy()`, `stack` and fresh arrays from `zeros(shape)` or a generator lose it. So arrays of images are made here, and
kernels are entered and left through `to_kernel` and `from_kernel`. Weights, (C_out, C_in, KH, KW), stay in C order.
"""

import numpy as np

from minicnn.kernels import memory

_conversions = 0


def empty(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """An uninitialised array of this logical shape; four axes (N, C, H, W) get channels-last memory, others C order."""
    if len(shape) != 4:
        return memory.empty(shape, dtype)
    n, c, h, w = shape
    return memory.empty((n, h, w, c), dtype).transpose(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)


def zeros(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """An array of zeros with the memory order that `empty` gives."""
    if len(shape) != 4:
        return memory.zeros(shape, dtype)
    n, c, h, w = shape
    return memory.zeros((n, h, w, c), dtype).transpose(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)


def empty_like(array: np.ndarray) -> np.ndarray:
    """An uninitialised array of the same shape and dtype: channels-last if `array` is, else C-ordered."""
    return empty(array.shape, array.dtype) if is_channels_last(array) else memory.empty_like(array)


def copy(array: np.ndarray) -> np.ndarray:
    """A copy that is channels-last if `array` is, else C-ordered."""
    result = empty_like(array)
    result[...] = array
    return result


def is_channels_last(array: np.ndarray) -> bool:
    """True if `array` has four axes (N, C, H, W) and its channels lie side by side, pixel after pixel."""
    return array.ndim == 4 and array.transpose(0, 2, 3, 1).flags.c_contiguous


def as_channels_last(array: np.ndarray) -> np.ndarray:
    """`array` (N, C, H, W) with channels-last memory: itself if it has it already, else a copy, which is counted."""
    return from_kernel(to_kernel(array))


def to_kernel(array: np.ndarray) -> np.ndarray:
    """(N, C, H, W) -> (N, H, W, C), C-contiguous: a view of channels-last memory, else a copy, which is counted."""
    global _conversions
    pixels = array.transpose(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
    if pixels.flags.c_contiguous:
        return pixels
    _conversions += 1
    return np.ascontiguousarray(pixels)


def from_kernel(pixels: np.ndarray) -> np.ndarray:
    """(N, H, W, C) -> (N, C, H, W): always a view."""
    return pixels.transpose(0, 3, 1, 2)


def match(array: np.ndarray, channels_last: bool) -> np.ndarray:
    """`array` in the memory order asked for: itself where it has that order already, else a copy.

    The engine calls this in one place, where gradients accumulate, so that a gradient lies in memory as its value does.
    A broadcast view has no order of its own yet and is written out; that counts as no conversion.
    """
    if any(stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True)):
        written = empty(array.shape, array.dtype) if channels_last else np.empty(array.shape, array.dtype)
        written[...] = array
        return written
    if channels_last:
        return as_channels_last(array)
    return np.ascontiguousarray(array)


def conversions() -> int:
    """How many arrays had to be copied into channels-last order since the program began."""
    return _conversions
