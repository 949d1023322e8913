"""What every transform promises: pictures and batches alike, float32, no change to its argument, keyed randomness."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minicnn.data.transforms import (
    CenterCrop,
    ColorJitter,
    Compose,
    Cutout,
    Normalize,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    Resize,
    ToFloat,
)
from minicnn.data.transforms.colour import adjust_contrast, adjust_hue, adjust_saturation
from minicnn.kernels import layout
from minicnn.random import manual_seed

ALL = [
    RandomHorizontalFlip(),
    RandomCrop((5, 6), padding=(2, 1)),
    RandomCrop(7, padding=2, padding_mode="reflect"),
    RandomCrop(9, padding=2, padding_mode="edge"),
    CenterCrop((4, 7)),
    CenterCrop(12),
    Resize((5, 12)),
    Resize(6, interpolation="bicubic"),
    Resize((13, 4), interpolation="nearest"),
    Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.1)),
    ColorJitter(0.4, 0.4, 0.4, 0.1),
    Cutout(3),
    RandomErasing(p=1, value="random"),
    ToFloat(),
    Compose([RandomCrop(7, padding=1), RandomHorizontalFlip(), Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.1))]),
]
every_transform = pytest.mark.parametrize("transform", ALL, ids=lambda t: repr(t)[:45])


def pictures(count=5, channels=3, height=7, width=9, seed=0):
    """Float32 pictures in [0, 1] that lie channels-last, no two values alike."""
    images = layout.empty((count, channels, height, width))
    images[...] = np.random.default_rng(seed).random(images.shape, np.float32)
    return images


def generator(seed=1):
    return np.random.Generator(np.random.Philox(seed))


# All alike


@every_transform
def test_result_is_float32_channels_last_and_the_argument_unchanged(transform):
    images = pictures()
    before = images.copy()
    result = transform(images, generator())
    assert result.dtype == np.float32
    assert layout.is_channels_last(result)
    np.testing.assert_array_equal(images, before)


@every_transform
def test_a_picture_is_a_batch_of_one(transform):
    images = pictures(1)
    alone = transform(images[0], generator())
    np.testing.assert_array_equal(alone, transform(images, generator())[0])


@every_transform
def test_memory_order_and_float64_make_no_difference(transform):
    images = pictures()
    expected = transform(images, generator())
    np.testing.assert_array_equal(transform(np.ascontiguousarray(images), generator()), expected)
    np.testing.assert_array_equal(transform(images.astype(np.float64), generator()), expected)
    strided = np.zeros((5, 3, 14, 18), np.float32)[:, :, ::2, ::2]
    strided[...] = images
    np.testing.assert_array_equal(transform(strided, generator()), expected)


@every_transform
def test_the_generator_alone_decides(transform):
    images = pictures(64)
    first = transform(images, generator(1))
    np.testing.assert_array_equal(first, transform(images, generator(1)))
    if any(getattr(part, "draws", False) for part in getattr(transform, "transforms", [transform])):
        assert not np.array_equal(first, transform(images, generator(2)))
        manual_seed(3)
        drawn = transform(images)
        assert not np.array_equal(drawn, transform(images))  # each call draws anew
        manual_seed(3)
        np.testing.assert_array_equal(drawn, transform(images))


@every_transform
def test_repr_names_the_class_and_an_empty_batch_passes(transform):
    assert repr(transform).startswith(type(transform).__name__ + "(")
    assert transform(pictures(0), generator()).shape[:2] == (0, 3)


@pytest.mark.parametrize("transform", [t for t in ALL if not isinstance(t, (ToFloat, Compose))], ids=repr)
def test_integers_and_other_numbers_of_axes_are_refused(transform):
    with pytest.raises(TypeError, match=r"takes floats, but got uint8; put ToFloat\(\) before it"):
        transform(np.zeros((3, 7, 9), np.uint8))
    with pytest.raises(ValueError, match=r"\(C, H, W\) or a batch \(B, C, H, W\), but got \(7, 9\)"):
        transform(np.zeros((7, 9), np.float32))


# Each by itself


def test_to_float_divides_bytes_by_255_and_leaves_floats():
    images = np.arange(240, dtype=np.uint8).reshape(2, 3, 5, 8)
    np.testing.assert_array_equal(ToFloat()(images), images / np.float32(255))
    np.testing.assert_array_equal(ToFloat()(images.astype(np.float64)), images)


def test_flip_mirrors_left_and_right_with_probability_p():
    images = pictures(400)
    np.testing.assert_array_equal(RandomHorizontalFlip(p=1)(images, generator()), images[:, :, :, ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(p=0)(images, generator()), images)
    result = RandomHorizontalFlip(p=0.3)(images, generator())
    flipped = (result == images[:, :, :, ::-1]).all(axis=(1, 2, 3))
    kept = (result == images).all(axis=(1, 2, 3))
    assert (flipped ^ kept).all()
    assert flipped.mean() == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize(("mode", "fill"), [("constant", 0.25), ("edge", 0), ("reflect", 0)])
def test_every_crop_is_a_window_of_the_padded_picture_and_all_windows_occur(mode, fill):
    images = pictures(300, height=4, width=5)
    result = RandomCrop((3, 4), padding=(2, 1), padding_mode=mode, fill=fill)(images, generator())
    around = ((0, 0), (2, 2), (1, 1))
    seen = set()
    for image, crop in zip(images, result, strict=True):
        padded = np.pad(image, around, mode, **({"constant_values": fill} if mode == "constant" else {}))
        windows = [(y, x) for y in range(6) for x in range(4) if (padded[:, y : y + 3, x : x + 4] == crop).all()]
        assert windows
        seen.update(windows)
    assert len(seen) == 24  # (4 + 2*2 - 3 + 1) * (5 + 2*1 - 4 + 1)


def test_a_crop_larger_than_the_picture_shows_the_arithmetic():
    with pytest.raises(ValueError, match=r"H \+ 2\*padding - height = -1, W \+ 2\*padding - width = 3"):
        RandomCrop((10, 8), padding=1)(pictures())
    with pytest.raises(ValueError, match="smaller than the picture"):
        RandomCrop(4, padding=7, padding_mode="reflect")(pictures())


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [((3, 5), slice(2, 5), slice(2, 7)), ((4, 9), slice(2, 6), slice(0, 9))]
)
def test_centre_crop_takes_the_middle(size, rows, columns):
    images = pictures()  # 7 x 9; (7 - 4) / 2 = 1.5 is rounded to the even 2, as torchvision does it
    np.testing.assert_array_equal(CenterCrop(size)(images), images[:, :, rows, columns])


def test_centre_crop_pads_a_small_picture_with_zeros():
    images = pictures()
    result = CenterCrop((10, 9))(images)
    np.testing.assert_array_equal(result[:, :, 1:8], images)  # 3 rows are missing: 1 above, 2 below
    assert (result[:, :, [0, 8, 9]] == 0).all()


FREE_OF_TIES = [(16, 4), (32, 8), (16, 16)]  # no new pixel of 8 x 11 falls between two old ones, where rounding decides


@pytest.mark.parametrize(
    ("interpolation", "size"),
    [
        *(
            (name, size)
            for name in ("bilinear", "bicubic")
            for size in [(7, 9), (3, 4), (20, 31), (2, 30), (1, 1), (8, 5)]
        ),
        *(("nearest", size) for size in FREE_OF_TIES),
    ],
)
def test_resize_agrees_with_pillow(interpolation, size):
    images = pictures(2, height=8, width=11)
    result = Resize(size, interpolation)(images)
    method = getattr(Image.Resampling, interpolation.upper())
    for image, resized in zip(images, result, strict=True):
        for plane, other in zip(image, resized, strict=True):
            expected = Image.fromarray(np.ascontiguousarray(plane)).resize(size[::-1], method)  # mode F: floats
            np.testing.assert_allclose(other, np.asarray(expected), atol=2e-6)


def test_nearest_takes_the_right_one_of_two_at_the_same_distance():
    image = np.arange(4, dtype=np.float32).reshape(1, 1, 4)
    assert Resize((1, 2), "nearest")(image).ravel().tolist() == [1, 3]  # at 1.0 and 3.0, between 0|1 and 2|3
    assert Resize((1, 6), "nearest")(image).ravel().tolist() == [0, 1, 1, 2, 3, 3]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12))
def test_resize_to_an_int_sets_the_shorter_side(height, width, size):
    result = Resize(size)(np.ones((1, height, width), np.float32))
    longer = size * max(height, width) // min(height, width)
    assert result.shape[1:] == ((size, longer) if height <= width else (longer, size))
    np.testing.assert_allclose(result, 1, atol=1e-6)  # weights add to one: a flat picture stays flat


def test_normalize_subtracts_and_divides_by_channel():
    images = pictures()
    result = Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.1))(images)
    for channel, (mean, std) in enumerate([(0.5, 0.2), (0.4, 0.3), (0.3, 0.1)]):
        np.testing.assert_allclose(result[:, channel], (images[:, channel] - mean) / std, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_normalize_takes_plain_numbers_for_every_channel(channels):
    images = pictures(channels=channels)
    np.testing.assert_allclose(Normalize(0.5, 0.25)(images), (images - 0.5) / 0.25, rtol=1e-5, atol=1e-6)


def test_normalize_refuses_another_number_of_channels():
    with pytest.raises(ValueError, match="1 means, but the pictures have 3 channels"):
        Normalize((0.5,), (0.25,))(pictures())


# Colour: the definitions of torchvision, written out


def weighted_grey(image):
    return 0.2989 * image[0] + 0.587 * image[1] + 0.114 * image[2]


def column(*factors):
    return np.array(factors, np.float32).reshape(-1, 1, 1, 1)


def pixels_of(images):
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def test_brightness_scales_and_stays_in_0_to_1():
    images = pictures()
    np.testing.assert_allclose(
        ColorJitter(brightness=(1.7, 1.7))(images, generator()), np.minimum(images * 1.7, 1), rtol=1e-6
    )


def test_contrast_and_saturation_blend_with_grey():
    images = pictures(2).astype(np.float64)
    contrast = adjust_contrast(pixels_of(pictures(2)), column(0.5, 1.8)).transpose(0, 3, 1, 2)
    saturation = adjust_saturation(pixels_of(pictures(2)), column(0.5, 1.8)).transpose(0, 3, 1, 2)
    for place, factor in enumerate([0.5, 1.8]):
        grey = weighted_grey(images[place])
        expected = np.clip(factor * images[place] + (1 - factor) * grey.mean(), 0, 1)
        np.testing.assert_allclose(contrast[place], expected, atol=1e-6)
        expected = np.clip(factor * images[place] + (1 - factor) * grey, 0, 1)
        np.testing.assert_allclose(saturation[place], expected, atol=1e-6)


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.0, 0.1, 0.5])
def test_hue_turns_the_colour_circle(shift):
    images = np.concatenate(
        [pictures(1), np.eye(3, dtype=np.float32).reshape(1, 3, 3, 1).repeat(9, 3).repeat(7, 2)[:, :, :7]]
    )
    images[0, :, 0] = 0.3  # greys have no hue
    images[0, :, 1, 0], images[0, :, 1, 1] = 0, 1
    result = adjust_hue(pixels_of(images), column(shift, shift))
    for place in np.ndindex(2, 7, 9):
        hue, saturation, value = colorsys.rgb_to_hsv(*images[place[0], :, place[1], place[2]].astype(float))
        expected = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
        np.testing.assert_allclose(result[place], expected, atol=2e-6)


def test_each_picture_of_a_batch_is_jittered_by_itself_within_its_range():
    images = np.full((500, 3, 2, 2), 0.5, np.float32)
    factors = ColorJitter(brightness=0.4)(images, generator())[:, 0, 0, 0] / 0.5
    assert len(np.unique(factors)) > 400
    assert 0.6 <= factors.min() < 0.65
    assert 1.35 < factors.max() <= 1.4


def test_grey_pictures_have_no_saturation_and_no_hue():
    images = pictures(channels=1)
    result = ColorJitter(saturation=(3, 3), hue=(0.3, 0.3))(images, generator())
    np.testing.assert_array_equal(result, images)
    with pytest.raises(ValueError, match="1 or 3 channels, but got 2"):
        ColorJitter(0.1)(pictures(channels=2))


def test_jitter_draws_the_order_too():
    images = pictures()
    both = ColorJitter(contrast=(2, 2), brightness=(0.5, 0.5))
    results = {both(images, generator(seed)).tobytes() for seed in range(20)}
    assert len(results) == 2  # factors are fixed, so only the two orders differ


# Erasing


def erased_box(before, after):
    """(top, bottom, left, right) of what changed, and whether all of that box changed."""
    changed = (before != after).any(axis=0)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    box = (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)
    return box, changed[box[0] : box[1], box[2] : box[3]].all()


def test_cutout_hides_a_box_around_any_pixel_cut_off_at_the_border():
    images = pictures(300) + 1
    result = Cutout((2, 3), fill=0.5)(images, generator())
    shapes, corners = set(), set()
    for before, after in zip(images, result, strict=True):
        (top, bottom, left, right), whole = erased_box(before, after)
        assert whole
        assert (after[:, top:bottom, left:right] == 0.5).all()
        shapes.add((bottom - top, right - left))
        corners.add((top, left))
    assert shapes == {(height, width) for height in (1, 2) for width in (2, 3)}
    assert {(0, 0), (5, 7), (0, 7), (5, 0)} <= corners


def test_cutout_and_erasing_leave_a_share_of_pictures_alone():
    images = pictures(400)
    for transform in (Cutout(2, p=0.25), RandomErasing(p=0.25, scale=(0.1, 0.3))):
        touched = (transform(images, generator()) != images).any(axis=(1, 2, 3)).mean()
        assert touched == pytest.approx(0.25, abs=0.1)


def test_erased_boxes_have_the_area_and_shape_asked_for():
    images = pictures(300, height=40, width=60) + 1
    result = RandomErasing(p=1, scale=(0.1, 0.2), ratio=(0.5, 2), value=(0.1, 0.2, 0.3))(images, generator())
    areas, ratios = [], []
    for before, after in zip(images, result, strict=True):
        (top, bottom, left, right), whole = erased_box(before, after)
        assert whole
        np.testing.assert_array_equal(after[:, top, left], np.array([0.1, 0.2, 0.3], np.float32))
        areas.append((bottom - top) * (right - left) / (40 * 60))
        ratios.append((bottom - top) / (right - left))
    # Sides are rounded to whole pixels, at most half a pixel of sides of 11 or more.
    assert 0.09 < min(areas) < 0.11
    assert 0.19 < max(areas) < 0.215
    assert 0.45 < min(ratios) < 0.6
    assert 1.7 < max(ratios) < 2.2
    assert np.mean(np.log(ratios)) == pytest.approx(0, abs=0.1)


def test_erasing_with_noise_is_normal_and_each_pixel_its_own():
    images = np.full((200, 3, 20, 20), 9, np.float32)
    result = RandomErasing(p=1, scale=(0.3, 0.33), value="random")(images, generator())
    noise = result[result != 9]
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert len(np.unique(noise)) > 0.99 * len(noise)


# Bad arguments


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomHorizontalFlip(1.5), ValueError, "p is a probability"),
        (lambda: RandomCrop(0), ValueError, "size must be 1 or more"),
        (lambda: RandomCrop(4.5), TypeError, None),
        (lambda: RandomCrop((3, 4, 5)), TypeError, "size must be a whole number or"),
        (lambda: RandomCrop(3, padding=-1), ValueError, "padding must be 0 or more"),
        (lambda: RandomCrop(3, padding_mode="wrap"), ValueError, "constant, edge, reflect"),
        (lambda: Resize(4, "lanczos"), ValueError, "nearest, bilinear, bicubic"),
        (lambda: Resize(-4), ValueError, "size must be 1 or more"),
        (lambda: Normalize((0.5, 0.5), (1,)), ValueError, "one value per channel"),
        (lambda: Normalize(0.5, 0), ValueError, "std must be above 0"),
        (lambda: ColorJitter(brightness=-1), ValueError, "brightness must be 0 or more"),
        (lambda: ColorJitter(hue=0.6), ValueError, "hue must stay within -0.5 and 0.5"),
        (lambda: ColorJitter(contrast=(2, 1)), ValueError, "lowest first"),
        (lambda: Cutout(0), ValueError, "size must be 1 or more"),
        (lambda: RandomErasing(scale=(0.5, 0.1)), ValueError, "lowest first"),
        (lambda: RandomErasing(ratio=(0, 1)), ValueError, "ratio must be"),
        (lambda: RandomErasing(value="mean"), ValueError, "random"),
        (lambda: RandomErasing(p=1, value=(1, 2))(pictures()), ValueError, "2 numbers, but the pictures have 3"),
        (lambda: Compose([ToFloat(), 3]), TypeError, "Compose takes transforms, but got 3"),
    ],
)
def test_impossible_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
