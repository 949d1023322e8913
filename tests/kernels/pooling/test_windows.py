"""Pooling kernels against PyTorch: geometry, padding, ties, NaN and infinities, forward and backward."""

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from minicnn.kernels.pooling import windows
from minicnn.kernels.shapes import pooling_output_size
from tests.peers import needs_torch, torch

F = torch and torch.nn.functional


def to_torch(x):
    """(N, H, W, C) -> a tensor (N, C, H, W)"""
    return torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


def to_numpy(tensor):
    """A tensor (N, C, H, W) -> (N, H, W, C)"""
    return np.ascontiguousarray(tensor.detach().numpy().transpose(0, 2, 3, 1))


def pair(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def window_cases(draw):
    """Kernel, stride, padding (at most half the kernel, as PyTorch demands), dilation and ceil_mode."""
    kernel = draw(pair(1, 4))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return kernel, draw(pair(1, 4)), padding, draw(pair(1, 2)), draw(st.booleans())


def output_size(size, kernel, stride, padding, dilation, ceil_mode):
    axes = zip(size, kernel, stride, padding, dilation, strict=True)
    return tuple(pooling_output_size(*axis, ceil_mode) for axis in axes)


channels = st.sampled_from([1, 2, 5, 16, 19])
images = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), channels)
seeds = st.integers(0, 10**6)


@needs_torch
@given(images, window_cases(), seeds)
@example((1, 2, 2, 1), ((2, 2), (2, 2), (1, 1), (1, 1), True), 0)  # a last window would begin in the right padding
@example((1, 5, 4, 2), ((3, 2), (2, 3), (1, 1), (1, 1), True), 0)
@settings(max_examples=120)
def test_max_pooling_equals_torch_with_ties_nan_and_infinities(shape, window, seed):
    kernel, stride, padding, dilation, ceil_mode = window
    size = output_size(shape[1:3], *window)
    assume(min(size) > 0)
    rng = np.random.default_rng(seed)
    values = np.array([-np.inf, -2, -1, -1, 0, 1, np.inf, np.nan])
    x = rng.choice(values, shape, p=[0.3, 0.15, 0.15, 0.1, 0.1, 0.1, 0.05, 0.05]).astype(np.float32)
    input = to_torch(x).requires_grad_()
    expected, places = F.max_pool2d(input, kernel, stride, padding, dilation, ceil_mode, return_indices=True)
    y, indices = windows.max_pool2d(x, kernel, stride, padding, dilation, size)
    seen = indices >= 0  # PyTorch's index of a window that sees only padding may lie outside the image
    np.testing.assert_array_equal(y, to_numpy(expected))
    np.testing.assert_array_equal(indices[seen], to_numpy(places)[seen])
    gradient = np.where(seen, rng.normal(size=y.shape), 0).astype(np.float32)
    expected.backward(to_torch(gradient))
    result = windows.max_pool2d_backward(gradient, indices, shape[1:3])
    np.testing.assert_allclose(result, to_numpy(input.grad), atol=1e-5)


def test_a_dilated_window_that_steps_over_the_image_gives_no_gradient_to_any_pixel():
    x = np.ones((1, 1, 1, 2), np.float32)
    y, indices = windows.max_pool2d(x, (1, 2), (1, 1), (0, 1), (1, 2), (1, 1))
    np.testing.assert_array_equal(y, -np.inf)
    np.testing.assert_array_equal(indices, -1)
    np.testing.assert_array_equal(windows.max_pool2d_backward(np.ones_like(y), indices, (1, 1)), 0)


def test_padding_never_wins_a_maximum():
    x = np.full((1, 3, 4, 2), -1.0, np.float32)
    y, _ = windows.max_pool2d(x, (3, 3), (1, 1), (1, 1), (1, 1), (3, 4))
    np.testing.assert_array_equal(y, -1)


