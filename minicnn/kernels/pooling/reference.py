"""Pooling as plain loops, one window and one channel after the other: what windows.py computes is tested equal to it.

Arrays are channels-last, (N, H, W, C); pairs are (h, w). `minicnn.use_algorithm("reference")` chooses these, forward
and backward; with NUMBA_DISABLE_JIT=1 a debugger walks through them.
"""

import numpy as np

from minicnn.kernels.compiling.compile import compile, kernel_array


def max_pool2d(x, kernel_size, stride, padding, dilation, output_size) -> tuple[np.ndarray, np.ndarray]:
    """The maxima (N, OH, OW, C) of the windows of x, and their int64 indices h * W + w (-1 for a window of padding)."""
    shape = (x.shape[0], *output_size, x.shape[3])
    y, indices = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    max_loops_compiled(kernel_array(x), y, indices, kernel_size, stride, padding, dilation)
    return y, indices


def max_pool2d_backward(gradient, indices, input_size) -> np.ndarray:
    """The gradient (N, H, W, C) for the input: each window's gradient goes to the place of its maximum."""
    gx = np.zeros((gradient.shape[0], *input_size, gradient.shape[3]), gradient.dtype)
    max_backward_loops_compiled(kernel_array(gradient), kernel_array(indices), gx)
    return gx


def avg_pool2d(x, kernel_size, stride, padding, output_size, count_include_pad, divisor_override) -> np.ndarray:
    """The means (N, OH, OW, C) of the windows of x."""
    y = np.empty((x.shape[0], *output_size, x.shape[3]), x.dtype)
    mean_loops_compiled(kernel_array(x), y, kernel_size, stride, padding, count_include_pad, divisor_override or 0)
    return y


def avg_pool2d_backward(
    gradient, kernel_size, stride, padding, count_include_pad, divisor_override, input_size
) -> np.ndarray:
    """The gradient (N, H, W, C) for the input of `avg_pool2d`: each window's gradient is shared out evenly."""
    gx = np.zeros((gradient.shape[0], *input_size, gradient.shape[3]), gradient.dtype)
    mean_backward_loops_compiled(
        kernel_array(gradient), gx, kernel_size, stride, padding, count_include_pad, divisor_override or 0
    )
    return gx


def max_loops(x, y, indices, kernel_size, stride, padding, dilation):
    _, height, width, _ = x.shape
    images, rows, columns, channels = y.shape
    for n in range(images):
        for oh in range(rows):
            for ow in range(columns):
                for c in range(channels):
                    best, place = -np.inf, -1  # the padding is minus infinity: it never wins
                    for kh in range(kernel_size[0]):
                        for kw in range(kernel_size[1]):
                            h = oh * stride[0] + kh * dilation[0] - padding[0]
                            w = ow * stride[1] + kw * dilation[1] - padding[1]
                            if 0 <= h < height and 0 <= w < width:
                                value = x[n, h, w, c]
                                if place == -1 or value > best or np.isnan(value):
                                    best, place = value, h * width + w
                    y[n, oh, ow, c] = best
                    indices[n, oh, ow, c] = place


max_loops_compiled = compile(max_loops)


def max_backward_loops(gradient, indices, gx):
    width = gx.shape[2]
    images, rows, columns, channels = gradient.shape
    for n in range(images):
        for oh in range(rows):
            for ow in range(columns):
                for c in range(channels):
                    place = indices[n, oh, ow, c]
                    if place >= 0:
                        gx[n, place // width, place % width, c] += gradient[n, oh, ow, c]


max_backward_loops_compiled = compile(max_backward_loops)


def counted(h, w, size, padding, count_include_pad):
    """True if the place (h, w) is one of those that a window's sum is divided by."""
    margin_h, margin_w = padding if count_include_pad else (0, 0)
    return -margin_h <= h < size[0] + margin_h and -margin_w <= w < size[1] + margin_w


counted_compiled = compile(counted)


def places_in_window(oh, ow, size, kernel_size, stride, padding, count_include_pad):
    """How many places of the window (oh, ow) count; ceil_mode's last window may reach over the padding."""
    count = 0
    for kh in range(kernel_size[0]):
        for kw in range(kernel_size[1]):
            h, w = oh * stride[0] + kh - padding[0], ow * stride[1] + kw - padding[1]
            if counted_compiled(h, w, size, padding, count_include_pad):
                count += 1
    return count


places_in_window_compiled = compile(places_in_window)


def mean_loops(x, y, kernel_size, stride, padding, count_include_pad, divisor):
    _, height, width, _ = x.shape
    images, rows, columns, channels = y.shape
    for n in range(images):
        for oh in range(rows):
            for ow in range(columns):
                count = divisor or places_in_window_compiled(
                    oh, ow, (height, width), kernel_size, stride, padding, count_include_pad
                )
                for c in range(channels):
                    total = 0.0
                    for kh in range(kernel_size[0]):
                        for kw in range(kernel_size[1]):
                            h, w = oh * stride[0] + kh - padding[0], ow * stride[1] + kw - padding[1]
                            if 0 <= h < height and 0 <= w < width:  # the padding is zero
                                total += x[n, h, w, c]
                    y[n, oh, ow, c] = total / count


mean_loops_compiled = compile(mean_loops)


def mean_backward_loops(gradient, gx, kernel_size, stride, padding, count_include_pad, divisor):
    _, height, width, _ = gx.shape
    images, rows, columns, channels = gradient.shape
    for n in range(images):
        for oh in range(rows):
            for ow in range(columns):
                count = divisor or places_in_window_compiled(
                    oh, ow, (height, width), kernel_size, stride, padding, count_include_pad
                )
                for c in range(channels):
                    for kh in range(kernel_size[0]):
                        for kw in range(kernel_size[1]):
                            h, w = oh * stride[0] + kh - padding[0], ow * stride[1] + kw - padding[1]
                            if 0 <= h < height and 0 <= w < width:
                                gx[n, h, w, c] += gradient[n, oh, ow, c] / count


mean_backward_loops_compiled = compile(mean_backward_loops)
