"""Parameter groups, their settings, and what an optimiser refuses."""

import numpy as np
import pytest

from minicnn import nn, optim
from minicnn.nn import Parameter
from minicnn.tensor import Tensor


def parameter(value=1.0, size=3):
    return Parameter(np.full(size, value))


def test_each_group_steps_at_its_own_rate_and_takes_the_rest_from_the_defaults():
    slow, fast = parameter(), parameter()
    optimizer = optim.SGD([{"params": [slow], "lr": 0.1}, {"params": [fast], "weight_decay": 1.0}], lr=0.5)
    for each in (slow, fast):
        each.grad = Tensor(np.ones(3))
    optimizer.step()
    np.testing.assert_allclose(slow.data, 1 - 0.1)
    np.testing.assert_allclose(fast.data, 1 - 0.5 * (1 + 1))


def test_a_group_added_later_joins_with_its_own_state():
    first, second = parameter(), parameter(size=2)
    optimizer = optim.SGD([first], lr=0.1, momentum=0.9)
    first.grad = Tensor(np.ones(3))
    optimizer.step()
    optimizer.add_param_group({"params": second, "lr": 0.2})
    second.grad = Tensor(np.ones(2))
    optimizer.step()
    np.testing.assert_allclose(second.data, 0.8)
    assert [set(state) for state in optimizer.state] == [{"momentum_buffer"}] * 2


def test_zero_grad_forgets_gradients():
    weight = parameter()
    weight.grad = Tensor(np.ones(3))
    optim.Adam([weight]).zero_grad()
    assert weight.grad is None


def test_the_state_refers_to_parameters_by_position():
    a, b = parameter(), parameter()
    optimizer = optim.Adam([{"params": [a]}, {"params": [b]}])
    b.grad = Tensor(np.ones(3))
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0], [1]]
    assert list(state["state"]) == [1]
    assert state["state"][1]["step"] == 1


def test_a_state_with_keys_that_json_made_text_loads():
    weight = parameter()
    optimizer = optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.grad = Tensor(np.ones(3))
    optimizer.step()
    state = optimizer.state_dict()
    state["state"] = {str(position): values for position, values in state["state"].items()}
    fresh = optim.SGD([weight], lr=0.1, momentum=0.9)
    fresh.load_state_dict(state)
    np.testing.assert_array_equal(fresh.state[0]["momentum_buffer"], optimizer.state[0]["momentum_buffer"])


def test_a_state_of_other_parameters_is_refused_and_changes_nothing():
    weight, other = parameter(size=3), parameter(size=4)
    optimizer, wrong = optim.SGD([weight], lr=0.1, momentum=0.9), optim.SGD([other], lr=0.7, momentum=0.9)
    other.grad = Tensor(np.ones(4))
    wrong.step()
    with pytest.raises(ValueError, match=r"momentum_buffer of parameter 0 has shape \(4,\).*\(3,\)"):
        optimizer.load_state_dict(wrong.state_dict())
    two = optim.SGD([parameter(), parameter()], lr=0.7)
    with pytest.raises(ValueError, match=r"\[1\] parameters here, but \[2\]"):
        optimizer.load_state_dict(two.state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.1
    assert optimizer.state == [{}]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([], lr=0.1), "params is empty"),
        (lambda: optim.SGD([parameter()], lr=-1), "lr must be at least 0, but is -1"),
        (lambda: optim.SGD([parameter()], lr=0.1, momentum=-0.5), "momentum must be at least 0"),
        (lambda: optim.SGD([parameter()], lr=0.1, nesterov=True), "nesterov must be False unless momentum"),
        (lambda: optim.Adam([parameter()], betas=(0.9, 1.0)), "betas must be two numbers"),
        (lambda: optim.RMSprop([parameter()], alpha=-1), "alpha must be at least 0"),
        (lambda: optim.SGD([{"params": [parameter()], "learning_rate": 0.1}], lr=0.1), "unknown settings"),
        (lambda: optim.SGD([parameter() * 2], lr=0.1), "must be a leaf"),
    ],
)
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_parameter_that_appears_twice_is_refused():
    weight = parameter()
    with pytest.raises(ValueError, match="appears twice"):
        optim.SGD([weight, weight], lr=0.1)
    with pytest.raises(ValueError, match="appears twice"):
        optim.SGD([{"params": [weight]}, {"params": [weight]}], lr=0.1)


def test_what_is_not_a_tensor_is_refused():
    with pytest.raises(TypeError, match=r"model\.parameters\(\)"):
        optim.SGD(nn.Linear(2, 2).named_parameters(), lr=0.1)
    model = nn.Linear(2, 2)
    for params in (model, model.parameters, model.weight):
        with pytest.raises(TypeError, match=r"params must be an iterable of Tensors.*pass model\.parameters\(\)"):
            optim.SGD(params, lr=0.1)


def test_layers_hidden_in_a_plain_list_are_thought_of():
    class Hidden(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(2, 2)]

    with pytest.raises(ValueError, match=r"params is empty.*nn\.ModuleList, not in a plain list"):
        optim.SGD(Hidden().parameters(), lr=0.1)


def test_a_rate_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match=r"lr must be a number, but is str: '0\.1'"):
        optim.SGD([parameter()], lr="0.1")
    with pytest.raises(TypeError, match=r"momentum must be a number, but is str: '0\.9'"):
        optim.SGD([parameter()], momentum="0.9")
    with pytest.raises(ValueError, match="betas must be two numbers"):
        optim.Adam([parameter()], betas=0.9)


def test_the_repr_tells_sizes_and_settings():
    assert "2 parameters of 9 elements: lr=0.25" in repr(optim.SGD(nn.Linear(2, 3).parameters(), lr=0.25))


def test_the_state_of_another_kind_of_optimiser_is_refused():
    sgd = optim.SGD([parameter()], lr=0.1)
    with pytest.raises(ValueError, match=r"the state sets \['amsgrad', 'betas', 'eps'\], which SGD does not have"):
        sgd.load_state_dict(optim.Adam([parameter()]).state_dict())
    assert sgd.param_groups[0]["lr"] == 0.1
