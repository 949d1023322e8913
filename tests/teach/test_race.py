"""Races are found from which turns of a prange loop touch the same cells, whatever a run happened to give."""

import numba
import numpy as np
import pytest
from numba import prange
from numpy import zeros

from minicnn.kernels import normalization
from minicnn.kernels.convolution import im2col
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.teach.race import again_and_again, racy_sums, racy_sums_compiled, watch

X = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)


def test_every_sum_of_the_racy_loop_is_shared_by_all_turns():
    seen = watch(racy_sums, X)
    np.testing.assert_array_equal(seen.result, racy_sums(X))
    assert seen.turns == 7
    assert [(one.shape, one.cell, one.turns) for one in seen.shared] == [((3,), (c,), (0, 6)) for c in range(3)]
    assert str(seen.shared[1]) == "cell [1] of an array of shape (3,) is shared by turns 0 and 6"


def by_columns(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        for m in range(x.shape[0]):
            sums[c] += x[m, c]
    return sums


def by_parts(x):
    parts = zeros((4, x.shape[1]), x.dtype)
    for part in numba.prange(4):
        for m in range(part * len(x) // 4, (part + 1) * len(x) // 4):
            parts[part] += x[m]
    return parts.sum(axis=0)


def by_private_arrays(x):
    parts = np.empty((4, x.shape[1]), x.dtype)
    for part in prange(4):
        total = np.zeros_like(x[0])
        for m in prange(part * x.shape[0] // 4, (part + 1) * x.shape[0] // 4):
            for c in range(x.shape[1]):
                total[c] = total[c] + x[m, c]
        parts[part, :] = total
    sums = np.zeros(x.shape[1], x.dtype)
    for part in range(4):
        sums += parts[part]
    return sums


def in_two_loops(x):
    """Both loops write the same cells, but the second one begins when the first has ended."""
    y = np.empty(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        y[c] = 0
    for c in prange(x.shape[1] - 1, -1, -1):
        y[x.shape[1] - 1 - c] = x[:, x.shape[1] - 1 - c].sum()
    return y


@pytest.mark.parametrize("function", [by_columns, by_parts, by_private_arrays, in_two_loops])
@pytest.mark.parametrize("backwards", [False, True])
def test_loops_whose_turns_own_what_they_write_share_nothing(function, backwards):
    seen = watch(function, X, backwards=backwards)
    assert seen.shared == []
    assert seen.turns in (3, 4, 6)
    assert type(seen.result) is np.ndarray
    np.testing.assert_allclose(seen.result, X.sum(axis=0), rtol=1e-5)


def shared_scratch(x):
    total, sums = np.zeros(1, x.dtype), np.zeros(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        total.fill(0)
        for m in range(x.shape[0]):
            total[0] += x[m, c]
        sums[c] = total[0]
    return sums


def whole_slices(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for m in prange(x.shape[0]):
        sums[:] += x[m]
    return sums


def reads_its_neighbour(x):
    y = x.copy()
    sums = np.zeros(x.shape, x.dtype)
    for m in prange(1, x.shape[0]):
        sums[m] = y[m] + sums[m - 1]
    return sums


def through_the_transpose(x):
    sums = np.zeros((x.shape[1], 1), x.dtype)
    for m in prange(x.shape[0]):
        np.add(sums.T, x[m], out=sums.T)
    return sums


def in_a_copy(x):
    sums = x[0].copy()
    for m in prange(1, x.shape[0]):
        sums[0] += x[m, 0]
    return sums


def in_a_product(x):
    sums = 0 * x[0]
    for m in prange(1, x.shape[0]):
        sums[0] += x[m, 0]
    return sums


def in_the_second_loop(x):
    sums = np.empty(x.shape[1], x.dtype)
    for c in prange(x.shape[1]):
        sums[c] = 0
    for m in prange(x.shape[0]):
        sums[0] += x[m, 0]
    return sums


def through_another_name(x):
    sums = np.zeros(x.shape[1], x.dtype)
    for m in prange(x.shape[0]):
        row = sums[:]
        row += x[m]
    return sums


RACES = [
    shared_scratch,
    whole_slices,
    reads_its_neighbour,
    through_the_transpose,
    in_a_copy,
    in_a_product,
    in_the_second_loop,
    through_another_name,
]


@pytest.mark.parametrize("function", RACES)
def test_other_races_are_found_too(function):
    assert watch(function, X).shared


def test_reading_the_same_cells_is_no_race():
    def mean_of_all(x):
        y = np.empty_like(x)
        for m in prange(x.shape[0]):
            y[m] = x[m] - x.mean()
        return y

    assert watch(mean_of_all, X).shared == []


def test_sums_of_whole_arrays_are_numbas_own_but_depend_on_the_order():
    def reduction(x):
        sums = np.zeros(x.shape[1], x.dtype)
        for m in prange(x.shape[0]):
            sums += x[m]
        return sums

    x = np.random.default_rng(0).standard_normal((301, 3)).astype(np.float32)
    forwards, backwards = watch(reduction, x), watch(reduction, x, backwards=True)
    assert forwards.shared == backwards.shared == []
    assert forwards.result.tobytes() != backwards.result.tobytes()
    assert watch(by_parts, x).result.tobytes() == watch(by_parts, x, backwards=True).result.tobytes()


def test_arguments_are_left_as_they_were():
    def double(x):
        for m in prange(x.shape[0]):
            x[m] *= 2
        return x

    before = X.copy()
    np.testing.assert_array_equal(watch(double, X).result, 2 * X)
    np.testing.assert_array_equal(X, before)


def test_kernels_of_the_library_have_no_races():
    """Those that add up what several places have in common, where a race would be easiest to make."""
    rows = np.random.default_rng(0).standard_normal((70, 3)).astype(np.float32)
    assert watch(normalization.sum_parts, rows, np.zeros((32, 3))).shared == []
    patches, picture = np.ones((1, 16, 9), np.float32), np.zeros((1, 4, 4, 1), np.float32)
    geometry = Geometry(padding=(1, 1))
    overlap = watch(im2col.add_patches, patches, picture, 0, 4, (4, 4), (3, 3), geometry)
    assert (overlap.shared, overlap.turns) == ([], 4)
    gathered = watch(im2col.gather_patches, picture, patches, 0, 4, (4, 4), (3, 3), geometry)
    assert (gathered.shared, gathered.turns) == ([], 4)


def test_the_racy_loop_is_right_on_one_thread_and_the_threads_come_back():
    before = numba.get_num_threads()
    x = np.ones((50_000, 64), np.float32)
    for sums in again_and_again(racy_sums_compiled, x, threads=1, times=3):
        np.testing.assert_array_equal(sums, 50_000)
    with pytest.raises(ZeroDivisionError):
        again_and_again(lambda: 1 // 0, threads=1, times=1)
    assert numba.get_num_threads() == before


def test_on_several_threads_it_gives_sums_that_are_never_too_large():
    """How many additions are lost is a matter of moments; none can be counted twice."""
    x = np.ones((50_000, 64), np.float32)
    for sums in again_and_again(racy_sums_compiled, x, threads=numba.get_num_threads(), times=3):
        assert (sums <= 50_000).all()
        assert (sums > 0).all()
