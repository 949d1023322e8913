"""Per-channel sums, scales and shifts: batch normalisation and bias gradients.

An image batch (N, H, W, C) is seen as rows (M, C), M = N*H*W, with the channels of a row side by side. Sums over M are
taken in a fixed number of parts with float64 totals: their error does not grow with M, and the result does not
depend on the number of threads. Source: Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1 and section 3.
"""

import numpy as np
from numba import prange

from minicnn.kernels.compile import compile, kernel_array

PARTS = 64  # of every sum over rows: a fixed number, so that the result does not depend on the threads


def channel_sum(x) -> np.ndarray:
    """The sum (C,) over the rows of x (M, C)."""
    parts = np.zeros((PARTS, x.shape[1]))
    sum_parts_compiled(kernel_array(x), parts)
    return parts.sum(axis=0).astype(x.dtype)  # (PARTS, C) -> (C,)


def channel_mean_and_variance(x) -> tuple[np.ndarray, np.ndarray]:
    """The mean (C,) and the biased variance (C,) over the rows of x (M, C)."""
    rows, channels = x.shape
    parts = np.zeros((2, PARTS, channels))
    # Squares are taken of the distance to the first row: a large mean would leave no digits for the variance.
    shift = x[0].astype(np.float64)
    moment_parts_compiled(kernel_array(x), shift, parts)
    with np.errstate(invalid="ignore"):  # an infinity in x gives a NaN; the layers above say where it came from
        first, second = parts.sum(axis=1) / rows  # (2, PARTS, C) -> (2, C)
        variance = np.maximum(second - first * first, 0)
    return (first + shift).astype(x.dtype), variance.astype(x.dtype)


def scale_and_shift(x, scale, shift) -> np.ndarray:
    """x (M, C) * scale (C,) + shift (C,)."""
    y = np.empty_like(x)
    scale_rows_compiled(kernel_array(x), kernel_array(scale), kernel_array(shift), y)
    return y


def batch_norm_backward(gradient, x, mean, inverse_std, weight, training) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients (M, C), (C,) and (C,) for the input x, the weight and the bias of batch normalisation.

    In training, mean and variance depend on x, which takes its projections on them out of the gradient; in evaluation
    they are constants.
    """
    rows, channels = x.shape
    gradient, x = kernel_array(gradient), kernel_array(x)
    parts = np.zeros((2, PARTS, channels))
    product_parts_compiled(gradient, x, mean.astype(np.float64), parts)
    gradient_sum, product_sum = parts.sum(axis=1)  # (2, PARTS, C) -> (2, C)
    gweight = product_sum * inverse_std
    gx = np.empty_like(x)
    scale = (weight * inverse_std).astype(x.dtype)
    if training:
        # gx = scale * (gradient - mean(gradient) - x_hat * mean(gradient * x_hat)), written as a * gradient + b * x + c
        slope = -scale * inverse_std * (gweight / rows)
        offset = -scale * (gradient_sum / rows) - slope * mean
        combine_rows_compiled(gradient, x, scale, slope.astype(x.dtype), offset.astype(x.dtype), gx)
    else:
        scale_rows_compiled(gradient, scale, np.zeros_like(scale), gx)
    return gx, gweight.astype(x.dtype), gradient_sum.astype(x.dtype)


def sum_parts(x, parts):
    rows, channels = x.shape
    count = parts.shape[0]
    for part in prange(count):
        for m in range(part * rows // count, (part + 1) * rows // count):
            for c in range(channels):
                parts[part, c] += x[m, c]


sum_parts_compiled = compile(sum_parts, parallel=True)


def moment_parts(x, shift, parts):
    rows, channels = x.shape
    count = parts.shape[1]
    for part in prange(count):
        for m in range(part * rows // count, (part + 1) * rows // count):
            for c in range(channels):
                distance = x[m, c] - shift[c]
                parts[0, part, c] += distance
                parts[1, part, c] += distance * distance


moment_parts_compiled = compile(moment_parts, parallel=True)


def product_parts(gradient, x, mean, parts):
    rows, channels = x.shape
    count = parts.shape[1]
    for part in prange(count):
        for m in range(part * rows // count, (part + 1) * rows // count):
            for c in range(channels):
                parts[0, part, c] += gradient[m, c]
                parts[1, part, c] += gradient[m, c] * (x[m, c] - mean[c])


product_parts_compiled = compile(product_parts, parallel=True)


def scale_rows(x, scale, shift, y):
    rows, channels = x.shape
    for m in prange(rows):
        for c in range(channels):
            y[m, c] = x[m, c] * scale[c] + shift[c]


scale_rows_compiled = compile(scale_rows, parallel=True)


def combine_rows(gradient, x, scale, slope, offset, gx):
    rows, channels = x.shape
    for m in prange(rows):
        for c in range(channels):
            gx[m, c] = gradient[m, c] * scale[c] + x[m, c] * slope[c] + offset[c]


combine_rows_compiled = compile(combine_rows, parallel=True)
