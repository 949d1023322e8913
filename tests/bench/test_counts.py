"""Counts of multiply-adds and numbers moved, beside what the kernels do when they run as plain Python."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from minicnn.bench.cases import CONVOLUTIONS, Convolution
from minicnn.bench.counts import count_work
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.reference import forward_loops

# Runs a kernel in Python, where vectors and single numbers are all read and written through `vector.read`, or copied
# by `vector.copy`, which reads both. Only float32 counts: places are integers.
COUNT = """
import json, sys
import numpy as np
from minicnn.bench.cases import Convolution
from minicnn.kernels.convolution import direct
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.winograd import winograd
from minicnn.kernels.registers import arithmetic, transposition, vector

moved = 0
plain = vector.read

def counted(array, offset, count):
    global moved
    moved += count * (array.dtype == np.float32)
    return plain(array, offset, count)

vector.read = arithmetic.read = transposition.read = counted
case = Convolution(*json.loads(sys.argv[2]))
x, weight, _ = case.arrays(case.batch)
size, geometry = (case.out_side,) * 2, Geometry(padding=(case.padding,) * 2)
{"direct": direct, "winograd": winograd}[sys.argv[1]].conv2d(x, weight, None, size, geometry)
print(moved)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "case", "share"),
    [
        ("direct", Convolution(2, 32, 64, 8, 1, 1), 0),  # no border
        ("direct", Convolution(1, 8, 32, 16, 3, 1), 0.15),  # a rim of one pixel on each side, which loops skip
        ("winograd", Convolution(2, 16, 32, 32, 3, 1), 0.02),
    ],
    ids=str,
)
def test_as_many_numbers_are_moved_as_counted(algorithm, case, share):
    fields = [case.batch, case.c_in, case.c_out, case.side, case.kernel, case.stride]
    done = subprocess.run(
        [sys.executable, "-c", COUNT, algorithm, json.dumps(fields)],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert count_work(case, algorithm).moved == pytest.approx(int(done.stdout), rel=share)


class Counted:
    """An array that counts its single numbers read and written."""

    def __init__(self, values):
        self.values, self.shape, self.count = values, values.shape, 0

    def __getitem__(self, index):
        self.count += 1
        return self.values[index]

    def __setitem__(self, index, value):
        self.count += 1
        self.values[index] = value


def test_the_plain_loops_move_two_numbers_for_a_multiply_add():
    case = Convolution(1, 3, 2, 4, 1, 1)
    x, weight, _ = map(Counted, case.arrays(1))
    y = Counted(np.zeros((1, 4, 4, 2)))
    forward_loops(x, weight, np.zeros(2), y, Geometry())
    work = count_work(case, "reference")
    assert x.count == weight.count == work.multiply_adds == 16 * 3 * 2
    assert x.count + weight.count + y.count == work.moved


def test_every_rung_of_the_ladder_moves_less_and_winograd_multiplies_a_quarter():
    case = CONVOLUTIONS[4]
    counts = {name: count_work(case, name) for name in case.algorithms}
    moved = [counts[name].moved for name in ("reference", "im2col", "direct", "winograd")]
    assert moved == sorted(moved, reverse=True)
    assert counts["reference"].multiply_adds == counts["im2col"].multiply_adds == counts["direct"].multiply_adds
    assert 2 * counts["direct"].multiply_adds == case.flop
    assert counts["direct"].multiply_adds == 4 * counts["winograd"].multiply_adds
    assert counts["reference"].intensity == pytest.approx(0.25, rel=1e-3)


def test_tiles_that_the_border_cuts_cost_as_much_as_whole_ones():
    whole, cut = (count_work(Convolution(1, 16, 16, side, 3, 1), "winograd") for side in (8, 5))
    assert whole.multiply_adds == cut.multiply_adds


def test_a_name_that_is_no_algorithm_is_refused():
    with pytest.raises(ValueError, match="reference, im2col, direct, winograd, got 'auto'"):
        count_work(CONVOLUTIONS[0], "auto")
