"""lr_find shows where the loss falls and explodes, and leaves no trace."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, nn, optim, random
from minicnn.training import fit, lr_find
from tests.training.parts import bits, loader, sgd, small_model


def test_everything_is_as_before_bit_for_bit():
    def run(with_trial):
        model, batches = small_model(), loader()
        optimizer = optim.SGD(
            [{"params": [model[0].weight]}, {"params": list(model.parameters())[1:], "lr": 0.2}], lr=0.05, momentum=0.9
        )
        fit(model, batches, optimizer, epochs=1)
        images, labels = next(iter(batches))
        F.cross_entropy(model(Tensor(images)), Tensor(labels)).backward()
        model[1].eval()
        if with_trial:
            before = bits(model)
            lr_find(model, batches, optimizer, steps=12)
            assert bits(model) == before
        state = (random.get_state(), batches.epoch, [module.training for module in model.modules()])
        rates = [group["lr"] for group in optimizer.param_groups]
        gradients = [parameter.grad.data.tobytes() for parameter in model.parameters()]
        fit(model, batches, optimizer, epochs=2)
        return state, rates, gradients, bits(model)

    assert run(with_trial=True) == run(with_trial=False)


def test_all_is_restored_after_an_error_too():
    model = small_model()
    optimizer, calls = sgd(model), []

    def loss(outputs, targets):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("enough")
        return F.cross_entropy(outputs, targets)

    before = bits(model)
    with pytest.raises(RuntimeError, match="enough"):
        lr_find(model, loader(), optimizer, loss=loss)
    assert bits(model) == before
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_rates_grow_by_a_constant_factor_and_keep_the_groups_proportions():
    model, seen = small_model(), []

    class Watch(optim.SGD):
        def step(self):
            seen.append([group["lr"] for group in self.param_groups])

    optimizer = Watch([{"params": [model[0].weight], "lr": 0.1}, {"params": [model[6].weight], "lr": 0.4}])
    curve = lr_find(model, loader(), optimizer, start=1e-3, end=1e1, steps=20)
    np.testing.assert_allclose(curve.rates, np.geomspace(1e-3, 1e1, 20))
    np.testing.assert_allclose(np.array(seen)[:, 1], curve.rates)
    np.testing.assert_allclose(np.array(seen)[:, 0], curve.rates / 4)
    assert len(curve.losses) == len(curve.smoothed) == 20


def quadratic(curvature):
    """A model of one weight whose loss is curvature / 2 * weight ** 2: it explodes at rates above 2 / curvature."""
    weight = nn.Parameter(np.ones(1, np.float32))
    model = nn.Module()
    model.weight = weight
    model.forward = lambda x: weight * 1.0
    batches = [(np.zeros((1, 1), np.float32), np.zeros(1, int))]
    return model, batches, optim.SGD([weight], lr=1.0), lambda y, t: (y * y).sum() * (curvature / 2)


@pytest.mark.parametrize("curvature", [1.0, 100.0])
def test_it_stops_where_the_loss_explodes_and_suggests_a_rate_below(curvature):
    model, batches, optimizer, loss = quadratic(curvature)
    curve = lr_find(model, batches, optimizer, loss=loss, start=1e-5, end=1e4, steps=150)
    assert len(curve.rates) < 150
    assert curve.rates[-1] > 2 / curvature
    assert 1e-3 / curvature < curve.suggestion < 2 / curvature


def test_noise_among_the_least_rates_is_not_taken_for_a_descent():
    """Of 100 batches the first is easy by chance and the second hard; the loss falls only once the rate is large."""
    model, _, optimizer, _ = quadratic(1.0)
    batches = [(np.zeros((1, 1), np.float32), np.array([step])) for step in range(100)]
    luck = {0: 0.5, 1: 1.5}
    curve = lr_find(
        model, batches, optimizer, loss=lambda y, t: (y * y).sum() / 2 * luck.get(int(t.data[0]), 1.0), smoothing=0.8
    )
    assert 1e-2 < curve.suggestion < 2


def test_wrong_arguments_are_named():
    model = small_model()
    for options, complaint in [
        ({"start": 1.0, "end": 0.1}, "start=1.0, end=0.1"),
        ({"steps": 1}, "steps >= 2"),
        ({"loss": lambda y, t: y.sum() * np.inf}, "first step"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            lr_find(model, loader(), sgd(model), **options)
    with pytest.raises(ValueError, match="data set is empty"):
        lr_find(model, [], sgd(model))
