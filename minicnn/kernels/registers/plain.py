"""The micro-kernel in a few lines of NumPy: a register tile, step by step. Read this before microkernel.py.

The real one (microkernel.products) makes the same sums in the same order. There the tile is one Numba value that stays
in vector registers, and a step is 8 scalars, one or two vectors, and 8 or 16 multiply-adds.
"""

import numpy as np

from minicnn.kernels.registers.microkernel import Lines
from minicnn.kernels.registers.vector import ROWS


def products(first_sums, windows: Lines, taps, vectors, columns, output: Lines) -> None:
    """For each line r of `windows` and c < columns, write to number c of line r of `output` the sum

    first_sums[c] + sum over s of windows.numbers[start of window r + taps[s]] * vectors[s * columns + c]
    """
    for row in range(0, len(windows.starts), ROWS):  # 8 windows at a time; the last tile may have fewer
        starts = windows.first + windows.starts[row : row + ROWS]
        tile = np.tile(first_sums[:columns], (len(starts), 1))  # (8, columns): row r begins with the bias
        for s, tap in enumerate(taps):
            scalars = windows.numbers[starts + tap]  # one number of each of the 8 windows
            vector = vectors[s * columns : (s + 1) * columns]  # one weight of each output channel
            tile += scalars[:, None] * vector  # every row gets: its own scalar times the vector that all share
        for sums, start in zip(tile, output.first + output.starts[row : row + ROWS], strict=True):
            output.numbers[start : start + columns] = sums
