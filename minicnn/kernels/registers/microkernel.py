"""The micro-kernels: sums of products, in a tile of vector registers. Direct and Winograd convolution run on them.

    output[r, c] = first_sums[c] + sum over s of scalars[r, s] * vectors[s, c]

is a matrix product, but of matrices that need not lie in memory as such. The three functions below differ in how they
find `scalars` and `vectors`; each of them takes 8 rows r and one or two vectors of columns c at a time.

    products            scalars[rows[r] + steps[s]]        vectors packed in lines, in the order of reading
    products_in_runs    scalars[rows[r] + step of run]     the same, but both go on in stretches ("runs") without a gap
    outer_products      scalars[rows[r] + steps[s]]        vectors[places[s]], and sums are added to what is there

winograd*.py call the first one, direct.py the second and direct_weights.py the third.
"""

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


def products(new_tile, first_sums, first, scalars, rows, count, steps, depth, vectors, columns, output, lines, base):
    """For r < count and c < columns, write to output[base + lines[r] + c] the sum

    first_sums[first + c] + sum over s < depth of scalars[rows[r] + steps[s]] * vectors[s * columns + c]

    `new_tile` is wide_tile or narrow_tile, and `columns` the width of such a tile.
    """
    for row in range(0, count, ROWS):
        places = row_offsets(rows, row, count - 1, 0)
        tile = new_tile(first_sums, first)
        for step in range(depth):
            tile = multiply_add(tile, scalars, places, element(steps, step), vectors, step * columns)
        store(tile, output, row_offsets(lines, row, count - 1, base), columns)


products_compiled = compile(products, inner=True)


def products_in_runs(
    new_tile, first_sums, first, scalars, source, starts, begin, count, runs, first_run, end_run, vectors, columns,
    written, output, destinations, base, relu,
):  # fmt: skip
    """For begin <= p < begin + count and c < written, write to output[base + destinations[p] + c] the sum

    first_sums[first + c] + sum over s of scalars[source + starts[p] + step[s]] * vectors[line[s] * columns + c]

    or 0 if it is negative and `relu` asks for that. `columns` is the width of the tile, of which the first `written`
    columns are wanted. A run is three numbers in `runs`, the first step, the first line
    and a length: s walks through runs first_run ... end_run - 1, and within a run both step and line go up by one.
    """
    last = begin + count - 1
    for row in range(begin, begin + count, ROWS):
        places = row_offsets(starts, row, last, source)
        tile = new_tile(first_sums, first)
        for run in range(first_run, end_run):
            step = element(runs, 3 * run)
            line = element(runs, 3 * run + 1)
            for s in range(element(runs, 3 * run + 2)):
                tile = multiply_add(tile, scalars, places, step + s, vectors, (line + s) * columns)
        if relu:
            tile = positive(tile)
        store(tile, output, row_offsets(destinations, row, last, base), written)


products_in_runs_compiled = compile(products_in_runs, inner=True)


def outer_products(
    new_tile, zeros, scalars, source, rows, first_row, end_row, steps, first_step, end_step, vectors, origin, places,
    first_place, sums, lines, base,
):  # fmt: skip
    """For first_row <= r < end_row and c < the tile's columns, add to sums[base + lines[r] + c] the sum

    over first_step <= s < end_step of scalars[source + rows[r] + steps[s]] * vectors[origin + places[t] + c]

    where t goes up with s from `first_place` on. The number of rows must be a multiple of ROWS: a row that came twice
    would be added twice.
    """
    for row in range(first_row, end_row, ROWS):
        starts = row_offsets(rows, row, end_row - 1, source)
        tile = new_tile(zeros, 0)
        for s in range(first_step, end_step):
            place = origin + element(places, first_place - first_step + s)
            tile = multiply_add(tile, scalars, starts, element(steps, s), vectors, place)
        add(tile, sums, row_offsets(lines, row, end_row - 1, base))


outer_products_compiled = compile(outer_products, inner=True)


def vectors_cost(numbers, narrow) -> int:
    """About how many cycles the 8 rows of a tile take for a step over `numbers` columns.

    16 multiply-adds of a wide tile take 8; the 8 of a narrow one take 5, the time to load the 9 numbers that they need.
    """
    vectors = -(-numbers // narrow)
    return vectors // 2 * 8 + vectors % 2 * 5


def block_columns(first, channels, narrow, wide):
    """The width of the tiles for channel `first` and those after it: one vector may be enough for the last ones."""
    return narrow if channels - first <= narrow else wide


block_columns_compiled = compile(block_columns, inner=True)


def block_products(wide, first_sums, first, scalars, rows, count, steps, depth, vectors, columns, output, lines, base):
    """`products` with the tile that `columns` asks for."""
    if columns == wide:
        products_compiled(
            wide_tile, first_sums, first, scalars, rows, count, steps, depth, vectors, columns, output, lines, base
        )
    else:
        products_compiled(
            narrow_tile, first_sums, first, scalars, rows, count, steps, depth, vectors, columns, output, lines, base
        )


block_products_compiled = compile(block_products, inner=True)


def block_products_in_runs(
    wide, first_sums, first, scalars, source, starts, begin, count, runs, first_run, end_run, vectors, columns,
    written, output, destinations, base, relu,
):  # fmt: skip
    """`products_in_runs` with the tile that `columns` asks for."""
    if columns == wide:
        products_in_runs_compiled(
            wide_tile, first_sums, first, scalars, source, starts, begin, count, runs, first_run, end_run, vectors,
            columns, written, output, destinations, base, relu,
        )  # fmt: skip
    else:
        products_in_runs_compiled(
            narrow_tile, first_sums, first, scalars, source, starts, begin, count, runs, first_run, end_run, vectors,
            columns, written, output, destinations, base, relu,
        )  # fmt: skip


block_products_in_runs_compiled = compile(block_products_in_runs, inner=True)


def block_outer_products(
    wide, columns, zeros, scalars, source, rows, first_row, end_row, steps, first_step, end_step, vectors, origin,
    places, first_place, sums, lines, base,
):  # fmt: skip
    """`outer_products` with the tile that `columns` asks for."""
    if columns == wide:
        outer_products_compiled(
            wide_tile, zeros, scalars, source, rows, first_row, end_row, steps, first_step, end_step, vectors, origin,
            places, first_place, sums, lines, base,
        )  # fmt: skip
    else:
        outer_products_compiled(
            narrow_tile, zeros, scalars, source, rows, first_row, end_row, steps, first_step, end_step, vectors, origin,
            places, first_place, sums, lines, base,
        )  # fmt: skip


block_outer_products_compiled = compile(block_outer_products, inner=True)
