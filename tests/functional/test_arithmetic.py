"""Element-wise arithmetic: PyTorch's values, dtypes and gradients, at zeros, ties, infinities and NaN too."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout

BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum"]
UNARY = ["neg", "abs", "exp", "log", "sqrt"]
binary = pytest.mark.parametrize("name", BINARY)
unary = pytest.mark.parametrize("name", UNARY)
SPECIAL = np.array([-np.inf, -2.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, np.inf, np.nan])


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@binary
@settings(max_examples=25)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0), seed=st.integers(0, 2**20)
)
def test_binary_agrees_with_torch(name, shapes, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    a, b = (np.asarray(generator.uniform(0.3, 2, shape)) for shape in shapes.input_shapes)
    same_as_torch(getattr(F, name), getattr(torch, name), a, b, seed=seed)


@unary
@settings(max_examples=15)
@given(shape=st.lists(st.integers(0, 4), max_size=4), seed=st.integers(0, 2**20))
def test_unary_agrees_with_torch(name, shape, seed, same_as_torch, torch):
    x = np.asarray(np.random.default_rng(seed).uniform(0.3, 2, shape))
    same_as_torch(getattr(F, name), getattr(torch, name), x, seed=seed)


@binary
def test_binary_values_and_gradients_at_special_points_are_those_of_torch(name, torch):
    pairs = np.array(list(itertools.product(SPECIAL, SPECIAL)))
    ours = [Tensor(column.copy(), requires_grad=True) for column in pairs.T]
    theirs = [torch.tensor(column.copy(), requires_grad=True) for column in pairs.T]
    result, expected = getattr(F, name)(*ours), getattr(torch, name)(*theirs)
    np.testing.assert_allclose(result.data, expected.detach().numpy(), rtol=1e-15)
    result.backward(np.ones(100))
    expected.backward(torch.ones(100, dtype=torch.float64))
    for x, y in zip(ours, theirs, strict=True):
        gradient = y.grad.numpy()
        where = ~np.isnan(pairs).any(axis=1)  # what flows back from a NaN result is nobody's business
        np.testing.assert_allclose(x.grad.data[where], gradient[where], rtol=1e-12)


@unary
def test_unary_values_and_gradients_at_special_points_are_those_of_torch(name, torch):
    x, y = Tensor(SPECIAL.copy(), requires_grad=True), torch.tensor(SPECIAL.copy(), requires_grad=True)
    result, expected = getattr(F, name)(x), getattr(torch, name)(y)
    np.testing.assert_allclose(result.data, expected.detach().numpy(), rtol=1e-15)
    result.backward(np.ones(10))
    expected.backward(torch.ones(10, dtype=torch.float64))
    np.testing.assert_allclose(x.grad.data[:-1], y.grad.numpy()[:-1], rtol=1e-12)


@binary
def test_binary_gradient_is_the_slope(name):
    generator = np.random.default_rng(0)
    a = Tensor(generator.uniform(0.3, 2, (4, 3, 2)).transpose(2, 0, 1), requires_grad=True)
    b = Tensor(generator.uniform(0.3, 2, (4, 1)), requires_grad=True)
    assert gradcheck(getattr(F, name), [a, b])
    assert gradcheck(getattr(F, name), [b, a])


@unary
def test_unary_gradient_is_the_slope(name):
    assert gradcheck(getattr(F, name), Tensor(np.random.default_rng(1).uniform(0.3, 2, (3, 2)).T, requires_grad=True))


@binary
def test_the_same_tensor_on_both_sides(name, torch):
    values = np.array([0.5, 1.5, 2.0])
    x, y = Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    getattr(F, name)(x, x).sum().backward()
    getattr(torch, name)(y, y).sum().backward()
    np.testing.assert_allclose(x.grad.data, y.grad.numpy(), rtol=1e-12)


DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]


@pytest.mark.parametrize("name", ["add", "mul", "div"])
def test_the_dtype_of_a_result_follows_torch(name, torch):
    operands = [(dtype, shape) for dtype in DTYPES for shape in [(), (2,)]]
    for (d1, s1), (d2, s2) in itertools.product(operands, operands):
        ours = getattr(F, name)(Tensor(np.ones(s1, d1)), Tensor(np.ones(s2, d2)))
        theirs = getattr(torch, name)(
            torch.ones(s1, dtype=getattr(torch, d1)), torch.ones(s2, dtype=getattr(torch, d2))
        )
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch."), (d1, s1, d2, s2)
    for (dtype, shape), number in itertools.product(operands, [2, 0.5, True]):
        ours = getattr(F, name)(Tensor(np.ones(shape, dtype)), number)
        theirs = getattr(torch, name)(torch.ones(shape, dtype=getattr(torch, dtype)), number)
        assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch."), (dtype, shape, number)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt"])
def test_integers_become_float32(name):
    assert getattr(F, name)(Tensor([1, 4])).dtype == np.float32


def test_an_integer_to_a_negative_power_is_refused():
    with pytest.raises(ValueError, match=r"an integer to a negative power is a fraction.*\.float\(\)"):
        Tensor([2, 3]) ** -1
    assert (Tensor([2, 3]) ** 2).tolist() == [4, 9]


def test_a_power_with_a_number_on_either_side():
    x = Tensor(np.array([0.0, -2.0, 3.0]), requires_grad=True)
    (x**2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0, -4, 6])
    assert gradcheck(lambda t: 2.0**t, Tensor(np.array([0.5, -1.0]), requires_grad=True))
    x.grad = None
    (x**0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.zeros(3))


@pytest.mark.parametrize(("low", "high"), [(-0.5, None), (None, 0.5), (-0.5, 0.5), (0.5, -0.5), (0, 1)])
def test_clamp_agrees_with_torch_at_its_bounds_too(low, high, same_as_torch, torch):
    x = np.array([-np.inf, -2.0, -0.5, 0.0, 0.3, 0.5, 1.0, np.inf])
    same_as_torch(F.clamp, torch.clamp, x, min=low, max=high)


def test_clamp_needs_a_bound():
    with pytest.raises(ValueError, match="clamp needs `min`, `max` or both"):
        F.clamp(Tensor([1.0]))


@settings(max_examples=25)
@given(shapes=mutually_broadcastable_shapes(num_shapes=3, max_dims=3, max_side=3), seed=st.integers(0, 2**20))
def test_where_agrees_with_torch(shapes, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    shape, *others = shapes.input_shapes
    condition = np.asarray(generator.random(shape) < 0.5)
    a, b = (np.asarray(generator.standard_normal(other)) for other in others)
    same_as_torch(F.where, torch.where, condition, a, b, seed=seed)


def test_where_stops_bad_gradients_of_the_branch_not_taken_and_needs_a_boolean():
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True)
    F.where(x > 1, x, 0.0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0, 1])
    with pytest.raises(TypeError, match="condition must be boolean, but its dtype is int64; compare first"):
        F.where(Tensor([1, 0]), 1.0, 2.0)


@binary
def test_shapes_that_do_not_broadcast_are_named(name):
    with pytest.raises(
        ValueError, match=rf"{name}: shapes \(2, 3\) and \(2,\) don't broadcast; counted from the right"
    ):
        getattr(F, name)(Tensor(np.ones((2, 3))), Tensor(np.ones(2)))


@binary
def test_image_batches_stay_channels_last(name, to_channels_last):
    image = Tensor(to_channels_last(np.full((2, 3, 4, 5), 2.0, np.float32)), requires_grad=True)
    channel = Tensor(np.full((1, 3, 1, 1), 3.0, np.float32), requires_grad=True)
    for result in (getattr(F, name)(image, channel), getattr(F, name)(channel, image), getattr(F, name)(image, 2.5)):
        assert layout.is_channels_last(result.data)
        assert result.dtype == np.float32
    getattr(F, name)(image, channel).sum().backward()
    assert layout.is_channels_last(image.grad.data)


def test_a_factor_is_kept_only_for_the_others_gradient():
    x, constant = Tensor(np.ones(3), requires_grad=True), Tensor(np.full(3, 2.0))
    held = [cell.cell_contents for cell in (x * constant).node.backward.__closure__]
    assert any(value is constant.data for value in held)
    assert not any(value is x.data for value in held)
