"""The loops of Winograd's weight gradient: transform pixels and gradient, multiply over the tiles, transform back.

Of a round of tiles all threads transform pixels and gradient. Then a thread takes a *piece* of the result, some input
channels by a block of output channels, and for each of the 36 matrices sums over the round's tiles. So a sum belongs to
one thread, and its order is decided by the shapes alone. A round is summed from zero before it is added to those
before: float32 sums in one go over a whole batch would lose digits.
"""

from typing import NamedTuple

import numpy as np
from numba import prange

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.convolution.winograd.tiles import (
    MATRICES,
    tile_of_gradient_compiled,
    transform_pixels_of_unit_compiled,
    weights_of_tile_compiled,
)
from minicnn.kernels.convolution.winograd.units import copy_pixels_compiled, count_tiles_compiled
from minicnn.kernels.registers.arithmetic import load, save, stay_apart
from minicnn.kernels.registers.microkernel import Lines, block_columns_compiled, block_products_compiled
from minicnn.kernels.registers.vector import element


class Layer(NamedTuple):
    """The operands and the output of a weight gradient."""

    images: np.ndarray  # (N, H, W, C_in)
    gradient: np.ndarray  # (N, OH, OW, C_out)
    gw: np.ndarray  # (C_out, C_in, 3, 3), flat
    narrow: int  # the columns of a narrow register tile, and of a wide one
    wide: int


class Offsets(NamedTuple):
    """Where things begin: a channel in a transformed tile, by pieces; a tile among all; a row of a piece's sums."""

    channels: np.ndarray  # (parts, PIECE_ROWS)
    tiles: np.ndarray
    sums: np.ndarray


class Transformed(NamedTuple):
    """The transformed tiles of a round."""

    pixels: np.ndarray  # (36, tiles)
    gradient: np.ndarray  # (36, blocks, tiles)


class Scratch(NamedTuple):
    """Arrays that threads work in, with a row for each worker."""

    pixels: np.ndarray  # of a unit, with their padding; or the numbers of its gradient
    products: np.ndarray  # of a piece in one of the matrices
    halfway: np.ndarray  # a tile between the two steps of its transform
    no_sums: np.ndarray  # zeros, which products begin with
    unfit: np.ndarray  # becomes NaN if a number is not finite


class Round(NamedTuple):
    """The units that are transformed before all threads multiply: their numbers, and those of their tiles."""

    first_unit: int
    end_unit: int
    first_tile: int
    tiles: int  # how many


def _transform_gradient_of_unit(numbers, units, count, channels, halfway, narrow, wide, tiles, first):
    """A dY A^T of `count` tiles, to lines `first`, first + 1, ... of 36 matrices, each in blocks of packed lines.

    After the last channel come numbers of the next pixel; nothing reads their sums.
    """
    stay_apart()
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
                    numbers, start + block * wide + v, row, channels, halfway, narrow, flat, target + v,
                    blocks * block_size,
                )  # fmt: skip


_transform_gradient_of_unit_compiled = compile(_transform_gradient_of_unit, inner=True)


def _first_tile(unit, units):
    """How many tiles of the batch come before a unit's."""
    rows = unit // units.bands * units.images * units.tile_rows + unit % units.bands * units.rows
    return rows * units.tile_columns


_first_tile_compiled = compile(_first_tile, inner=True)


def _transform_units(worker, workers, round, layer, units, gradient_units, transformed, scratch):
    """Transform pixels and gradient of a worker's share of the units."""
    n, _, _, c_in = layer.images.shape
    for unit in range(round.first_unit + worker, round.end_unit, workers):
        tile, count = _first_tile_compiled(unit, units) - round.first_tile, count_tiles_compiled(unit, n, units)
        copy_pixels_compiled(layer.images, unit, units, scratch.pixels)
        transform_pixels_of_unit_compiled(
            scratch.pixels, units, count, c_in, scratch.halfway, layer.narrow, transformed.pixels, tile
        )
        copy_pixels_compiled(layer.gradient, unit, gradient_units, scratch.pixels)
        _transform_gradient_of_unit_compiled(
            scratch.pixels, gradient_units, count, layer.gradient.shape[3], scratch.halfway, layer.narrow, layer.wide,
            transformed.gradient, tile,
        )  # fmt: skip


_transform_units_compiled = compile(_transform_units, inner=True)


