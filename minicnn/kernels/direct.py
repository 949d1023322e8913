"""Direct convolution: the matrix of patches is multiplied without ever being built, in vector registers.

Every window of a convolution is a row of the patch matrix, (N*OH*OW, KH*KW*C). im2col.py builds it and multiplies. Here
two small tables stand for it (patch_tables.py), whatever the kernel, stride, padding and dilation:

    patch[p, k] = image[starts[p] + taps[k]]

and one micro-kernel (microkernel.py) makes all three products of a layer from tiles of 8 x 32 sums (vector.py):

    forward            output[p, c]   = sum over k of patch[p, k] * weight[k, c]      a tile: 8 positions x 32 channels
    weight gradient    gradient[k, c] = sum over p of patch[p, k] * gradient[p, c]    a tile: 8 taps x 32 channels
    input gradient     the forward product over the output's gradient, with the kernel turned round

                          32 output channels, two vectors of 16
                         +--------------------------------------+      for each tap k:
      8 positions, each  |                                      |          load the two vectors weight[k, 32 channels]
      with a start of    |      8 x 32 sums in 16 registers     |          for each of the 8 positions:
      its own            |                                      |              load one number of its patch,
                         +--------------------------------------+              add number * vectors to its row

Positions are numbered on through the rows of an image, and through small images, so a narrow image fills the 8 rows as
well as a wide one. Work is cut into units of positions. A unit's pixels are first copied, with their padding, to a
scratch array that fits the second-level cache and then serves all taps of all tiles. Each sum is taken by one thread,
in an order that the shapes alone decide: the number of threads cannot change a bit.

The scheme (a block of output that stays in registers, weights packed in the order of reading) is that of Georganas et
al., "Anatomy of high-performance deep learning convolutions on SIMD architectures" (SC 2018), section II.
"""

import math

import numba
import numpy as np
from numba import prange

from minicnn.kernels.compile import compile, kernel_array
from minicnn.kernels.microkernel import block_columns_compiled, block_products_compiled
from minicnn.kernels.patch_tables import Target, kernel_elements, offsets, phases, plan
from minicnn.kernels.shapes import convolution_output_size
from minicnn.kernels.vector import (
    clear,
    copy,
    element,
    narrow_columns,
    wide_columns,
)

SCRATCH_ELEMENTS = 48 * 1024  # of a unit's pixels: leaves most of a second-level cache to the weights
WEIGHT_GRADIENT_PIECES = 16  # that threads share out: a fixed number, so that threads cannot change the sums


def applies(dtype, groups: int) -> bool:
    """True if this is the way to compute a convolution: float32 and one group; any stride, padding and dilation.

    float64 works too, but would be compiled for itself, several seconds for what gradient checks do with tiny arrays.
    """
    return np.dtype(dtype) == np.float32 and groups == 1


def conv2d(x, weight, bias, stride, padding, dilation, groups) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in, KH, KW), plus bias (C_out,).

    Raises ValueError if there is more than one group.
    """
    _refuse_groups(groups)
    n, h, w, c_in = x.shape
    c_out, _, kh, kw = weight.shape
    oh = convolution_output_size(h, kh, stride[0], padding[0], dilation[0])
    ow = convolution_output_size(w, kw, stride[1], padding[1], dilation[1])
    y = np.empty((n, oh, ow, c_out), x.dtype)
    units = _plan(x.shape, (oh, ow), (kh, kw), stride, padding, dilation)
    elements = kernel_elements(tuple(range(kh)), tuple(range(kw)), c_in, kw, kh * kw)
    target = Target(first=0, image=oh * ow * c_out, row=ow * c_out, column=c_out)
    _convolve(x, weight, elements, c_in * kh * kw, bias, units, target, y)
    return y


def conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input of size `input_size` = (H, W), from `gradient` (N, OH, OW, C_out).

    A stride of (2, 2) makes four convolutions of stride 1, one for each phase of rows and columns, each with its own
    share of the kernel (`patch_tables.phases`). Raises ValueError if there is more than one group.
    """
    _refuse_groups(groups)
    c_out, c_in, kh, kw = weight.shape
    h, w = input_size
    row_phases = phases(h, kh, stride[0], padding[0], dilation[0])
    column_phases = phases(w, kw, stride[1], padding[1], dilation[1])
    # Zeros, if the stride passes over pixels that no window reads; all others are written once.
    allocate = np.empty if all(phase.taps for phase in row_phases + column_phases) else np.zeros
    gx = allocate((gradient.shape[0], h, w, c_in), gradient.dtype)
    for rows in row_phases:
        for columns in column_phases:
            if rows.taps and columns.taps:
                out_size = (rows.size, columns.size)
                units = plan(gradient.shape, out_size, (1, 1), rows.rows, columns.rows, SCRATCH_ELEMENTS)
                elements = kernel_elements(rows.taps, columns.taps, c_out, kw, c_in * kh * kw)
                first = (rows.first * w + columns.first) * c_in
                target = Target(first, image=h * w * c_in, row=stride[0] * w * c_in, column=stride[1] * c_in)
                _convolve(gradient, weight, elements, kh * kw, None, units, target, gx)
    return gx


def conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (C_out, C_in, KH, KW) for the weight, from x (N, H, W, C_in) and `gradient` (N, OH, OW, C_out).

    Raises ValueError if there is more than one group.
    """
    _refuse_groups(groups)
    c_in = x.shape[3]
    _, oh, ow, c_out = gradient.shape
    kh, kw = kernel_size
    units = _plan(x.shape, (oh, ow), kernel_size, stride, padding, dilation)
    elements = kernel_elements(tuple(range(kh)), tuple(range(kw)), c_in, kw, kh * kw)
    gw = np.empty((c_out, c_in, kh, kw), x.dtype)

    narrow, wide = narrow_columns(x.dtype), wide_columns(x.dtype)
    blocks = -(-c_out // wide)
    shares = min(blocks, WEIGHT_GRADIENT_PIECES)  # of the channels; where these are few, parts of the batch as well
    parts = max(1, min(WEIGHT_GRADIENT_PIECES // shares, units.units))
    workers = min(numba.get_num_threads(), parts * shares)
    lines = offsets((len(elements), wide))
    scratch = _aligned((workers, units.scratch_size), x.dtype)
    packed = _aligned((workers, len(units.starts) * wide), x.dtype)
    products = _aligned((workers, len(lines) * wide), x.dtype)
    products[:] = 0  # the lines of a narrow tile are not filled to their end
    sums = _aligned((parts, blocks, len(lines) * wide), x.dtype)
    weight_gradient_in_parts_compiled(
        kernel_array(x), kernel_array(gradient), gw, units, elements, lines, scratch, packed, products, sums, shares,
        narrow, wide,
    )  # fmt: skip
    return gw


def _plan(image_shape, out_size, kernel_size, stride, padding, dilation):
    rows = tuple(k * dilation[0] - padding[0] for k in range(kernel_size[0]))
    columns = tuple(k * dilation[1] - padding[1] for k in range(kernel_size[1]))
    return plan(image_shape, out_size, tuple(stride), rows, columns, SCRATCH_ELEMENTS)


def _convolve(images, weight, elements, column_stride, bias, units, target, output):
    """Write to `output`, where `target` says, the products of patches and weights, plus the bias."""
    narrow, wide = narrow_columns(images.dtype), wide_columns(images.dtype)
    channels = output.shape[3]
    blocks = -(-channels // wide)
    workers = max(1, min(numba.get_num_threads(), units.units))
    whole_bias = np.zeros(blocks * wide, images.dtype)
    if bias is not None:
        whole_bias[:channels] = bias
    destinations = offsets((units.images, target.image), (units.rows, target.row), (units.out_width, target.column))
    lines = offsets((len(units.starts), wide))
    packed = _aligned((blocks, len(elements) * wide), images.dtype)
    scratch = _aligned((workers, units.scratch_size), images.dtype)
    edge = _aligned((workers, len(lines) * wide), images.dtype)
    convolve_units_compiled(
        kernel_array(images), kernel_array(weight), elements, column_stride, whole_bias, units, target, destinations,
        lines, packed, scratch, edge, output, narrow, wide,
    )  # fmt: skip


def _aligned(shape, dtype):
    """An uninitialised array that begins at a cache line, so that none of its vectors lies across two."""
    size, per_line = math.prod(shape), 64 // np.dtype(dtype).itemsize
    memory = np.empty(size + per_line, dtype)
    skip = -(memory.ctypes.data // memory.itemsize) % per_line
    return memory[skip : skip + size].reshape(shape)


def _refuse_groups(groups):
    if groups != 1:
        raise ValueError(f"groups: the direct algorithm knows one group, got {groups}; use 'auto' or 'im2col'")


# ---------------------------------------------------------------------------------------------------------------------
# The compiled part. It trusts its arguments: shapes were checked by the callers. Arrays that only vectors and copies
# touch are flat, so that one compiled version of each function serves all.


def _positions(unit, n, units):
    """How many positions a unit has: the last one of a batch, or of an image, may have fewer than the others."""
    images = min(units.images, n - unit // units.bands * units.images)
    rows = min(units.rows, units.out_height - unit % units.bands * units.rows)
    return images * rows * units.out_width


_positions_compiled = compile(_positions)


def _copy_pixels(images, unit, units, scratch):
    """Copy the pixels that the windows of a unit see to `scratch`, with zeros for the padding."""
    n, height, width, channels = images.shape
    first_image = unit // units.bands * units.images
    first_row = unit % units.bands * units.rows * units.row_step + units.top
    # A line of the scratch array: zeros up to `begin`, numbers of an image row, zeros from `end` on.
    zeros = min(max(-units.left, 0), units.scratch_width)
    copied = max(0, min(units.scratch_width - zeros, width - max(units.left, 0)))
    begin, end = zeros * channels, (zeros + copied) * channels
    line = units.scratch_width * channels
    position = 0
    for image in range(first_image, min(first_image + units.images, n)):
        for row in range(first_row, first_row + units.scratch_rows):
            if row < 0 or row >= height or copied == 0:
                clear(scratch, position, line)
            else:
                source = ((image * height + row) * width + max(units.left, 0)) * channels
                clear(scratch, position, begin)
                copy(images, source, scratch, position + begin, end - begin)
                clear(scratch, position + end, line - end)
            position += line


_copy_pixels_compiled = compile(_copy_pixels)


def _pack_weights(weight, elements, column_stride, first, columns, channels, packed):
    """Gather the weights of channels first, first + 1, ... into lines (k, columns): zeros after the last channel."""
    real = min(columns, channels - first)
    for k in range(len(elements)):
        for column in range(real):
            packed[k * columns + column] = element(weight, elements[k] + (first + column) * column_stride)
        if real < columns:
            clear(packed, k * columns + real, columns - real)


_pack_weights_compiled = compile(_pack_weights)


def _convolve_block(
    scratch, units, count, packed, bias, first, columns, wide, output, base, destinations, lines, edge
):  # fmt: skip
    """Write `columns` channels from `first` on of the `count` positions of a unit to `output`."""
    channels = output.shape[3]
    starts, taps = units.starts, units.taps
    if first + columns <= channels:
        flat, base = output.reshape(-1), base + first
        block_products_compiled(
            wide, bias, first, scratch, starts, count, taps, len(taps), packed, columns, flat, destinations, base
        )
        return
    # The last vector would reach into the next pixel's channels, so the block goes to an array of our own first.
    block_products_compiled(wide, bias, first, scratch, starts, count, taps, len(taps), packed, columns, edge, lines, 0)
    for position in range(count):
        copy(edge, lines[position], output, base + destinations[position] + first, channels - first)


_convolve_block_compiled = compile(_convolve_block)


def convolve_units(
    images, weight, elements, column_stride, bias, units, target, destinations, lines, packed, scratch, edge, output,
    narrow, wide,
):  # fmt: skip
    """output = patches times weights, plus bias; each worker has a row of `scratch` and its share of the units."""
    n, _, _, channels = output.shape
    blocks, workers = packed.shape[0], scratch.shape[0]
    for block in prange(blocks):
        first = block * wide
        columns = block_columns_compiled(first, channels, narrow, wide)
        _pack_weights_compiled(weight, elements, column_stride, first, columns, channels, packed[block])
    for worker in prange(workers):
        for unit in range(worker, units.units, workers):
            _copy_pixels_compiled(images, unit, units, scratch[worker])
            count = _positions_compiled(unit, n, units)
            base = target.first + unit // units.bands * units.images * target.image
            base += unit % units.bands * units.rows * target.row
            for block in range(blocks):
                first = block * wide
                columns = block_columns_compiled(first, channels, narrow, wide)
                _convolve_block_compiled(
                    scratch[worker], units, count, packed[block], bias, first, columns, wide, output, base,
                    destinations, lines, edge[worker],
                )  # fmt: skip


convolve_units_compiled = compile(convolve_units, parallel=True)


def _pack_gradient(gradient, begin, count, first, columns, packed):
    """Copy `columns` channels of `count` positions from number `begin` on into lines: zeros after the last channel."""
    channels = gradient.shape[3]
    if columns == channels:  # the lines lie together already: one copy instead of many
        copy(gradient, begin * channels, packed, 0, count * channels)
        return
    real = min(columns, channels - first)
    for position in range(count):
        copy(gradient, (begin + position) * channels + first, packed, position * columns, real)
        if real < columns:
            clear(packed, position * columns + real, columns - real)


_pack_gradient_compiled = compile(_pack_gradient)


def _add(numbers, sums):
    for i in range(len(sums)):
        sums[i] += numbers[i]


_add_compiled = compile(_add)


def weight_gradient_in_parts(
    images, gradient, gw, units, elements, lines, scratch, packed, products, sums, shares, narrow, wide
):  # fmt: skip
    """gw = patches, transposed, times gradients. A piece of work is a part of the units and a share of the channels.

    A unit is summed from zero and then added to the sums of its part, and the parts are added last: float32 sums in one
    go over a whole batch would lose digits.
    """
    n, _, _, channels = gradient.shape
    parts, blocks = sums.shape[:2]
    workers = scratch.shape[0]
    taps, starts = units.taps, units.starts
    no_sums = np.zeros(wide, gradient.dtype)
    for worker in prange(workers):
        for piece in range(worker, parts * shares, workers):
            part, share = piece // shares, piece % shares
            first_block, end_block = share * blocks // shares, (share + 1) * blocks // shares
            for block in range(first_block, end_block):
                sums[part, block] = 0
            for unit in range(part * units.units // parts, (part + 1) * units.units // parts):
                _copy_pixels_compiled(images, unit, units, scratch[worker])
                count = _positions_compiled(unit, n, units)
                begin = unit // units.bands * units.images * units.out_height * units.out_width
                begin += unit % units.bands * units.rows * units.out_width
                for block in range(first_block, end_block):
                    first = block * wide
                    columns = block_columns_compiled(first, channels, narrow, wide)
                    _pack_gradient_compiled(gradient, begin, count, first, columns, packed[worker])
                    block_products_compiled(
                        wide, no_sums, 0, scratch[worker], taps, len(taps), starts, count, packed[worker], columns,
                        products[worker], lines, 0,
                    )  # fmt: skip
                    _add_compiled(products[worker], sums[part, block])
    flat = gw.reshape(-1)
    for block in prange(blocks):
        first = block * wide
        for k in range(len(elements)):
            for column in range(min(wide, channels - first)):
                total = element(sums, (block * len(elements) + k) * wide + column)
                for part in range(1, parts):
                    total += element(sums, ((part * blocks + block) * len(elements) + k) * wide + column)
                flat[(first + column) * len(elements) + elements[k]] = total


weight_gradient_in_parts_compiled = compile(weight_gradient_in_parts, parallel=True)
