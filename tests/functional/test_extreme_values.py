"""Values at the ends of float32's range, constants, outliers and long sums: the right number, and no warning."""

import warnings

import numpy as np
import pytest

from minicnn import Tensor, nn
from minicnn import functional as F

BIG, TENTH = np.float32(3e38), float(np.float32(0.1))


def test_the_gradient_of_std_at_a_constant_is_zero():
    x = Tensor(np.ones((3, 4), np.float32), requires_grad=True)
    x.std(1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.zeros((3, 4)))


@pytest.mark.parametrize("scale", [3e38, 1e-24, 1e-40, 1.0])
def test_std_of_two_numbers_is_their_distance_over_the_root_of_two(scale):
    values = np.array([scale, 0], np.float32)
    assert Tensor(values).std().item() == pytest.approx(float(values[0]) / np.sqrt(2), rel=1e-3)


def test_stds_gradient_is_the_deviation_over_the_spread():
    a = np.random.default_rng(0).normal(size=(3, 5))
    x = Tensor(a, requires_grad=True)
    x.std(1).sum().backward()
    expected = (a - a.mean(1, keepdims=True)) / (4 * a.std(1, ddof=1, keepdims=True))
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-12)


CALLS = {
    "log_softmax": lambda x: F.log_softmax(x, 0),
    "softmax": lambda x: F.softmax(x, 0),
    "mse_loss": lambda x: F.mse_loss(x, np.zeros(2, np.float32)),
    "l1_loss": lambda x: F.l1_loss(x, -x.detach()),
    "huber_loss": lambda x: F.huber_loss(x, np.zeros(2, np.float32)),
    "smooth_l1_loss": lambda x: F.smooth_l1_loss(x, np.zeros(2, np.float32)),
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, np.ones(2, np.float32)),
    "hardswish": F.hardswish,
    "gelu tanh": lambda x: F.gelu(x, "tanh"),
    "gelu": F.gelu,
    "silu": F.silu,
    "elu": F.elu,
    "softplus": F.softplus,
    "sigmoid": F.sigmoid,
    "var": F.var,
    "std": F.std,
    "normalize": lambda x: F.normalize(x, dim=0),
    "cosine_similarity": lambda x: F.cosine_similarity(x, x, 0),
    "prod": F.prod,
    "logsumexp": lambda x: F.logsumexp(x, 0),
}


@pytest.mark.parametrize("values", [(BIG, -BIG), (np.inf, 1), (-np.inf, np.inf), (np.nan, 0), (1e-45, 0)])
@pytest.mark.parametrize("name", CALLS)
def test_legal_values_give_no_warning_forwards_or_backwards(name, values):
    x = Tensor(np.array(values, np.float32), requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CALLS[name](x).sum().backward()
    assert x.grad.shape == (2,)


@pytest.mark.parametrize("size", [64, 1024])
def test_the_mean_of_a_large_window_does_not_drift(size):
    image = Tensor(np.full((1, 1, size, size), 0.1, np.float32), requires_grad=True)
    for pooled in (F.adaptive_avg_pool2d(image, 1), F.avg_pool2d(image, size)):
        assert pooled.item() == pytest.approx(TENTH, rel=1e-6)


def test_large_windows_are_those_of_small_ones():
    """Overlapping, padded and uneven windows, against the plain mean of their places."""
    a = np.random.default_rng(0).normal(size=(2, 3, 90, 77)).astype(np.float32)
    padded = np.pad(a.astype(np.float64), ((0, 0), (0, 0), (9, 9), (9, 9)))
    expected = [[padded[:, :, i : i + 40, j : j + 33].mean((2, 3)) for j in (0, 20, 40, 60)] for i in (0, 30, 60)]
    got = F.avg_pool2d(a, (40, 33), stride=(30, 20), padding=9)
    np.testing.assert_allclose(got.data, np.array(expected).transpose(2, 3, 0, 1), atol=1e-6)
    got = F.adaptive_avg_pool2d(a, (2, 2)).data
    np.testing.assert_allclose(got[:, :, 1, 0], a[:, :, 45:, :39].mean((2, 3), np.float64), atol=1e-6)


def test_einsum_and_broadcast_products_add_up_in_float64():
    got = F.einsum("ij->j", Tensor(np.full((1_000_000, 4), 0.1, np.float32))).data
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, 1e6 * TENTH, rtol=1e-6)
    vector = Tensor(np.ones(4, np.float32), requires_grad=True)
    (vector @ Tensor(np.full((1_000_000, 4, 1), 0.1, np.float32))).sum().backward()
    np.testing.assert_allclose(vector.grad.data, 1e6 * TENTH, rtol=1e-6)


@pytest.mark.parametrize("place", [(0, 0), (5, 7), (-1, -1)])
def test_one_outlier_does_not_cost_batch_norms_variance(place):
    x = np.full((16, 1, 112, 112), 0.7, np.float32)
    x[(0, 0, *place)] = 30
    mean, variance = np.zeros(1, np.float32), np.ones(1, np.float32)
    F.batch_norm(x, mean, variance, training=True, momentum=1.0)
    assert variance[0] == pytest.approx(x.astype(np.float64).var(ddof=1), rel=1e-3)
    assert mean[0] == pytest.approx(x.astype(np.float64).mean(), rel=1e-6)


def test_instance_norm_takes_one_image_and_refuses_what_does_not_fit():
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    expected = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(nn.InstanceNorm2d(3)(Tensor(x)).data, expected, atol=1e-5)
    with pytest.raises(ValueError, match="has 5 channels, but num_features is 3"):
        nn.InstanceNorm2d(3)(np.ones((2, 5, 4, 4), np.float32))
    with pytest.raises(ValueError, match=r"or \(C, H, W\) for one image, but its shape is \(2, 3, 2, 2, 2\)"):
        nn.InstanceNorm2d(3)(np.ones((2, 3, 2, 2, 2), np.float32))


@pytest.mark.parametrize("factor", [2.0, 2.01, 2.1, 2.4])
def test_nearest_copies_each_pixel_twice_where_the_size_doubles(factor):
    for size in range(2, 12):
        x = np.arange(size, dtype=np.float32).reshape(1, 1, 1, size)
        got = F.interpolate(Tensor(x), scale_factor=(1.0, factor)).data.ravel()
        if len(got) == 2 * size:
            np.testing.assert_array_equal(got, np.repeat(x.ravel(), 2))
