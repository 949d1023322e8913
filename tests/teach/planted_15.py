"""Wrong and right answers to lesson 15's exercises: to each wrong one, words that the message must have."""

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


def keeps_whole_numbers_only(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding).astype(int)


def takes_the_kernel_for_square(picture, kernel_size, stride, padding):
    return patches(picture, (kernel_size[0], kernel_size[0]), stride, padding)


def exchanges_the_kernel_sides(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size[::-1], stride, padding)


def moves_rows_by_stride_only(picture, kernel_size, stride, padding):
    (kh, kw), width = kernel_size, ((padding, padding), (padding, padding), (0, 0))
    padded = np.pad(picture, width)
    return [
        padded[i : i + kh, j : j + kw].ravel()
        for i in range(0, padded.shape[0] - kh + 1, stride)
        for j in range(padded.shape[1] - kw + 1)
    ]


def pads_the_channels(picture, kernel_size, stride, padding):
    padded = np.pad(picture, padding)
    return patches(padded, kernel_size, stride, 0)


def pads_below_and_right_only(picture, kernel_size, stride, padding):
    return patches(np.pad(picture, ((0, 2 * padding), (0, 2 * padding), (0, 0))), kernel_size, stride, 0)


def forgets_the_last_place(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding)[:-1]


def puts_patches_side_by_side(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding).reshape(-1)


def turns_patches_round(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, stride, padding)[:, ::-1]


def moves_by_the_kernel(picture, kernel_size, stride, padding):
    return patches(picture, kernel_size, max(kernel_size), padding)


def takes_the_first_channel_only(picture, kernel_size, stride, padding):
    return patches(picture[:, :, :1], kernel_size, stride, padding)


def writes_into_the_picture(picture, kernel_size, stride, padding):
    picture[:padding] = 0
    picture[:1] = 0
    return patches(picture, kernel_size, stride, padding)


def two_loops(picture, kernel_size, stride, padding):
    (height, width, channels), (kh, kw) = picture.shape, kernel_size
    oh, ow = (height + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1
    padded = np.zeros((height + 2 * padding, width + 2 * padding, channels), picture.dtype)
    padded[padding : padding + height, padding : padding + width] = picture
    matrix = np.empty((oh * ow, kh * kw * channels), picture.dtype)
    for i in range(oh):
        for j in range(ow):
            matrix[i * ow + j] = padded[i * stride : i * stride + kh, j * stride : j * stride + kw].reshape(-1)
    return matrix


def by_indices(picture, kernel_size, stride, padding):
    (height, width, _), (kh, kw) = picture.shape, kernel_size
    padded = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)))
    rows = np.arange(0, height + 2 * padding - kh + 1, stride)[:, None] + np.arange(kh)
    columns = np.arange(0, width + 2 * padding - kw + 1, stride)[:, None] + np.arange(kw)
    windows = padded[rows[:, None, :, None], columns[None, :, None, :]]
    return windows.reshape(len(rows) * len(columns), -1)


def by_windows(picture, kernel_size, stride, padding):
    padded = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (*kernel_size, picture.shape[2]))[::stride, ::stride]
    return windows.reshape(windows.shape[0] * windows.shape[1], -1)


def as_lists(picture, kernel_size, stride, padding):
    return two_loops(picture, kernel_size, stride, padding).tolist()


def as_a_list_of_patches(picture, kernel_size, stride, padding):
    return list(patches(picture, kernel_size, stride, padding))


def adds_to_the_neighbour(x):
    sums = np.zeros(x.shape[1] + 1, x.dtype)
    for c in prange(x.shape[1]):
        for m in range(x.shape[0]):
            sums[c] += x[m, c]
        sums[c + 1] += 0
    return sums[:-1]


