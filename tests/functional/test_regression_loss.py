"""Losses between numbers: against PyTorch, at their kinks, and where shapes differ."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout

LOSSES = [
    ("mse_loss", {}),
    ("l1_loss", {}),
    ("smooth_l1_loss", {}),
    ("smooth_l1_loss", {"beta": 0.3}),
    ("smooth_l1_loss", {"beta": 0.0}),
    ("huber_loss", {}),
    ("huber_loss", {"delta": 0.4}),
]
each = pytest.mark.parametrize(("name", "options"), LOSSES, ids=str)


@pytest.fixture(scope="module")
def torch_functional():
    return pytest.importorskip("torch").nn.functional


@each
@settings(max_examples=15)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    reduction=st.sampled_from(["none", "mean", "sum"]),
    seed=st.integers(0, 2**20),
)
def test_agrees_with_torch(name, options, shape, reduction, seed, same_as_torch, torch_functional):
    x, target = np.random.default_rng(seed).standard_normal((2, *shape))
    ours, theirs = getattr(F, name), getattr(torch_functional, name)
    same_as_torch(ours, theirs, np.asarray(x), np.asarray(target), reduction=reduction, seed=seed, **options)


@each
def test_kinks_have_the_slope_that_torch_gives_them(name, options, same_as_torch, torch_functional):
    x = np.array([-1.0, -0.4, -0.3, 0.0, 0.3, 0.4, 1.0])
    same_as_torch(getattr(F, name), getattr(torch_functional, name), x, np.zeros(7), **options)


@each
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradient_is_the_slope(name, options, reduction):
    target = np.random.default_rng(0).standard_normal((3, 2, 4))
    difference = np.array([-2.1, -0.7, -0.15, 0.2, 0.6, 1.9]).reshape(3, 2, 1)
    x = Tensor((target + difference).transpose(2, 0, 1), requires_grad=True)
    y = Tensor(target.transpose(2, 0, 1), requires_grad=True)
    assert gradcheck(lambda a, b: getattr(F, name)(a, b, reduction=reduction, **options), [x, y])


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_weights_agree_with_torch(name, reduction, same_as_torch, torch_functional):
    torch = pytest.importorskip("torch")
    x, target, weight = np.random.default_rng(1).standard_normal((3, 4, 3))
    weight = np.abs(weight)
    same_as_torch(
        lambda a, b: getattr(F, name)(a, b, reduction=reduction, weight=Tensor(weight)),
        lambda a, b: getattr(torch_functional, name)(a, b, reduction=reduction, weight=torch.tensor(weight)),
        x,
        target,
    )


@each
def test_shapes_that_broadcast_do_so_with_a_warning(name, options, torch_functional):
    torch = pytest.importorskip("torch")
    x, target = np.arange(3.0), np.arange(3.0).reshape(3, 1) + 0.1
    with pytest.warns(
        UserWarning, match=r"input \(3,\) and target \(3, 1\) differ in shape and are broadcast to \(3, 3\)"
    ):
        actual = getattr(F, name)(Tensor(x), Tensor(target), **options)
    with pytest.warns(UserWarning, match="target size"):
        expected = getattr(torch_functional, name)(torch.tensor(x), torch.tensor(target), **options)
    np.testing.assert_allclose(actual.item(), expected.item(), rtol=1e-12)


@each
def test_float32_images_stay_float32_and_channels_last(name, options, to_channels_last):
    x = Tensor(to_channels_last(np.ones((2, 3, 4, 5), np.float32)), requires_grad=True)
    loss = getattr(F, name)(x, Tensor(to_channels_last(np.zeros((2, 3, 4, 5), np.float32))), **options)
    loss.backward()
    assert loss.dtype == x.grad.dtype == np.float32
    assert layout.is_channels_last(x.grad.data)


@each
def test_nan_is_carried(name, options):
    x = Tensor(np.array([np.nan, 1.0]), requires_grad=True)
    loss = getattr(F, name)(x, np.zeros(2), **options)
    loss.backward()
    assert np.isnan(loss.item())
    assert np.isnan(x.grad.data).tolist() == [True, False]


@each
def test_the_mean_over_nothing_is_nan(name, options):
    assert np.isnan(getattr(F, name)(np.zeros((0, 3)), np.zeros((0, 3)), **options).item())
    assert getattr(F, name)(np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum", **options).item() == 0


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_loss_of_a_large_float32_batch_is_the_exact_sum_rounded_once(reduction):
    x = np.random.default_rng(2).uniform(0, 1, (300, 3, 32, 32)).astype(np.float32).transpose(0, 3, 1, 2)
    exact = math.fsum(x.ravel().tolist()) / (x.size if reduction == "mean" else 1)
    assert F.l1_loss(Tensor(x), Tensor(np.zeros_like(x)), reduction).data == np.float32(exact)


@each
def test_errors_say_what_is_wrong(name, options):
    function = getattr(F, name)
    with pytest.raises(ValueError, match=rf"{name}: shapes \(2,\) and \(3,\) don't broadcast"):
        function(np.zeros(2), np.zeros(3), **options)
    with pytest.raises(
        ValueError, match=rf"{name}: reduction must be one of 'none', 'mean', 'sum', but is 'batchmean'"
    ):
        function(np.zeros(2), np.zeros(2), reduction="batchmean", **options)
    with pytest.raises(TypeError, match=rf"{name} needs a floating-point input or target, but its dtype is int64"):
        function(Tensor([1, 2]), Tensor([1, 2]), **options)


def test_parameters_out_of_range_are_named():
    with pytest.raises(ValueError, match="beta must be 0 or more, but is -1"):
        F.smooth_l1_loss(np.zeros(2), np.zeros(2), beta=-1)
    with pytest.raises(ValueError, match="delta must be positive, but is 0"):
        F.huber_loss(np.zeros(2), np.zeros(2), delta=0)
    with pytest.raises(ValueError, match=r"weight must have the input's shape \(2,\), but its shape is \(3,\)"):
        F.mse_loss(np.zeros(2), np.zeros(2), weight=np.ones(3))
