"""Clipping keeps the direction (by norm) or cuts elements (by value), in place, as torch does."""

import math

import numpy as np
import pytest

from minicnn.nn import Parameter
from minicnn.optim import clip_grad_norm_, clip_grad_value_
from minicnn.tensor import Tensor


def parameters_with(gradients):
    parameters = [Parameter(np.zeros_like(gradient)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = Tensor(gradient.copy())
    return parameters


GRADIENTS = [np.array([[3.0, 0.0], [0.0, -4.0]]), np.array([12.0])]  # of norm 13


def test_a_long_gradient_keeps_its_direction_and_gets_the_norm_asked_for():
    parameters = parameters_with(GRADIENTS)
    assert clip_grad_norm_(parameters, 2.6) == pytest.approx(13)
    np.testing.assert_allclose(parameters[0].grad.data, GRADIENTS[0] / 5, rtol=1e-6)
    np.testing.assert_allclose(parameters[1].grad.data, GRADIENTS[1] / 5, rtol=1e-6)


def test_a_short_gradient_keeps_its_bits():
    parameters = parameters_with(GRADIENTS)
    clip_grad_norm_(parameters, 14.0)
    assert parameters[0].grad.data.tobytes() == GRADIENTS[0].tobytes()


@pytest.mark.parametrize("norm_type", [0.5, 1.0, 2.0, 3.0, math.inf])
def test_norms_equal_torchs(norm_type):
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(1)
    gradients = [generator.standard_normal(shape) for shape in [(3, 4), (5,)]]
    ours = parameters_with(gradients)
    theirs = [torch.nn.Parameter(torch.zeros(gradient.shape, dtype=torch.float64)) for gradient in gradients]
    for parameter, gradient in zip(theirs, gradients, strict=True):
        parameter.grad = torch.from_numpy(gradient.copy())
    expected = torch.nn.utils.clip_grad_norm_(theirs, 0.7, norm_type)
    assert clip_grad_norm_(ours, 0.7, norm_type) == pytest.approx(float(expected), rel=1e-12)
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad.data, reference.grad.numpy(), rtol=1e-12)


def test_a_nan_is_not_hidden_and_can_raise():
    parameters = parameters_with([np.array([1.0, np.nan]), np.array([2.0])])
    with pytest.raises(ValueError, match="nan"):
        clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    assert math.isnan(clip_grad_norm_(parameters, 1.0))
    assert np.isnan(parameters[1].grad.data).all()


def test_values_are_cut_and_missing_gradients_passed_over():
    parameters = [*parameters_with(GRADIENTS), Parameter(np.zeros(2))]
    clip_grad_value_(parameters, 3.5)
    np.testing.assert_array_equal(parameters[0].grad.data, [[3.0, 0.0], [0.0, -3.5]])
    np.testing.assert_array_equal(parameters[1].grad.data, [3.5])
    assert clip_grad_norm_([parameters[2]], 1.0) == 0.0


def test_the_norm_of_many_small_float32_values_does_not_drift():
    parameters = parameters_with([np.full(3_000_000, 1 / 255, np.float32)])
    assert clip_grad_norm_(parameters, 1e9) == pytest.approx(math.sqrt(3_000_000) / 255, rel=1e-6)


def test_a_negative_norm_would_turn_the_gradients_round_and_is_refused():
    parameters = parameters_with(GRADIENTS)
    with pytest.raises(ValueError, match="max_norm must be at least 0, but is -1"):
        clip_grad_norm_(parameters, -1.0)
    np.testing.assert_array_equal(parameters[0].grad.data, GRADIENTS[0])
