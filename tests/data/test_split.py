"""Splits are disjoint, proportional and fixed; k per class is exactly that."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.data import Subset, TensorDataset, k_per_class, stratified_split
from minicnn.random import manual_seed

LABELS = np.repeat([0, 1, 2, 5], [40, 20, 30, 10])  # 100 labels, in blocks, with a gap in the values


def test_each_part_has_the_same_share_of_every_class():
    first, second = stratified_split(LABELS, [20, 50])
    assert np.bincount(LABELS[first]).tolist() == [8, 4, 6, 0, 0, 2]
    assert np.bincount(LABELS[second]).tolist() == [20, 10, 15, 0, 0, 5]
    assert not set(first) & set(second)


def test_fractions_that_add_to_one_use_every_item():
    labels = np.arange(101) % 7
    parts = stratified_split(labels, [0.7, 0.2, 0.1])
    assert sorted(np.concatenate(parts)) == list(range(101))
    assert [len(part) for part in parts] == [71, 20, 10]


def test_of_nothing_every_part_is_empty():
    assert [len(part) for part in stratified_split(np.zeros(0, int), [0.5, 0.5])] == [0, 0]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=60), st.lists(st.integers(0, 30), max_size=4), st.integers(0, 99)
)
def test_parts_are_disjoint_of_the_asked_size_and_within_one_of_proportional(labels, sizes, seed):
    labels = np.array(labels)
    if sum(sizes) > len(labels):
        with pytest.raises(ValueError, match="add to"):
            stratified_split(labels, sizes, seed)
        return
    parts = stratified_split(labels, sizes, seed)
    assert [len(part) for part in parts] == sizes
    together = [index for part in parts for index in part]
    assert len(set(together)) == len(together)
    if sizes:  # the first part sees the whole, so its shares are known by hand
        shares = np.bincount(labels, minlength=5) * sizes[0] / len(labels)
        assert (np.abs(np.bincount(labels[parts[0]], minlength=5) - shares) < 1).all()


def test_a_split_is_fixed_by_its_seed_alone():
    manual_seed(1)
    first = stratified_split(LABELS, [0.5], seed=3)[0]
    manual_seed(2)
    np.testing.assert_array_equal(first, stratified_split(LABELS, [0.5], seed=3)[0])
    assert not np.array_equal(first, stratified_split(LABELS, [0.5], seed=4)[0])


def test_the_fixed_split_is_the_same_on_every_platform():
    """Written down once: a change here would move pictures from "train" to "val" of every real set."""
    assert stratified_split(np.arange(20) % 2, [6], seed=0)[0].tolist() == [0, 5, 6, 13, 17, 18]


def test_a_data_set_is_split_into_subsets():
    dataset = TensorDataset(np.arange(100.0).reshape(100, 1), LABELS)
    train, rest = stratified_split(dataset, [0.8, 0.2])
    assert isinstance(train, Subset)
    assert (len(train), len(rest)) == (80, 20)
    assert sorted([*train.indices, *rest.indices]) == list(range(100))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [([-1], "0 or more"), ([0.5, 3], "all counts"), ([60, 41], "add to 101"), ([0.7, 0.4], r"add to 1\.1")],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(LABELS, sizes)


def test_labels_must_be_a_row_of_integers():
    for wrong in (np.zeros((3, 2), int), np.zeros(3)):
        with pytest.raises(ValueError, match=r"integer labels of shape \(N,\)"):
            stratified_split(wrong, [1])


def test_k_per_class_takes_k_of_each_and_grows_by_adding():
    few, more = k_per_class(LABELS, 3, seed=1), k_per_class(LABELS, 7, seed=1)
    assert np.bincount(LABELS[few]).tolist() == [3, 3, 3, 0, 0, 3]
    assert len(set(few)) == 12
    assert set(few) < set(more)
    assert not np.array_equal(few, k_per_class(LABELS, 3, seed=2))
    dataset = TensorDataset(np.zeros((100, 1)), LABELS)
    np.testing.assert_array_equal(few, k_per_class(dataset, 3, seed=1))


@pytest.mark.parametrize(("k", "message"), [(0, "1 or more"), (11, "class 5 has only 10")])
def test_k_per_class_refuses_what_is_not_there(k, message):
    with pytest.raises(ValueError, match=message):
        k_per_class(LABELS, k)
    with pytest.raises(ValueError, match="there are none"):
        k_per_class(np.zeros(0, int), 1)
