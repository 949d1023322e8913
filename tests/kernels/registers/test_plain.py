"""The micro-kernel in plain NumPy makes the sums that the one in registers makes."""

import numpy as np
import pytest
from numba import njit

from minicnn.kernels.registers import plain
from minicnn.kernels.registers.microkernel import Lines, products, products_compiled
from minicnn.kernels.registers.vector import narrow_columns, narrow_tile


@njit
def run_compiled(first_sums, windows, taps, vectors, columns, output):
    products_compiled(narrow_tile, first_sums, windows, taps, vectors, columns, output)


def run_twin(first_sums, windows, taps, vectors, columns, output):
    products(narrow_tile, first_sums, windows, taps, vectors, columns, output)


@pytest.mark.parametrize("run", [run_compiled, run_twin])
@pytest.mark.parametrize("count", [1, 8, 19])
def test_the_plain_micro_kernel_equals_the_one_in_registers(run, count):
    """Windows overlap, their order is mixed, and outputs lie apart: offsets are what is tested."""
    rng, columns, taps = np.random.default_rng(0), narrow_columns(np.float32), np.array([0, 1, 7, 3])
    numbers, vectors = rng.normal(size=60).astype(np.float32), rng.normal(size=4 * columns).astype(np.float32)
    first_sums = rng.normal(size=columns).astype(np.float32)
    windows = Lines(numbers, 2, rng.permutation(count))
    results = []
    for kernel in (plain.products, run):
        target = np.full(5 + count * (columns + 3), 7, np.float32)
        kernel(first_sums, windows, taps, vectors, columns, Lines(target, 5, np.arange(count)[::-1] * (columns + 3)))
        results.append(target)
    np.testing.assert_allclose(results[0], results[1], atol=1e-5)
    assert np.count_nonzero(results[0] == 7) == 5 + 3 * count  # what lies between the outputs is as it was
    by_hand = first_sums + sum(
        numbers[2 + windows.starts[0] + tap] * vectors[s * columns : (s + 1) * columns] for s, tap in enumerate(taps)
    )
    first = 5 + (count - 1) * (columns + 3)
    np.testing.assert_allclose(results[0][first : first + columns], by_hand, atol=1e-5)
