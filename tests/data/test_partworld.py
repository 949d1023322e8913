"""PartWorld: the pictures, their bytes, and that what is said about them is true of them."""

import hashlib
import itertools
import os
import subprocess
import sys

import numba
import numpy as np
import pytest

from minicnn.data import partworld
from minicnn.data.partworld import FAMILIES, PartWorld
from minicnn.data.partworld import dataset as dataset_file

# Recorded bytes: 40 pictures of 24 x 24 of each family, seed 0. They change only with a decision to change PartWorld,
# after which everything that was measured on it must be measured again.
HASHES = {
    "base": "7d5e47ac583d4682",
    "near": "8d20f0e4c7f10a8c",
    "mid": "d05b8998d8ba854d",
    "far": "d171481bbc44fe1a",
}


def fingerprint(data: PartWorld) -> str:
    truth = data.truth(range(len(data)))
    arrays = [data.images, data.labels, truth.part_masks, truth.orientation, truth.colour, truth.texture, truth.part]
    little_endian = (np.ascontiguousarray(a).astype(a.dtype.newbyteorder("<")).tobytes() for a in arrays)
    return hashlib.sha256(b"".join(little_endian)).hexdigest()[:16]


@pytest.fixture(scope="module")
def base():
    return PartWorld("train", 1000)


@pytest.fixture(scope="module")
def truth(base):
    return base.truth(range(len(base)))


class TestBytes:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_the_same_seed_gives_the_recorded_bytes(self, family):
        assert fingerprint(PartWorld("train", 40, family, image_size=24)) == HASHES[family]

    @pytest.mark.parametrize("chunk", [1, 7, 39, 40])
    def test_the_bytes_do_not_depend_on_how_many_pictures_are_drawn_at_a_time(self, chunk, monkeypatch):
        monkeypatch.setattr(dataset_file, "CHUNK", chunk)
        assert fingerprint(PartWorld("train", 40, "far", image_size=24)) == HASHES["far"]

    def test_the_bytes_do_not_depend_on_the_number_of_threads(self):
        before = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            assert fingerprint(PartWorld("train", 40, "mid", image_size=24)) == HASHES["mid"]
        finally:
            numba.set_num_threads(before)

    def test_plain_python_draws_the_same_bytes(self):
        code = (
            "from minicnn.data.partworld import PartWorld\n"
            "for family in ('base', 'mid', 'far'):\n"
            "    data = PartWorld('train', 10, family, image_size=24)\n"
            "    print(__import__('hashlib').sha256(data.images.tobytes()).hexdigest())\n"
        )
        environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
        python = subprocess.run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", code],
            env=environment, capture_output=True, text=True, check=True,
        ).stdout.split()  # fmt: skip
        for family, expected in zip(("base", "mid", "far"), python, strict=True):
            images = PartWorld("train", 10, family, image_size=24).images
            assert hashlib.sha256(images.tobytes()).hexdigest() == expected

    def test_a_smaller_set_is_the_beginning_of_a_larger_one(self, base):
        small = PartWorld("train", 13)
        np.testing.assert_array_equal(small.images, base.images[:13])
        for name, values in small.factors.items():
            np.testing.assert_array_equal(values, base.factors[name][:13])

    def test_splits_families_and_seeds_share_no_picture(self):
        drawn = [
            PartWorld(split, 50, family, seed=seed)
            for split, family, seed in itertools.product(("train", "val", "test"), FAMILIES, (0, 1))
        ]
        pictures = {picture.tobytes() for data in drawn for picture in data.images}
        centres = {tuple(centre) for data in drawn for centre in data.factors["centre"]}
        assert len(pictures) == len(centres) == 50 * len(drawn)


