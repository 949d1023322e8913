"""The loops of Winograd's weight gradient: transform pixels and gradient, multiply over the tiles, transform back.

Of a group of tiles all threads transform pixels and gradient. Then a thread takes a *piece* of the result, some input
channels by a block of output channels, and for each of the 36 matrices sums over the group's tiles. So a sum belongs to
one thread, and its order is decided by the shapes alone. A group is summed from zero before it is added to those
before: float32 sums in one go over a whole batch would lose digits.
"""

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
from minicnn.kernels.registers.microkernel import block_columns_compiled, block_products_compiled
from minicnn.kernels.registers.vector import element


def _transform_gradient_of_unit(numbers, units, count, channels, lines, narrow, wide, tiles, first):
    """A dY A^T of `count` tiles, to lines `first`, first + 1, ... of 36 matrices, each in blocks of packed lines.

    What comes after the last channel are numbers of the next pixel; nothing reads their sums.
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
                    numbers, start + block * wide + v, row, channels, lines, narrow, flat, target + v,
                    blocks * block_size,
                )  # fmt: skip


_transform_gradient_of_unit_compiled = compile(_transform_gradient_of_unit, inner=True)


def _first_tile(unit, units):
    """How many tiles of the batch come before a unit's."""
    rows = unit // units.bands * units.images * units.tile_rows + unit % units.bands * units.rows
    return rows * units.tile_columns


_first_tile_compiled = compile(_first_tile, inner=True)


def _transform_units(
    begin, end, step, first_tile, images, gradient, units, gradient_units, scratch, tiles, gradient_tiles, lines,
    narrow, wide,
):  # fmt: skip
    """Transform pixels and gradient of units begin, begin + step, ...; tile number `first_tile` comes first."""
    n, _, _, c_in = images.shape
    for unit in range(begin, end, step):
        tile, count = _first_tile_compiled(unit, units) - first_tile, count_tiles_compiled(unit, n, units)
        copy_pixels_compiled(images, unit, units, scratch)
        transform_pixels_of_unit_compiled(scratch, units, count, c_in, lines, narrow, tiles, tile)
        copy_pixels_compiled(gradient, unit, gradient_units, scratch)
        _transform_gradient_of_unit_compiled(
            scratch, gradient_units, count, gradient.shape[3], lines, narrow, wide, gradient_tiles, tile
        )


_transform_units_compiled = compile(_transform_units, inner=True)


def _add(numbers, sums):
    for i in range(len(numbers)):
        sums[i] += numbers[i]


_add_compiled = compile(_add, inner=True)


def _multiply_piece(
    block, columns, rows, c_in, steps, count, places, is_first, tiles, gradient_tiles, no_sums, products, sums, wide
):  # fmt: skip
    """Sum over a group's tiles, to the 36 matrices of `sums`; all but the first group are added to what is there."""
    channels = min(len(rows), c_in - rows[0])
    for k in range(MATRICES):
        if is_first:
            block_products_compiled(
                wide, no_sums, 0, tiles[k], rows, channels, steps, count, gradient_tiles[k, block], columns, sums[k],
                places, 0,
            )  # fmt: skip
        else:
            block_products_compiled(
                wide, no_sums, 0, tiles[k], rows, channels, steps, count, gradient_tiles[k, block], columns, products,
                places, 0,
            )  # fmt: skip
            _add_compiled(products, sums[k])


_multiply_piece_compiled = compile(_multiply_piece, inner=True)


def _write_piece(sums, rows, c_in, first, channels, lines, narrow, wide, flat, unfit):
    """G^T M G of a piece, to its places in the weight gradient; makes `unfit` NaN if one number is not finite."""
    stay_apart()
    for row in range(min(len(rows), c_in - rows[0])):
        for v in range(0, min(wide, channels - first), narrow):
            check = weights_of_tile_compiled(sums, row * wide + v, sums.shape[1], lines, narrow)
            real = min(narrow, channels - first - v)
            if real == narrow:
                save(load(unfit, 0) + check, unfit, 0)
            for column in range(real):
                place = ((first + v + column) * c_in + rows[0] + row) * 9
                for k in range(9):
                    flat[place + k] = element(lines, k * narrow + column)
                    if real < narrow:
                        unfit[0] += 0.0 * flat[place + k]


_write_piece_compiled = compile(_write_piece, inner=True)


def _work(
    step, worker, workers, first_unit, end_unit, first_tile, count, images, gradient, units, gradient_units, rows,
    steps, places, scratch, tiles, gradient_tiles, no_sums, products, sums, lines, flat, unfit, narrow, wide,
):  # fmt: skip
    """A worker's share: in step 0 of the transforms, in step 1 of the pieces."""
    if step == 0:
        _transform_units_compiled(
            first_unit + worker, end_unit, workers, first_tile, images, gradient, units, gradient_units, scratch, tiles,
            gradient_tiles, lines, narrow, wide,
        )  # fmt: skip
        return
    c_in, channels, blocks = images.shape[3], gradient.shape[3], gradient_tiles.shape[1]
    is_first, is_last = first_unit == 0, end_unit == units.units
    pieces = len(rows) * blocks
    for piece in range(worker * pieces // workers, (worker + 1) * pieces // workers):
        part, block = piece // blocks, piece % blocks
        slot = worker if is_first and is_last else piece
        columns = block_columns_compiled(block * wide, channels, narrow, wide)
        _multiply_piece_compiled(
            block, columns, rows[part], c_in, steps, count, places, is_first, tiles, gradient_tiles, no_sums, products,
            sums[slot], wide,
        )  # fmt: skip
        if is_last:
            _write_piece_compiled(
                sums[slot], rows[part], c_in, block * wide, channels, lines, narrow, wide, flat, unfit
            )


_work_compiled = compile(_work, inner=True)


def sum_tiles(
    images, gradient, units, gradient_units, group, rows, steps, places, no_sums, scratch, tiles, gradient_tiles,
    products, sums, lines, unfit, gw, narrow, wide,
):  # fmt: skip
    """gw = the weight gradient, `group` units at a time; work arrays have a row for each worker.

    `sums` has a row for each piece if there are several groups. `rows` are the input channels of the pieces.
    """
    n, workers = len(gradient), len(scratch)
    flat = gw.reshape(-1)
    for first_unit in range(0, units.units, group):
        end_unit = min(first_unit + group, units.units)
        first_tile = _first_tile_compiled(first_unit, units)
        count = _first_tile_compiled(end_unit - 1, units) + count_tiles_compiled(end_unit - 1, n, units) - first_tile
        for step in range(2):  # one loop for both: a parallel loop takes seconds to compile
            for worker in prange(workers):
                _work_compiled(
                    step, np.intp(worker), workers, first_unit, end_unit, first_tile, count, images, gradient, units,
                    gradient_units, rows, steps, places, scratch[worker], tiles, gradient_tiles, no_sums,
                    products[worker], sums, lines[worker], flat, unfit[worker], narrow, wide,
                )  # fmt: skip


sum_tiles_compiled = compile(sum_tiles, parallel=True)
