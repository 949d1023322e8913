"""Every optimiser takes torch's steps, to the last term."""

import copy
import itertools

import numpy as np
import pytest

from minicnn import optim
from minicnn.nn import Parameter
from minicnn.tensor import Tensor

SHAPES = [(3, 5), (4,), (2, 3, 1, 2)]
STEPS = 20


def combinations(**choices):
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


CASES = (
    [
        ("SGD", s)
        for s in combinations(
            momentum=[0.0, 0.9], dampening=[0.0, 0.3], weight_decay=[0.0, 0.1], maximize=[False, True]
        )
    ]
    + [("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1})]
    + [("Adam", s) for s in combinations(amsgrad=[False, True], weight_decay=[0.0, 0.1], maximize=[False, True])]
    + [("Adam", {"betas": (0.5, 0.6), "eps": 1e-3})]
    + [("AdamW", s) for s in combinations(amsgrad=[False, True], weight_decay=[0.0, 0.1], maximize=[False, True])]
    + [
        ("RMSprop", s)
        for s in combinations(
            centered=[False, True], momentum=[0.0, 0.9], weight_decay=[0.0, 0.1], maximize=[False, True]
        )
    ]
)


def start_and_gradients(dtype=np.float64):
    generator = np.random.default_rng(0)
    start = [generator.standard_normal(shape).astype(dtype) for shape in SHAPES]
    gradients = [[generator.standard_normal(shape).astype(dtype) for shape in SHAPES] for _ in range(STEPS)]
    return start, gradients


def run(name, settings, dtype=np.float64):
    start, gradients = start_and_gradients(dtype)
    parameters = [Parameter(array.copy()) for array in start]
    optimizer = getattr(optim, name)(parameters, lr=0.03, **settings)
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = Tensor(gradient)
        optimizer.step()
    return parameters, optimizer


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_twenty_steps_equal_torchs(name, settings):
    torch = pytest.importorskip("torch")
    ours, _ = run(name, settings)
    start, gradients = start_and_gradients()
    theirs = [torch.nn.Parameter(torch.from_numpy(array.copy())) for array in start]
    optimizer = getattr(torch.optim, name)(theirs, lr=0.03, **settings)
    for step in gradients:
        for parameter, gradient in zip(theirs, step, strict=True):
            parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data, reference.detach().numpy(), rtol=1e-11, atol=1e-12)


def test_sgd_with_momentum_by_hand():
    parameter = Parameter(np.array([1.0]))
    optimizer = optim.SGD([parameter], lr=0.1, momentum=0.5, weight_decay=1.0)
    parameter.grad = Tensor(np.array([2.0]))
    optimizer.step()  # g = 2 + 1 = 3; v = 3; p = 1 - 0.3
    assert parameter.item() == pytest.approx(0.7)
    optimizer.step()  # g = 2 + 0.7 = 2.7; v = 1.5 + 2.7 = 4.2; p = 0.7 - 0.42
    assert parameter.item() == pytest.approx(0.28)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_step_leaves_gradients_and_the_parameters_array_where_they_are(name):
    parameter = Parameter(np.ones((3, 4), np.float32))
    array, gradient = parameter.data, np.full((3, 4), 0.5, np.float32)
    parameter.grad = Tensor(gradient)
    getattr(optim, name)([parameter], lr=0.1).step()
    assert parameter.data is array
    assert parameter.dtype == np.float32
    assert (gradient == 0.5).all()
    assert (parameter.data < 1).all()


@pytest.mark.parametrize(
    ("name", "settings"), [("SGD", {"momentum": 0.9}), ("AdamW", {}), ("RMSprop", {"momentum": 0.9})]
)
def test_a_parameter_without_a_gradient_is_not_moved_by_momentum_or_decay(name, settings):
    still, moving = Parameter(np.ones(3)), Parameter(np.ones(3))
    optimizer = getattr(optim, name)([still, moving], lr=0.1, weight_decay=0.5, **settings)
    for parameter in (still, moving):
        parameter.grad = Tensor(np.ones(3))
    optimizer.step()
    after_first = still.data.copy()
    optimizer.zero_grad()
    moving.grad = Tensor(np.ones(3))
    optimizer.step()
    assert still.data.tobytes() == after_first.tobytes()
    assert (moving.data < after_first).all()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_float32_and_strided_parameters_take_the_steps_of_float64_contiguous_ones(name):
    exact, _ = run(name, {"weight_decay": 0.1})
    rounded, _ = run(name, {"weight_decay": 0.1}, np.float32)
    for a, b in zip(exact, rounded, strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(a.data, b.data, rtol=2e-4, atol=2e-5)
    turned = Parameter(np.arange(12.0).reshape(3, 4).T)
    plain = Parameter(np.arange(12.0).reshape(3, 4).T.copy())
    for parameter in (turned, plain):
        parameter.grad = Tensor(np.cos(np.arange(12.0)).reshape(4, 3))
        getattr(optim, name)([parameter], lr=0.1).step()
    assert np.array_equal(turned.data, plain.data)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("SGD", {"momentum": 0.9}), ("Adam", {"amsgrad": True}), ("AdamW", {}), ("RMSprop", {"centered": True})],
)
def test_a_run_continued_from_a_saved_state_ends_in_the_same_bits(name, settings):
    start, gradients = start_and_gradients(np.float32)

    def steps(parameters, optimizer, which):
        for step in which:
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = Tensor(gradient)
            optimizer.step()

    whole = [Parameter(array.copy()) for array in start]
    optimizer = getattr(optim, name)(whole, lr=0.01, **settings)
    steps(whole, optimizer, gradients[:7])
    saved, weights = optimizer.state_dict(), [parameter.data.copy() for parameter in whole]
    untouched = copy.deepcopy(saved)
    steps(whole, optimizer, gradients[7:])

    resumed = [Parameter(array) for array in weights]
    fresh = getattr(optim, name)(resumed, lr=1.0, **settings)
    fresh.load_state_dict(saved)
    steps(resumed, fresh, gradients[7:])
    for a, b in zip(whole, resumed, strict=True):
        assert a.data.tobytes() == b.data.tobytes()
    np.testing.assert_equal(saved, untouched)  # neither run writes into what was saved


def test_gradients_of_two_half_batches_add_up_to_that_of_the_whole():
    weight = Parameter(np.array([[1.0, -2.0, 0.5]]))
    inputs = np.random.default_rng(0).standard_normal((8, 3))
    ((Tensor(inputs) @ weight.T) ** 2).mean().backward()
    whole = weight.grad.data.copy()
    weight.grad = None
    for half in (inputs[:4], inputs[4:]):
        (((Tensor(half) @ weight.T) ** 2).mean() / 2).backward()
    np.testing.assert_allclose(weight.grad.data, whole, rtol=1e-12)
