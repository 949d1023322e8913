"""Pooling: the maximum or the mean of a window, and how its gradient goes back.

All arrays are channels-last, (N, H, W, C); pairs are (h, w). A place in the padding counts as minus infinity for a
maximum (it never wins) and as zero for a mean. Indices are PyTorch's, h * W + w in the plane without its padding, but
int32 here: they are kept for the way back, and take up as much memory as the result. Of equal values the first in
reading order wins; a NaN wins over everything. A dilated window can step over a narrow image and see nothing but
padding: its maximum is minus infinity and its index -1, no place, so that its gradient goes nowhere.

The backward passes add into the input's gradient. Windows may overlap, so a whole image belongs to one thread.
"""

import numpy as np
from numba import prange

from minicnn.kernels import memory
from minicnn.kernels.compiling.compile import compile, kernel_array
from minicnn.kernels.convolution.algorithm import current_algorithm
from minicnn.kernels.pooling import maximum, reference
from minicnn.kernels.registers.vector import narrow_columns

MOST_PLACES = 1024  # of a window whose mean is summed in the array's own precision


def max_pool2d(x, kernel_size, stride, padding, dilation, output_size) -> tuple[np.ndarray, np.ndarray]:
    """The maxima (N, OH, OW, C) of the windows of x (N, H, W, C), and their int32 indices h * W + w."""
    if current_algorithm() == "reference" or x.shape[1] * x.shape[2] > maximum.MOST_PLACES:
        return reference.max_pool2d(x, kernel_size, stride, padding, dilation, output_size)
    shape = (x.shape[0], *output_size, x.shape[3])
    y, indices = memory.empty(shape, x.dtype), memory.empty(shape, np.int32)
    ones = np.ones(narrow_columns(x.dtype), x.dtype)
    maximum.max_rows_compiled(kernel_array(x), y, indices, kernel_size, stride, padding, dilation, ones)
    return y, indices


def max_pool2d_backward(gradient, indices, input_size) -> np.ndarray:
    """The gradient (N, H, W, C) for the input: each window's gradient goes to the place that `indices` names."""
    if current_algorithm() == "reference":
        return reference.max_pool2d_backward(gradient, indices, input_size)
    n, oh, ow, c = gradient.shape
    gx = memory.zeros((n, input_size[0] * input_size[1], c), gradient.dtype)
    windows, places = (array.reshape(n, oh * ow, c) for array in (gradient, indices))  # (N, OH, OW, C) -> (N, OH*OW, C)
    scatter_compiled(kernel_array(windows), kernel_array(places), gx)
    return gx.reshape(n, *input_size, c)  # (N, H*W, C) -> (N, H, W, C)


def avg_pool2d(x, kernel_size, stride, padding, output_size, count_include_pad, divisor_override) -> np.ndarray:
    """The means (N, OH, OW, C) of the windows of x (N, H, W, C).

    A window is divided by `divisor_override` if given, else by its number of places: with `count_include_pad` those
    inside the padded image, without it those inside the image.
    """
    if current_algorithm() == "reference":
        return reference.avg_pool2d(x, kernel_size, stride, padding, output_size, count_include_pad, divisor_override)
    divisor = 0 if divisor_override is None else divisor_override
    if kernel_size[0] * kernel_size[1] > MOST_PLACES:
        rows, columns = (
            [(i * stride[axis] - padding[axis], i * stride[axis] - padding[axis] + kernel_size[axis]) for i in range(n)]
            for axis, n in enumerate(output_size)
        )
        size = x.shape[1:3]

        def divisor_at(top, left):
            return window_divisor(top, left, size, kernel_size, padding, count_include_pad, divisor)

        return _means_of_large_windows(x, rows, columns, divisor_at)
    y = memory.empty((x.shape[0], *output_size, x.shape[3]), x.dtype)
    mean_rows_compiled(kernel_array(x), y, kernel_size, stride, padding, count_include_pad, divisor)
    return y


def avg_pool2d_backward(
    gradient, kernel_size, stride, padding, count_include_pad, divisor_override, input_size
) -> np.ndarray:
    """The gradient (N, H, W, C) for the input of `avg_pool2d`: each window's gradient is shared out evenly."""
    if current_algorithm() == "reference":
        return reference.avg_pool2d_backward(
            gradient, kernel_size, stride, padding, count_include_pad, divisor_override, input_size
        )
    gx = memory.zeros((gradient.shape[0], *input_size, gradient.shape[3]), gradient.dtype)
    divisor = 0 if divisor_override is None else divisor_override
    spread_compiled(kernel_array(gradient), gx, kernel_size, stride, padding, count_include_pad, divisor)
    return gx


