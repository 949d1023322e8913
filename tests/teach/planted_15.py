"""Wrong answers to lesson 15's exercises, each with words that the message must have."""

import numpy as np
from numba import prange

from minicnn.teach.race import racy_sums


def patches(picture, kernel_size, stride, padding, pad="constant", order="C"):
    (kh, kw), width = kernel_size, ((padding, padding), (padding, padding), (0, 0))
    padded = np.pad(picture, width, mode=pad)
    return np.stack(
        [
            padded[i : i + kh, j : j + kw].ravel(order)
            for i in range(0, padded.shape[0] - kh + 1, stride)
            for j in range(0, padded.shape[1] - kw + 1, stride)
        ]
    )


def forgets_the_padding(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, 0)


def repeats_the_rim(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding, pad="edge")


def forgets_the_stride(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, 1, padding)


def puts_channels_first(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding).reshape(-1, *kernel_size, picture.shape[2]).transpose(
        0, 3, 1, 2
    ).reshape(-1, kernel_size[0] * kernel_size[1] * picture.shape[2])  # fmt: skip


def one_patch_a_column(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding).T


def columns_before_rows(picture, kernel_size, stride, padding):
    return patches(picture.transpose(1, 0, 2), kernel_size[::-1], stride, padding)


def leaves_places_apart(picture, kernel_size, stride, padding):
    (height, width, channels), (kh, kw) = picture.shape, kernel_size
    oh, ow = (height + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1
    return patches(picture, kernel_size, stride, padding).reshape(oh, ow, kh * kw * channels)


def fortran_order(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding, order="F")


def races_in_slices(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for m in prange(x.shape[0]):
        sums[:] += x[m]
    return sums


def adds_up_inside_the_loop(x):
    rows, columns = x.shape
    parts, sums = np.zeros((8, columns), x.dtype), np.zeros(columns, x.dtype)
    for part in prange(8):
        for m in range(part * rows // 8, (part + 1) * rows // 8):
            parts[part] += x[m]
        for c in range(columns):
            sums[c] += parts[part, c]
    return sums


def shares_its_scratch(x):
    total, sums = np.zeros(1, x.dtype), np.zeros(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        total[0] = 0
        for m in range(x.shape[0]):
            total[0] += x[m, c]
        sums[c] = total[0]
    return sums


def drops_the_last_rows(x):
    rows, columns = x.shape
    parts, size = np.zeros((8, columns), x.dtype), rows // 8
    for part in prange(8):
        for m in range(part * size, (part + 1) * size):
            parts[part] += x[m]
    return parts.sum(axis=0)


def leaves_the_parts_to_numba(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for m in prange(x.shape[0]):
        sums += x[m]
    return sums


def leaves_single_sums_to_numba(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for c in range(x.shape[1]):
        total = x.dtype.type(0)
        for m in prange(x.shape[0]):
            total += x[m, c]
        sums[c] = total
    return sums


def gives_up_the_threads(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for m in range(x.shape[0]):
        sums += x[m]
    return sums


def what_numba_cannot_compile(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        sums[c] = np.nansum(x[:, c : c + 1], axis=0)[0]
    return sums


PLANTED = {
    "15a": [
        (forgets_the_padding, "expected  shape"),
        (repeats_the_rim, "largest difference"),
        (forgets_the_stride, "expected  shape (12, 18)"),
        (puts_channels_first, "kernel row, kernel column, channel"),
        (one_patch_a_column, "are two axes exchanged?"),
        (columns_before_rows, "row i*OW + j"),
        (leaves_places_apart, "as many numbers in another shape"),
        (fortran_order, "largest difference"),
        (lambda picture, kernel_size, stride, padding: print(end=""), "`return`"),
    ],
    "15b": [
        (racy_sums, "cell [0] of an array of shape (3,) is shared by turns 0 and 20, and 2 cells more"),
        (races_in_slices, "must be its own"),
        (adds_up_inside_the_loop, "is shared by turns 0 and 7"),
        (shares_its_scratch, "cell [0] of an array of shape (1,) is shared by turns 0 and 2"),
        (drops_the_last_rows, "part * M // 8"),
        (leaves_the_parts_to_numba, "if the turns run in another order"),
        (leaves_single_sums_to_numba, "if the turns run in another order"),
        (gives_up_the_threads, "turns of its prange loops"),
        (what_numba_cannot_compile, "compiled by Numba, raised TypingError"),
    ],
}
RIGHT = {}