class TestComposition:
    @pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
    def test_parts_alone_and_layout_alone_do_not_give_the_class_away(self, family):
        assert len(set(family.classes)) == 10
        sets = [frozenset(parts) for _, parts in family.arrangements]
        assert sorted(map(len, sets)) == [3] * 10
        assert {sets.count(each) for each in sets} == {5}  # the set of parts leaves five classes: 2 of 10 right at best
        layouts = [layout for layout, _ in family.arrangements]
        assert len(set(layouts)) == 3  # knowing the layout: 3 of 10 right at best

    @pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
    def test_no_two_classes_are_mirror_images(self, family):
        # Slots whose places are swapped by mirroring: the sides of peak and valley, the ends of row.
        swap = {"peak": (0, 2, 1), "valley": (1, 0, 2), "row": (2, 1, 0)}
        seen = set()
        for layout, parts in family.arrangements:
            mirrored = tuple(parts[k] for k in swap.get(layout, (0, 1, 2)))
            assert (layout, mirrored) not in seen or mirrored == parts
            seen.add((layout, parts))
        assert len(seen) == 10

    def test_families_lie_at_graded_distance_from_base(self):
        base, near, mid, far = (FAMILIES[name] for name in ("base", "near", "mid", "far"))
        assert near.parts == base.parts
        assert near.textures == mid.textures == base.textures
        assert near.layouts == mid.layouts == base.layouts
        assert not set(near.arrangements) & set(base.arrangements)
        assert not set(mid.parts) & set(base.parts)
        assert mid.parts == far.parts
        assert not set(far.textures) & set(base.textures)
        assert not set(far.layouts) & set(base.layouts)

    def test_nuisances_do_not_depend_on_the_class(self, base):
        data = PartWorld("train", 6000)
        for name, kinds in (("hue", 6), ("texture", 4), ("orientation", 4), ("mirrored", 2)):
            values = data.factors[name]
            assert values.min() == 0
            assert values.max() == kinds - 1
            table = np.array([np.bincount(values[data.labels == label], minlength=kinds) for label in range(10)])
            expected = 600 / kinds
            chi_square = ((table - expected) ** 2 / expected).sum()
            freedom = 10 * (kinds - 1)
            assert chi_square < freedom + 5 * (2 * freedom) ** 0.5, name
        for name in ("turn", "scale", "noise", "contrast"):
            values = data.factors[name].reshape(6000, -1)
            means = np.array([values[data.labels == label].mean(axis=0) for label in range(10)])
            assert (np.ptp(means, axis=0) < 6 * values.std(axis=0) / 600**0.5).all(), name


