"""Per-channel sums, scales and shifts: batch normalisation and bias gradients.

An image batch (N, H, W, C) is seen as rows (M, C), M = N*H*W, with the channels of a row side by side. Source: Ioffe
and Szegedy, "Batch Normalization" (2015), algorithm 1 and section 3.

Sums over M are taken in a fixed number of parts, and within a part in chunks of a few rows, so that a float32 sum is
short; the chunks are added up in float64. The error does not grow with M, and the threads cannot change a bit.

The loops wait for memory, not for arithmetic, if the innermost one is long enough to fill the vector unit. Where there
are few channels several rows are therefore taken for one (`_fold`): 16 channels of 32 rows are 512 columns of one.
"""

import numpy as np
from numba import prange

from minicnn.kernels import memory
from minicnn.kernels.compiling.compile import compile, kernel_array

PARTS = 32  # of every sum over rows: a fixed number, so that the result does not depend on the threads
CHUNK = 32  # rows that are added up in the array's own precision
MOST_COLUMNS = 512  # of folded rows: the sums of a chunk stay in the first-level cache


def channel_sum(x) -> np.ndarray:
    """The sum (C,) over the rows of x (M, C)."""
    channels = x.shape[1]
    folded = _fold(x)
    parts = np.zeros((PARTS, folded.shape[1]))
    sum_parts_compiled(kernel_array(folded), parts)
    return _totals(parts, channels).astype(x.dtype)


def channel_mean_and_variance(x) -> tuple[np.ndarray, np.ndarray]:
    """The mean (C,) and the biased variance (C,) over the rows of x (M, C)."""
    rows, channels = x.shape
    folded = _fold(x)
    # Squares are taken of the distance to an ordinary value of each channel: a large mean would leave no digits for the
    # variance, and so would the first pixel if it lies far from all others.
    shift = _ordinary(folded[:, :channels])
    parts = np.zeros((2, PARTS, folded.shape[1]))
    moment_parts_compiled(kernel_array(folded), _tiled(shift, folded), parts)
    with np.errstate(invalid="ignore"):  # an infinity in x gives a NaN; the layers above say where it came from
        first, second = _totals(parts, channels) / rows
        variance = np.maximum(second - first * first, 0)
    return (first + shift).astype(x.dtype), variance.astype(x.dtype)


def scale_and_shift(x, scale, shift, relu=False) -> np.ndarray:
    """x (M, C) * scale (C,) + shift (C,), through relu if asked for."""
    y, folded = memory.empty_like(x), _fold(x)
    scale, shift = _tiled(scale, folded), _tiled(shift, folded)
    scale_rows_compiled(kernel_array(folded), scale, shift, relu, y.reshape(folded.shape))
    return y


