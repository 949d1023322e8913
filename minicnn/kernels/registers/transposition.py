"""A square of numbers, one vector wide, is turned on its diagonal in registers: rows become columns.

Weights lie in memory as a file holds them, one output channel after the other; a tile (vector.py) wants the same tap of
16 neighbouring channels in one vector. Number by number, that costs 5 cycles each; here 16 vectors are loaded, half of
their numbers are exchanged four times, and 16 vectors are stored: less than one cycle for a number.

    distance 1        a0 a1 a2 a3        a0 b0 a2 b2        distance 2        a0 b0 c0 d0
    exchanges a, b    b0 b1 b2 b3   ->   a1 b1 a3 b3        exchanges a, c    a1 b1 c1 d1
    and c, d          c0 c1 c2 c3        c0 d0 c2 d2   ->   and b, d          a2 b2 c2 d2
                      d0 d1 d2 d3        c1 d1 c3 d3                          a3 b3 c3 d3

Source: Eklundh, "A fast computer method for matrix transposing", IEEE Transactions on Computers C-21 (1972).
"""

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import lower_builtin, type_callable

from minicnn.kernels.registers.arithmetic import Vector, vector_pointer
from minicnn.kernels.registers.vector import element_bytes, element_pointer, narrow_columns, read


def transpose(source, first, stride, last, target, offset, lines, number, width):
    """For rows r and columns c of a square one vector wide, set

    target[offset + lines[number + c] * width + r] = source[first + min(r, last) * stride + c]
    """
    lanes = narrow_columns(source.dtype)
    rows = [read(source, first + min(r, last) * stride, lanes) for r in range(lanes)]
    for line, column in zip(read(lines, number, lanes), np.stack(rows, axis=1), strict=True):
        read(target, offset + line * width, lanes)[:] = column


@type_callable(transpose)
def _type_transpose(context):
    return lambda source, first, stride, last, target, offset, lines, number, width: types.none


@lower_builtin(transpose, types.Array, *[types.intp] * 3, types.Array, types.intp, types.Array, *[types.intp] * 2)
def _lower_transpose(context, builder, signature, arguments):
    source_type, _, _, _, target_type, _, lines_type, _, _ = signature.args
    source, first, stride, last, target, offset, lines, number, width = arguments
    vector, align = Vector(source_type.dtype), element_bytes(source_type)
    # A square wants nearly all registers: its function must not be inlined where other values want them too.
    builder.function.attributes.add("noinline")

    rows = []
    for r in range(vector.lanes):
        row = builder.select(builder.icmp_signed("<", last.type(r), last), last.type(r), last)
        place = builder.add(first, builder.mul(row, stride))
        pointer = vector_pointer(context, builder, source_type, source, place, vector)
        rows.append(builder.load(pointer, align=align))
    for c, column in enumerate(_exchanged(builder, rows)):
        line = builder.load(element_pointer(context, builder, lines_type, lines, builder.add(number, number.type(c))))
        place = builder.add(offset, builder.mul(line, width))
        pointer = vector_pointer(context, builder, target_type, target, place, vector)
        builder.store(column, pointer, align=align)
    return context.get_dummy_value()


def _exchanged(builder, rows):
    """The columns of the square, from its rows."""
    lanes = len(rows)
    distance = 1
    while distance < lanes:
        upper = [c if c & distance == 0 else lanes + c - distance for c in range(lanes)]
        lower = [c + distance if c & distance == 0 else lanes + c for c in range(lanes)]
        masks = [ir.Constant(ir.VectorType(ir.IntType(32), lanes), mask) for mask in (upper, lower)]
        exchanged = list(rows)
        for r in range(lanes):
            if r & distance == 0:
                pair = rows[r], rows[r + distance]
                exchanged[r], exchanged[r + distance] = (builder.shuffle_vector(*pair, mask) for mask in masks)
        rows, distance = exchanged, 2 * distance
    return rows
