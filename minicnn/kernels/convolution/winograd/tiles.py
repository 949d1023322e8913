"""Winograd's transforms of two-dimensional tiles, for all channels of a tile at a time.

A transform in two dimensions is the one-dimensional transform of every column, then of every row of what comes out:

    6 x 6 pixels --columns--> 6 x 6 `lines` --rows--> 6 x 6 numbers of 36 matrices

Each "number" is a vector of neighbouring channels. What lies between the two steps goes through `lines`, a small array
that never leaves the first-level cache: 36 vectors are more than the processor has registers.
"""

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.convolution.winograd.transforms import (
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
    """The length of a transformed tile: its channels, and what fills the last vector up."""
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


def tile_of_pixels(pixels, start, row, column, lines, lanes, tiles, offset, matrix):
    """B^T d B of the 6 x 6 pixels from `start` on, `row` and `column` elements apart, one number to each matrix."""
    for j in range(6):
        p = start + j * column
        transformed = transform_pixels_compiled(
            load(pixels, p), load(pixels, p + row), load(pixels, p + 2 * row), load(pixels, p + 3 * row),
            load(pixels, p + 4 * row), load(pixels, p + 5 * row),
        )  # fmt: skip
        _save_six_compiled(transformed, lines, j * lanes, 6 * lanes)
    for i in range(6):
        p = i * 6 * lanes
        transformed = transform_pixels_compiled(
            load(lines, p), load(lines, p + lanes), load(lines, p + 2 * lanes), load(lines, p + 3 * lanes),
            load(lines, p + 4 * lanes), load(lines, p + 5 * lanes),
        )  # fmt: skip
        _save_six_compiled(transformed, tiles, offset + 6 * i * matrix, matrix)


tile_of_pixels_compiled = compile(tile_of_pixels, inner=True)


def tile_of_gradient(gradient, start, row, column, lines, lanes, tiles, offset, matrix):
    """A dY A^T of the 4 x 4 numbers from `start` on, `row` and `column` elements apart, one number to each matrix."""
    for j in range(4):
        p = start + j * column
        transformed = transform_gradient_compiled(
            load(gradient, p), load(gradient, p + row), load(gradient, p + 2 * row), load(gradient, p + 3 * row)
        )
        _save_six_compiled(transformed, lines, j * lanes, 4 * lanes)
    for i in range(6):
        p = i * 4 * lanes
        transformed = transform_gradient_compiled(
            load(lines, p), load(lines, p + lanes), load(lines, p + 2 * lanes), load(lines, p + 3 * lanes)
        )
        _save_six_compiled(transformed, tiles, offset + 6 * i * matrix, matrix)


tile_of_gradient_compiled = compile(tile_of_gradient, inner=True)


def tile_of_weights(weights, start, row, lines, lanes, tiles, offset, matrix):
    """G g G^T of the 9 weights from `start` on, `row` elements apart, one number to each matrix."""
    for j in range(3):
        p = start + j * row
        transformed = transform_weights_compiled(
            load(weights, p), load(weights, p + 3 * row), load(weights, p + 6 * row)
        )
        _save_six_compiled(transformed, lines, j * lanes, 3 * lanes)
    for i in range(6):
        p = i * 3 * lanes
        transformed = transform_weights_compiled(load(lines, p), load(lines, p + lanes), load(lines, p + 2 * lanes))
        _save_six_compiled(transformed, tiles, offset + 6 * i * matrix, matrix)


tile_of_weights_compiled = compile(tile_of_weights, inner=True)


def outputs_of_tile(
    products, offset, matrix, bias, least, lines, lanes, output, place, row, column, rows, columns, channels, check
):  # fmt: skip
    """Write A^T M A + bias, but nothing below `least`, to `output`; return `check` plus zero times every output.

    Of the 4 x 4 outputs only `rows` x `columns` exist, and of the channels of a vector only `channels`.
    """
    for j in range(6):
        p = offset + j * matrix
        y0, y1, y2, y3 = outputs_of_products_compiled(
            load(products, p), load(products, p + 6 * matrix), load(products, p + 12 * matrix),
            load(products, p + 18 * matrix), load(products, p + 24 * matrix), load(products, p + 30 * matrix),
        )  # fmt: skip
        save(y0, lines, j * lanes)
        save(y1, lines, (6 + j) * lanes)
        save(y2, lines, (12 + j) * lanes)
        save(y3, lines, (18 + j) * lanes)
    for i in range(rows):
        p = i * 6 * lanes
        y0, y1, y2, y3 = outputs_of_products_compiled(
            load(lines, p), load(lines, p + lanes), load(lines, p + 2 * lanes), load(lines, p + 3 * lanes),
            load(lines, p + 4 * lanes), load(lines, p + 5 * lanes),
        )  # fmt: skip
        check = check + 0.0 * y0 + 0.0 * y1 + 0.0 * y2 + 0.0 * y3
        y0, y1 = at_least(y0 + bias, least), at_least(y1 + bias, least)
        y2, y3 = at_least(y2 + bias, least), at_least(y3 + bias, least)
        p = place + i * row
        if columns == 4 and channels == lanes:
            save(y0, output, p)
            save(y1, output, p + column)
            save(y2, output, p + 2 * column)
            save(y3, output, p + 3 * column)
        else:  # a whole vector would reach into the next pixel, or past the end of the row
            last = 24 * lanes
            save(y0, lines, last)
            save(y1, lines, last + lanes)
            save(y2, lines, last + 2 * lanes)
            save(y3, lines, last + 3 * lanes)
            for j in range(columns):
                copy(lines, last + j * lanes, output, p + j * column, channels)
    return check


outputs_of_tile_compiled = compile(outputs_of_tile, inner=True)


def weights_of_tile(products, offset, matrix, lines, lanes):
    """Write G^T M G to the first nine vectors of `lines`, and return the sum of zero times each of them."""
    check = 0.0 * load(products, offset)
    for j in range(6):
        p = offset + j * matrix
        g0, g1, g2 = weights_of_products_compiled(
            load(products, p), load(products, p + 6 * matrix), load(products, p + 12 * matrix),
            load(products, p + 18 * matrix), load(products, p + 24 * matrix), load(products, p + 30 * matrix),
        )  # fmt: skip
        save(g0, lines, j * lanes)
        save(g1, lines, (6 + j) * lanes)
        save(g2, lines, (12 + j) * lanes)
    for i in range(3):
        p = i * 6 * lanes
        g0, g1, g2 = weights_of_products_compiled(
            load(lines, p), load(lines, p + lanes), load(lines, p + 2 * lanes), load(lines, p + 3 * lanes),
            load(lines, p + 4 * lanes), load(lines, p + 5 * lanes),
        )  # fmt: skip
        save(g0, lines, 3 * i * lanes)
        save(g1, lines, (3 * i + 1) * lanes)
        save(g2, lines, (3 * i + 2) * lanes)
        check = check + 0.0 * g0 + 0.0 * g1 + 0.0 * g2
    return check


weights_of_tile_compiled = compile(weights_of_tile, inner=True)


def transform_pixels_of_unit(pixels, units, count, channels, lines, lanes, tiles, first):
    """B^T d B of `count` tiles, to lines `first`, first + 1, ... of 36 matrices (tiles, channels).

    The last vector of a tile may hold numbers of the next pixel; nothing reads them.
    """
    stay_apart()
    line, row = whole_vectors_compiled(channels, lanes), units.scratch_width * channels
    for tile in range(count):
        start, target = element(units.starts, tile), (first + tile) * line
        for channel in range(0, channels, lanes):
            tile_of_pixels_compiled(
                pixels, start + channel, row, channels, lines, lanes, tiles, target + channel, tiles.shape[1]
            )


transform_pixels_of_unit_compiled = compile(transform_pixels_of_unit, inner=True)
