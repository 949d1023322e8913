"""The kernel behind relu's backward: every sign, zero, infinity and NaN, in every memory order."""

import numpy as np
import pytest

from minicnn.kernels import layout
from minicnn.kernels.pointwise.elementwise import add, add_relu, scale_below_zero

SPECIAL = np.array([-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slope_zero_gives_zero_whatever_the_value(dtype):
    for value in (3.0, np.inf, np.nan):
        result = scale_below_zero(np.full(7, value, dtype), SPECIAL.astype(dtype), 0)
        np.testing.assert_array_equal(result, np.array([0, 0, 0, 0, value, value, value], dtype))
        assert result.dtype == dtype


def test_another_slope_scales_what_lies_below():
    result = scale_below_zero(np.full(7, 8.0), SPECIAL, -0.5)
    np.testing.assert_array_equal(result, [-4, -4, -4, -4, 8, 8, 8])


@pytest.mark.parametrize("x_order", ["C", "F", "channels-last"])
@pytest.mark.parametrize("values_order", ["C", "F", "channels-last"])
def test_places_belong_together_in_every_pair_of_memory_orders(x_order, values_order):
    def in_order(array, order):
        return layout.as_channels_last(array) if order == "channels-last" else np.asarray(array, order=order)

    generator = np.random.default_rng(0)
    x, values = generator.standard_normal((2, 2, 3, 4, 5))
    result = scale_below_zero(in_order(values, values_order), in_order(x, x_order), 0.25)
    np.testing.assert_array_equal(result, np.where(x > 0, values, values * 0.25))
    assert layout.is_channels_last(result) == (x_order == "channels-last")


def test_no_elements_and_no_axes():
    assert scale_below_zero(np.zeros((2, 0, 3)), np.zeros((2, 0, 3)), 0).shape == (2, 0, 3)
    assert scale_below_zero(np.array(5.0), np.array(-1.0), 2.0) == 10


@pytest.mark.parametrize("orders", [("C", "C"), ("channels-last", "channels-last"), ("C", "channels-last"), ("F", "C")])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 8, 32, 33)])
def test_sums_and_their_relu_are_numpys_in_every_memory_order(shape, orders):
    generator = np.random.default_rng(1)
    a, b = generator.standard_normal((2, *shape)).astype(np.float32)
    a.reshape(-1)[:7] = SPECIAL
    a, b = (
        layout.as_channels_last(array) if order == "channels-last" else np.asarray(array, order=order)
        for array, order in zip((a, b), orders, strict=True)
    )
    np.testing.assert_array_equal(add(a, b), a + b)
    np.testing.assert_array_equal(add_relu(a, b), np.maximum(a + b, 0))
    if orders[0] == orders[1]:
        assert layout.is_channels_last(add(a, b)) == layout.is_channels_last(add_relu(a, b)) == (orders[0] != "C")


def test_sums_of_other_kinds_are_numpys():
    a = np.arange(1 << 15)
    np.testing.assert_array_equal(add(a, np.float32(0.5)), a + 0.5)
    np.testing.assert_array_equal(add(a, a), 2 * a)
    wide = np.full((4, 1 << 13), 1e30, np.float32)
    assert (add_relu(wide, wide[0] * -3) == 0).all()
    assert np.isinf(add(wide * 2e8, wide * 2e8)).all()
