"""The compiled pooling gives what the plain loops give, forward and backward, over drawn shapes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.kernels.convolution.algorithm import use_algorithm
from minicnn.kernels.pooling import reference, windows
from minicnn.kernels.shapes import pooling_output_size


@st.composite
def window_cases(draw, dilated):
    """(x, kernel_size, stride, padding, dilation, output_size), with ties, infinities and NaN now and then."""
    sizes, settings = [], []
    for _ in range(2):
        kernel = draw(st.integers(1, 4))
        stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2))
        dilation = draw(st.integers(1, 2)) if dilated else 1
        size = draw(st.integers(max(1, dilation * (kernel - 1) + 1 - 2 * padding), 9))
        sizes.append(size)
        settings.append((kernel, stride, padding, dilation))
    ceil_mode = draw(st.booleans())
    out = tuple(pooling_output_size(size, *one, ceil_mode) for size, one in zip(sizes, settings, strict=True))
    channels = draw(st.sampled_from([1, 3, 6, 15, 16, 17, 33]))  # below, at and above what a register holds
    shape = (draw(st.integers(1, 2)), *sizes, channels)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = generator.integers(-3, 4, shape).astype(draw(st.sampled_from([np.float32, np.float64])))
    if dilated:
        x[generator.random(shape) < 0.1] = draw(st.sampled_from([0.0, np.nan, -np.inf, np.inf]))
    return x, *zip(*settings, strict=True), out


@settings(max_examples=60, deadline=None)
@given(window_cases(dilated=True))
def test_maxima_indices_and_gradients_are_those_of_the_loops(drawn):
    x, kernel_size, stride, padding, dilation, out = drawn
    y, indices = windows.max_pool2d(x, kernel_size, stride, padding, dilation, out)
    expected, places = reference.max_pool2d(x, kernel_size, stride, padding, dilation, out)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, places)
    gradient = np.random.default_rng(0).standard_normal(y.shape).astype(x.dtype)
    np.testing.assert_allclose(
        windows.max_pool2d_backward(gradient, indices, x.shape[1:3]),
        reference.max_pool2d_backward(gradient, indices, x.shape[1:3]),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.tiny
@pytest.mark.parametrize("channels", [2, 17])
def test_maxima_in_registers_are_those_of_the_loops(channels):
    x = np.random.default_rng(0).integers(-3, 4, (2, 4, 5, channels)).astype(np.float32)
    x[0, 1, 2, 1], x[1, 0, 0] = np.nan, -np.inf
    window = (3, 2), (2, 1), (1, 1), (1, 2), (2, 5)
    for result, expected in zip(windows.max_pool2d(x, *window), reference.max_pool2d(x, *window), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_an_image_with_more_places_than_a_register_can_count_is_pooled_by_the_loops():
    x = np.zeros((1, 4097, 4096, 1), np.float32)
    x[0, -1, -1] = 1
    y, indices = windows.max_pool2d(x, (4097, 4096), (1, 1), (0, 0), (1, 1), (1, 1))
    assert (y.item(), indices.item()) == (1, 4097 * 4096 - 1)


@settings(max_examples=60, deadline=None)
@given(window_cases(dilated=False), st.booleans(), st.sampled_from([None, 3]))
def test_means_and_gradients_are_those_of_the_loops(drawn, count_include_pad, divisor):
    x, kernel_size, stride, padding, _, out = drawn
    y = windows.avg_pool2d(x, kernel_size, stride, padding, out, count_include_pad, divisor)
    expected = reference.avg_pool2d(x, kernel_size, stride, padding, out, count_include_pad, divisor)
    np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)
    gradient = np.random.default_rng(0).standard_normal(y.shape).astype(x.dtype)
    rest = (kernel_size, stride, padding, count_include_pad, divisor, x.shape[1:3])
    np.testing.assert_allclose(
        windows.avg_pool2d_backward(gradient, *rest),
        reference.avg_pool2d_backward(gradient, *rest),
        rtol=1e-5,
        atol=1e-6,
    )


X = np.zeros((1, 2, 2, 1), np.float32)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("max_pool2d", (X, (2, 2), (1, 1), (0, 0), (1, 1), (1, 1))),
        ("max_pool2d_backward", (X[:, :1, :1], np.zeros((1, 1, 1, 1), np.int64), (2, 2))),
        ("avg_pool2d", (X, (2, 2), (1, 1), (0, 0), (1, 1), True, None)),
        ("avg_pool2d_backward", (X[:, :1, :1], (2, 2), (1, 1), (0, 0), True, None, (2, 2))),
    ],
)
def test_use_algorithm_chooses_the_loops(name, arguments, monkeypatch):
    called = []
    monkeypatch.setattr(reference, name, lambda *arguments: called.append(name))
    getattr(windows, name)(*arguments)
    assert called == []
    with use_algorithm("reference"):
        getattr(windows, name)(*arguments)
    assert called == [name]
