"""The cost of a convolution before any measurement: multiply-adds, and numbers moved, counted from its loops.

*Moved* is a number that a loop takes from an array into a register or puts back, whichever cache or memory holds the
array. This traffic is the saving of a rung of the ladder: a plain loop moves two numbers for each multiply-add, while a
tile of R x V sums in registers needs R + V numbers for R * V multiply-adds.

Counts are those of the forward product without bias, as GFLOP/s are: windows at the border count as whole ones, though
most loops skip the places outside. Tables of places, integers all, are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minicnn.bench.cases import Convolution
from minicnn.kernels.convolution.winograd.tiles import MATRICES
from minicnn.kernels.convolution.winograd.transforms import OUTPUTS
from minicnn.kernels.registers.vector import ROWS, wide_columns

_BYTES = 4  # of a float32


@dataclass(frozen=True)
class Work:
    """The work of a whole convolution: multiply-adds of its products, and numbers moved for them."""

    multiply_adds: float
    moved: float

    @property
    def intensity(self) -> float:
        """Operations for each byte moved, a multiply-add counted as two."""
        return 2 * self.multiply_adds / (_BYTES * self.moved)


def count_work(case: Convolution, algorithm: str) -> Work:
    """The Work of `case` by the algorithm of that name; Python's loops do the same as those of "reference".

    Raises ValueError for a name that is none of them.
    """
    counts = {"reference": _reference, "im2col": _im2col, "direct": _direct, "winograd": _winograd}
    if algorithm not in counts:
        raise ValueError(f"algorithm: expected one of {', '.join(counts)}, got {algorithm!r}")
    return counts[algorithm](case)


def _sizes(case: Convolution) -> tuple[int, int, int]:
    """Positions (N*OH*OW), taps (K*K*C_in) and output channels: the plain algorithm's three factors."""
    return case.batch * case.out_side**2, case.kernel**2 * case.c_in, case.c_out


def _moved_by_tile() -> float:
    """Numbers loaded for a multiply-add of the micro-kernel: a scalar for each row, a vector for each column."""
    return 1 / ROWS + 1 / wide_columns(np.float32)


def _reference(case: Convolution) -> Work:
    positions, taps, channels = _sizes(case)
    products = positions * taps * channels
    return Work(products, 2 * products + positions * channels)


def _im2col(case: Convolution) -> Work:
    """Patches are gathered, multiplied, and the product is copied to its place.

    The inner loop of the matrix product is the BLAS library's; counted with the tile of `direct`.
    """
    positions, taps, channels = _sizes(case)
    products, outputs = positions * taps * channels, positions * channels
    gathered = 0 if case.kernel == 1 and case.stride == 1 else 2 * positions * taps
    return Work(products, gathered + products * _moved_by_tile() + 3 * outputs)


def _direct(case: Convolution) -> Work:
    """Weights are packed once; each finished tile of outputs is stored."""
    positions, taps, channels = _sizes(case)
    products = positions * taps * channels
    outputs = (1 + 1 / ROWS) * positions * channels  # stored; and a tile begins with one line of sums
    return Work(products, 2 * taps * channels + products * _moved_by_tile() + outputs)


def _winograd(case: Convolution) -> Work:
    """A tile of pixels is copied with its rim and transformed in two steps, and so are products and weights."""
    tiles = case.batch * (-(-case.out_side // OUTPUTS)) ** 2
    products = MATRICES * tiles * case.c_in * case.c_out
    copied = 2 * case.batch * (case.side + 2 * case.padding) ** 2 * case.c_in
    pixels = (4 * MATRICES) * tiles * case.c_in  # 36 in, 36 out and in again between the steps, 36 out
    # Of each tile of outputs: 36 sums begun, stored and loaded, 24 numbers between the two steps, 16 outputs.
    outputs = (MATRICES * (1 / ROWS + 2) + 2 * 24 + 16) * tiles * case.c_out
    weights = (2 * 9 + 9 + 2 * 18 + MATRICES) * case.c_in * case.c_out  # gathered, then transformed
    return Work(products, copied + pixels + outputs + weights + products * _moved_by_tile())
