"""PartWorld's scenes: several objects, none overlapping, with boxes and masks that fit them."""

import hashlib

import numpy as np
import pytest

from minicnn.data.partworld import PartWorldScenes
from minicnn.data.partworld import scenes as scenes_file

HASH = "3e5c8589885bb0df"  # 20 scenes, as in test_partworld


def fingerprint(data: PartWorldScenes) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(data.images).tobytes())
    for i in range(len(data)):
        digest.update(data.target(i)["semantic"].astype("<i8").tobytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="module")
def scenes():
    return PartWorldScenes("train", 150, image_size=80, max_objects=4)


@pytest.mark.parametrize("chunk", [3, 1024])
def test_the_same_seed_gives_the_recorded_bytes(chunk, monkeypatch):
    monkeypatch.setattr(scenes_file, "CHUNK", chunk)
    assert fingerprint(PartWorldScenes("val", 20, "mid", image_size=50)) == HASH


def test_boxes_fit_their_masks_and_do_not_overlap(scenes):
    for i in range(len(scenes)):
        target = scenes.target(i)
        n = scenes.counts[i]
        assert target["boxes"].shape == (n, 4)
        assert target["masks"].shape == (n, 80, 80)
        for (left, top, right, bottom), mask in zip(target["boxes"], target["masks"], strict=True):
            rows, columns = np.nonzero(mask)
            assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert 12 < max(right - left, bottom - top) < 34
        for a in range(n):
            for b in range(a):
                left, top = np.maximum(target["boxes"][a, :2], target["boxes"][b, :2])
                right, bottom = np.minimum(target["boxes"][a, 2:], target["boxes"][b, 2:])
                assert right <= left or bottom <= top


def test_the_semantic_map_is_the_labels_under_the_masks(scenes):
    for i in range(len(scenes)):
        target = scenes.target(i)
        expected = np.zeros((80, 80), np.int64)
        for label, mask in zip(target["labels"], target["masks"], strict=True):
            expected[mask] = label + 1
        np.testing.assert_array_equal(target["semantic"], expected)
        assert target["semantic"].dtype == np.int64


def test_scenes_hold_one_to_the_most_objects_of_every_class(scenes):
    assert set(scenes.counts) == {1, 2, 3, 4}
    labels = np.concatenate([scenes.target(i)["labels"] for i in range(len(scenes))])
    assert set(labels) == set(range(10))


def test_items_and_batches(scenes):
    image, target = scenes[3]
    images, targets = scenes.batch([5, 3])
    assert image.dtype == np.float32
    np.testing.assert_array_equal(images[1], image)
    np.testing.assert_array_equal(targets[1]["boxes"], target["boxes"])
    assert target["boxes"].dtype == np.float32
    assert target["labels"].dtype == np.int64
    assert target["masks"].dtype == bool
    assert scenes.images.shape == (150, 3, 80, 80)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 0}, ValueError, "size=0"),
        ({"image_size": 32}, ValueError, "image_size=32.*at least 48"),
        ({"max_objects": 0}, ValueError, "max_objects=0.*1 to 8"),
        ({"max_objects": 9}, ValueError, "max_objects=9.*1 to 8"),
        ({"max_objects": 2.5}, TypeError, "max_objects must be a whole number"),
        ({"split": "dev"}, ValueError, "split='dev'.*train, val, test"),
        ({"family": "close"}, ValueError, "family='close'.*base, near, mid, far"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        PartWorldScenes(**({"size": 5} | arguments))


def test_an_index_out_of_range_is_an_index_error(scenes):
    with pytest.raises(IndexError, match="150 items"):
        scenes[150]
    with pytest.raises(IndexError, match="150 items"):
        scenes.target(-151)


def test_the_repr_says_how_to_make_it_again():
    data = PartWorldScenes("val", size=3, family="far", image_size=56, max_objects=2, seed=4)
    again = eval(repr(data))
    assert repr(again) == repr(data)
    np.testing.assert_array_equal(again.images, data.images)
