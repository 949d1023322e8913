"""A step refuses arrays that do not belong together, and changes nothing then."""

import numpy as np
import pytest

from minicnn import nn, optim
from minicnn.nn import Parameter
from minicnn.tensor import Tensor

KINDS = [
    lambda params: optim.SGD(params, lr=0.1, momentum=0.9),
    lambda params: optim.Adam(params, lr=0.1, amsgrad=True),
    lambda params: optim.AdamW(params, lr=0.1),
    lambda params: optim.RMSprop(params, lr=0.1, momentum=0.9, centered=True),
]


def with_gradient(value, gradient):
    parameter = Parameter(value)
    parameter.grad = Tensor(gradient)
    return parameter


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("shape", [(), (1,), (12,), (2, 4), (4, 3), (3, 4, 1)])
def test_a_gradient_of_another_shape_is_refused_before_anything_changes(make, shape):
    good = with_gradient(np.ones((3, 4)), np.ones((3, 4)))
    bad = with_gradient(np.ones((3, 4)), np.ones(shape))
    optimizer = make([good, bad])
    with pytest.raises(ValueError, match=r"the gradient of parameter 1 must have .* shape \(3, 4\), but has \("):
        optimizer.step()
    assert (good.data == 1).all()
    assert (bad.data == 1).all()
    assert optimizer.state == [{}, {}]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("shape", [(100, 4), (2, 4), (4, 3)])
def test_a_parameter_whose_array_was_replaced_by_one_of_another_shape_is_refused(make, shape):
    parameter = with_gradient(np.ones((3, 4)), np.ones((3, 4)))
    optimizer = make([parameter])
    optimizer.step()
    parameter.data, parameter.grad = np.ones(shape), Tensor(np.ones(shape))
    with pytest.raises(ValueError, match=r"of parameter 0 must have .*\(3, 4\); .* make a new optimiser"):
        optimizer.step()
    assert (parameter.data == 1).all()


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "bool"])
def test_a_parameter_that_no_rule_is_compiled_for_is_refused(dtype):
    parameter = Parameter(np.ones(3))
    optimizer = optim.SGD([parameter], lr=0.1)
    parameter.data, parameter.grad = np.ones(3, dtype), Tensor(np.ones(3))
    with pytest.raises(TypeError, match=r"parameter 0 .*must be float32 or float64"):
        optimizer.step()


def test_a_read_only_parameter_is_refused():
    parameter = Parameter(np.ones(3))
    parameter.data, parameter.grad = np.broadcast_to(np.ones(1), 3), Tensor(np.ones(3))
    with pytest.raises(ValueError, match=r"parameter 0 .* must be writable"):
        optim.SGD([parameter], lr=0.1).step()


def test_an_integer_gradient_is_refused():
    with pytest.raises(TypeError, match="gradient of parameter 0 must be floating point, but is int64"):
        optim.SGD([with_gradient(np.ones(3), np.ones(3, np.int64))], lr=0.1).step()


def test_a_gradient_in_the_parameters_own_memory_is_read_as_it_was():
    row = np.arange(2001.0)
    parameter = with_gradient(row[1:], row[:-1])
    optim.SGD([parameter], lr=1.0).step()
    np.testing.assert_array_equal(parameter.data, np.ones(2000))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("make", KINDS)
def test_arrays_in_any_memory_order_take_the_same_step(make, order):
    generator = np.random.default_rng(0)
    value, gradient = generator.random((5, 7)), generator.random((5, 7))
    plain = with_gradient(value.copy(), gradient.copy())
    odd = with_gradient(np.asarray(value, order=order)[::-1][::-1], np.repeat(gradient, 2, axis=1)[:, ::2])
    for parameter in (plain, odd):
        optimizer = make([parameter])
        optimizer.step()
        optimizer.step()
    np.testing.assert_array_equal(odd.data, plain.data)


def test_a_head_grown_under_its_optimiser_is_refused():
    model = nn.Linear(4, 2)
    optimizer = optim.Adam(model.parameters())
    model(Tensor(np.ones((1, 4), np.float32))).sum().backward()
    optimizer.step()
    model.weight.data = np.zeros((1000, 4), np.float32)
    model.bias.data = np.zeros(1000, np.float32)
    optimizer.zero_grad()
    model(Tensor(np.ones((1, 4), np.float32))).sum().backward()
    with pytest.raises(ValueError, match="exp_avg of parameter 0"):
        optimizer.step()