def _add(numbers, sums):
    for i in range(len(numbers)):
        sums[i] += numbers[i]


_add_compiled = compile(_add, inner=True)


def _multiply_piece(layer, block, channels, tile_starts, offsets, is_first, transformed, scratch, sums):
    """Sum over a round's tiles, to the 36 matrices of `sums`; the first round writes, and the others add."""
    columns = block_columns_compiled(block * layer.wide, layer.gradient.shape[3], layer.narrow, layer.wide)
    for k in range(MATRICES):
        pixels = Lines(transformed.pixels[k], np.intp(0), channels)
        target = sums[k] if is_first else scratch.products
        block_products_compiled(
            layer.wide, scratch.no_sums, pixels, tile_starts, transformed.gradient[k, block], columns,
            Lines(target, np.intp(0), offsets.sums),
        )  # fmt: skip
        if not is_first:
            _add_compiled(scratch.products, sums[k])


_multiply_piece_compiled = compile(_multiply_piece, inner=True)


def _write_piece(layer, channels, first, sums, halfway, unfit):
    """G^T M G of a piece, to its places in the weight gradient; makes `unfit` NaN if one number is not finite."""
    stay_apart()
    c_in, c_out = layer.images.shape[3], layer.gradient.shape[3]
    narrow, wide, gw = layer.narrow, layer.wide, layer.gw
    for row in range(len(channels)):
        for v in range(0, min(wide, c_out - first), narrow):
            check = weights_of_tile_compiled(sums, row * wide + v, sums.shape[1], halfway, narrow)
            real = min(narrow, c_out - first - v)
            if real == narrow:
                save(load(unfit, 0) + check, unfit, 0)
            for column in range(real):
                place = ((first + v + column) * c_in + channels[row]) * 9
                for k in range(9):
                    gw[place + k] = element(halfway, k * narrow + column)
                    if real < narrow:
                        unfit[0] += 0.0 * gw[place + k]


_write_piece_compiled = compile(_write_piece, inner=True)


def _work(phase, worker, round, layer, units, gradient_units, offsets, transformed, scratch, sums):
    """A worker's share: in phase 0 of the transforms, in phase 1 of the pieces."""
    workers = len(scratch.pixels)
    own = Scratch(
        scratch.pixels[worker], scratch.products[worker], scratch.halfway[worker], scratch.no_sums,
        scratch.unfit[worker],
    )  # fmt: skip
    if phase == 0:
        _transform_units_compiled(worker, workers, round, layer, units, gradient_units, transformed, own)
        return
    c_in, blocks = layer.images.shape[3], transformed.gradient.shape[1]
    is_first, is_last = round.first_unit == 0, round.end_unit == units.units
    pieces = len(offsets.channels) * blocks
    for piece in range(worker * pieces // workers, (worker + 1) * pieces // workers):
        part, block = piece // blocks, piece % blocks
        slot = worker if is_first and is_last else piece
        channels = offsets.channels[part, : c_in - offsets.channels[part, 0]]
        _multiply_piece_compiled(
            layer, block, channels, offsets.tiles[: round.tiles], offsets, is_first, transformed, own, sums[slot]
        )
        if is_last:
            _write_piece_compiled(layer, channels, block * layer.wide, sums[slot], own.halfway, own.unfit)


_work_compiled = compile(_work, inner=True)


def sum_tiles(layer, units, gradient_units, units_of_round, offsets, transformed, scratch, sums):
    """layer.gw = the weight gradient, in rounds of `units_of_round` units.

    `sums` has a row for each worker, or if there are several rounds for each piece.
    """
    n, workers = len(layer.gradient), len(scratch.pixels)
    for first_unit in range(0, units.units, units_of_round):
        end_unit = min(first_unit + units_of_round, units.units)
        first_tile = _first_tile_compiled(first_unit, units)
        tiles = _first_tile_compiled(end_unit - 1, units) + count_tiles_compiled(end_unit - 1, n, units) - first_tile
        round = Round(first_unit, end_unit, first_tile, tiles)
        for phase in range(2):  # one loop for both: a parallel loop takes seconds to compile
            for worker in prange(workers):
                _work_compiled(
                    phase, np.intp(worker), round, layer, units, gradient_units, offsets, transformed, scratch, sums
                )


sum_tiles_compiled = compile(sum_tiles, parallel=True)
