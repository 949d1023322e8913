"""The micro-kernels: sums of products, in a register tile. Direct and Winograd convolution run on them.

    output[r, c] = first_sums[c] + sum over s of scalars[r, s] * vectors[s, c]

is a matrix product, but the matrices need not lie in memory as matrices. The three functions below differ in how they
find `scalars` and `vectors`. Each of them takes 8 rows r and one or two vectors of columns c at a time:

    products            scalars[r, s] = numbers[start of r + taps[s]]      vectors are packed in the order of reading
    products_in_runs    the same, but taps and vectors go on in stretches ("runs") without a gap
    outer_products      scalars[r, s] as in `products`; vectors[s] lie anywhere, and sums are added to `sums`

winograd/ calls the first one, direct.py the second and direct_weights.py the third. plain.py has the first one without
registers, in a few lines of NumPy.
"""

from typing import NamedTuple

import numpy as np

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.registers.vector import (
    ROWS,
    add,
    element,
    multiply_add,
    narrow_tile,
    positive,
    row_offsets,
    store,
    wide_tile,
)


class Lines(NamedTuple):
    """Stretches of an array: line number i begins at `numbers[first + starts[i]]`."""

    numbers: np.ndarray
    first: int
    starts: np.ndarray


def products(new_tile, first_sums, windows, taps, vectors, columns, output):
    """For each line r of `windows` and c < columns, write to number c of line r of `output` the sum

    first_sums[c] + sum over s of windows.numbers[start of window r + taps[s]] * vectors[s * columns + c]

    `new_tile` is wide_tile or narrow_tile, and `columns` the width of such a tile.
    """
    last = len(windows.starts) - 1
    for row in range(0, len(windows.starts), ROWS):
        starts = row_offsets(windows.starts, row, last, windows.first)
        tile = new_tile(first_sums, 0)
        for s in range(len(taps)):
            tile = multiply_add(tile, windows.numbers, starts, element(taps, s), vectors, s * columns)
        store(tile, output.numbers, row_offsets(output.starts, row, last, output.first), columns)


products_compiled = compile(products, inner=True)


def products_in_runs(new_tile, first_sums, windows, runs, vectors, columns, output, written, relu):
    """For each line p of `windows` and c < written, write to number c of line p of `output` the sum

    first_sums[c] + sum over s of windows.numbers[start of window p + taps[s]] * vectors[line[s] * columns + c]

    or 0 if the sum is negative and `relu` asks for that. `columns` is the width of the tile, of which the first
    `written` columns are wanted. A run is three numbers in `runs`: the first tap, its line in `vectors`, and a length.
    Within a run both tap and line go up by one.
    """
    last = len(windows.starts) - 1
    for row in range(0, len(windows.starts), ROWS):
        starts = row_offsets(windows.starts, row, last, windows.first)
        tile = new_tile(first_sums, 0)
        for run in range(0, len(runs), 3):
            tap = element(runs, run)
            line = element(runs, run + 1)
            for s in range(element(runs, run + 2)):
                tile = multiply_add(tile, windows.numbers, starts, tap + s, vectors, (line + s) * columns)
        if relu:
            tile = positive(tile)
        store(tile, output.numbers, row_offsets(output.starts, row, last, output.first), written)


products_in_runs_compiled = compile(products_in_runs, inner=True)


def outer_products(new_tile, zeros, scalars, steps, vectors, sums):
    """For each line r of `scalars` and c < the tile's columns, add to number c of line r of `sums` the sum

    over s of scalars.numbers[start of line r + steps[s]] * number c of line s of `vectors`

    The number of lines r must be a multiple of ROWS: a line that came twice would be added twice.
    """
    last = len(scalars.starts) - 1
    for row in range(0, len(scalars.starts), ROWS):
        starts = row_offsets(scalars.starts, row, last, scalars.first)
        tile = new_tile(zeros, 0)
        for s in range(len(steps)):
            place = vectors.first + element(vectors.starts, s)
            tile = multiply_add(tile, scalars.numbers, starts, element(steps, s), vectors.numbers, place)
        add(tile, sums.numbers, row_offsets(sums.starts, row, last, sums.first))


outer_products_compiled = compile(outer_products, inner=True)


def vectors_cost(numbers, narrow) -> int:
    """About how many cycles the 8 rows of a register tile take for a step over `numbers` columns.

    16 multiply-adds of a wide tile take 8; the 8 of a narrow one take 5, the time to load the 9 numbers that they need.
    """
    vectors = -(-numbers // narrow)
    return vectors // 2 * 8 + vectors % 2 * 5


def block_columns(first, channels, narrow, wide):
    """The width of the tiles for channel `first` and those after it: one vector may be enough for the last ones."""
    return narrow if channels - first <= narrow else wide


block_columns_compiled = compile(block_columns, inner=True)


def block_products(wide, first_sums, windows, taps, vectors, columns, output):
    """`products` with the tile that `columns` asks for."""
    if columns == wide:
        products_compiled(wide_tile, first_sums, windows, taps, vectors, columns, output)
    else:
        products_compiled(narrow_tile, first_sums, windows, taps, vectors, columns, output)


block_products_compiled = compile(block_products, inner=True)


def block_products_in_runs(wide, first_sums, windows, runs, vectors, columns, output, written, relu):
    """`products_in_runs` with the tile that `columns` asks for."""
    if columns == wide:
        products_in_runs_compiled(wide_tile, first_sums, windows, runs, vectors, columns, output, written, relu)
    else:
        products_in_runs_compiled(narrow_tile, first_sums, windows, runs, vectors, columns, output, written, relu)


block_products_in_runs_compiled = compile(block_products_in_runs, inner=True)


def block_outer_products(wide, columns, zeros, scalars, steps, vectors, sums):
    """`outer_products` with the tile that `columns` asks for."""
    if columns == wide:
        outer_products_compiled(wide_tile, zeros, scalars, steps, vectors, sums)
    else:
        outer_products_compiled(narrow_tile, zeros, scalars, steps, vectors, sums)


block_outer_products_compiled = compile(block_outer_products, inner=True)
