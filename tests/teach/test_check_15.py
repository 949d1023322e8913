"""The check of the mended race: other right answers pass, and parts that follow the threads are found by running."""

import numba
import numpy as np
import pytest
from numba import prange

from minicnn.teach import WrongAnswer, check


def by_columns(x):
    sums = np.zeros(x.shape[1])
    for c in numba.prange(x.shape[1]):
        for m in range(x.shape[0]):
            sums[c] += x[m, c]
    return sums


@pytest.mark.slow
def test_a_loop_over_columns_is_as_right_as_parts(capsys):
    check("15b", by_columns)
    assert "every case agrees" in capsys.readouterr().out


def one_part_a_thread(x):
    rows, count = x.shape[0], numba.get_num_threads()
    parts = np.zeros((count, x.shape[1]), x.dtype)
    for part in prange(count):
        for m in range(part * rows // count, (part + 1) * rows // count):
            for c in range(x.shape[1]):
                parts[part, c] += x[m, c]
    sums = np.zeros(x.shape[1], x.dtype)
    for part in range(count):
        for c in range(x.shape[1]):
            sums[c] += parts[part, c]
    return sums


@pytest.mark.slow
@pytest.mark.skipif(numba.get_num_threads() == 1, reason="on one thread there is one part always")
def test_parts_that_follow_the_threads_change_the_last_digits():
    with pytest.raises(WrongAnswer, match="different results in 20 runs each"):
        check("15b", one_part_a_thread)