def batch_norm_backward(
    gradient, x, mean, inverse_std, weight, training, relu_shift=None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients (M, C), (C,) and (C,) for the input x, the weight and the bias of batch normalisation.

    In training, mean and variance depend on x, which takes its projections on them out of the gradient; in evaluation
    they are constants. With `relu_shift` (C,), `gradient` is that of relu(scale * x + relu_shift), and counts where
    this is not cut off: to see that from x costs less than to keep and read the result.
    """
    rows, channels = x.shape
    scale = (weight * inverse_std).astype(x.dtype)
    relu = relu_shift is not None
    shift = relu_shift if relu else np.zeros_like(scale)  # nobody reads the zeros
    folded_gradient, folded_x = kernel_array(_fold(gradient)), kernel_array(_fold(x))
    parts = np.zeros((2, PARTS, folded_x.shape[1]))
    cut = _tiled(scale, folded_x), _tiled(shift, folded_x), relu
    product_parts_compiled(folded_gradient, folded_x, _tiled(mean, folded_x), *cut, parts)
    gradient_sum, product_sum = _totals(parts, channels)
    gweight = product_sum * inverse_std
    gx = memory.empty_like(x)
    slope = offset = np.zeros_like(scale)
    if training:
        # gx = scale * (gradient - mean(gradient) - x_hat * mean(gradient * x_hat)), written as a * gradient + b * x + c
        slope = -scale * inverse_std * (gweight / rows)
        offset = -scale * (gradient_sum / rows) - slope * mean
    terms = (_tiled(term.astype(x.dtype), folded_x) for term in (slope, offset))
    combine_rows_compiled(folded_gradient, folded_x, *cut, *terms, training, gx.reshape(folded_x.shape))
    return gx, gweight.astype(x.dtype), gradient_sum.astype(x.dtype)


def _ordinary(rows):
    """The median (C,) of a few rows that lie spread over (M, C)."""
    few = np.sort(rows[:: max(1, len(rows) // 9)][:9], axis=0)
    return few[len(few) // 2]


def _fold(x):
    """(M, C) -> (M/F, F*C): the same numbers with F rows side by side, F a power of two that divides M."""
    rows, channels = x.shape
    fold = 1
    while rows % (2 * fold) == 0 and 0 < 2 * fold * channels <= MOST_COLUMNS:
        fold *= 2
    return np.ascontiguousarray(x).reshape(rows // fold, fold * channels)


def _totals(parts, channels):
    """The sums of all parts and of the rows that lie side by side: (..., PARTS, F*C) -> (..., C)"""
    folded = parts.sum(axis=-2)  # (..., PARTS, F*C) -> (..., F*C): first, for whole lines are quick to add
    fold = folded.shape[-1] // channels if channels else 1
    return folded.reshape(*folded.shape[:-1], fold, channels).sum(axis=-2)  # (..., F*C) -> (..., F, C) -> (..., C)


def _tiled(vector, folded):
    """`vector` (C,) repeated for each of the rows that lie side by side: (F*C,)."""
    return vector[None].repeat(folded.shape[1] // max(1, len(vector)), axis=0).ravel()  # (C,) -> (F, C) -> (F*C,)


def sum_parts(x, parts):
    rows, columns = x.shape
    count = parts.shape[0]
    for part in prange(count):
        total = np.empty(columns, x.dtype)
        end = (part + 1) * rows // count
        for start in range(part * rows // count, end, CHUNK):
            for c in range(columns):
                total[c] = 0
            for m in range(start, min(start + CHUNK, end)):
                for c in range(columns):
                    total[c] += x[m, c]
            for c in range(columns):
                parts[part, c] += total[c]


sum_parts_compiled = compile(sum_parts, parallel=True)


def moment_parts(x, shift, parts):
    """Add up x - shift and its square."""
    rows, columns = x.shape
    count = parts.shape[1]
    for part in prange(count):
        first, second = np.empty(columns, x.dtype), np.empty(columns, x.dtype)
        end = (part + 1) * rows // count
        for start in range(part * rows // count, end, CHUNK):
            for c in range(columns):
                first[c] = second[c] = 0
            for m in range(start, min(start + CHUNK, end)):
                for c in range(columns):
                    distance = x[m, c] - shift[c]
                    first[c] += distance
                    second[c] += distance * distance
            for c in range(columns):
                parts[0, part, c] += first[c]
                parts[1, part, c] += second[c]


moment_parts_compiled = compile(moment_parts, parallel=True)


def product_parts(gradient, x, mean, scale, shift, relu, parts):
    """Add up what relu passes on of the gradient, and that times (x - mean)."""
    rows, columns = x.shape
    zero = x.dtype.type(0)
    count = parts.shape[1]
    for part in prange(count):
        sums, products = np.empty(columns, x.dtype), np.empty(columns, x.dtype)
        end = (part + 1) * rows // count
        for start in range(part * rows // count, end, CHUNK):
            for c in range(columns):
                sums[c] = products[c] = 0
            for m in range(start, min(start + CHUNK, end)):
                for c in range(columns):
                    passed = zero if relu and x[m, c] * scale[c] + shift[c] <= 0 else gradient[m, c]
                    sums[c] += passed
                    products[c] += passed * (x[m, c] - mean[c])
            for c in range(columns):
                parts[0, part, c] += sums[c]
                parts[1, part, c] += products[c]


product_parts_compiled = compile(product_parts, parallel=True)


def scale_rows(x, scale, shift, relu, y):
    rows, columns = x.shape
    zero = x.dtype.type(0)  # a plain 0 is an integer, and would make the choice one of float64
    for m in prange(rows):
        for c in range(columns):
            value = x[m, c] * scale[c] + shift[c]
            y[m, c] = zero if relu and value <= 0 else value


scale_rows_compiled = compile(scale_rows, parallel=True)


def combine_rows(gradient, x, scale, shift, relu, slope, offset, training, gx):
    """gx = what relu passes on of the gradient * scale, in training + x * slope + offset."""
    rows, columns = x.shape
    zero = x.dtype.type(0)
    for m in prange(rows):
        for c in range(columns):
            passed = zero if relu and x[m, c] * scale[c] + shift[c] <= 0 else gradient[m, c]
            constant = passed * scale[c]
            gx[m, c] = constant + x[m, c] * slope[c] + offset[c] if training else constant


combine_rows_compiled = compile(combine_rows, parallel=True)
