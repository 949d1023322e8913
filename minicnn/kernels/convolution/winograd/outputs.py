"""The loops of Winograd's forward product: transform pixels and weights, multiply, transform back.

Two orders of the same work, so that two threads do not both fetch the same numbers from memory again and again:

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
    Place,
    outputs_of_tile_compiled,
    tile_of_weights_compiled,
    transform_pixels_of_unit_compiled,
)
from minicnn.kernels.convolution.winograd.transforms import OUTPUTS
from minicnn.kernels.convolution.winograd.units import copy_pixels_compiled, count_tiles_compiled
from minicnn.kernels.registers.arithmetic import load, save, stay_apart
from minicnn.kernels.registers.microkernel import Lines, block_columns_compiled, block_products_compiled
from minicnn.kernels.registers.transposition import transpose
from minicnn.kernels.registers.vector import clear, copy


class Kernel(NamedTuple):
    """Where a weight lies in its array: `elements` + depth * depth_stride + column * column_stride.

    A depth is a channel that is summed over, a column is an output channel.
    """

    elements: np.ndarray
    depth_stride: int
    column_stride: int
    lines: np.ndarray  # 0, 1, 2, ... : where transpose() writes the weights of one depth after the other


def _gather_weights(weight, kernel, first_depth, count, first, columns, channels, lanes, wide, gathered):
    """Gather the nine weights of `count` depths and `columns` channels to lines of `gathered`, nine for each depth.

    The weights of a channel that follow each other in memory are turned into columns a square at a time. Columns after
    the last channel repeat it, or are zero: nothing reads their results, which only have to be finite.
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


class Layer(NamedTuple):
    """The operands and the output of a forward product."""

    images: np.ndarray  # (N, H, W, C_in)
    weight: np.ndarray
    bias: np.ndarray  # with zeros up to the end of the last block
    least: float  # outputs below it become `least`: 0 for relu, else minus infinity
    output: np.ndarray  # (N, OH, OW, C_out)
    share_weights: bool  # which of the two orders
    narrow: int  # the columns of a narrow register tile, and of a wide one
    wide: int


class Offsets(NamedTuple):
    """Where things begin: a tile among a unit's transformed tiles, a channel in its tile, a tile's products."""

    tiles: np.ndarray
    channels: np.ndarray
    products: np.ndarray


class Transformed(NamedTuple):
    """Transformed weights and tiles, one of which all workers share.

    If weights are shared, `weights` has a row for each block of channels, and `tiles` one for each worker. Else
    `weights` has a row for each worker, and `tiles` one for each unit of a round.
    """

    weights: np.ndarray  # (rows, 36, C_in lines of a block)
    tiles: np.ndarray  # (rows, 36, tiles of a unit)


class Scratch(NamedTuple):
    """Arrays that threads work in, with a row for each worker."""

    pixels: np.ndarray  # of a unit, with their padding
    products: np.ndarray  # of a unit and a block of channels
    halfway: np.ndarray  # a tile between the two steps of its transform
    gathered: np.ndarray  # weights, before their transform
    no_sums: np.ndarray  # zeros, which products begin with
    unfit: np.ndarray  # becomes NaN if a number is not finite


def _write_outputs(layer, unit, units, first, columns, scratch):
    """Write A^T M A + bias of a unit's tiles, `columns` channels from `first` on; `unfit` becomes NaN if one is."""
    stay_apart()
    lanes, wide, output = layer.narrow, layer.wide, layer.output
    n, height, width, channels = output.shape
    first_image = unit // units.bands * units.images
    first_row = unit % units.bands * units.rows
    check = load(scratch.unfit, 0)
    tile = 0
    for image in range(first_image, min(first_image + units.images, n)):
        for row in range(first_row, min(first_row + units.rows, units.tile_rows)):
            for column in range(units.tile_columns):
                corner = ((image * height + row * OUTPUTS) * width + column * OUTPUTS) * channels + first
                rows, pixels = min(OUTPUTS, height - row * OUTPUTS), min(OUTPUTS, width - column * OUTPUTS)
                for v in range(0, min(columns, channels - first), lanes):
                    real = min(lanes, channels - first - v)
                    check = outputs_of_tile_compiled(
                        scratch.products, tile * (MATRICES * wide + lanes) + v, wide, load(layer.bias, first + v),
                        layer.least, scratch.halfway, lanes, output,
                        Place(corner + v, width * channels, channels, rows, pixels, real), check,
                    )  # fmt: skip
                tile += 1
    save(check, scratch.unfit, 0)


_write_outputs_compiled = compile(_write_outputs, inner=True)


