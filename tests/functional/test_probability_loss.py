"""Binary cross-entropy, from probabilities and from scores, and the Kullback-Leibler divergence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck

shapes = st.lists(st.integers(0, 4), max_size=3)
reductions = st.sampled_from(["none", "mean", "sum"])


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@settings(max_examples=25)
@given(shape=shapes, reduction=reductions, weighted=st.booleans(), seed=st.integers(0, 2**20))
def test_binary_cross_entropy_agrees_with_torch(shape, reduction, weighted, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    x, target = generator.uniform(0.01, 0.99, shape), generator.uniform(0, 1, shape)
    weight = np.asarray(generator.uniform(0.5, 2, shape[-1:])) if weighted else None
    same_as_torch(
        lambda a, b: F.binary_cross_entropy(a, b, weight, reduction=reduction),
        lambda a, b: torch.nn.functional.binary_cross_entropy(
            a, b, None if weight is None else torch.tensor(weight), reduction=reduction
        ),
        np.asarray(x),
        np.asarray(target),
        seed=seed,
    )


@settings(max_examples=25)
@given(
    shape=shapes,
    reduction=reductions,
    weighted=st.booleans(),
    positive=st.booleans(),
    scale=st.sampled_from([1.0, 50.0]),
    seed=st.integers(0, 2**20),
)
def test_binary_cross_entropy_with_logits_agrees_with_torch(
    shape, reduction, weighted, positive, scale, seed, same_as_torch, torch
):
    generator = np.random.default_rng(seed)
    x, target = generator.standard_normal(shape) * scale, generator.uniform(0, 1, shape)
    factors = {
        "weight": np.asarray(generator.uniform(0.5, 2, shape[-1:])) if weighted else None,
        "pos_weight": np.asarray(generator.uniform(0.5, 2, shape[-1:])) if positive else None,
    }
    theirs = {name: None if value is None else torch.tensor(value) for name, value in factors.items()}
    same_as_torch(
        lambda a, b: F.binary_cross_entropy_with_logits(a, b, reduction=reduction, **factors),
        lambda a, b: torch.nn.functional.binary_cross_entropy_with_logits(a, b, reduction=reduction, **theirs),
        np.asarray(x),
        np.asarray(target),
        seed=seed,
    )


@settings(max_examples=25)
@given(
    shape=st.lists(st.integers(1, 4), max_size=3),
    reduction=st.sampled_from(["none", "mean", "sum", "batchmean"]),
    log_target=st.booleans(),
    seed=st.integers(0, 2**20),
)
@pytest.mark.filterwarnings("ignore:reduction")
def test_kl_div_agrees_with_torch(shape, reduction, log_target, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    x, target = np.log(generator.uniform(0.1, 1, shape)), generator.uniform(0.1, 1, shape)
    if log_target:
        target = np.log(target)
    same_as_torch(
        F.kl_div,
        torch.nn.functional.kl_div,
        np.asarray(x),
        np.asarray(target),
        reduction=reduction,
        log_target=log_target,
        seed=seed,
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradient_is_the_slope(reduction):
    generator = np.random.default_rng(0)
    probability, target = generator.uniform(0.1, 0.9, (2, 3, 5)).transpose(0, 2, 1)
    x, y = Tensor(probability, requires_grad=True), Tensor(target, requires_grad=True)
    scores = Tensor(generator.standard_normal((5, 3)) * 4, requires_grad=True)
    weight, positive = generator.uniform(0.5, 2, 3), generator.uniform(0.5, 2, (5, 1))
    assert gradcheck(lambda a, b: F.binary_cross_entropy(a, b, weight, reduction), [x, y])
    assert gradcheck(lambda a, b: F.binary_cross_entropy_with_logits(a, b, weight, reduction, positive), [scores, y])
    assert gradcheck(lambda a, b: F.kl_div(a, b, reduction), [scores, y])
    assert gradcheck(lambda a, b: F.kl_div(a, b, reduction, log_target=True), [scores, y])


def test_certain_probabilities_cost_at_most_100_as_in_torch(same_as_torch, torch):
    x, target = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0])
    assert F.binary_cross_entropy(x, target, reduction="none").tolist() == [0, 100, 100, 0]
    same_as_torch(
        lambda t: F.binary_cross_entropy(t, target),
        lambda t: torch.nn.functional.binary_cross_entropy(t, torch.tensor(target)),
        x,
        rtol=1e-8,
    )


def test_large_scores_keep_their_digits():
    loss = F.binary_cross_entropy_with_logits(
        np.array([-800.0, 800.0, 40.0]), np.array([1.0, 0.0, 1.0]), reduction="none"
    )
    np.testing.assert_allclose(loss.data, [800, 800, np.exp(-40)], rtol=1e-12)


def test_a_target_probability_of_zero_costs_nothing():
    assert F.kl_div(np.array([-2.0, -0.5]), np.array([0.0, 1.0]), reduction="none").tolist() == [0, 0.5]


def test_nan_is_carried():
    for function in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits, F.kl_div):
        x = Tensor(np.array([np.nan, 0.5]), requires_grad=True)
        loss = function(x, np.array([0.5, 0.5]))
        loss.backward()
        assert np.isnan(loss.item())
        assert np.isnan(x.grad.data[0]) or function is F.kl_div  # whose slope does not depend on the input


@pytest.mark.parametrize("function", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits])
def test_errors_say_what_is_wrong(function):
    name = function.__name__
    with pytest.raises(ValueError, match=rf"{name}: input and target must have the same shape.*\(2, 1\) and \(2,\)"):
        function(np.full((2, 1), 0.5), np.zeros(2))
    with pytest.raises(ValueError, match=r"weight of shape \(3,\) does not broadcast to the input's \(2,\)"):
        function(np.full(2, 0.5), np.zeros(2), np.ones(3))
    with pytest.raises(ValueError, match="reduction must be one of 'none', 'mean', 'sum', but is 'batchmean'"):
        function(np.full(2, 0.5), np.zeros(2), reduction="batchmean")
    with pytest.raises(TypeError, match="needs a floating-point input, but its dtype is int64"):
        function(Tensor([0, 1]), Tensor([0.0, 1.0]))


def test_an_input_that_is_no_probability_is_named():
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\], but is 1.5 at index \(0, 1\).*_with_logits"):
        F.binary_cross_entropy(np.array([[0.5, 1.5]]), np.zeros((1, 2)))


def test_pos_weight_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"pos_weight of shape \(2, 2\) does not broadcast to the input's \(2,\)"):
        F.binary_cross_entropy_with_logits(np.zeros(2), np.zeros(2), pos_weight=np.ones((2, 2)))


def test_kl_div_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match="'none', 'mean', 'sum', 'batchmean', but is 'total'"):
        F.kl_div(np.zeros(2), np.zeros(2), reduction="total")
    with pytest.raises(ValueError, match=r"kl_div: shapes \(2,\) and \(3,\) don't broadcast"):
        F.kl_div(np.zeros(2), np.zeros(3))
    with pytest.raises(TypeError, match="kl_div needs a floating-point"):
        F.kl_div(Tensor([1]), Tensor([1]))
