"""Winograd's transforms of two-dimensional tiles, for all channels of a tile at a time.

A transform in two dimensions is the one-dimensional transform of every column, then of every row of the result:

    6 x 6 pixels --columns--> 6 x 6 `halfway` --rows--> 6 x 6 numbers of 36 matrices

Each "number" is a vector of neighbouring channels. Between the two steps the numbers go through `halfway`, a small
array that never leaves the first-level cache: 36 vectors are more than the processor has registers.
"""

from typing import NamedTuple

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.convolution.winograd.transforms import (
    OUTPUTS,
    PIXELS,
    outputs_of_products_compiled,
    transform_gradient_compiled,
    transform_pixels_compiled,
    transform_weights_compiled,
    weights_of_products_compiled,
)
from minicnn.kernels.registers.arithmetic import at_least, load, save, stay_apart
from minicnn.kernels.registers.vector import copy, element

MATRICES = PIXELS * PIXELS


def whole_vectors(channels, lanes):
    """The length of a transformed tile: its channels, rounded up to whole vectors."""
    return -(-channels // lanes) * lanes


whole_vectors_compiled = compile(whole_vectors, inner=True)


def _save_six(vectors, array, offset, step):
    """Write six vectors, each `step` elements after the one before."""
    save(vectors[0], array, offset)
    save(vectors[1], array, offset + step)
    save(vectors[2], array, offset + 2 * step)
    save(vectors[3], array, offset + 3 * step)
    save(vectors[4], array, offset + 4 * step)
    save(vectors[5], array, offset + 5 * step)


_save_six_compiled = compile(_save_six, inner=True)


def tile_of_pixels(pixels, start, row, column, halfway, lanes, tiles, offset, matrix):
    """B^T d B of the 6 x 6 pixels from `start` on, `row` and `column` elements apart, one number to each matrix."""
    for j in range(6):
        p = start + j * column
        transformed = transform_pixels_compiled(
            load(pixels, p), load(pixels, p + row), load(pixels, p + 2 * row), load(pixels, p + 3 * row),
            load(pixels, p + 4 * row), load(pixels, p + 5 * row),
        )  # fmt: skip
        _save_six_compiled(transformed, halfway, j * lanes, 6 * lanes)
    for i in range(6):
        p = i * 6 * lanes
        transformed = transform_pixels_compiled(
            load(halfway, p), load(halfway, p + lanes), load(halfway, p + 2 * lanes), load(halfway, p + 3 * lanes),
            load(halfway, p + 4 * lanes), load(halfway, p + 5 * lanes),
        )  # fmt: skip
        _save_six_compiled(transformed, tiles, offset + 6 * i * matrix, matrix)


tile_of_pixels_compiled = compile(tile_of_pixels, inner=True)


def tile_of_gradient(gradient, start, row, column, halfway, lanes, tiles, offset, matrix):
    """A dY A^T of the 4 x 4 numbers from `start` on, `row` and `column` elements apart, one number to each matrix."""
    for j in range(4):
        p = start + j * column
        transformed = transform_gradient_compiled(
            load(gradient, p), load(gradient, p + row), load(gradient, p + 2 * row), load(gradient, p + 3 * row)
        )
        _save_six_compiled(transformed, halfway, j * lanes, 4 * lanes)
    for i in range(6):
        p = i * 4 * lanes
        transformed = transform_gradient_compiled(
            load(halfway, p), load(halfway, p + lanes), load(halfway, p + 2 * lanes), load(halfway, p + 3 * lanes)
        )
        _save_six_compiled(transformed, tiles, offset + 6 * i * matrix, matrix)


tile_of_gradient_compiled = compile(tile_of_gradient, inner=True)


def tile_of_weights(weights, start, row, halfway, lanes, tiles, offset, matrix):
    """G g G^T of the 9 weights from `start` on, `row` elements apart, one number to each matrix."""
    for j in range(3):
        p = start + j * row
        transformed = transform_weights_compiled(
            load(weights, p), load(weights, p + 3 * row), load(weights, p + 6 * row)
        )
        _save_six_compiled(transformed, halfway, j * lanes, 3 * lanes)
    for i in range(6):
        p = i * 3 * lanes
        transformed = transform_weights_compiled(
            load(halfway, p), load(halfway, p + lanes), load(halfway, p + 2 * lanes)
        )
        _save_six_compiled(transformed, tiles, offset + 6 * i * matrix, matrix)


tile_of_weights_compiled = compile(tile_of_weights, inner=True)


class Place(NamedTuple):
    """Where the outputs of a tile go: `rows` x `columns` pixels from `first` on, of 4 x 4, as many as exist."""

    first: int
    row: int  # from one row of pixels to the next, and from one pixel to the next
    column: int
    rows: int
    columns: int
    channels: int  # of a vector, that exist


def outputs_of_tile(products, offset, matrix, bias, least, halfway, lanes, output, place, check):
    """Write A^T M A + bias, but nothing below `least`, to `output`; return `check` plus zero times every output."""
    for j in range(6):
        p = offset + j * matrix
        y0, y1, y2, y3 = outputs_of_products_compiled(
            load(products, p), load(products, p + 6 * matrix), load(products, p + 12 * matrix),
            load(products, p + 18 * matrix), load(products, p + 24 * matrix), load(products, p + 30 * matrix),
        )  # fmt: skip
        save(y0, halfway, j * lanes)
        save(y1, halfway, (6 + j) * lanes)
        save(y2, halfway, (12 + j) * lanes)
        save(y3, halfway, (18 + j) * lanes)
    for i in range(place.rows):
        p = i * 6 * lanes
        y0, y1, y2, y3 = outputs_of_products_compiled(
            load(halfway, p), load(halfway, p + lanes), load(halfway, p + 2 * lanes), load(halfway, p + 3 * lanes),
            load(halfway, p + 4 * lanes), load(halfway, p + 5 * lanes),
        )  # fmt: skip
        check = check + 0.0 * y0 + 0.0 * y1 + 0.0 * y2 + 0.0 * y3
        y0, y1 = at_least(y0 + bias, least), at_least(y1 + bias, least)
        y2, y3 = at_least(y2 + bias, least), at_least(y3 + bias, least)
        p = place.first + i * place.row
        if place.columns == OUTPUTS and place.channels == lanes:
            save(y0, output, p)
            save(y1, output, p + place.column)
            save(y2, output, p + 2 * place.column)
            save(y3, output, p + 3 * place.column)
        else:  # a whole vector would reach into the next pixel, or past the end of the row
            last = 24 * lanes
            save(y0, halfway, last)
            save(y1, halfway, last + lanes)
            save(y2, halfway, last + 2 * lanes)
            save(y3, halfway, last + 3 * lanes)
            for j in range(place.columns):
                copy(halfway, last + j * lanes, output, p + j * place.column, place.channels)
    return check


outputs_of_tile_compiled = compile(outputs_of_tile, inner=True)


def weights_of_tile(products, offset, matrix, halfway, lanes):
    """Write G^T M G to the first nine vectors of `halfway`, and return the sum of zero times each of them."""
    check = 0.0 * load(products, offset)
    for j in range(6):
        p = offset + j * matrix
        g0, g1, g2 = weights_of_products_compiled(
            load(products, p), load(products, p + 6 * matrix), load(products, p + 12 * matrix),
            load(products, p + 18 * matrix), load(products, p + 24 * matrix), load(products, p + 30 * matrix),
        )  # fmt: skip
        save(g0, halfway, j * lanes)
        save(g1, halfway, (6 + j) * lanes)
        save(g2, halfway, (12 + j) * lanes)
    for i in range(3):
        p = i * 6 * lanes
        g0, g1, g2 = weights_of_products_compiled(
            load(halfway, p), load(halfway, p + lanes), load(halfway, p + 2 * lanes), load(halfway, p + 3 * lanes),
            load(halfway, p + 4 * lanes), load(halfway, p + 5 * lanes),
        )  # fmt: skip
        save(g0, halfway, 3 * i * lanes)
        save(g1, halfway, (3 * i + 1) * lanes)
        save(g2, halfway, (3 * i + 2) * lanes)
        check = check + 0.0 * g0 + 0.0 * g1 + 0.0 * g2
    return check


weights_of_tile_compiled = compile(weights_of_tile, inner=True)


def transform_pixels_of_unit(pixels, units, count, channels, halfway, lanes, tiles, first):
    """B^T d B of `count` tiles, to rows `first`, first + 1, ... of 36 matrices (tiles, channels).

    The last vector of a tile may hold numbers of the next pixel; nothing reads them.
    """
    stay_apart()
    tile_size, row = whole_vectors_compiled(channels, lanes), units.scratch_width * channels
    for tile in range(count):
        start, target = element(units.starts, tile), (first + tile) * tile_size
        for channel in range(0, channels, lanes):
            tile_of_pixels_compiled(
                pixels, start + channel, row, channels, halfway, lanes, tiles, target + channel, tiles.shape[1]
            )


transform_pixels_of_unit_compiled = compile(transform_pixels_of_unit, inner=True)