class TestTruth:
    def test_parts_stand_where_the_class_says(self):
        for family in FAMILIES.values():
            data = PartWorld("val", 200, family.name)
            truth = data.truth(range(200))
            for i in range(200):
                layout, parts = family.arrangements[truth.labels[i]]
                assert tuple(data.parts[k] for k in truth.parts[i]) == parts
                assert data.layouts[data.factors["layout"][i]] == layout
                (x0, y0), (x1, y1), (x2, y2) = (np.argwhere(mask)[:, ::-1].mean(axis=0) for mask in truth.part_masks[i])
                flipped = x1 < x0 if layout == "hook" else x2 < x1
                if layout == "stack":
                    assert y0 < y1 < y2
                elif layout == "peak":
                    assert y0 < (y1 + y2) / 2
                    assert flipped == data.factors["mirrored"][i]
                elif layout == "valley":
                    assert y2 > (y0 + y1) / 2
                    assert (x1 < x0) == data.factors["mirrored"][i]
                elif layout == "row":
                    assert min(x0, x2) < x1 < max(x0, x2)
                elif layout == "corner":
                    assert y0 < y1
                    assert flipped == data.factors["mirrored"][i]
                else:
                    assert y2 > y0
                    assert flipped == data.factors["mirrored"][i]

    def test_maps_masks_and_boxes_agree(self, base, truth):
        np.testing.assert_array_equal(truth.part_masks.any(axis=1), truth.object_mask)
        assert (truth.part_masks.sum(axis=1) <= 1).all()
        for i in range(0, len(base), 29):
            rows, columns = np.nonzero(truth.object_mask[i])
            assert truth.boxes[i].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            for slot in range(3):
                assert (truth.part[i][truth.part_masks[i, slot]] == base.factors["parts"][i, slot]).all()
            for values, name in ((truth.colour, "hue"), (truth.texture, "texture")):
                assert set(np.unique(values[i])) == {-1, base.factors[name][i]}
                np.testing.assert_array_equal(values[i] >= 0, truth.object_mask[i])
            np.testing.assert_array_equal(truth.object[i] >= 0, truth.object_mask[i])
            assert truth.object[i].max() == base.labels[i]
            np.testing.assert_array_equal(base.masks(i), truth.part_masks[i])

    def test_every_part_is_in_the_picture(self, truth):
        assert truth.part_masks.sum(axis=(2, 3)).min() >= 8

    def test_parts_have_the_shapes_they_are_called(self):
        """Pixel shares of a part in the square about it, from geometry: disc pi/4, square 1, triangle 1/2, bar 3/8."""
        data = PartWorld("val", 400, image_size=96)
        truth = data.truth(range(400))
        shares = {name: [] for name in data.parts}
        for i, slot in itertools.product(range(400), range(3)):
            if abs(data.factors["turn"][i]) < 0.05:
                mask = truth.part_masks[i, slot]
                rows, columns = np.nonzero(mask)
                side = max(np.ptp(rows), np.ptp(columns)) + 1
                shares[data.parts[truth.parts[i, slot]]].append(mask.sum() / side**2)
        means = {name: np.mean(values) for name, values in shares.items()}
        assert means["disc"] == pytest.approx(np.pi / 4, abs=0.03)
        assert means["ring"] == pytest.approx(np.pi / 4 * (1 - (0.51 / 1.05) ** 2), abs=0.04)
        assert means["square"] == pytest.approx(0.85, abs=0.1)  # a small turn widens the box about it
        assert means["triangle"] == pytest.approx(0.45, abs=0.08)
        assert means["bar"] == pytest.approx(0.375, abs=0.06)

    @pytest.mark.parametrize("family", ["base", "mid"])
    def test_every_part_looks_like_its_name(self, family):
        """Nine points of the box about each upright part, row by row: # filled, . empty, ? a sharp tip."""
        drawings = {
            "disc": ".#.###.#.", "ring": ".#.#.#.#.", "square": "#########", "triangle": ".?..#.###",
            "cross": "?.?.#.?.?", "bar": "?#?###?#?", "crescent": "?.?#.#.#.", "star": ".?.?#?.?.",
            "dome": ".#.######", "chevron": ".#.#?#?.?", "frame": "####.####", "tee": "###.#..#.",
        }  # fmt: skip
        data = PartWorld("val", 600, family, image_size=96)
        truth = data.truth(range(600))
        seen = {name: [] for name in data.parts}
        for i, slot in itertools.product(range(600), range(3)):
            if abs(data.factors["turn"][i]) < 0.08:
                rows, columns = (np.flatnonzero(truth.part_masks[i, slot].any(axis=axis)) for axis in (1, 0))
                down, right = (edge[0] + np.array([0.07, 0.5, 0.93]) * np.ptp(edge) for edge in (rows, columns))
                points = truth.part_masks[i, slot][np.rint(down).astype(int)[:, None], np.rint(right).astype(int)]
                seen[data.parts[truth.parts[i, slot]]].append(points.ravel())
        for name, points in seen.items():
            for share, drawn in zip(np.mean(points, axis=0), drawings[name], strict=True):
                assert drawn == "?" or (share > 0.5) == (drawn == "#"), (name, np.mean(points, axis=0).round(1))

    def test_each_part_differs_from_the_ground_as_its_contrast_says(self, base, truth):
        solid = np.flatnonzero(base.factors["texture"] == base.textures.index("solid"))
        grey = base.images.astype(float).mean(axis=1)
        difference = np.array([
            [np.median(grey[i][mask]) - np.median(grey[i][~truth.object_mask[i]]) for mask in truth.part_masks[i]]
            for i in solid
        ])  # fmt: skip
        contrast = 255 * base.factors["contrast"][solid]
        assert (np.sign(difference) == np.sign(contrast)).all()
        assert np.corrcoef(difference.ravel(), contrast.ravel())[0, 1] > 0.97
        # All eight patterns of brighter and darker parts occur: no template over the whole object can match.
        assert len(np.unique(contrast > 0, axis=0)) == 8

    def test_the_hue_of_the_object_is_the_one_it_is_called(self, base, truth):
        primary = {"red": 0, "green": 1, "blue": 2}
        for name, channel in primary.items():
            chosen = np.flatnonzero(base.factors["hue"] == base.hues.index(name))
            means = np.array([base.images[i][:, truth.object_mask[i]].mean(axis=1) for i in chosen])
            assert (means.argmax(axis=1) == channel).mean() > 0.95

    def test_strokes_and_stripes_run_as_the_orientation_map_says(self):
        data = PartWorld("val", 400, image_size=64)
        truth = data.truth(range(400))
        striped = np.flatnonzero(data.factors["texture"] == data.textures.index("stripes"))
        down, right = np.gradient(data.images.astype(float).mean(axis=1), axis=(1, 2))
        right_answers = 0
        for i in striped:
            here = truth.orientation[i] >= 0
            xx, yy, xy = ((a[i][here] * b[i][here]).sum() for a, b in ((right, right), (down, down), (right, down)))
            across = 0.5 * np.arctan2(2 * xy, xx - yy)  # the direction in which brightness changes most
            along = np.rad2deg(across + np.pi / 2) % 180
            right_answers += int(np.rint(along / 45)) % 4 == truth.orientation[i][here][0]
        assert right_answers / len(striped) > 0.9

    def test_textures_of_a_fill_can_be_told_apart_by_their_gaps(self):
        """Solid has none; dots fill pi * 0.32**2 of a fill, and stripes and checks half of it."""
        data = PartWorld("val", 800, image_size=64)
        truth = data.truth(range(800))
        grey = data.images.astype(float).mean(axis=1)
        spread = {}
        for kind, name in enumerate(data.textures):
            chosen = np.flatnonzero(data.factors["texture"] == kind)
            contrast = 255 * np.abs(data.factors["contrast"][:, 0])
            spread[name] = np.mean([grey[i][truth.part_masks[i, 0]].std() / contrast[i] for i in chosen])
        assert spread["solid"] < 0.15
        assert min(spread["stripes"], spread["checks"], spread["dots"]) > 0.2


