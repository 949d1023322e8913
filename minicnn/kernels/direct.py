"""Direct convolution: the matrix of patches is multiplied without ever being built, in vector registers.

Every window of a convolution is a row of the *patch matrix*: im2col builds it, (N*OH*OW, KH*KW*C), and multiplies. But
a number of that matrix is only a number of the (padded) image at another place, and the place is a sum of two terms:

    patch[p, k] = image[starts[p] + taps[k]]      starts: where the window of output position p begins
                                                  taps:   how far from there kernel element k = (kh, kw, c) lies

So two small tables stand for the whole matrix, whatever the stride, dilation and kernel, and one micro-kernel
(see vector.py for its tile) serves all three products of a layer:

    forward            output[p, c]     = sum over k of patch[p, k] * weight[k, c]       8 positions x 32 channels a tile
    weight gradient    gradient[k, c]   = sum over p of patch[p, k] * gradient[p, c]     8 taps x 32 channels a tile
    input gradient     the forward product, over the output's gradient with the kernel turned round

                       32 output channels (two vectors of 16)
                      +---------------------------------------+
    8 positions,      |                                       |    for each tap k: load weight[k, 32 channels],
    each with its     |   8 x 32 sums, in 16 registers        |    then for each of the 8 positions load one number
    own start         |                                       |    of its patch, and add their product to its row
                      +---------------------------------------+

Positions are numbered through the rows of an image (and through small images), so a narrow image fills the 8 rows as
well as a wide one. Work is cut into *units* of positions: a few images, or a band of rows of one image. Each unit is
first copied, with its padding, to a scratch array small enough for the second-level cache, which then serves every
tap of every tile. No sum depends on how the units are shared out, so neither do the results.

The scheme (a small block of output kept in registers, weights packed to be read in order) is that of Georganas et al.,
"Anatomy of high-performance deep learning convolutions on SIMD architectures" (SC 2018), section II.
"""

from functools import lru_cache
from typing import NamedTuple

import numba
import numpy as np
from numba import prange

from minicnn.kernels.vector import (
    ROWS,
    add_to,
    clear,
    copy,
    element,
    multiply_add,
    narrow_columns,
    narrow_tile,
    row_offsets,
    store,
    wide_columns,
    wide_tile,
)

SCRATCH_BYTES = 192 * 1024  # of a unit's padded image: leaves most of a second-level cache to the weights
FEWEST_UNITS = 32  # so that no thread waits long for another's last unit
FEWEST_POSITIONS = 64  # a unit has at least this many, so that packed weights, once in the cache, are used enough
WEIGHT_GRADIENT_ITEMS = 16  # independent pieces of a weight gradient: fixed, so that threads cannot change the sums


def applies(x_dtype, groups: int) -> bool:
    """True if this file is the way to compute a convolution: float32 and one group; any stride, padding and dilation.

    float64 works too, but would have to be compiled for itself, and it serves gradient checks rather than training.
    """
    return np.dtype(x_dtype) == np.float32 and groups == 1


