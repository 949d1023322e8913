"""Slices of the loss are what the loss is there, and looking leaves no trace."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, nn, no_grad
from minicnn.random import stream
from minicnn.training import loss_surface, random_direction
from tests.training.parts import bits, loader, small_model


def model_with_all_kinds():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))


def pictures():
    generator = stream("pictures of this test", seed=0)
    return generator.standard_normal((5, 2, 4, 4)).astype(np.float32), np.array([0, 1, 2, 3, 0])


def test_a_step_is_as_long_as_its_filter():
    model = model_with_all_kinds()
    model[0].weight.data[1] *= 5
    for parameter, step in zip(model.parameters(), random_direction(model), strict=True):
        assert step.shape == parameter.shape
        assert step.dtype == parameter.dtype
        for one_filter, one_step in zip(parameter.data, step, strict=True):
            length = np.linalg.norm(one_filter) if parameter.ndim > 1 else 0
            assert np.linalg.norm(one_step) == pytest.approx(length, rel=1e-5)


def test_directions_are_random_and_the_same_again_with_the_same_stream():
    model = model_with_all_kinds()
    one, same, other = (random_direction(model, stream("direction of this test", seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one[0], same[0])
    cosine = (one[4] * other[4]).sum() / np.linalg.norm(one[4]) / np.linalg.norm(other[4])
    assert abs(cosine) < 0.6


def test_the_surface_of_a_line_is_the_parabola_of_its_squares():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data[...] = 2.0
    x, target = np.array([[3.0]], np.float32), np.array([[7.0]], np.float32)
    offsets = np.array([-1.0, 0.0, 2.0])
    steps = [np.array([[0.5]], np.float32)], [np.array([[-4.0]], np.float32)]
    surface = loss_surface(model, x, target, *steps, offsets, F.mse_loss)
    a, b = offsets[:, None], offsets[None, :]
    np.testing.assert_allclose(surface, (3 * (2 + 0.5 * a - 4 * b) - 7) ** 2, rtol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_middle_is_the_loss_of_the_model_in_its_mode(training):
    model = model_with_all_kinds().train(training)
    images, labels = pictures()
    before = bits(model)
    surface = loss_surface(model, images, labels, random_direction(model), random_direction(model), np.array([0, 1]))
    assert bits(model) == before
    assert model.training is training
    with no_grad():
        assert surface[0, 0] == pytest.approx(F.cross_entropy(model(Tensor(images)), Tensor(labels)).item())
    assert len(np.unique(surface)) == 4


def test_all_is_restored_after_an_error_too():
    model = small_model()
    before = bits(model)

    def loss(outputs, targets):
        raise FloatingPointError("too far")

    with pytest.raises(FloatingPointError, match="too far"):
        loss_surface(model, *next(iter(loader())), *[random_direction(model)] * 2, np.array([1.0]), loss)
    assert bits(model) == before


def test_directions_of_another_model_are_refused():
    model = model_with_all_kinds()
    other = random_direction(nn.Linear(12, 4))
    with pytest.raises(ValueError, match="second must have a step for each parameter"):
        loss_surface(model, *pictures(), random_direction(model), other, np.array([0.0]))
