"""The micro-kernel: sums of products of scattered scalars with packed vectors. All fast convolutions are made of it.

    output[base + lines[r] + c] = first_sums[first + c] + sum over s of scalars[rows[r] + steps[s]] * vectors[s, c]

`rows` and `steps` are tables of offsets, so `scalars` may lie anywhere: direct.py reads the pixels of windows through
them, winograd.py transformed tiles. `vectors` has been packed into lines as wide as a tile, in the order of reading.
"""

from minicnn.kernels.compile import compile
from minicnn.kernels.vector import ROWS, element, multiply_add, narrow_tile, row_offsets, store, wide_tile


def products(new_tile, first_sums, first, scalars, rows, count, steps, depth, vectors, columns, output, lines, base):
    """The micro-kernel. For r < count and c < columns, write to output[base + lines[r] + c] the sum

    first_sums[first + c] + sum over s < depth of scalars[rows[r] + steps[s]] * vectors[s * columns + c]

    `new_tile` is wide_tile or narrow_tile, and `columns` the width of such a tile.
    """
    for row in range(0, count, ROWS):
        places = row_offsets(rows, row, count - 1)
        tile = new_tile(first_sums, first)
        for step in range(depth):
            tile = multiply_add(tile, scalars, places, element(steps, step), vectors, step)
        store(tile, output, row_offsets(lines, row, count - 1), base)


products_compiled = compile(products)


def block_columns(first, channels, narrow, wide):
    """The width of the tiles for channel `first` and those after it: one vector may be enough for the last ones."""
    return narrow if channels - first <= narrow else wide


block_columns_compiled = compile(block_columns)


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


block_products_compiled = compile(block_products)
