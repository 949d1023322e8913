"""Reductions: PyTorch's values and gradients over every choice of axes, ties, empties and long sums."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck

OVER_AXES = ["sum", "mean", "amax", "amin", "logsumexp", "var", "std"]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("name", OVER_AXES)
@pytest.mark.parametrize("keepdim", [False, True])
def test_every_choice_of_axes_agrees_with_torch(name, keepdim, same_as_torch, torch):
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    choices = [dims for count in (1, 2, 3) for dims in itertools.combinations((0, 1, 2), count)]
    for dim in [*choices, (-1, 0), 1, -2]:
        same_as_torch(getattr(F, name), getattr(torch, name), x, dim, keepdim=keepdim)


@settings(max_examples=30)
@given(
    name=st.sampled_from(OVER_AXES),
    shape=st.lists(st.integers(2, 4), min_size=1, max_size=4),
    data=st.data(),
    keepdim=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_any_shape_agrees_with_torch(name, shape, data, keepdim, seed, same_as_torch, torch):
    dim = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    x = np.random.default_rng(seed).standard_normal(shape)
    same_as_torch(getattr(F, name), getattr(torch, name), x, dim, keepdim=keepdim, seed=seed)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "prod", "max", "min", "amax", "amin"])
def test_over_everything_agrees_with_torch(name, same_as_torch, torch):
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    same_as_torch(getattr(F, name), getattr(torch, name), x)
    if name not in ("var", "std"):
        same_as_torch(getattr(F, name), getattr(torch, name), np.array(1.5))


@pytest.mark.parametrize("name", OVER_AXES)
def test_gradient_is_the_slope(name):
    x = Tensor(np.random.default_rng(2).standard_normal((4, 3, 2)).transpose(2, 0, 1), requires_grad=True)
    for dim in (0, 1, (0, 2)):
        assert gradcheck(lambda t, dim=dim: getattr(F, name)(t, dim), x)


@pytest.mark.parametrize("correction", [0, 1, 2, 5])
@pytest.mark.filterwarnings("ignore:var\\(\\)")
def test_the_correction_of_a_variance_is_that_of_torch(correction, torch):
    x = np.random.default_rng(3).standard_normal((3, 4))
    ours, theirs = (m.var(t, 1, correction=correction) for m, t in ((F, Tensor(x)), (torch, torch.tensor(x))))
    np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-12)


@pytest.mark.parametrize("dim", [None, 0, 1, -1])
@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_prod_agrees_with_torch_with_zeros_among_its_factors(dim, zeros, same_as_torch, torch):
    x = np.random.default_rng(4).standard_normal((3, 4))
    x.flat[[1, 5][:zeros]] = 0
    same_as_torch(F.prod, torch.prod, x, **({} if dim is None else {"dim": dim}))


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("keepdim", [False, True])
def test_max_along_an_axis_gives_values_and_first_indices(name, keepdim, same_as_torch, torch):
    x = np.array([[3.0, 1.0, 3.0, -1.0], [-1.0, 3.0, -1.0, 0.0]])
    for dim in (0, 1, -1):
        same_as_torch(
            lambda t, d=dim: getattr(F, name)(t, d, keepdim)[0],
            lambda t, d=dim: getattr(torch, name)(t, d, keepdim)[0],
            x,
        )
        ours, theirs = (
            getattr(F, name)(Tensor(x), dim, keepdim)[1],
            getattr(torch, name)(torch.tensor(x), dim, keepdim)[1],
        )
        np.testing.assert_array_equal(ours.data, theirs.numpy())
        assert ours.dtype == np.int64


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions_agree_with_torch(name, torch, to_channels_last):
    x = np.random.default_rng(5).standard_normal((2, 3, 4, 5))
    for dim, keepdim in itertools.product((None, 0, 1, 3, -2), (False, True)):
        expected = getattr(torch, name)(torch.tensor(x), dim, keepdim).numpy()
        for array in (x, to_channels_last(x)):  # the position counts in the order that a user sees
            np.testing.assert_array_equal(getattr(F, name)(Tensor(array), dim, keepdim).data, expected)
    tied = np.array([1.0, 2.0, 2.0, 1.0])
    assert F.argmax(Tensor(tied)).item() == 1
    assert F.argmin(Tensor(tied)).item() == 0
    assert F.argmax(Tensor(np.array([1.0, np.nan, 3.0]))).item() == 1


def test_ties_of_amax_share_the_gradient_and_max_gives_it_to_one():
    x = Tensor(np.array([2.0, 5.0, 5.0, 5.0]), requires_grad=True)
    F.amax(x, 0).backward()
    np.testing.assert_allclose(x.grad.data, [0, 1 / 3, 1 / 3, 1 / 3])
    x.grad = None
    F.max(x, 0)[0].backward()
    np.testing.assert_array_equal(x.grad.data, [0, 1, 0, 0])


def test_nan_goes_through_extremes():
    x = Tensor(np.array([1.0, np.nan, 3.0]))
    assert all(np.isnan(value.item()) for value in (F.amax(x), F.amin(x), F.max(x), F.max(x, 0)[0], F.min(x, 0)[0]))


def test_sums_of_integers_and_booleans_are_int64():
    for dtype in (bool, np.uint8, np.int32):
        total = F.sum(Tensor(np.ones(300, dtype)))
        assert total.item() == 300
        assert total.dtype == np.int64


def test_logsumexp_does_not_overflow_and_knows_infinities(torch):
    x = np.array([[1e4, 1e4], [-np.inf, -np.inf], [-np.inf, 2.0], [np.inf, 1.0], [-1e4, -1e4]])
    np.testing.assert_allclose(F.logsumexp(Tensor(x), 1).data, torch.logsumexp(torch.tensor(x), 1).numpy(), rtol=1e-12)


def test_the_variance_of_large_numbers_keeps_its_digits():
    x = np.random.default_rng(6).standard_normal(10_000).astype(np.float32) + np.float32(1000)
    assert abs(F.var(Tensor(x)).item() / x.astype(np.float64).var(ddof=1) - 1) < 1e-5


@pytest.mark.parametrize("order", ["contiguous", "channels-last"])
def test_long_float32_sums_do_not_drift(order):
    x = np.full((64, 3, 100, 100), np.float32(1 / 255))
    if order == "channels-last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    exact = float(np.float32(1 / 255))
    for result, count in [
        (F.sum(Tensor(x)), x.size),
        (F.mean(Tensor(x)), 1),
        (F.sum(Tensor(x), (0, 2, 3)), x.size / 3),
    ]:
        np.testing.assert_allclose(result.data, exact * count, rtol=2e-6)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var"])
@pytest.mark.filterwarnings("ignore:var\\(\\)")
def test_over_no_elements_the_result_is_that_of_torch(name, torch):
    for shape, dim in [((0,), 0), ((2, 0), 1), ((0, 3), 0), ((0, 3), 1)]:
        expected = getattr(torch, name)(torch.zeros(shape), dim=dim).numpy()
        np.testing.assert_array_equal(getattr(F, name)(Tensor(np.zeros(shape, np.float32)), dim).data, expected)


@pytest.mark.parametrize("name", ["amax", "amin", "max", "min", "argmax", "argmin"])
def test_an_extreme_over_no_elements_is_refused(name):
    with pytest.raises(ValueError, match=r"over no elements: shape \(2, 0\), dim"):
        getattr(F, name)(Tensor(np.zeros((2, 0))), 1)


@pytest.mark.parametrize("name", ["mean", "var", "std", "logsumexp"])
def test_integers_are_refused_where_the_result_is_a_fraction(name):
    with pytest.raises(TypeError, match=r"needs floating-point values, but the dtype is int64.*\.float\(\)"):
        getattr(F, name)(Tensor([1, 2]), 0)


@pytest.mark.parametrize("name", ["sum", "amax", "argmax", "prod", "logsumexp"])
def test_axes_out_of_range_are_named(name):
    for dim in (2, -3):
        with pytest.raises(ValueError, match=rf"dim {dim} is out of range for a Tensor of 2 axes: -2 to 1"):
            getattr(F, name)(Tensor(np.ones((2, 3))), dim)


def test_an_axis_named_twice_is_refused():
    with pytest.raises(ValueError, match="dim names an axis twice"):
        F.sum(Tensor(np.ones((2, 3))), (0, -2))
