"""linear: values and gradients against PyTorch and central differences; what doesn't fit is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck


@settings(max_examples=25)
@given(
    leading=st.lists(st.integers(0, 4), max_size=3),
    features=st.tuples(st.integers(1, 5), st.integers(0, 4)),
    vector=st.booleans(),
    with_bias=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_agrees_with_torch(leading, features, vector, with_bias, seed, same_as_torch):
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(seed)
    features_in, features_out = features
    x = generator.standard_normal((*leading, features_in))
    weight = generator.standard_normal(features_in if vector else (features_out, features_in))
    arguments = [np.asarray(x), weight]
    if with_bias and not vector:  # torch fails on a vector with a bias
        arguments.append(generator.standard_normal(features_out))
    same_as_torch(F.linear, torch.nn.functional.linear, *arguments, seed=seed)


def test_gradient_is_the_slope():
    generator = np.random.default_rng(0)
    x = Tensor(generator.standard_normal((4, 3, 2)).transpose(2, 1, 0), requires_grad=True)
    weight = Tensor(generator.standard_normal((4, 5)).T, requires_grad=True)
    bias = Tensor(generator.standard_normal(5), requires_grad=True)
    assert gradcheck(F.linear, [x, weight, bias])


def test_a_frozen_weight_keeps_no_input_and_a_plain_input_no_weight():
    x, weight = np.ones((2, 3)), np.ones((4, 3))
    for ours, kept in (
        (F.linear(Tensor(x, True), Tensor(weight)), weight),
        (F.linear(Tensor(x), Tensor(weight, True)), x),
    ):
        held = [cell.cell_contents for cell in ours.node.backward.__closure__]
        arrays = [value for value in held if isinstance(value, np.ndarray)]
        assert [np.shares_memory(array, kept) for array in arrays] == [True]


def test_the_gradient_of_the_bias_does_not_drift_with_the_batch():
    rows = 1_000_000
    bias = Tensor(np.zeros(2, np.float32), requires_grad=True)
    y = F.linear(Tensor(np.zeros((rows, 1), np.float32)), Tensor(np.zeros((2, 1), np.float32)), bias)
    y.backward(np.full((rows, 2), np.float32(1 / 255)))
    np.testing.assert_allclose(bias.grad.data, rows * float(np.float32(1 / 255)), rtol=1e-7)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 5), (4, 3), None), r"input \(2, 5\) has 5 and weight \(4, 3\) has features_in = 3"),
        (((2, 3, 4, 4), (4, 48), None), r"features_in = 48; flatten an image first, with flatten\(1\)"),
        (((), (4, 3), None), "has no axes"),
        (((2, 3), (1, 4, 3), None), r"weight must be \(features_out, features_in\), but its shape is \(1, 4, 3\)"),
        (((2, 3), (4, 3), (3,)), r"bias must have shape \(4,\), one number a row of the weight, but has \(3,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_named(shapes, message):
    arguments = [None if shape is None else Tensor(np.zeros(shape)) for shape in shapes]
    with pytest.raises(ValueError, match=message):
        F.linear(*arguments)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="linear needs a floating-point input, but its dtype is int64"):
        F.linear(Tensor([[1, 2]]), Tensor([[1.0, 2.0]]))
    with pytest.raises(TypeError, match="linear needs a floating-point weight"):
        F.linear(Tensor([[1.0, 2.0]]), Tensor([[1, 2]]))