def writes_all_sums_from_each_turn(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for part in prange(2):
        for c in range(x.shape[1]):
            if c % 2 == part:
                for m in range(x.shape[0]):
                    sums[c] += x[m, c]
            else:
                sums[c] += 0
    return sums


def one_turn(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for _ in prange(1):
        for m in range(x.shape[0]):
            sums += x[m]
    return sums


def takes_the_mean(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        for m in range(x.shape[0]):
            sums[c] += x[m, c] / x.shape[0]
    return sums


def sums_the_columns(x):
    sums = np.zeros(x.shape[0], x.dtype)
    for m in prange(x.shape[0]):
        for c in range(x.shape[1]):
            sums[m] += x[m, c]
    return sums


def needs_three_columns(x):
    sums = np.zeros(3, x.dtype)
    for c in prange(3):
        for m in range(x.shape[0]):
            sums[c] += x[m, c]
    return sums


def needs_many_rows(x):
    parts = np.zeros((8, x.shape[1]), x.dtype)
    for part in prange(8):
        for m in range(part * 2, part * 2 + 2):
            for c in range(x.shape[1]):
                parts[part, c] += x[m, c]
    return parts.sum(axis=0)


def always_float32(x):
    sums = np.zeros(x.shape[1], np.float32)
    for c in prange(x.shape[1]):
        for m in range(x.shape[0]):
            sums[c] += x[m, c]
    return sums


def changes_x(x):
    for c in prange(x.shape[1]):
        for m in range(1, x.shape[0]):
            x[0, c] += x[m, c]
    return x[0]


def sums_whole_numbers(x):
    sums = np.zeros(x.shape[1], np.int64)
    for c in prange(x.shape[1]):
        for m in range(x.shape[0]):
            sums[c] += x[m, c]
    return sums


def leaves_it_to_numpy(x):
    return x.sum(axis=0)


def columns_own_their_sums(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        for m in range(x.shape[0]):
            sums[c] += x[m, c]
    return sums


def a_local_sum_for_each_column(x):
    sums = np.empty(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        total = x[0, c]
        for m in range(1, x.shape[0]):
            total += x[m, c]
        sums[c] = total
    return sums


def sixteen_parts(x):
    rows, columns = x.shape
    parts = np.zeros((16, columns), x.dtype)
    for part in prange(16):
        for m in range(part, rows, 16):
            parts[part] += x[m]
    sums = np.zeros(columns, x.dtype)
    for part in range(16):
        sums += parts[part]
    return sums


def parts_of_a_fixed_length(x):
    rows, columns = x.shape
    count = (rows + 3) // 4 + 1
    parts = np.zeros((count, columns), x.dtype)
    for part in prange(count):
        for m in range(part * 4, min(part * 4 + 4, rows)):
            for c in range(columns):
                parts[part, c] += x[m, c]
    sums = np.zeros(columns, x.dtype)
    for c in range(columns):
        for part in range(count):
            sums[c] += parts[part, c]
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
        (keeps_whole_numbers_only, "picture of (6, 9, 4)"),
        (takes_the_kernel_for_square, "expected  shape (4, 12)"),
        (exchanges_the_kernel_sides, "expected  shape (4, 12)"),
        (moves_rows_by_stride_only, "expected  shape (12, 18)"),
        (pads_the_channels, "expected  shape"),
        (pads_below_and_right_only, "largest difference"),
        (forgets_the_last_place, "expected  shape (6, 4)"),
        (puts_patches_side_by_side, "as many numbers in another shape"),
        (turns_patches_round, "largest difference"),
        (moves_by_the_kernel, "expected  shape"),
        (takes_the_first_channel_only, "expected  shape"),
        (writes_into_the_picture, "changed its argument `picture`"),
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
        (adds_to_the_neighbour, "is shared by turns"),
        (writes_all_sums_from_each_turn, "is shared by turns 0 and 1"),
        (one_turn, "turns of its prange loops"),
        (takes_the_mean, "times what was expected"),
        (sums_the_columns, "mended_sums(x of shape (1, 3))"),
        (needs_three_columns, "mended_sums(x of shape (19, 5))"),
        (needs_many_rows, "raised IndexError"),
        (always_float32, "mended_sums(x of float64)"),
        (changes_x, "changed its argument `x`"),
        (sums_whole_numbers, "mended_sums"),
        (leaves_it_to_numpy, "turns of its prange loops"),
    ],
}

RIGHT = {
    "15a": [
        two_loops,
        by_indices,
        by_windows,
        as_lists,
        as_a_list_of_patches,
    ],
    "15b": [
        columns_own_their_sums,
        a_local_sum_for_each_column,
        sixteen_parts,
        parts_of_a_fixed_length,
    ],
}
