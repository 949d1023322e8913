"""The loops of Winograd's forward product: transform pixels and weights, multiply, transform back.

Two orders of the same work, for what two threads should not both fetch from memory again and again:

    few weights     All weights are transformed first, and shared. Then a thread takes a *unit* of tiles, as many as its
                    second-level cache holds, from pixels to outputs.
    many weights    The tiles of many units are transformed first, and shared. Then a thread takes a *block* of output
                    channels (as wide as a tile of the micro-kernel), transforms its weights, and makes the outputs.

An output is one sum over the input channels in their order, whoever makes it: threads and units cannot change a bit.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.convolution.winograd.tiles import (
    MATRICES,
    outputs_of_tile_compiled,
    tile_of_weights_compiled,
    transform_pixels_of_unit_compiled,
)
from minicnn.kernels.convolution.winograd.transforms import OUTPUTS
from minicnn.kernels.convolution.winograd.units import copy_pixels_compiled, count_tiles_compiled
from minicnn.kernels.registers.arithmetic import load, save, stay_apart
from minicnn.kernels.registers.microkernel import block_columns_compiled, block_products_compiled
from minicnn.kernels.registers.transposition import transpose
from minicnn.kernels.registers.vector import clear, copy


class Kernel(NamedTuple):
    """Where a weight lies in its array: `elements` + depth * depth_stride + column * column_stride.

    A depth is a channel that is summed over, a column one that comes out.
    """

    elements: np.ndarray
    depth_stride: int
    column_stride: int
    lines: np.ndarray  # 0, 1, 2, ... : where transpose() writes the weights of one depth after the other


def _gather_weights(weight, kernel, first_depth, count, first, columns, channels, lanes, wide, gathered):
    """Gather the nine weights of `count` depths and `columns` channels to lines of `gathered`, nine for each depth.

    The weights of a channel that follow each other in memory are turned into columns a square at a time. Columns after
    the last channel repeat it, or are zero: nothing reads what becomes of them, but it has to be finite.
    """
    if kernel.depth_stride == 9 and kernel.elements[0] == 0 and count == lanes:
        for column in range(0, columns, lanes):
            channel = min(first + column, channels - 1)
            place = first_depth * 9 + channel * kernel.column_stride
            for line in range(0, 9 * lanes, lanes):
                transpose(
                    weight, place + line, kernel.column_stride, channels - 1 - channel, gathered, column, kernel.lines,
                    line, wide,
                )  # fmt: skip
    else:
        for i in range(count):
            for k in range(9):
                depth, line = first_depth + i, (9 * i + k) * wide
                place = kernel.elements[k] + depth * kernel.depth_stride + first * kernel.column_stride
                real = min(columns, channels - first)
                for column in range(real):
                    copy(weight, place + column * kernel.column_stride, gathered, line + column, 1)
                clear(gathered, line + real, columns - real)


_gather_weights_compiled = compile(_gather_weights, inner=True)


def _write_outputs(products, unit, units, first, columns, bias, least, lines, lanes, wide, output, unfit):
    """Write A^T M A + bias of a unit's tiles, `columns` channels from `first` on; `unfit` becomes NaN if one is."""
    stay_apart()
    n, height, width, channels = output.shape
    first_image = unit // units.bands * units.images
    first_row = unit % units.bands * units.rows
    check = load(unfit, 0)
    tile = 0
    for image in range(first_image, min(first_image + units.images, n)):
        for row in range(first_row, min(first_row + units.rows, units.tile_rows)):
            for column in range(units.tile_columns):
                place = ((image * height + row * OUTPUTS) * width + column * OUTPUTS) * channels + first
                for v in range(0, min(columns, channels - first), lanes):
                    check = outputs_of_tile_compiled(
                        products, tile * (MATRICES * wide + lanes) + v, wide, load(bias, first + v), least, lines,
                        lanes, output, place + v, width * channels, channels, min(OUTPUTS, height - row * OUTPUTS),
                        min(OUTPUTS, width - column * OUTPUTS), min(lanes, channels - first - v), check,
                    )  # fmt: skip
                tile += 1
    save(check, unfit, 0)


_write_outputs_compiled = compile(_write_outputs, inner=True)


def _multiply_unit(
    unit, block, units, tiles, rows, depths, packed, products, places, no_sums, bias, least, lines, unfit, output,
    narrow, wide,
):  # fmt: skip
    """Make a unit's outputs of one block of channels from its transformed tiles and the block's transformed weights."""
    n, _, _, channels = output.shape
    first = block * wide
    columns = block_columns_compiled(first, channels, narrow, wide)
    count = count_tiles_compiled(unit, n, units)
    for k in range(MATRICES):
        block_products_compiled(
            wide, no_sums, 0, tiles[k], rows, count, depths, len(depths), packed[k], columns, products, places,
            k * wide,
        )  # fmt: skip
    _write_outputs_compiled(products, unit, units, first, columns, bias, least, lines, narrow, wide, output, unfit)


