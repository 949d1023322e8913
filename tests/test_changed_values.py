"""A backward refuses where values that it needs have changed since the forward pass."""

import numpy as np
import pytest

from minicnn import Tensor, nn, no_grad, optim
from minicnn import functional as F


def graph():
    """(weight, other, loss), where d loss / d other needs the weight."""
    weight = nn.Parameter(np.array([2.0], np.float32))
    other = nn.Parameter(np.array([5.0], np.float32))
    return weight, other, (weight * other).sum()


def step(weight):
    weight.grad = Tensor(np.ones(1, np.float32))
    optim.SGD([weight], lr=1.0).step()


def load(weight):
    module = nn.Module()
    module.weight = weight
    module.load_state_dict({"weight": np.zeros(1, np.float32)})


def swap(weight):
    module = nn.Module()
    module.weight = weight
    average = optim.ExponentialMovingAverage(module)
    with average.swapped_in(module):
        pass


def write(weight):
    weight.data -= 0.5


def replace(weight):
    weight.data = np.zeros(1, np.float32)


CHANGES = [step, load, swap, write, replace, lambda weight: weight.copy_(3), nn.init.zeros_]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_between_forward_and_backward_is_refused(change):
    weight, other, loss = graph()
    change(weight)
    with pytest.raises(RuntimeError, match=r"input 0 of 'mul', of shape \(1,\), has changed since the forward pass"):
        loss.backward()
    assert other.grad is None


def test_frozen_weights_are_watched_too():
    weight, image = Tensor(np.ones((1, 1, 3, 3), np.float32)), Tensor(np.ones((1, 1, 5, 5), np.float32), True)
    loss = F.conv2d(image, weight).sum()
    weight.data = np.zeros((1, 1, 3, 3), np.float32)
    with pytest.raises(RuntimeError, match="input 1 of 'conv2d'"):
        loss.backward()


def test_a_view_changes_with_what_it_is_a_view_of():
    weight = nn.Parameter(np.array([2.0, 3.0], np.float32))
    row = weight.reshape(1, 2)
    loss = (row * row).sum()
    step_of_two = optim.SGD([weight], lr=1.0)
    weight.grad = Tensor(np.ones(2, np.float32))
    step_of_two.step()
    with pytest.raises(RuntimeError, match="of 'mul'"):
        loss.backward()


def test_an_operation_that_does_not_look_at_its_inputs_goes_back_after_a_change():
    weight = nn.Parameter(np.array([2.0, 3.0], np.float32))
    loss = (weight + 1).sum()
    weight.data = np.zeros(2, np.float32)
    loss.backward()
    np.testing.assert_array_equal(weight.grad.data, [1, 1])


def test_the_next_step_of_training_is_not_disturbed():
    layer = nn.Linear(3, 2)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(np.ones((4, 3), np.float32)).sum().backward()
        optimizer.step()
    with no_grad():
        assert np.isfinite(layer(np.ones((4, 3), np.float32)).data).all()


def test_the_step_written_by_hand_trains():
    """`p.data -= rate * p.grad`: a Tensor on the right-hand side gives its array."""
    layer = nn.Linear(3, 2, bias=False)
    before = layer.weight.data.copy()
    layer(np.ones((4, 3), np.float32)).sum().backward()
    layer.weight.data -= 0.5 * layer.weight.grad
    assert type(layer.weight.data) is np.ndarray
    np.testing.assert_allclose(layer.weight.data, before - 0.5 * 4, rtol=1e-6)


def test_a_gradient_that_is_no_tensor_is_refused_where_it_is_set():
    weight, _, _ = graph()
    with pytest.raises(TypeError, match=r"`grad` must be a Tensor or None, but is ndarray"):
        weight.grad = np.ones(1, np.float32)