def adaptive_avg_pool2d(x, output_size) -> np.ndarray:
    """The means (N, OH, OW, C) of OH x OW regions of x (N, H, W, C); row i covers floor(iH/OH) to ceil((i+1)H/OH)."""
    height, width = x.shape[1:3]
    if height * width > MOST_PLACES * output_size[0] * output_size[1]:
        rows, columns = (
            [(i * size // count, ((i + 1) * size + count - 1) // count) for i in range(count)]
            for size, count in zip((height, width), output_size, strict=True)
        )
        areas = {(top, left): (bottom - top) * (right - left) for top, bottom in rows for left, right in columns}
        return _means_of_large_windows(x, rows, columns, lambda top, left: areas[top, left])
    y = memory.empty((x.shape[0], *output_size, x.shape[3]), x.dtype)
    adaptive_mean_rows_compiled(kernel_array(x), y)
    return y


def adaptive_avg_pool2d_backward(gradient, input_size) -> np.ndarray:
    """The gradient (N, H, W, C) for the input of `adaptive_avg_pool2d`."""
    gx = memory.zeros((gradient.shape[0], *input_size, gradient.shape[3]), gradient.dtype)
    adaptive_spread_compiled(kernel_array(gradient), gx)
    return gx


def adaptive_max_pool2d(x, output_size) -> tuple[np.ndarray, np.ndarray]:
    """The maxima (N, OH, OW, C) of the regions of `adaptive_avg_pool2d`, and their int32 indices h * W + w.

    Its backward pass is `max_pool2d_backward`.
    """
    shape = (x.shape[0], *output_size, x.shape[3])
    y, indices = memory.empty(shape, x.dtype), memory.empty(shape, np.int32)
    adaptive_max_rows_compiled(kernel_array(x), y, indices)
    return y, indices


def _means_of_large_windows(x, rows, columns, divisor_at) -> np.ndarray:
    """The means (N, OH, OW, C) of the windows of x whose (first, last + 1) rows and columns these are.

    Summed in float64: a float32 total, place after place, stops growing.
    """
    y = memory.empty((x.shape[0], len(rows), len(columns), x.shape[3]), x.dtype)
    for i, (top, bottom) in enumerate(rows):
        for j, (left, right) in enumerate(columns):
            window = x[:, max(top, 0) : bottom, max(left, 0) : right]  # (N, H, W, C) -> (N, h, w, C)
            y[:, i, j] = window.sum(axis=(1, 2), dtype=np.float64) / divisor_at(top, left)
    return y


def max_unpool2d(x, indices, output_size) -> np.ndarray:
    """An array (N, H, W, C), `output_size` = (H, W), of zeros with each value of x (N, OH, OW, C) at its index.

    Where two values have the same index the later one in reading order stays.
    """
    n, oh, ow, c = x.shape
    y = memory.zeros((n, output_size[0] * output_size[1], c), x.dtype)
    values, places = x.reshape(n, oh * ow, c), indices.reshape(n, oh * ow, c)  # (N, OH, OW, C) -> (N, OH*OW, C)
    np.put_along_axis(y, places, values, axis=1)
    return y.reshape(n, *output_size, c)  # (N, H*W, C) -> (N, H, W, C)


def max_unpool2d_backward(gradient, indices) -> np.ndarray:
    """The gradient (N, OH, OW, C) for the input of `max_unpool2d`: the gradient (N, H, W, C) read at the indices."""
    n, h, w, c = gradient.shape
    oh, ow = indices.shape[1:3]
    places = indices.reshape(n, oh * ow, c)  # (N, OH, OW, C) -> (N, OH*OW, C)
    taken = np.take_along_axis(gradient.reshape(n, h * w, c), places, axis=1)  # (N, H, W, C) -> (N, OH*OW, C)
    return taken.reshape(indices.shape)  # (N, OH*OW, C) -> (N, OH, OW, C)


def scatter(gradient, places, gx):
    images, windows, channels = gradient.shape
    for n in prange(images):
        for window in range(windows):
            for c in range(channels):
                if places[n, window, c] >= 0:
                    gx[n, places[n, window, c], c] += gradient[n, window, c]


scatter_compiled = compile(scatter, parallel=True)


def window_divisor(top, left, size, kernel_size, padding, count_include_pad, divisor):
    """What the sum of the window whose corner is (top, left) is divided by."""
    if divisor != 0:
        return divisor
    bottom, right = top + kernel_size[0], left + kernel_size[1]
    if count_include_pad:  # ceil_mode's last window may reach over the padding: that part never counts
        return (min(bottom, size[0] + padding[0]) - top) * (min(right, size[1] + padding[1]) - left)
    return (min(bottom, size[0]) - max(top, 0)) * (min(right, size[1]) - max(left, 0))


window_divisor_compiled = compile(window_divisor)


def mean_rows(x, y, kernel_size, stride, padding, count_include_pad, divisor):
    images, height, width, channels = x.shape
    _, rows, columns, _ = y.shape
    for r in prange(images * rows):
        n = r // rows
        oh = r % rows
        top = oh * stride[0] - padding[0]
        for ow in range(columns):
            left = ow * stride[1] - padding[1]
            for c in range(channels):
                y[n, oh, ow, c] = 0
            for h in range(max(top, 0), min(top + kernel_size[0], height)):
                for w in range(max(left, 0), min(left + kernel_size[1], width)):
                    for c in range(channels):
                        y[n, oh, ow, c] += x[n, h, w, c]
            share = y.dtype.type(  # an integer would make the division one of float64
                window_divisor_compiled(top, left, (height, width), kernel_size, padding, count_include_pad, divisor)
            )
            for c in range(channels):
                y[n, oh, ow, c] /= share


mean_rows_compiled = compile(mean_rows, parallel=True)


def spread(gradient, gx, kernel_size, stride, padding, count_include_pad, divisor):
    images, height, width, channels = gx.shape
    _, rows, columns, _ = gradient.shape
    for n in prange(images):
        for oh in range(rows):
            top = oh * stride[0] - padding[0]
            for ow in range(columns):
                left = ow * stride[1] - padding[1]
                share = gx.dtype.type(
                    window_divisor_compiled(
                        top, left, (height, width), kernel_size, padding, count_include_pad, divisor
                    )
                )
                for h in range(max(top, 0), min(top + kernel_size[0], height)):
                    for w in range(max(left, 0), min(left + kernel_size[1], width)):
                        for c in range(channels):
                            gx[n, h, w, c] += gradient[n, oh, ow, c] / share


spread_compiled = compile(spread, parallel=True)


def adaptive_mean_rows(x, y):
    images, height, width, channels = x.shape
    _, rows, columns, _ = y.shape
    for r in prange(images * rows):
        n = r // rows
        oh = r % rows
        top = oh * height // rows
        bottom = ((oh + 1) * height + rows - 1) // rows
        for ow in range(columns):
            left = ow * width // columns
            right = ((ow + 1) * width + columns - 1) // columns
            share = y.dtype.type((bottom - top) * (right - left))
            for c in range(channels):
                y[n, oh, ow, c] = 0
            for h in range(top, bottom):
                for w in range(left, right):
                    for c in range(channels):
                        y[n, oh, ow, c] += x[n, h, w, c]
            for c in range(channels):
                y[n, oh, ow, c] /= share


adaptive_mean_rows_compiled = compile(adaptive_mean_rows, parallel=True)


def adaptive_spread(gradient, gx):
    images, height, width, channels = gx.shape
    _, rows, columns, _ = gradient.shape
    for n in prange(images):
        for oh in range(rows):
            top = oh * height // rows
            bottom = ((oh + 1) * height + rows - 1) // rows
            for ow in range(columns):
                left = ow * width // columns
                right = ((ow + 1) * width + columns - 1) // columns
                share = gx.dtype.type((bottom - top) * (right - left))
                for h in range(top, bottom):
                    for w in range(left, right):
                        for c in range(channels):
                            gx[n, h, w, c] += gradient[n, oh, ow, c] / share


adaptive_spread_compiled = compile(adaptive_spread, parallel=True)


def adaptive_max_rows(x, y, indices):
    images, height, width, channels = x.shape
    _, rows, columns, _ = y.shape
    for r in prange(images * rows):
        n = r // rows
        oh = r % rows
        top = oh * height // rows
        bottom = ((oh + 1) * height + rows - 1) // rows
        for ow in range(columns):
            left = ow * width // columns
            right = ((ow + 1) * width + columns - 1) // columns
            for c in range(channels):
                y[n, oh, ow, c] = x[n, top, left, c]
                indices[n, oh, ow, c] = top * width + left
            for h in range(top, bottom):
                for w in range(left, right):
                    for c in range(channels):
                        value = x[n, h, w, c]
                        if value > y[n, oh, ow, c] or value != value:
                            y[n, oh, ow, c] = value
                            indices[n, oh, ow, c] = h * width + w


adaptive_max_rows_compiled = compile(adaptive_max_rows, parallel=True)
