"""gradcheck: passes what is right, and says of what is wrong where, by how much, and whether it is a kink."""

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.tensor import make_result


def leaf(*shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def wrong_square(input, factor=2.0, offset=0.0):
    """x ** 2 with the gradient factor * x + offset."""
    a = input.data

    def backward(gradient):
        return (gradient * (factor * a + offset),)

    return make_result(a * a, (input,), backward, "wrong_square")


def test_right_gradients_pass():
    x, y = leaf(2, 3), leaf(3, seed=1)
    assert gradcheck(lambda a, b: a * b + (a * a).sum(), [x, y])
    assert gradcheck(lambda a: a.exp(), x)
    assert gradcheck(wrong_square, x)


@pytest.mark.parametrize("mistake", [{"factor": 2.001}, {"factor": -2.0}, {"offset": 1e-3}, {"factor": 0.0}])
def test_wrong_gradients_fail(mistake):
    with pytest.raises(ValueError, match=r"gradcheck: input 0 of shape \(2, 3\): along a random direction"):
        gradcheck(lambda a: wrong_square(a, **mistake), leaf(2, 3))


def test_the_worst_element_is_named_with_both_slopes():
    x = Tensor(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), requires_grad=True)
    offset = np.zeros((2, 3))
    offset[1, 2] = 0.5

    def function(a, b):
        return (wrong_square(b, offset=offset) * np.ones((2, 3))).sum() + a.sum()

    with pytest.raises(ValueError, match=r"input 1 of shape \(2, 3\).*worst element \(1, 2\): backward") as caught:
        gradcheck(function, [leaf(2), x])
    assert "kink" not in str(caught.value)


def test_errors_that_cancel_in_a_sum_are_found():
    def swapped(input):
        return make_result(input.data * 3, (input,), lambda gradient: (3 * gradient[::-1],), "swapped")

    with pytest.raises(ValueError, match="gradcheck"):
        gradcheck(swapped, leaf(4))


def test_a_gradient_that_is_nan_or_missing_fails():
    def nan(input):
        return make_result(input.data * 3, (input,), lambda gradient: (gradient * np.nan,), "nan")

    def missing(input):
        return make_result(input.data * 3, (input,), lambda gradient: (None,), "missing")

    for function in (nan, missing):
        with pytest.raises(ValueError, match="gradcheck: input 0"):
            gradcheck(function, leaf(4))


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (F.relu, [1.0, 0.0, -2.0]),
        (F.leaky_relu, [0.0]),
        (F.hardtanh, [0.5, 1.0, -2.0]),
        (lambda x: F.clamp(x, max=3.0), [3.0, 1.0]),
        (lambda x: F.max(x, 0)[0], [2.0, 2.0, 1.0]),
    ],
    ids=["relu", "leaky_relu", "hardtanh", "clamp", "max"],
)
def test_kinks_and_ties_are_recognised(function, value):
    with pytest.raises(ValueError, match="lies on a kink or a tie: move the input off it"):
        gradcheck(function, Tensor(np.array(value), requires_grad=True))


@pytest.mark.parametrize("function", [F.abs, lambda x: F.amax(x, 1), lambda x: F.maximum(x, -x)])
def test_a_rule_that_takes_the_middle_of_both_slopes_agrees_with_central_differences(function):
    assert gradcheck(function, Tensor(np.zeros((2, 2)), requires_grad=True))


def test_an_input_near_a_kink_but_off_it_passes():
    assert gradcheck(F.relu, Tensor(np.array([1e-4, -1e-4]), requires_grad=True))


def test_several_outputs_are_all_checked():
    def second_is_wrong(a):
        return a * 2, wrong_square(a, factor=3), Tensor(np.arange(3))

    with pytest.raises(ValueError, match="gradcheck: input 0"):
        gradcheck(second_is_wrong, leaf(3))
    assert gradcheck(lambda a: (a * 2, a.argmax(), a * a), leaf(3))


def test_inputs_come_back_unchanged_and_without_gradients_of_the_check():
    x = leaf(2, 3)
    before = x.data.copy()
    gradcheck(lambda a: a * a, x)
    np.testing.assert_array_equal(x.data, before)
    assert x.grad is None


def test_other_arguments_are_passed_on():
    assert gradcheck(lambda a, b, power: (a * b) ** power, [leaf(3), Tensor(np.ones(3)), 2])


def test_inputs_without_elements_or_axes():
    assert gradcheck(lambda a: a * 2, leaf(0, 3))
    assert gradcheck(lambda a: a * a, leaf())


def test_what_cannot_be_checked_is_named():
    with pytest.raises(ValueError, match="no input requires a gradient"):
        gradcheck(F.relu, Tensor(np.ones(2)))
    with pytest.raises(TypeError, match="input 0 has dtype float32; central differences need float64"):
        gradcheck(F.relu, Tensor(np.ones(2, np.float32), requires_grad=True))
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="gives other values at a second call"):
        gradcheck(lambda a: a * generator.standard_normal(), leaf(2))
