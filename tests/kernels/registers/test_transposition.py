"""A square turned in registers: compiled or in Python it equals the definition, and touches nothing else."""

import numpy as np
import pytest

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.registers.transposition import transpose
from minicnn.kernels.registers.vector import narrow_columns


def turn(source, first, stride, last, target, offset, lines, number, width):
    transpose(source, first, stride, last, target, offset, lines, number, width)


turn_compiled = compile(turn)


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("run", [turn, turn_compiled], ids=["Python", "compiled"])
@pytest.mark.parametrize("rows", [1, 3, 100])  # 100: more than a square has
def test_rows_become_columns(run, rows, dtype):
    lanes = narrow_columns(dtype)
    source = np.arange(2000, dtype=dtype)
    lines = np.random.default_rng(3).permutation(lanes + 5)  # each column goes to a line of its own, in any order
    width = lanes + 3
    target = np.full((len(lines) + 1, width), -1, dtype)
    expected = target.copy()
    for c in range(lanes):
        for r in range(lanes):
            expected[lines[2 + c], 1 + r] = source[7 + min(r, rows - 1) * 41 + c]
    run(source, 7, 41, rows - 1, target, 1, lines, 2, width)
    np.testing.assert_array_equal(target, expected)


@pytest.mark.tiny
def test_the_python_twin_refuses_what_lies_outside():
    lanes = narrow_columns(np.float32)
    numbers, lines = np.zeros(lanes * lanes, np.float32), np.arange(lanes)
    turn(numbers, 0, lanes, lanes - 1, numbers.copy(), 0, lines, 0, lanes)
    for first, offset, number in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)):
        with pytest.raises(IndexError, match="offset: elements"):
            turn(numbers, first, lanes, lanes - 1, numbers.copy(), offset, lines, number, lanes)
