"""Images lie channels-last in memory, and every copy that brings them there is counted."""

import numpy as np
import pytest

from minicnn.kernels import layout


def in_c_order(shape=(2, 3, 4, 5)):
    return np.random.default_rng(0).normal(size=shape)


def test_new_image_arrays_are_channels_last_and_others_in_c_order():
    for make in (layout.empty, layout.zeros):
        images = make((2, 3, 4, 5), np.float64)
        assert images.shape == (2, 3, 4, 5)
        assert images.dtype == np.float64
        assert layout.is_channels_last(images)
        assert make((2, 3)).flags.c_contiguous
        assert make((2, 3)).dtype == np.float32
    assert not layout.zeros((2, 3, 4, 5)).any()


def test_a_channels_last_array_reaches_a_kernel_without_a_copy():
    images = layout.as_channels_last(in_c_order())
    before = layout.conversions()
    pixels = layout.to_kernel(images)
    assert pixels.shape == (2, 4, 5, 3)
    assert pixels.flags.c_contiguous
    assert np.shares_memory(pixels, images)
    assert np.shares_memory(layout.from_kernel(pixels), images)
    assert layout.conversions() == before


@pytest.mark.parametrize("images", [in_c_order(), in_c_order()[:, ::-1], layout.zeros((2, 3, 4, 5))[:, :, ::2]])
def test_any_other_array_is_copied_once_and_counted(images):
    before = layout.conversions()
    pixels = layout.to_kernel(images)
    assert layout.conversions() == before + 1
    np.testing.assert_array_equal(layout.from_kernel(pixels), images)
    assert pixels.flags.c_contiguous


def test_match_gives_the_order_asked_for_and_leaves_what_has_it():
    c_order = in_c_order()
    channels_last = layout.match(c_order, channels_last=True)
    assert layout.is_channels_last(channels_last)
    assert layout.match(channels_last, channels_last=True).base is channels_last.base
    assert layout.match(c_order, channels_last=False) is c_order
    np.testing.assert_array_equal(layout.match(channels_last, channels_last=False), c_order)
    assert layout.match(channels_last, channels_last=False).flags.c_contiguous
