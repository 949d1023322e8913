"""Samplers visit what they promise, in an order that only the seed and the epoch decide."""

import numpy as np
import pytest

from minicnn.data import (
    KPerClassSampler,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
    class_balanced_weights,
)
from minicnn.random import manual_seed

LABELS = np.repeat([0, 1, 2], [60, 30, 10])
DRAWING = [
    RandomSampler(100),
    WeightedRandomSampler(np.arange(100), 100),
    WeightedRandomSampler(np.arange(100), 50, replacement=False),
    KPerClassSampler(LABELS, 5),
]


@pytest.mark.parametrize("sampler", DRAWING, ids=lambda sampler: type(sampler).__name__)
def test_the_order_is_keyed_by_seed_and_epoch(sampler):
    first = sampler.indices(4, seed=1)
    assert len(first) == len(sampler)
    sampler.indices(5, seed=1)
    np.testing.assert_array_equal(first, sampler.indices(4, seed=1))
    assert not np.array_equal(first, sampler.indices(5, seed=1))
    assert not np.array_equal(first, sampler.indices(4, seed=2))
    manual_seed(1)
    np.testing.assert_array_equal(first, sampler.indices(4))


def test_random_sampler_visits_every_place_once():
    assert sorted(RandomSampler(57).indices(3, seed=0)) == list(range(57))


def test_sequential_sampler_takes_a_length_or_a_row_of_indices():
    assert SequentialSampler(3).indices(9).tolist() == [0, 1, 2]
    assert SequentialSampler([4, 1, 1]).indices(9).tolist() == [4, 1, 1]
    with pytest.raises(TypeError, match="row of indices"):
        SequentialSampler([0.5, 1.5])


def test_weights_are_the_frequencies_of_drawing():
    drawn = WeightedRandomSampler([0, 1, 3, 0, 6], 20_000).indices(0, seed=0)
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    assert shares[0] == shares[3] == 0
    np.testing.assert_allclose(shares, [0, 0.1, 0.3, 0, 0.6], atol=0.015)  # standard deviation 0.0035 at most


def test_drawing_without_replacement_takes_no_place_twice_and_heavy_ones_first():
    sampler = WeightedRandomSampler([1, 0, 1, 8], 3, replacement=False)
    draws = [sampler.indices(epoch, seed=0) for epoch in range(2000)]
    assert all(sorted(draw) == [0, 2, 3] for draw in draws)
    assert np.mean([draw[0] == 3 for draw in draws]) == pytest.approx(0.8, abs=0.04)  # 4 standard deviations


def test_balanced_weights_give_every_class_the_same_share():
    weights = class_balanced_weights(LABELS)
    assert np.bincount(LABELS, weights) == pytest.approx([1, 1, 1])
    drawn = LABELS[WeightedRandomSampler(weights, 9000).indices(0, seed=0)]
    np.testing.assert_allclose(np.bincount(drawn) / 9000, 1 / 3, atol=0.025)


def test_k_per_class_draws_anew_each_epoch_and_mixes_the_classes():
    sampler = KPerClassSampler(LABELS, 8)
    epochs = [sampler.indices(epoch, seed=0) for epoch in range(20)]
    for chosen in epochs:
        assert np.bincount(LABELS[chosen]).tolist() == [8, 8, 8]
        assert len(set(chosen)) == 24
        assert not (np.diff(LABELS[chosen]) >= 0).all()
    assert len(set(np.concatenate(epochs))) > 80  # in time nearly every picture has its turn


@pytest.mark.parametrize(
    ("weights", "count", "replacement", "message"),
    [
        ([1, -1], 1, True, "0 or more"),
        ([1, np.nan], 1, True, "finite"),
        ([0, 0], 1, True, "all be zero"),
        ([[1]], 1, True, "one row"),
        ([1, 1], 0, True, "num_samples must be 1"),
        ([1, 0, 2], 3, False, "only 2 places"),
    ],
)
def test_impossible_weights_are_refused(weights, count, replacement, message):
    with pytest.raises(ValueError, match=message):
        WeightedRandomSampler(weights, count, replacement)


def test_k_per_class_sampler_refuses_small_classes():
    with pytest.raises(ValueError, match="class 2 has only 10"):
        KPerClassSampler(LABELS, 11)
