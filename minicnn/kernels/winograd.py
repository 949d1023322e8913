"""Winograd's convolution for 3x3 kernels of stride 1: a quarter of the multiplications, for a few additions.

winograd_transforms.py derives it. The output is cut into tiles of 4 x 4, each of which sees 6 x 6 pixels, and a layer's
three products become transforms and 36 products of matrices, one for each of the 36 numbers of a transformed tile:

    forward            pixels   --B^T d B-->  36 x (tiles, C_in)   @   36 x (C_in, C_out)  <--G g G^T--  weights
                                              = 36 x (tiles, C_out)                        --A^T M A-->  output
    input gradient     the forward product over the output's gradient, with the kernel turned round
    weight gradient    pixels   --B^T d B-->  36 x (tiles, C_in), transposed   @   36 x (tiles, C_out)  <--A dY A^T--
                       gradient               = 36 x (C_in, C_out)                         --G^T M G-->  weight gradient

The matrix products are the micro-kernel's (microkernel.py), as in direct.py. For the outputs a thread takes a *unit* of
tiles, so few that all that it makes of them, pixels, transformed tiles and products, stays in its second-level cache.

A tile mixes its pixels, so a NaN would spread over all of its outputs, and infinities, subtracted, turn into NaN.
Products that meet such numbers, or that overflow, are therefore computed again by direct.py.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numba import prange

from minicnn.kernels import direct
from minicnn.kernels.compile import compile, kernel_array
from minicnn.kernels.direct import _add_compiled, _aligned, _copy_pixels_compiled
from minicnn.kernels.microkernel import block_columns_compiled, block_products_compiled
from minicnn.kernels.patch_tables import cut, offsets
from minicnn.kernels.shapes import convolution_output_size
from minicnn.kernels.vector import element, narrow_columns, wide_columns
from minicnn.kernels.vector_arithmetic import load, save
from minicnn.kernels.winograd_tiles import (
    outputs_of_tile_compiled,
    tile_of_gradient_compiled,
    tile_of_pixels_compiled,
    tile_of_weights_compiled,
    weights_of_tile_compiled,
)
from minicnn.kernels.winograd_transforms import OUTPUTS, PIXELS

MATRICES = PIXELS * PIXELS
UNIT_ELEMENTS = 160 * 1024  # of a unit's transformed tiles and products: leaves some of a second-level cache to weights
GROUP_ELEMENTS = 2 * 1024 * 1024  # of the transformed tiles that a weight gradient sums up in one go
FEWEST_UNITS = 8  # so that threads can share them out


def applies(dtype, kernel_size, stride, padding, dilation, groups) -> bool:
    """True if this algorithm knows the convolution: 3x3, stride 1, not dilated, float32, one group, padding up to 2.

    More padding than that would ask the input gradient for a negative one.
    """
    return (
        np.dtype(dtype) == np.float32
        and tuple(kernel_size) == (3, 3)
        and tuple(stride) == (1, 1)
        and tuple(dilation) == (1, 1)
        and groups == 1
        and max(padding) <= 2
    )


def conv2d(x, weight, bias, stride, padding, dilation, groups, relu=False) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in, 3, 3), plus bias (C_out,).

    With `relu`, negative results become zero. Raises ValueError where `applies` is false.
    """
    _refuse(x.dtype, weight.shape[2:], stride, padding, dilation, groups)
    n, h, w, c_in = x.shape
    size = tuple(convolution_output_size(s, 3, 1, p, 1) for s, p in zip((h, w), padding, strict=True))
    y = np.empty((n, *size, weight.shape[0]), x.dtype)
    kernel = Kernel(np.arange(9), depth_stride=9, column_stride=9 * c_in)
    if _convolve(x, weight, kernel, padding, bias, relu, y):
        return y
    y = direct.conv2d(x, weight, bias, stride, padding, dilation, groups)
    return np.maximum(y, 0, out=y) if relu else y


def conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input of size `input_size` = (H, W), from `gradient` (N, OH, OW, C_out).

    It is the convolution of `gradient`, padded by 2 - padding, with the kernel turned by half a turn. Raises ValueError
    where `applies` is false.
    """
    _refuse(gradient.dtype, weight.shape[2:], stride, padding, dilation, groups)
    c_in = weight.shape[1]
    gx = np.empty((gradient.shape[0], *input_size, c_in), gradient.dtype)
    turned = Kernel(np.arange(9)[::-1].copy(), depth_stride=9 * c_in, column_stride=9)
    if _convolve(gradient, weight, turned, (2 - padding[0], 2 - padding[1]), None, False, gx):
        return gx
    return direct.conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups)


def conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (C_out, C_in, 3, 3) for the weight, from x (N, H, W, C_in) and `gradient` (N, OH, OW, C_out).

    Raises ValueError where `applies` is false.
    """
    _refuse(x.dtype, kernel_size, stride, padding, dilation, groups)
    gw = np.empty((gradient.shape[3], x.shape[3], 3, 3), x.dtype)
    if _sum_weight_gradient(x, gradient, padding, gw):
        return gw
    return direct.conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups)


class Kernel(NamedTuple):
    """Where a weight lies in its array: `elements` + depth * depth_stride + column * column_stride.

    A depth is a channel that is summed over, a column one that comes out.
    """

    elements: np.ndarray
    depth_stride: int
    column_stride: int


def _refuse(dtype, kernel_size, stride, padding, dilation, groups):
    if not applies(dtype, kernel_size, stride, padding, dilation, groups):
        raise ValueError(
            "winograd: expected float32, kernel 3x3, stride 1, dilation 1, padding up to 2 and one group, got "
            f"{dtype}, kernel {tuple(kernel_size)}, stride {tuple(stride)}, dilation {tuple(dilation)}, padding "
            f"{tuple(padding)}, {groups} groups; use 'auto' or 'direct'"
        )