def _multiply_unit(layer, unit, block, units, offsets, tiles, packed, scratch):
    """Make a unit's outputs of one block of channels from its transformed tiles and the block's transformed weights."""
    n, _, _, channels = layer.output.shape
    wide, first = layer.wide, block * layer.wide
    columns = block_columns_compiled(first, channels, layer.narrow, wide)
    tile_starts = offsets.tiles[: count_tiles_compiled(unit, n, units)]
    for k in range(MATRICES):
        block_products_compiled(
            wide, scratch.no_sums, Lines(tiles[k], np.intp(0), tile_starts), offsets.channels, packed[k], columns,
            Lines(scratch.products, np.intp(k * wide), offsets.products),
        )  # fmt: skip
    _write_outputs_compiled(layer, unit, units, first, columns, scratch)


_multiply_unit_compiled = compile(_multiply_unit, inner=True)


def _transform_block(layer, kernel, block, worker, workers, scratch, packed):
    """Write the transformed weights of a block of channels to 36 packed matrices: a worker's share of the depths."""
    stay_apart()
    depths, channels = layer.images.shape[3], layer.output.shape[3]
    narrow, wide, first = layer.narrow, layer.wide, block * layer.wide
    columns = block_columns_compiled(first, channels, narrow, wide)
    for first_depth in range(worker * narrow, depths, workers * narrow):
        count = min(narrow, depths - first_depth)
        _gather_weights_compiled(
            layer.weight, kernel, first_depth, count, first, columns, channels, narrow, wide, scratch.gathered
        )
        for i in range(count):
            for v in range(0, columns, narrow):
                tile_of_weights_compiled(
                    scratch.gathered, 9 * i * wide + v, wide, scratch.halfway, narrow, packed,
                    (first_depth + i) * columns + v, packed.shape[1],
                )  # fmt: skip


_transform_block_compiled = compile(_transform_block, inner=True)


def _transform_unit(layer, unit, units, tiles, scratch):
    """Copy the pixels of a unit, with their padding, and transform them to `tiles`."""
    images = layer.images
    copy_pixels_compiled(images, unit, units, scratch.pixels)
    transform_pixels_of_unit_compiled(
        scratch.pixels, units, count_tiles_compiled(unit, len(images), units), images.shape[3], scratch.halfway,
        layer.narrow, tiles, np.intp(0),
    )  # fmt: skip


_transform_unit_compiled = compile(_transform_unit, inner=True)


def _work(phase, worker, first_unit, end_unit, layer, kernel, units, offsets, transformed, scratch):
    """A worker's share: in phase 0 of the transforms that are shared, in phase 1 of the outputs."""
    workers, weights, tiles = len(scratch.pixels), transformed.weights, transformed.tiles
    blocks, count = -(-layer.output.shape[3] // layer.wide), end_unit - first_unit
    own = Scratch(
        scratch.pixels[worker], scratch.products[worker], scratch.halfway[worker], scratch.gathered[worker],
        scratch.no_sums, scratch.unfit[worker],
    )  # fmt: skip
    if layer.share_weights and phase == 0:
        for block in range(blocks):
            _transform_block_compiled(layer, kernel, block, worker, workers, own, weights[block])
    elif layer.share_weights:
        for unit in range(first_unit + worker, end_unit, workers):
            _transform_unit_compiled(layer, unit, units, tiles[worker], own)
            for block in range(blocks):
                _multiply_unit_compiled(layer, unit, block, units, offsets, tiles[worker], weights[block], own)
    elif phase == 0:
        for unit in range(first_unit + worker, end_unit, workers):
            _transform_unit_compiled(layer, unit, units, tiles[unit - first_unit], own)
    else:
        every = np.intp(0), np.intp(1)  # plain 0 and 1 are types of their own to Numba, which would compile for them
        packed_block = -1
        for piece in range(worker * blocks * count // workers, (worker + 1) * blocks * count // workers):
            block, unit = piece // count, piece % count
            if block != packed_block:
                packed_block = block
                _transform_block_compiled(layer, kernel, block, every[0], every[1], own, weights[worker])
            _multiply_unit_compiled(layer, first_unit + unit, block, units, offsets, tiles[unit], weights[worker], own)


_work_compiled = compile(_work, inner=True)


def convolve_tiles(layer, kernel, units, offsets, transformed, scratch):
    """layer.output = the convolution, plus bias, but nothing below `least`: all units in one round, or in several."""
    workers = len(scratch.pixels)
    units_of_round = max(1, units.units) if layer.share_weights else len(transformed.tiles)
    for first_unit in range(0, units.units, units_of_round):
        end_unit = min(first_unit + units_of_round, units.units)
        for phase in range(2):  # one loop for both: a parallel loop takes seconds to compile
            for worker in prange(workers):
                _work_compiled(
                    phase, np.intp(worker), first_unit, end_unit, layer, kernel, units, offsets, transformed, scratch
                )


convolve_tiles_compiled = compile(convolve_tiles, parallel=True)