@needs_torch
@given(images, window_cases(), st.booleans(), st.sampled_from([None, 1, 3, -2]), seeds)
@example((1, 2, 2, 1), ((2, 2), (2, 2), (1, 1), (1, 1), True), True, None, 0)
@settings(max_examples=120)
def test_average_pooling_equals_torch(shape, window, count_include_pad, divisor, seed):
    kernel, stride, padding, _, ceil_mode = window
    size = output_size(shape[1:3], kernel, stride, padding, (1, 1), ceil_mode)
    assume(min(size) > 0)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    input = to_torch(x).requires_grad_()
    expected = F.avg_pool2d(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    y = windows.avg_pool2d(x, kernel, stride, padding, size, count_include_pad, divisor)
    np.testing.assert_allclose(y, to_numpy(expected), atol=1e-12)
    gradient = rng.normal(size=y.shape)
    expected.backward(to_torch(gradient))
    result = windows.avg_pool2d_backward(gradient, kernel, stride, padding, count_include_pad, divisor, shape[1:3])
    np.testing.assert_allclose(result, to_numpy(input.grad), atol=1e-12)


@needs_torch
@given(images, pair(1, 11), seeds)
@settings(max_examples=80)
def test_adaptive_pooling_equals_torch(shape, size, seed):
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=shape) * 2)  # with ties
    gradient = rng.normal(size=(shape[0], *size, shape[3]))

    input = to_torch(x).requires_grad_()
    expected = F.adaptive_avg_pool2d(input, size)
    expected.backward(to_torch(gradient))
    np.testing.assert_allclose(windows.adaptive_avg_pool2d(x, size), to_numpy(expected), atol=1e-12)
    result = windows.adaptive_avg_pool2d_backward(gradient, shape[1:3])
    np.testing.assert_allclose(result, to_numpy(input.grad), atol=1e-12)

    x[rng.random(shape) < 0.1] = np.nan
    input = to_torch(x).requires_grad_()
    expected, places = F.adaptive_max_pool2d(input, size, return_indices=True)
    expected.backward(to_torch(gradient))
    y, indices = windows.adaptive_max_pool2d(x, size)
    np.testing.assert_array_equal(y, to_numpy(expected))
    np.testing.assert_array_equal(indices, to_numpy(places))
    result = windows.max_pool2d_backward(gradient, indices, shape[1:3])
    np.testing.assert_allclose(result, to_numpy(input.grad), atol=1e-12)


@needs_torch
@given(images, seeds)
@settings(max_examples=30)
def test_unpooling_equals_torch(shape, seed):
    n, oh, ow, c = shape
    size = (2 * oh + 1, 2 * ow)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    # Distinct places: which of two values stays is PyTorch's to leave open.
    order = np.argsort(rng.random((n, size[0] * size[1], c)), axis=1)
    indices = order[:, : oh * ow].reshape(shape)
    input = to_torch(x).requires_grad_()
    expected = F.max_unpool2d(input, to_torch(indices), 3, stride=2, output_size=size)
    np.testing.assert_array_equal(windows.max_unpool2d(x, indices, size), to_numpy(expected))
    gradient = rng.normal(size=(n, *size, c))
    expected.backward(to_torch(gradient))
    np.testing.assert_array_equal(windows.max_unpool2d_backward(gradient, indices), to_numpy(input.grad))


def test_an_empty_batch_gives_empty_results():
    x = np.empty((0, 4, 5, 3), np.float32)
    window = (2, 2), (2, 2), (0, 0)
    y, indices = windows.max_pool2d(x, *window, (1, 1), (2, 2))
    assert y.shape == indices.shape == (0, 2, 2, 3)
    assert windows.max_pool2d_backward(y, indices, (4, 5)).shape == x.shape
    assert windows.avg_pool2d(x, *window, (2, 2), True, None).shape == y.shape
    assert windows.avg_pool2d_backward(y, *window, True, None, (4, 5)).shape == x.shape
    assert windows.adaptive_avg_pool2d(x, (2, 2)).shape == y.shape
    assert windows.adaptive_avg_pool2d_backward(y, (4, 5)).shape == x.shape
    assert windows.adaptive_max_pool2d(x, (2, 2))[0].shape == y.shape
    assert windows.max_unpool2d(y, indices, (4, 5)).shape == x.shape
    assert windows.max_unpool2d_backward(x, indices).shape == y.shape


@needs_torch
@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 2), st.integers(1, 3), st.booleans())
def test_the_output_size_is_torchs(size, kernel, stride, padding, dilation, ceil_mode):
    assume(padding <= kernel // 2)
    result = pooling_output_size(size, kernel, stride, padding, dilation, ceil_mode)
    line = torch.zeros(1, 1, size)
    try:
        expected = F.max_pool1d(line, kernel, stride, padding, dilation, ceil_mode).shape[-1]
    except RuntimeError:  # PyTorch refuses an output without elements
        expected = 0
    assert max(result, 0) == expected