def conv2d(x, weight, bias, stride, padding, dilation, groups):
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in, KH, KW), plus bias (C_out,)."""
    _refuse_groups(groups)
    n, height, width, _ = x.shape
    c_out, c_in, kh, kw = weight.shape
    rows = tuple(i * dilation[0] - padding[0] for i in range(kh))
    columns = tuple(j * dilation[1] - padding[1] for j in range(kw))
    oh = (height + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (width + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    output = np.empty((n, oh, ow, c_out), x.dtype)
    plan = _plan(x.shape, (oh, ow), stride, rows, columns, x.itemsize)
    target = _Target(oh * ow * c_out, 0, ow * c_out, c_out)
    # Kernel element k = (kh, kw, c_in) of weight (C_out, C_in, KH, KW), and the way from one column to the next.
    elements = _element_table(tuple(range(kh)), tuple(range(kw)), c_in, kw, kh * kw)
    _run_patches_times_weights(x, weight, bias, output, plan, target, elements, c_in * kh * kw)
    return output


def conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups):
    """The loss's gradient (N, H, W, C_in) with respect to x, from `gradient` (N, OH, OW, C_out) and the weight.

    Input row h was seen by output row i through kernel row kh where `i * stride + kh * dilation - padding = h`. For all
    h with the same remainder by the stride, the same kernel rows divide evenly, and each of them looks at gradient row
    `(h + padding - kh * dilation) / stride`: a convolution of stride 1 with the turned kernel. So a stride of (2, 2)
    makes four convolutions, one for each *phase* of rows and columns, each with its own share of the kernel.
    """
    _refuse_groups(groups)
    n = gradient.shape[0]
    c_out, c_in, kh, kw = weight.shape
    height, width = input_size
    row_phases = _phases(height, kh, stride[0], padding[0], dilation[0])
    column_phases = _phases(width, kw, stride[1], padding[1], dilation[1])
    phases = [(r, c) for r in row_phases for c in column_phases]
    every_phase_has_taps = all(r.taps and c.taps for r, c in phases)
    allocate = np.empty if every_phase_has_taps else np.zeros
    result = allocate((n, height, width, c_in), gradient.dtype)
    for r, c in phases:
        if not (r.taps and c.taps):
            continue  # no window of a 1x1 kernel of stride 2 touches these pixels: they stay 0
        plan = _plan(gradient.shape, (r.count, c.count), (1, 1), r.rows, c.rows, gradient.itemsize)
        target = _Target(
            height * width * c_in, (r.first * width + c.first) * c_in, stride[0] * width * c_in, stride[1] * c_in
        )
        elements = _element_table(r.taps, c.taps, c_out, kw, c_in * kh * kw)
        _run_patches_times_weights(gradient, weight, None, result, plan, target, elements, kh * kw)
    return result


def conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups):
    """The loss's gradient (C_out, C_in, KH, KW) with respect to the weight, from x and `gradient` (N, OH, OW, C_out)."""
    _refuse_groups(groups)
    c_in = x.shape[3]
    _, oh, ow, c_out = gradient.shape
    kh, kw = kernel_size
    rows = tuple(i * dilation[0] - padding[0] for i in range(kh))
    columns = tuple(j * dilation[1] - padding[1] for j in range(kw))
    plan = _plan(x.shape, (oh, ow), stride, rows, columns, x.itemsize)
    elements = _element_table(tuple(range(kh)), tuple(range(kw)), c_in, kw, kh * kw)
    result = np.empty((c_out, c_in, kh, kw), x.dtype)

    narrow, wide = narrow_columns(x.dtype), wide_columns(x.dtype)
    blocks = -(-c_out // wide)
    groups_of_blocks = min(blocks, WEIGHT_GRADIENT_ITEMS)
    parts = max(1, min(WEIGHT_GRADIENT_ITEMS // groups_of_blocks, plan.units))
    workers = min(numba.get_num_threads(), parts * groups_of_blocks)
    padded_taps = -(-len(elements) // ROWS) * ROWS
    sums = _aligned((parts, blocks, padded_taps * wide), x.dtype)
    scratch = _aligned((workers, plan.scratch_size), x.dtype)
    packed = _aligned((workers, len(plan.starts) * wide), x.dtype)
    zeros = np.zeros(wide, x.dtype)
    _patches_times_gradients(
        x, gradient, result, plan, elements, sums, scratch, packed, zeros, groups_of_blocks, narrow, wide
    )
    return result


# ---------------------------------------------------------------------------------------------------------------------
# The tables. They depend on shapes only, so a network makes them once.


class _Plan(NamedTuple):
    """How the positions of a layer are cut into units, and how a unit's patches are found in its scratch array."""

    images: int  # of a unit: several if they are small, else one
    rows: int  # output rows of a unit
    bands: int  # units that an image is cut into
    units: int
    row_step: int  # image rows from one output row to the next
    top: int  # image row and column of the first tap of the first window: negative inside the padding
    left: int
    scratch_rows: int  # of one image
    scratch_width: int
    scratch_size: int
    out_height: int
    out_width: int
    starts: np.ndarray
    taps: np.ndarray


class _Target(NamedTuple):
    """Where positions go in the output, in elements: an image, the first position, the next row, the next column."""

    image: int
    first: int
    row: int
    column: int


class _Phase(NamedTuple):
    """The input rows first, first + stride, ...: how many, which kernel rows reach them, and from which gradient rows."""

    first: int
    count: int
    taps: tuple[int, ...]
    rows: tuple[int, ...]


def _phases(size, kernel, stride, padding, dilation):
    """The phases of one axis of an input of `size` pixels: see conv2d_input_gradient."""
    phases = []
    for first in range(min(stride, size)):
        taps = tuple(k for k in range(kernel) if (first + padding - k * dilation) % stride == 0)
        rows = tuple((first + padding - k * dilation) // stride for k in taps)
        phases.append(_Phase(first, -(-(size - first) // stride), taps, rows))
    return phases


@lru_cache(maxsize=1024)
def _plan(image_shape, out_size, step, tap_rows, tap_columns, itemsize):
    """The plan for patches of images (N, H, W, C) at a grid of `out_size` positions, `step` pixels apart.

    tap_rows and tap_columns say where the kernel's taps lie from the grid's origin, in pixels; negative is padding.
    """
    n, _, _, channels = image_shape
    oh, ow = out_size
    top, left = min(tap_rows), min(tap_columns)
    reach_h, reach_w = max(tap_rows) - top + 1, max(tap_columns) - left + 1
    scratch_width = (ow - 1) * step[1] + reach_w
    row_bytes = scratch_width * channels * itemsize

    # As many output rows as the scratch array holds, but not so many that there are too few units to share out.
    rows = (SCRATCH_BYTES // row_bytes - reach_h) // step[0] + 1
    rows = min(rows, max(n * oh // FEWEST_UNITS, -(-FEWEST_POSITIONS // ow)))
    images = max(1, min(rows // oh, n))
    rows = max(1, min(rows, oh))
    bands = -(-oh // rows)
    rows = -(-oh // bands)  # bands of about the same height
    scratch_rows = (rows - 1) * step[0] + reach_h
    units = -(-n // images) * bands

    def grid(*axes):
        """Sums of one number of each axis, in order: the offsets of a nested loop."""
        total = np.zeros(1, np.int64)
        for count, stride in axes:
            total = np.add.outer(total, np.arange(count) * stride).ravel()
        return total

    row = scratch_width * channels
    starts = grid((images, scratch_rows * row), (rows, step[0] * row), (ow, step[1] * channels))
    pixels = np.add.outer((np.array(tap_rows) - top) * scratch_width, np.array(tap_columns) - left)
    taps = np.add.outer(pixels.ravel() * channels, np.arange(channels)).ravel()
    return _Plan(
        images, rows, bands, units, step[0], top, left, scratch_rows, scratch_width, images * scratch_rows * row,
        oh, ow, starts, taps,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _element_table(rows, columns, channels, row_stride, channel_stride):
    """Where kernel element k = (row, column, channel) lies in the weight array, for the kernel rows and columns given."""
    pixels = np.add.outer(np.array(rows) * row_stride, np.array(columns))
    return np.add.outer(pixels.ravel(), np.arange(channels) * channel_stride).ravel()


def _aligned(shape, dtype):
    """An uninitialised array that begins at a cache line, so that a vector of it never lies across two."""
    size, itemsize = int(np.prod(shape)), np.dtype(dtype).itemsize
    memory = np.empty(size + 64 // itemsize, dtype)
    skip = -(memory.ctypes.data // itemsize) % (64 // itemsize)
    return memory[skip : skip + size].reshape(shape)


def _refuse_groups(groups):
    if groups != 1:
        raise ValueError(f"groups: the direct kernel has one group only, got {groups}; use the im2col algorithm")


def _run_patches_times_weights(images, weight, bias, output, plan, target, elements, column_stride):
    """Allocate what the compiled product needs besides its operands, and call it."""
    narrow, wide = narrow_columns(images.dtype), wide_columns(images.dtype)
    channels = output.shape[3]
    blocks = -(-channels // wide)
    workers = max(1, min(numba.get_num_threads(), plan.units))
    packed = _aligned((blocks, len(elements) * wide), images.dtype)
    scratch = _aligned((workers, plan.scratch_size), images.dtype)
    edge = _aligned((workers, ROWS * wide), images.dtype)
    padded_bias = np.zeros(blocks * wide, images.dtype)
    if bias is not None:
        padded_bias[:channels] = bias
    destinations = _destinations(plan.images, plan.rows, plan.out_width, target)
    _patches_times_weights(
        images, weight, padded_bias, output, plan, target, destinations, elements, column_stride, packed, scratch, edge,
        narrow, wide,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _destinations(images, rows, columns, target):
    """Where each position of a unit goes, from where its first one goes."""
    lines = np.add.outer(np.arange(images) * target.image, np.arange(rows) * target.row)
    return np.add.outer(lines, np.arange(columns) * target.column).ravel()


# ---------------------------------------------------------------------------------------------------------------------
# The compiled part. These functions trust their arguments: shapes were checked before.


def _accumulate(tile, scalars, rows, steps, count, vectors, columns):
    """The micro-kernel: the tile plus `count` outer products of 8 scalars and a row of `columns` vectors."""
    for step in range(count):
        tile = multiply_add(tile, scalars, rows, element(steps, step), vectors, step * columns)
    return tile


_accumulate = numba.njit(_accumulate, forceinline=True)


def _copy_unit(images, unit, plan, scratch):
    """Copy the image rows that a unit sees to `scratch`, with zeros for the padding."""
    n, height, width, channels = images.shape
    first_image = unit // plan.bands * plan.images
    first_row = unit % plan.bands * plan.rows * plan.row_step + plan.top
    # A line of the scratch array: zeros on the left, numbers of the image, zeros on the right.
    zeros_left = min(max(-plan.left, 0), plan.scratch_width)
    copied = max(0, min(plan.scratch_width - zeros_left, width - max(plan.left, 0)))
    begin, end = zeros_left * channels, (zeros_left + copied) * channels
    line = plan.scratch_width * channels
    position = 0
    for image in range(first_image, min(first_image + plan.images, n)):
        for row in range(first_row, first_row + plan.scratch_rows):
            if row < 0 or row >= height or copied == 0:
                clear(scratch, position, line)
            else:
                source = ((image * height + row) * width + max(plan.left, 0)) * channels
                clear(scratch, position, begin)
                copy(images, source, scratch, position + begin, end - begin)
                clear(scratch, position + end, line - end)
            position += line


_copy_unit = numba.njit(_copy_unit)


def _positions_of(unit, images, plan):
    """How many positions a unit has: the last of a batch, or of an image, may have fewer than the others."""
    here = min(plan.images, images - unit // plan.bands * plan.images)
    rows = min(plan.rows, plan.out_height - unit % plan.bands * plan.rows)
    return here * rows * plan.out_width


_positions_of = numba.njit(_positions_of)


def _pack_weights(weight, elements, column_stride, first, columns, channels, packed):
    """Gather weight columns first, first + 1, ... into packed rows (k, columns); columns past the last are zeros."""
    flat = weight.reshape(-1)
    real = min(columns, channels - first)
    for k in range(len(elements)):
        source = elements[k] + first * column_stride
        for column in range(real):
            packed[k * columns + column] = flat[source + column * column_stride]
        for column in range(real, columns):
            packed[k * columns + column] = 0


_pack_weights = numba.njit(_pack_weights)


def _multiply_unit(scratch, plan, count, weights, bias, first, columns, wide, output, destinations, base, edge):
    """Write `columns` channels from `first` on at all positions of a unit, a tile of 8 positions at a time."""
    channels = output.shape[3]
    flat = output.reshape(-1)
    starts, taps = plan.starts, plan.taps
    whole = first + columns <= channels
    for position in range(0, count, ROWS):
        rows = row_offsets(starts, position, count - 1)
        targets = row_offsets(destinations, position, count - 1)
        if not whole:
            edge[:] = 0
        if columns == wide:
            tile = _accumulate(wide_tile(bias, first), scratch, rows, taps, len(taps), weights, columns)
            if whole:
                store(tile, output, targets, base + first)
            else:
                add_to(tile, edge, 0)
        else:
            thin = _accumulate(narrow_tile(bias, first), scratch, rows, taps, len(taps), weights, columns)
            if whole:
                store(thin, output, targets, base + first)
            else:
                add_to(thin, edge, 0)
        if not whole:  # a vector would write over the next pixel's channels: go through memory instead
            for row in range(ROWS):
                target = base + first + targets[row]
                for column in range(channels - first):
                    flat[target + column] = edge[row * columns + column]


_multiply_unit = numba.njit(_multiply_unit)


def _block_columns(first, channels, narrow, wide):
    """How wide the tiles of the block that begins at channel `first` are: the last block may need one vector only."""
    return narrow if channels - first <= narrow else wide


_block_columns = numba.njit(_block_columns)


def _patches_times_weights(
    images, weight, bias, output, plan, target, destinations, elements, column_stride, packed, scratch, edge, narrow, wide
):
    """output = patches times weights, plus the bias; units are shared out among the rows of `scratch`, one a worker."""
    n, channels = output.shape[0], output.shape[3]
    blocks, workers = packed.shape[0], scratch.shape[0]
    for block in prange(blocks):
        first = block * wide
        columns = _block_columns(first, channels, narrow, wide)
        _pack_weights(weight, elements, column_stride, first, columns, channels, packed[block])
    for worker in prange(workers):
        for unit in range(worker, plan.units, workers):
            _copy_unit(images, unit, plan, scratch[worker])
            count = _positions_of(unit, n, plan)
            base = target.first + unit // plan.bands * plan.images * target.image
            base += unit % plan.bands * plan.rows * target.row
            for block in range(blocks):
                first = block * wide
                columns = _block_columns(first, channels, narrow, wide)
                _multiply_unit(
                    scratch[worker], plan, count, packed[block], bias, first, columns, wide, output, destinations, base,
                    edge[worker],
                )  # fmt: skip


_patches_times_weights = numba.njit(_patches_times_weights, parallel=True, cache=True)


def _pack_gradient(gradient, begin, count, first, columns, packed):
    """Copy `columns` channels of `count` positions from number `begin` on to packed rows; missing channels are zeros."""
    channels = gradient.shape[3]
    real = min(columns, channels - first)
    for position in range(count):
        copy(gradient, (begin + position) * channels + first, packed, position * columns, real)
        clear(packed, position * columns + real, columns - real)


_pack_gradient = numba.njit(_pack_gradient)


def _add_unit(scratch, plan, count, gradients, zeros, columns, wide, sums):
    """Add a unit's products of patches and gradients to `sums` (taps, columns), a tile of 8 taps at a time.

    Each tile is summed from zero over the unit and then added, so that no sum is longer than a unit: float32 sums over
    a whole batch would lose digits.
    """
    starts, taps = plan.starts, plan.taps
    for tap in range(0, len(taps), ROWS):
        rows = row_offsets(taps, tap, len(taps) - 1)
        if columns == wide:
            tile = _accumulate(wide_tile(zeros, 0), scratch, rows, starts, count, gradients, columns)
            add_to(tile, sums, tap * columns)
        else:
            thin = _accumulate(narrow_tile(zeros, 0), scratch, rows, starts, count, gradients, columns)
            add_to(thin, sums, tap * columns)


_add_unit = numba.njit(_add_unit)


def _patches_times_gradients(
    images, gradient, result, plan, elements, sums, scratch, packed, zeros, block_groups, narrow, wide
):
    """result = patches, transposed, times gradients: each part of the units by itself first, then the sum of the parts.

    A part takes its own share of the units and a group its own share of the channels, so no two write the same sums.
    """
    n, _, _, channels = gradient.shape
    parts, blocks = sums.shape[:2]
    workers = scratch.shape[0]
    image_positions = plan.out_height * plan.out_width
    for worker in prange(workers):
        for item in range(worker, parts * block_groups, workers):
            part, group = item // block_groups, item % block_groups
            first_block, end_block = group * blocks // block_groups, (group + 1) * blocks // block_groups
            sums[part, first_block:end_block] = 0
            for unit in range(part * plan.units // parts, (part + 1) * plan.units // parts):
                _copy_unit(images, unit, plan, scratch[worker])
                count = _positions_of(unit, n, plan)
                begin = unit // plan.bands * plan.images * image_positions
                begin += unit % plan.bands * plan.rows * plan.out_width
                for block in range(first_block, end_block):
                    first = block * wide
                    columns = _block_columns(first, channels, narrow, wide)
                    _pack_gradient(gradient, begin, count, first, columns, packed[worker])
                    _add_unit(scratch[worker], plan, count, packed[worker], zeros, columns, wide, sums[part, block])
    flat = result.reshape(-1)
    for block in prange(blocks):
        first = block * wide
        columns = _block_columns(first, channels, narrow, wide)
        for k in range(len(elements)):
            for column in range(min(columns, channels - first)):
                total = sums[0, block, k * columns + column]
                for part in range(1, parts):
                    total += sums[part, block, k * columns + column]
                flat[(first + column) * len(elements) + elements[k]] = total


_patches_times_gradients = numba.njit(_patches_times_gradients, parallel=True, cache=True)