class TestDataset:
    def test_items_and_batches(self, base):
        image, label = base[7]
        assert image.dtype == np.float32
        assert image.shape == (3, 32, 32)
        assert label == 7
        assert 0 <= image.min() < image.max() <= 1
        images, labels = base.batch([7, 3])
        np.testing.assert_array_equal(images[0], image)
        np.testing.assert_array_equal(images[0], base.images[7].astype(np.float32) / np.float32(255))
        assert labels.tolist() == [7, 3]
        assert images.transpose(0, 2, 3, 1).flags.c_contiguous
        assert base.images.dtype == np.uint8
        assert base.labels.dtype == np.int64

    def test_ten_pictures_on_end_hold_every_class_once(self, base):
        assert sorted(base.labels[30:40]) == list(range(10))

    @pytest.mark.parametrize("image_size", [24, 33, 48])
    def test_other_sizes_hold_the_whole_object(self, image_size):
        data = PartWorld("test", 60, "far", image_size)
        truth = data.truth(range(60))
        assert data.images.shape == (60, 3, image_size, image_size)
        areas = truth.object_mask.sum(axis=(1, 2)) / image_size**2
        assert 0.05 < areas.min() < areas.max() < 0.5

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"size": 0}, ValueError, "size=0.*at least 1"),
            ({"size": -3}, ValueError, "size=-3"),
            ({"size": 2.5}, TypeError, "size must be a whole number"),
            ({"size": True}, TypeError, "size must be a whole number"),
            ({"split": "training"}, ValueError, "split='training'.*train, val, test"),
            ({"family": "close"}, ValueError, "family='close'.*base, near, mid, far"),
            ({"image_size": 16}, ValueError, "image_size=16.*at least 24"),
            ({"image_size": (32, 32)}, TypeError, "image_size must be a whole number"),
            ({"seed": -1}, ValueError, "seed=-1"),
        ],
    )
    def test_bad_arguments_are_named(self, arguments, error, message):
        with pytest.raises(error, match=message):
            PartWorld(**({"size": 10} | arguments))

    @pytest.mark.parametrize("index", [1000, -1001])
    def test_an_index_out_of_range_is_an_index_error(self, base, index):
        with pytest.raises(IndexError, match="1000 items"):
            base[index]
        with pytest.raises(IndexError, match="1000"):
            base.truth([index])

    def test_negative_indices_count_from_the_end(self, base):
        np.testing.assert_array_equal(base[-1][0], base[999][0])

    def test_the_package_offers_what_it_names(self):
        for name in partworld.__all__:
            assert hasattr(partworld, name)
