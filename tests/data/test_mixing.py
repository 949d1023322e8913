"""Mixup and CutMix mix labels by the very share by which they mix pictures."""

import numpy as np
import pytest

from minicnn.data import cutmix, mixup
from minicnn.kernels import layout
from minicnn.random import manual_seed

LABELS = np.arange(12) % 4


def flat_pictures():
    """Picture i is i everywhere, so that the share of each partner can be read off any pixel."""
    images = layout.zeros((12, 3, 10, 14))
    images += np.arange(12, dtype=np.float32).reshape(-1, 1, 1, 1)
    return images


def generator(seed=0):
    return np.random.Generator(np.random.Philox(seed))


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_results_are_float32_channels_last_and_rows_add_to_one(mix):
    images = flat_pictures()
    before = images.copy()
    mixed, soft = mix(images, LABELS, 4, generator=generator())
    assert mixed.dtype == soft.dtype == np.float32
    assert layout.is_channels_last(mixed)
    assert soft.shape == (12, 4)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(images, before)
    assert not np.array_equal(mixed, images)


@pytest.mark.parametrize("seed", range(5))
def test_mixup_blends_each_pair_by_the_share_in_its_label(seed):
    labels = np.arange(12)  # each picture a class of its own: the label tells the partner
    mixed, soft = mixup(flat_pictures(), labels, 12, alpha=1.0, generator=generator(seed))
    expected = soft @ np.arange(12, dtype=np.float32)
    np.testing.assert_allclose(mixed, np.broadcast_to(expected.reshape(-1, 1, 1, 1), mixed.shape), atol=1e-5)
    shares = np.diag(soft)[np.diag(soft) < 1]
    assert np.ptp(shares) < 1e-6  # one share for the whole batch


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_labels_hold_the_area_of_each_partner(seed):
    labels = np.arange(12)
    mixed, soft = cutmix(flat_pictures(), labels, 12, generator=generator(seed))
    for place, (image, weights) in enumerate(zip(mixed, soft, strict=True)):
        np.testing.assert_allclose(np.bincount(image[0].astype(int).ravel(), minlength=12) / 140, weights, atol=1e-6)
        foreign = image[0] != place
        rows, columns = np.flatnonzero(foreign.any(axis=1)), np.flatnonzero(foreign.any(axis=0))
        if len(rows):
            assert foreign[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()  # one rectangle
        np.testing.assert_array_equal(image[0], image[1])  # in all channels


def test_shares_follow_the_beta_distribution():
    mixes = [mixup(flat_pictures(), np.arange(12), 12, alpha=0.4, generator=generator(seed))[1] for seed in range(300)]
    shares = np.array([next((w for w in np.diag(soft) if w < 1), 1.0) for soft in mixes])
    assert shares.mean() == pytest.approx(0.5, abs=0.08)
    assert shares.var() == pytest.approx(0.25 / 1.8, abs=0.03)  # of Beta(a, a): 1 / (4 * (2 a + 1))


def test_without_a_generator_the_stream_of_the_seed_is_used():
    manual_seed(4)
    first = mixup(flat_pictures(), LABELS, 4)
    manual_seed(4)
    second = mixup(flat_pictures(), LABELS, 4)
    np.testing.assert_array_equal(first[0], second[0])


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": 0}, "alpha must be above 0"),
        ({"num_classes": 3}, r"labels must be in 0\.\.2 for 3 classes, but label 3 is 3"),
        ({"labels": LABELS[:5]}, r"labels must be \(12,\)"),
        ({"images": np.zeros((12, 3, 4, 4), np.uint8)}, "batch of floats"),
    ],
)
def test_impossible_arguments_are_refused(mix, change, message):
    with pytest.raises(ValueError, match=message):
        mix(**{"images": flat_pictures(), "labels": LABELS, "num_classes": 4, **change})
