"""Sums over rows, and batch normalisation's forward and backward pass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.kernels import normalization as kernels

sizes = st.tuples(st.integers(2, 300), st.sampled_from([1, 3, 16, 17, 40]))


@given(sizes, st.integers(0, 10**6))
@settings(max_examples=40)
def test_sums_and_moments_equal_numpys_in_float64(size, seed):
    for dtype, tolerance in ((np.float32, 3e-6), (np.float64, 1e-13)):
        x = np.random.default_rng(seed).normal(2, 3, size).astype(dtype)
        exact = x.astype(np.float64)
        mean, variance = kernels.channel_mean_and_variance(x)
        assert mean.dtype == variance.dtype == kernels.channel_sum(x).dtype == dtype
        np.testing.assert_allclose(kernels.channel_sum(x), exact.sum(axis=0), atol=tolerance * 3 * size[0])
        np.testing.assert_allclose(mean, exact.mean(axis=0), atol=tolerance)
        np.testing.assert_allclose(variance, exact.var(axis=0), rtol=tolerance, atol=tolerance)


def test_a_sum_of_a_million_values_keeps_its_digits():
    x = np.full((1_000_000, 1), 1 / 255, np.float32)
    assert kernels.channel_sum(x)[0] == pytest.approx(1e6 * float(np.float32(1 / 255)), rel=1e-7)


def test_the_variance_survives_a_mean_that_is_much_larger():
    x = (np.random.default_rng(0).normal(size=(5000, 3)) + [1e4, -3e3, 0]).astype(np.float32)
    _, variance = kernels.channel_mean_and_variance(x)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=0), rtol=1e-5)


def test_a_constant_channel_has_no_variance():
    x = np.full((77, 2), 0.1, np.float32)
    mean, variance = kernels.channel_mean_and_variance(x)
    np.testing.assert_array_equal(mean, x[0])
    np.testing.assert_array_equal(variance, 0)


def test_a_nan_or_an_infinity_shows_in_its_channel_and_in_no_other():
    x = np.ones((100, 3), np.float32)
    x[50, 0], x[60, 2] = np.nan, np.inf
    mean, variance = kernels.channel_mean_and_variance(x)
    assert np.isnan(mean[0])
    assert np.isnan(variance[0])
    assert (mean[1], variance[1]) == (1, 0)
    assert not np.isfinite(mean[2])
    assert not np.isfinite(variance[2])


def test_scale_and_shift_acts_on_channels():
    rng = np.random.default_rng(0)
    x, scale, shift = rng.normal(size=(31, 5)), rng.normal(size=5), rng.normal(size=5)
    np.testing.assert_allclose(kernels.scale_and_shift(x, scale, shift), x * scale + shift, atol=1e-14)


@pytest.mark.parametrize("training", [True, False])
def test_the_backward_pass_is_the_derivative_of_the_forward_pass(training):
    rng = np.random.default_rng(1)
    x, gradient = rng.normal(1, 2, (37, 5)), rng.normal(size=(37, 5))
    weight, bias = rng.normal(size=5), rng.normal(size=5)
    running_mean, running_variance = rng.normal(size=5), rng.random(5) + 0.5

    def forward(x, weight, bias):
        mean, variance = (x.mean(axis=0), x.var(axis=0)) if training else (running_mean, running_variance)
        return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias

    mean, variance = (x.mean(axis=0), x.var(axis=0)) if training else (running_mean, running_variance)
    gradients = kernels.batch_norm_backward(gradient, x, mean, 1 / np.sqrt(variance + 1e-5), weight, training)
    for position, analytic in enumerate(gradients):
        step = rng.normal(size=analytic.shape) * 1e-5
        ahead, behind = [x, weight, bias], [x, weight, bias]
        ahead[position], behind[position] = ahead[position] + step, behind[position] - step
        difference = ((forward(*ahead) - forward(*behind)) * gradient).sum() / 2
        assert (analytic * step).sum() == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels", [3, 64])
def test_the_backward_pass_equals_torchs(training, channels):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    x, gradient = (rng.normal(size=(500, channels)).astype(np.float32) for _ in range(2))
    weight = rng.normal(size=channels).astype(np.float32)
    mean, variance = kernels.channel_mean_and_variance(x)
    inputs = [torch.tensor(array, requires_grad=True) for array in (x, weight, np.zeros_like(weight))]
    running = torch.tensor(mean), torch.tensor(variance)
    y = torch.nn.functional.batch_norm(inputs[0], *running, inputs[1], inputs[2], training, eps=1e-5)
    expected = torch.autograd.grad(y, inputs, torch.tensor(gradient))
    inverse_std = (1 / np.sqrt(variance + 1e-5)).astype(np.float32)
    result = kernels.batch_norm_backward(gradient, x, mean, inverse_std, weight, training)
    for ours, theirs in zip(result, expected, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5, rtol=1e-5)


def test_an_empty_batch_sums_to_zero():
    np.testing.assert_array_equal(kernels.channel_sum(np.empty((0, 4), np.float32)), np.zeros(4))