def _cut_tiles(image_shape, out_size, first_pixel, tile, most_tiles):
    """A plan (patch_tables.py) whose positions are tiles: windows of `tile` x `tile` pixels, 4 pixels apart."""
    tile_rows, tile_columns = (-(-size // OUTPUTS) for size in out_size)
    most = max(1, min(most_tiles, image_shape[0] * tile_rows * tile_columns // FEWEST_UNITS) // tile_columns)
    rows, columns = (tuple(range(first, first + tile)) for first in first_pixel)
    return cut(image_shape, (tile_rows, tile_columns), (OUTPUTS, OUTPUTS), rows, columns, most)


def _convolve(images, weight, kernel, padding, bias, relu, output) -> bool:
    """Write the convolution to `output`; False if it, or anything on the way to it, is not finite."""
    narrow, wide = narrow_columns(images.dtype), wide_columns(images.dtype)
    depths, channels = images.shape[3], output.shape[3]
    blocks = -(-channels // wide)
    line = _whole_vectors(depths, narrow)
    most = UNIT_ELEMENTS // (MATRICES * (line + wide))
    units = _cut_tiles(images.shape, output.shape[1:3], (-padding[0], -padding[1]), PIXELS, most)
    count = len(units.starts)
    workers = max(1, min(numba.get_num_threads(), units.units))
    whole_bias = np.zeros(blocks * wide, images.dtype)
    if bias is not None:
        whole_bias[:channels] = bias
    unfit = np.zeros((workers, narrow), images.dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # for the Python bodies: compiled code never warns
        convolve_tiles_compiled(
            kernel_array(images), kernel_array(weight), kernel, whole_bias, 0.0 if relu else -math.inf, units,
            offsets((count, line)), offsets((depths, 1)), offsets((count, MATRICES * wide + narrow)),
            _aligned((blocks, MATRICES, _odd_lines(depths * wide, narrow)), images.dtype),
            _aligned((workers, units.scratch_size + narrow), images.dtype),
            _aligned((workers, MATRICES, _odd_lines(count * line, narrow)), images.dtype),
            _aligned((workers, count * (MATRICES * wide + narrow)), images.dtype),
            _aligned((workers, MATRICES * wide), images.dtype),
            unfit, output, narrow, wide,
        )  # fmt: skip
    return bool(np.isfinite(unfit).all())


def _sum_weight_gradient(x, gradient, padding, gw) -> bool:
    """Write the weight gradient to `gw`; False if it, or anything on the way to it, is not finite."""
    narrow, wide = narrow_columns(x.dtype), wide_columns(x.dtype)
    c_out, c_in = gw.shape[:2]
    blocks = -(-c_out // wide)
    line = _whole_vectors(c_in, narrow)
    most_tiles = GROUP_ELEMENTS // (MATRICES * (line + blocks * wide))
    unit_tiles = max(1, most_tiles // 16)
    out_size = gradient.shape[1:3]
    units = _cut_tiles(x.shape, out_size, (-padding[0], -padding[1]), PIXELS, unit_tiles)
    gradient_units = _cut_tiles(gradient.shape, out_size, (0, 0), OUTPUTS, unit_tiles)
    group = max(1, most_tiles // len(units.starts))  # units
    tiles = min(group, units.units) * len(units.starts)
    workers = numba.get_num_threads()
    unfit = np.zeros((workers, narrow), x.dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # for the Python bodies: compiled code never warns
        sum_tiles_compiled(
            kernel_array(x), kernel_array(gradient), units, gradient_units, group,
            offsets((c_in, 1)), offsets((tiles, line)), offsets((c_in, wide)),
            _aligned((workers, max(units.scratch_size, gradient_units.scratch_size) + narrow), x.dtype),
            _aligned((MATRICES, _odd_lines(tiles * line, narrow)), x.dtype),
            _aligned((MATRICES, blocks, _odd_lines(tiles * wide, narrow)), x.dtype),
            _aligned((workers, _odd_lines(c_in * wide, narrow)), x.dtype),
            np.zeros((MATRICES, blocks, _odd_lines(c_in * wide, narrow)), x.dtype),
            _aligned((workers, MATRICES * wide), x.dtype),
            unfit, gw, narrow, wide,
        )  # fmt: skip
    return bool(np.isfinite(unfit).all())


def _odd_lines(size, line):
    """`size` rounded up to an odd number of cache lines.

    Then the same place of the 36 matrices, which a transform writes one after the other, is in 36 different sets of the
    cache; if they were a power of two apart it would always be in the same one, which holds about 12 lines.
    """
    return (-(-size // line) | 1) * line


# ---------------------------------------------------------------------------------------------------------------------
# The compiled part. It trusts its arguments: shapes were checked by the callers.


def _whole_vectors(channels, lanes):
    """The length of a transformed tile: its channels, and what fills the last vector up."""
    return -(-channels // lanes) * lanes


_whole_vectors_compiled = compile(_whole_vectors)


def _transform_weights(weight, kernel, depth, first, columns, channels, lines, lanes, wide, packed):
    """Write the transformed weights of `columns` channels from `first` on, zeros after the last, to 36 packed lines."""
    real = min(columns, channels - first)
    gathered = 18 * wide  # in `lines`, behind what the transform needs
    for k in range(9):
        place = kernel.elements[k] + depth * kernel.depth_stride + first * kernel.column_stride
        for column in range(real):
            lines[gathered + k * wide + column] = element(weight, place + column * kernel.column_stride)
        for column in range(real, columns):
            lines[gathered + k * wide + column] = 0
    for v in range(0, columns, lanes):
        tile_of_weights_compiled(lines, gathered + v, wide, lines, lanes, packed, depth * columns + v, packed.shape[1])


_transform_weights_compiled = compile(_transform_weights)


def _count_tiles(unit, n, units):
    """How many tiles a unit has: the last one of a batch, or of an image, may have fewer than the others."""
    images = min(units.images, n - unit // units.bands * units.images)
    rows = min(units.rows, units.out_height - unit % units.bands * units.rows)
    return images * rows * units.out_width


_count_tiles_compiled = compile(_count_tiles)


def _transform_pixels(pixels, units, count, channels, lines, lanes, tiles, first, line):
    """B^T d B of `count` tiles, to lines `first`, first + 1, ... of 36 matrices (tiles, channels).

    The last vector of a tile may hold numbers of the next pixel; nothing reads them.
    """
    row = units.scratch_width * channels
    for tile in range(count):
        start, target = element(units.starts, tile), (first + tile) * line
        for channel in range(0, channels, lanes):
            tile_of_pixels_compiled(
                pixels, start + channel, row, channels, lines, lanes, tiles, target + channel, tiles.shape[1]
            )


_transform_pixels_compiled = compile(_transform_pixels)


def _write_outputs(products, unit, units, first, columns, bias, least, lines, lanes, wide, output, unfit):
    """Write A^T M A + bias of a unit's tiles, `columns` channels from `first` on; `unfit` becomes NaN if one is."""
    n, height, width, channels = output.shape
    first_image = unit // units.bands * units.images
    first_row = unit % units.bands * units.rows
    check = load(unfit, 0)
    tile = 0
    for image in range(first_image, min(first_image + units.images, n)):
        for row in range(first_row, min(first_row + units.rows, units.out_height)):
            for column in range(units.out_width):
                place = ((image * height + row * OUTPUTS) * width + column * OUTPUTS) * channels + first
                for v in range(0, min(columns, channels - first), lanes):
                    check = outputs_of_tile_compiled(
                        products, tile * (MATRICES * wide + lanes) + v, wide, load(bias, first + v), least, lines,
                        lanes, output, place + v, width * channels, channels, min(OUTPUTS, height - row * OUTPUTS),
                        min(OUTPUTS, width - column * OUTPUTS), min(lanes, channels - first - v), check,
                    )  # fmt: skip
                tile += 1
    save(check, unfit, 0)


_write_outputs_compiled = compile(_write_outputs)


def convolve_tiles(
    images, weight, kernel, bias, least, units, rows, depths, places, packed, pixels, tiles, products, lines, unfit,
    output, narrow, wide,
):  # fmt: skip
    """output = the convolution, plus bias, but nothing below `least`; each worker has a row of all work arrays."""
    n, _, _, channels = output.shape
    blocks, workers = packed.shape[0], pixels.shape[0]
    line = _whole_vectors_compiled(len(depths), narrow)
    no_sums = np.zeros(wide, images.dtype)
    for worker in prange(workers):
        for depth in range(worker, len(depths), workers):
            for block in range(blocks):
                first = block * wide
                columns = block_columns_compiled(first, channels, narrow, wide)
                _transform_weights_compiled(
                    weight, kernel, depth, first, columns, channels, lines[worker], narrow, wide, packed[block]
                )
    for worker in prange(workers):
        for unit in range(worker, units.units, workers):
            _copy_pixels_compiled(images, unit, units, pixels[worker])
            count = _count_tiles_compiled(unit, n, units)
            _transform_pixels_compiled(
                pixels[worker], units, count, len(depths), lines[worker], narrow, tiles[worker], 0, line
            )
            for block in range(blocks):
                first = block * wide
                columns = block_columns_compiled(first, channels, narrow, wide)
                for k in range(MATRICES):
                    block_products_compiled(
                        wide, no_sums, 0, tiles[worker, k], rows, count, depths, len(depths), packed[block, k],
                        columns, products[worker], places, k * wide,
                    )  # fmt: skip
                _write_outputs_compiled(
                    products[worker], unit, units, first, columns, bias, least, lines[worker], narrow, wide, output,
                    unfit[worker],
                )  # fmt: skip


convolve_tiles_compiled = compile(convolve_tiles, parallel=True)


def _transform_gradient(numbers, units, count, channels, lines, narrow, wide, tiles, first):
    """A dY A^T of `count` tiles, to lines `first`, first + 1, ... of 36 matrices, each in blocks of packed lines.

    What comes after the last channel are numbers of the next pixel; nothing reads their sums.
    """
    row = units.scratch_width * channels
    blocks, block_size = tiles.shape[1:]
    flat = tiles.reshape(-1)
    for tile in range(count):
        start = element(units.starts, tile)
        for block in range(blocks):
            columns = block_columns_compiled(block * wide, channels, narrow, wide)
            target = block * block_size + (first + tile) * columns
            for v in range(0, columns, narrow):
                tile_of_gradient_compiled(
                    numbers, start + block * wide + v, row, channels, lines, narrow, flat, target + v,
                    blocks * block_size,
                )  # fmt: skip


_transform_gradient_compiled = compile(_transform_gradient)


def sum_tiles(
    images, gradient, units, gradient_units, group, rows, steps, places, scratch, tiles, gradient_tiles, products, sums,
    lines, unfit, gw, narrow, wide,
):  # fmt: skip
    """gw = the weight gradient. A group of units at a time: all threads transform, then each multiplies its matrices.

    So a sum belongs to one thread, and a group is summed from zero before it is added: float32 sums in one go over a
    whole batch would lose digits.
    """
    n, _, _, channels = gradient.shape
    c_in = len(rows)
    blocks, workers = sums.shape[1], scratch.shape[0]
    line = _whole_vectors_compiled(c_in, narrow)
    no_sums = np.zeros(wide, images.dtype)
    tiles_of_image = units.out_height * units.out_width
    for first_unit in range(0, units.units, group):
        end_unit = min(first_unit + group, units.units)
        first_tile = first_unit // units.bands * units.images * tiles_of_image
        first_tile += first_unit % units.bands * units.rows * units.out_width
        last = end_unit - 1
        end_tile = last // units.bands * units.images * tiles_of_image
        end_tile += last % units.bands * units.rows * units.out_width + _count_tiles_compiled(last, n, units)
        for worker in prange(workers):
            for unit in range(first_unit + worker, end_unit, workers):
                tile = unit // units.bands * units.images * tiles_of_image
                tile += unit % units.bands * units.rows * units.out_width - first_tile
                count = _count_tiles_compiled(unit, n, units)
                _copy_pixels_compiled(images, unit, units, scratch[worker])
                _transform_pixels_compiled(
                    scratch[worker], units, count, c_in, lines[worker], narrow, tiles, tile, line
                )
                _copy_pixels_compiled(gradient, unit, gradient_units, scratch[worker])
                _transform_gradient_compiled(
                    scratch[worker], gradient_units, count, channels, lines[worker], narrow, wide, gradient_tiles, tile
                )
        for worker in prange(workers):
            for piece in range(worker, MATRICES * blocks, workers):
                k, block = piece // blocks, piece % blocks
                columns = block_columns_compiled(block * wide, channels, narrow, wide)
                block_products_compiled(
                    wide, no_sums, 0, tiles[k], rows, c_in, steps, end_tile - first_tile, gradient_tiles[k, block],
                    columns, products[worker], places, 0,
                )  # fmt: skip
                _add_compiled(products[worker], sums[k, block])
    flat = gw.reshape(-1)
    for worker in prange(workers):
        for depth in range(worker, c_in, workers):
            for block in range(blocks):
                for v in range(0, min(wide, channels - block * wide), narrow):
                    weights_of_tile_compiled(
                        sums.reshape(-1), block * sums.shape[2] + depth * wide + v, blocks * sums.shape[2],
                        lines[worker], narrow,
                    )  # fmt: skip
                    for column in range(min(narrow, channels - block * wide - v)):
                        place = ((block * wide + v + column) * c_in + depth) * 9
                        for k in range(9):
                            weight = element(lines, worker * lines.shape[1] + k * narrow + column)
                            flat[place + k] = weight
                            unfit[worker, 0] += 0.0 * weight


sum_tiles_compiled = compile(sum_tiles, parallel=True)
