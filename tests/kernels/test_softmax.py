"""The logarithm of softmax by rows: NumPy's numbers, in both memory orders, with every kind of bad row."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor
from minicnn.kernels import layout, softmax

SHAPES = [((4, 21, 32, 33), 1), ((3, 300, 100), 2), ((700, 101), 1), ((1, 1, 256, 257), 1)]


@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_values_and_gradients_are_those_of_float64(shape, axis):
    generator = np.random.default_rng(0)
    values, cotangent = 5 * generator.standard_normal((2, *shape))
    results = []
    for dtype in (np.float32, np.float64):
        array = values.astype(dtype)
        x = Tensor(layout.as_channels_last(array) if array.ndim == 4 else array, requires_grad=True)
        assert softmax.applies(x.data, axis) == (dtype == np.float32)
        y = F.log_softmax(x, axis)
        y.backward(cotangent.astype(dtype))
        assert y.dtype == x.grad.dtype == dtype
        assert layout.is_channels_last(y.data) == (len(shape) == 4)
        results.append((y.data, x.grad.data))
    for fast, exact in zip(*results, strict=True):
        np.testing.assert_allclose(fast, exact, rtol=5e-5, atol=5e-5)


def test_rows_that_have_no_softmax_are_nan_and_no_others():
    x = np.zeros((1000, 70), np.float32)
    x[1, 3], x[2, 0], x[3], x[4, 5], x[5, 1], x[6] = np.nan, np.nan, -np.inf, np.inf, -np.inf, 1e38
    y = F.log_softmax(Tensor(x), 1).data
    np.testing.assert_array_equal(np.isnan(y).all(axis=1)[:8], [False, True, True, True, True, False, False, False])
    assert y[5, 1] == -np.inf
    np.testing.assert_allclose(y[5, 2:], -np.log(69), rtol=1e-6)
    np.testing.assert_allclose(y[[0, 6]], -np.log(70), rtol=1e-6)


def test_a_number_without_axes_is_numpys():
    assert F.log_softmax(Tensor(np.array(3.0)), 0).item() == 0


def test_rows_that_do_not_lie_together_are_numpys():
    x = np.zeros((300, 300), np.float32)
    assert softmax.applies(x, 1)
    assert not softmax.applies(x, 0)
    assert not softmax.applies(x.T, 1)
    assert not softmax.applies(x[:3], 1)
    assert not softmax.applies(np.zeros((4, 21, 32, 33), np.float32), 1)