_multiply_unit_compiled = compile(_multiply_unit, inner=True)


def _transform_block(weight, kernel, block, worker, workers, depths, channels, lines, gathered, narrow, wide, packed):
    """Write the transformed weights of a block of channels to 36 packed matrices: a worker's share of the depths."""
    stay_apart()
    first = block * wide
    columns = block_columns_compiled(first, channels, narrow, wide)
    for first_depth in range(worker * narrow, depths, workers * narrow):
        count = min(narrow, depths - first_depth)
        _gather_weights_compiled(weight, kernel, first_depth, count, first, columns, channels, narrow, wide, gathered)
        for i in range(count):
            for v in range(0, columns, narrow):
                tile_of_weights_compiled(
                    gathered, 9 * i * wide + v, wide, lines, narrow, packed, (first_depth + i) * columns + v,
                    packed.shape[1],
                )  # fmt: skip


_transform_block_compiled = compile(_transform_block, inner=True)


def _transform_unit(images, unit, units, pixels, tiles, lines, lanes):
    """Copy the pixels of a unit, with their padding, to `pixels`, and transform them."""
    copy_pixels_compiled(images, unit, units, pixels)
    transform_pixels_of_unit_compiled(
        pixels, units, count_tiles_compiled(unit, len(images), units), images.shape[3], lines, lanes, tiles, np.intp(0)
    )


_transform_unit_compiled = compile(_transform_unit, inner=True)


def _work(
    step, worker, workers, share_weights, images, weight, kernel, units, first_unit, end_unit, packed, tiles, pixels,
    lines, gathered, rows, depths, places, no_sums, bias, least, products, unfit, output, narrow, wide,
):  # fmt: skip
    """A worker's share: in step 0 of what is transformed first and shared, in step 1 of the outputs."""
    channels, group = output.shape[3], end_unit - first_unit
    blocks = -(-channels // wide)
    if share_weights and step == 0:
        for block in range(blocks):
            _transform_block_compiled(
                weight, kernel, block, worker, workers, len(depths), channels, lines, gathered, narrow, wide,
                packed[block],
            )  # fmt: skip
    elif share_weights:
        for unit in range(first_unit + worker, end_unit, workers):
            _transform_unit_compiled(images, unit, units, pixels, tiles[worker], lines, narrow)
            for block in range(blocks):
                _multiply_unit_compiled(
                    unit, block, units, tiles[worker], rows, depths, packed[block], products, places, no_sums, bias,
                    least, lines, unfit, output, narrow, wide,
                )  # fmt: skip
    elif step == 0:
        for unit in range(first_unit + worker, end_unit, workers):
            _transform_unit_compiled(images, unit, units, pixels, tiles[unit - first_unit], lines, narrow)
    else:
        every = np.intp(0), np.intp(1)  # plain 0 and 1 are types of their own to Numba, which would compile for them
        packed_block = -1
        for piece in range(worker * blocks * group // workers, (worker + 1) * blocks * group // workers):
            block = piece // group
            if block != packed_block:
                packed_block = block
                _transform_block_compiled(
                    weight, kernel, block, every[0], every[1], len(depths), channels, lines, gathered, narrow, wide,
                    packed[worker],
                )  # fmt: skip
            _multiply_unit_compiled(
                first_unit + piece % group, block, units, tiles[piece % group], rows, depths, packed[worker], products,
                places, no_sums, bias, least, lines, unfit, output, narrow, wide,
            )  # fmt: skip


_work_compiled = compile(_work, inner=True)


def convolve_tiles(
    share_weights, images, weight, kernel, bias, no_sums, least, units, rows, depths, places, packed, tiles, pixels,
    products, lines, gathered, unfit, output, narrow, wide,
):  # fmt: skip
    """output = the convolution, plus bias, but nothing below `least`.

    `packed`, for transformed weights, has a row for each block of channels, and `tiles` one for each worker, if weights
    are shared; else a row for each worker, and one for each unit whose tiles are shared. Other work arrays have a row
    for each worker.
    """
    workers = len(pixels)
    group = max(1, units.units) if share_weights else len(tiles)
    for first_unit in range(0, units.units, group):
        end_unit = min(first_unit + group, units.units)
        for step in range(2):  # one loop for both: a parallel loop takes seconds to compile
            for worker in prange(workers):
                _work_compiled(
                    step, np.intp(worker), workers, share_weights, images, weight, kernel, units, first_unit, end_unit,
                    packed, tiles, pixels[worker], lines[worker], gathered[worker], rows, depths, places, no_sums, bias,
                    least, products[worker], unfit[worker], output, narrow, wide,
                )  # fmt: skip


convolve_tiles_compiled = compile(convolve_tiles, parallel=True)
