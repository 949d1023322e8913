"""Activations: values and slopes against PyTorch and central differences, kinks, infinities and NaN."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout

ELEMENTWISE = [
    ("relu", {}),
    ("relu6", {}),
    ("leaky_relu", {}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("leaky_relu", {"negative_slope": -0.5}),
    ("elu", {}),
    ("elu", {"alpha": 0.4}),
    ("gelu", {}),
    ("gelu", {"approximate": "tanh"}),
    ("silu", {}),
    ("hardtanh", {}),
    ("hardtanh", {"min_val": -0.3, "max_val": 2.5}),
    ("hardswish", {}),
    ("sigmoid", {}),
    ("tanh", {}),
    ("softplus", {}),
    ("softplus", {"beta": 2.5, "threshold": 3.0}),
]
each_elementwise = pytest.mark.parametrize(("name", "options"), ELEMENTWISE, ids=lambda value: str(value))
each_row_wise = pytest.mark.parametrize("name", ["softmax", "log_softmax"])


@pytest.fixture(scope="module")
def torch_functional():
    return pytest.importorskip("torch").nn.functional


@each_elementwise
@settings(max_examples=15)
@given(
    shape=st.lists(st.integers(0, 5), max_size=4), seed=st.integers(0, 2**20), scale=st.sampled_from([0.1, 3.0, 40.0])
)
def test_agrees_with_torch(name, options, shape, seed, scale, same_as_torch, torch_functional):
    x = np.random.default_rng(seed).standard_normal(shape) * scale
    same_as_torch(getattr(F, name), getattr(torch_functional, name), np.asarray(x), seed=seed, **options)


@each_elementwise
def test_gradient_is_the_slope(name, options):
    x = np.array([[-7.3, -2.1, -0.45, 0.2, 0.9], [-3.7, -1.3, 1.4, 2.9, 6.8]])
    assert gradcheck(lambda t: getattr(F, name)(t, **options), Tensor(x.T, requires_grad=True))  # not contiguous


@each_elementwise
def test_kinks_have_the_slope_that_torch_gives_them(name, options, same_as_torch, torch_functional):
    x = np.array([-3.0, -1.0, -0.3, -0.0, 0.0, 1.0, 2.5, 3.0, 6.0])
    same_as_torch(getattr(F, name), getattr(torch_functional, name), x, **options)


@each_elementwise
def test_infinities_and_nan_come_out_as_in_torch(name, options, torch_functional):
    torch = pytest.importorskip("torch")
    x = np.array([-np.inf, np.inf, np.nan, -1e4, 1e4])
    actual = getattr(F, name)(Tensor(x), **options).data
    np.testing.assert_array_equal(actual, getattr(torch_functional, name)(torch.tensor(x), **options).numpy())


@each_elementwise
def test_float32_images_stay_float32_and_channels_last(name, options, to_channels_last):
    x = Tensor(to_channels_last(np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)), True)
    y = getattr(F, name)(x, **options)
    y.sum().backward()
    assert y.dtype == np.float32
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)


def test_relu_of_minus_infinity_is_zero_and_nan_goes_through():
    y = F.relu(Tensor(np.array([-np.inf, np.nan, np.inf, -2.0])))
    np.testing.assert_array_equal(y.data, [0, np.nan, np.inf, 0])


def test_relu_stops_even_an_infinite_gradient_where_it_is_off():
    x = Tensor(np.array([-1.0, 2.0, np.nan]), requires_grad=True)
    F.relu(x).backward(np.array([np.inf, -np.inf, 5.0]))
    np.testing.assert_array_equal(x.grad.data, [0, -np.inf, 5])


def test_relu_keeps_its_result_and_not_its_input():
    x = Tensor(np.ones(3), requires_grad=True)
    y = F.relu(x * 2)
    held = [cell.cell_contents for cell in y.node.backward.__closure__ or ()]
    arrays = [value for value in held if isinstance(value, np.ndarray)]
    assert len(arrays) == 1
    assert arrays[0] is y.data


@pytest.mark.parametrize("order", ["C", "F"])
def test_relu_of_a_matrix_in_any_memory_order(order):
    x = Tensor(np.asarray([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]], order=order), requires_grad=True)
    F.relu(x).backward(np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(x.grad.data, [[0, 0, 2], [0, 4, 0]])


def test_relu_of_integers_is_made_of_integers():
    y = F.relu(Tensor(np.array([-3, 4])))
    assert y.tolist() == [0, 4]
    assert y.dtype == np.int64


@pytest.mark.parametrize("name", ["leaky_relu", "elu", "gelu", "silu", "hardswish", "softplus"])
def test_integers_are_refused_where_the_result_is_a_fraction(name):
    with pytest.raises(TypeError, match=rf"{name} needs a floating-point input, but its dtype is int64.*\.float\(\)"):
        getattr(F, name)(Tensor(np.arange(3)))


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_integers_become_float32_in_sigmoid_and_tanh(name, torch_functional):
    torch = pytest.importorskip("torch")
    y = getattr(F, name)(Tensor(np.arange(-2, 3)))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, getattr(torch, name)(torch.arange(-2, 3)).numpy(), rtol=1e-6)


def test_hardtanh_refuses_crossed_bounds():
    with pytest.raises(ValueError, match=r"min_val must not be greater than max_val, but 2 > 1"):
        F.hardtanh(Tensor([0.0]), 2, 1)


def test_gelu_names_its_approximations():
    with pytest.raises(ValueError, match=r"approximate must be one of 'none', 'tanh', but is 'exact'"):
        F.gelu(Tensor([0.0]), approximate="exact")


def test_no_activation_changes_its_input_in_place():
    for name, _ in ELEMENTWISE:
        with pytest.raises(TypeError, match="inplace"):
            getattr(F, name)(Tensor([0.5]), inplace=True)


@each_row_wise
@settings(max_examples=25)
@given(data=st.data(), shape=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 2**20))
def test_row_wise_agrees_with_torch(name, data, shape, seed, same_as_torch, torch_functional):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(seed).standard_normal(shape) * 5
    same_as_torch(getattr(F, name), getattr(torch_functional, name), x, dim=dim, seed=seed)


@each_row_wise
def test_row_wise_gradient_is_the_slope(name):
    x = np.random.default_rng(1).standard_normal((3, 5, 2)).transpose(2, 0, 1)
    assert gradcheck(lambda t: getattr(F, name)(t, dim=1), Tensor(x, requires_grad=True))


@each_row_wise
def test_row_wise_does_not_overflow(name):
    y = getattr(F, name)(Tensor(np.array([[1e4, 0.0, -1e4], [np.finfo(float).max, 0, 0]])), dim=1).data
    expected = (
        np.array([[1.0, 0, 0], [1, 0, 0]])
        if name == "softmax"
        else np.array([[0.0, -1e4, -2e4], [0, -np.finfo(float).max, -np.finfo(float).max]])
    )
    np.testing.assert_array_equal(y, expected)


@each_row_wise
def test_a_row_of_minus_infinity_gives_nan_and_one_masked_place_does_not(name, torch_functional):
    torch = pytest.importorskip("torch")
    x = np.array([[-np.inf, -np.inf], [-np.inf, 1.0]])
    np.testing.assert_array_equal(
        getattr(F, name)(Tensor(x), dim=1).data, getattr(torch_functional, name)(torch.tensor(x), dim=1).numpy()
    )


@each_row_wise
def test_row_wise_without_dim_chooses_as_torch_does_and_warns(name, torch_functional):
    torch = pytest.importorskip("torch")
    for shape in [(4,), (3, 4), (2, 3, 4), (2, 3, 4, 2)]:
        x = np.random.default_rng(2).standard_normal(shape)
        with pytest.warns(UserWarning, match="`dim` was not given"):
            actual = getattr(F, name)(Tensor(x))
        with pytest.warns(UserWarning, match="Implicit dimension choice"):
            expected = getattr(torch_functional, name)(torch.tensor(x))
        np.testing.assert_allclose(actual.data, expected.numpy(), rtol=1e-12)


@each_row_wise
def test_row_wise_converts_to_the_dtype_asked_for(name):
    x = Tensor(np.array([[1.0, 2.0]], np.float32), requires_grad=True)
    y = getattr(F, name)(x, dim=1, dtype=np.float64)
    y.sum().backward()
    assert y.dtype == np.float64
    assert x.grad.dtype == np.float32
    assert getattr(F, name)(Tensor([1, 2]), dim=0, dtype=np.float32).dtype == np.float32


@each_row_wise
def test_row_wise_errors_say_what_is_wrong(name):
    with pytest.raises(TypeError, match=f"{name} needs a floating-point input"):
        getattr(F, name)(Tensor([1, 2]), dim=0)
    with pytest.raises(ValueError, match="dim 2 is out of range for a Tensor of 2 axes: -2 to 1"):
        getattr(F, name)(Tensor(np.zeros((2, 3))), dim=2)


def test_add_relu_is_relu_of_the_sum_in_values_and_gradients():
    generator = np.random.default_rng(3)
    a, b, cotangent = generator.standard_normal((3, 2, 8, 32, 33))
    for dtype in (np.float32, np.float64):
        tensors = [[Tensor(value.astype(dtype), requires_grad=True) for value in (a, b)] for _ in range(2)]
        fused, apart = F.add_relu(*tensors[0]), F.relu(tensors[1][0] + tensors[1][1])
        np.testing.assert_array_equal(fused.detach().numpy(), apart.detach().numpy())
        for result in (fused, apart):
            result.backward(cotangent.astype(dtype))
        for x, y in zip(*tensors, strict=True):
            np.testing.assert_array_equal(x.grad.numpy(), y.grad.numpy())
    with pytest.raises(ValueError, match=r"input \(2, 3\) and other \(3,\)"):
        F.add_relu(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(TypeError, match="add_relu"):
        F.add_relu(np.zeros(3, int), np.zeros(3))
