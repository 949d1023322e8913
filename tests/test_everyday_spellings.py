"""Lines that stand in nearly every script, in PyTorch's and in NumPy's spelling."""

import numpy as np
import pytest

from minicnn import Tensor, nn

X = np.array([[1.0, -2.0, 3.5], [0.0, 5.0, -6.5]], np.float32)


def x():
    return Tensor(X, requires_grad=True)


def test_one_number_is_formatted_and_used_as_an_index():
    assert f"{Tensor(0.12345):.3f}" == "0.123"
    assert f"{x()}" == str(x())
    assert ["cat", "dog"][Tensor([0.1, 0.9]).argmax()] == "dog"
    assert list(range(Tensor(3))) == [0, 1, 2]
    np.testing.assert_array_equal(X[Tensor(np.array([1, 0]))], X[[1, 0]])


@pytest.mark.parametrize("wrong", [Tensor(1.5), Tensor([1, 2]), Tensor(True)])
def test_a_wrong_index_is_named(wrong):
    with pytest.raises(TypeError, match="an index must be one whole number"):
        range(wrong)


def test_view_and_clone_pass_the_gradient_on():
    tensor = x()
    copy = tensor.clone()
    assert not np.shares_memory(copy.data, tensor.data)
    (copy.view(-1) * np.arange(6, dtype=np.float32)).sum().backward()
    np.testing.assert_array_equal(tensor.grad.data, np.arange(6).reshape(2, 3))
    assert (+tensor) is tensor


@pytest.mark.parametrize("divisor", [2.0, -0.75])
def test_floor_division_and_remainder(divisor):
    tensor = x()
    np.testing.assert_array_equal((tensor // divisor).data, X // np.float32(divisor))
    np.testing.assert_array_equal((tensor % divisor).data, X % np.float32(divisor))
    np.testing.assert_array_equal((7 // Tensor([2, 3])).data, [3, 2])
    np.testing.assert_array_equal((7 % Tensor([2, 4])).data, [1, 3])
    (tensor % divisor).sum().backward()
    np.testing.assert_array_equal(tensor.grad.data, np.ones_like(X))


def test_the_remainders_gradient_of_the_divisor():
    divisor = Tensor(np.array([2.0, 3.0], np.float32), requires_grad=True)
    (Tensor([7.0, -7.0]) % divisor).sum().backward()
    np.testing.assert_array_equal(divisor.grad.data, [-3, 3])


@pytest.mark.parametrize("call", [lambda: Tensor([1]) // 0, lambda: Tensor([1]) % Tensor([0])])
def test_an_integer_divided_by_zero_is_refused(call):
    with pytest.raises(ZeroDivisionError, match="`other` holds a 0"):
        call()


def test_masks_combine_from_both_sides():
    mask = np.array([True, False, True])
    for result in (Tensor(mask) ^ Tensor(~mask), Tensor(mask) ^ ~mask, True ^ Tensor(~mask) ^ ~mask):
        assert result.tolist() == [True, True, True]
    assert (True & Tensor(mask)).tolist() == mask.tolist()
    assert (False | Tensor(mask)).tolist() == mask.tolist()


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "amax", "amin", "argmax", "argmin"])
def test_reductions_take_numpys_names(name):
    expected = getattr(np, name)(X, axis=0)
    np.testing.assert_allclose(getattr(Tensor(X), name)(axis=0).data, expected)
    np.testing.assert_allclose(getattr(Tensor(X), name)(axis=0, keepdims=True).data, expected[None])


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod, np.max, np.min, np.argmax, np.var, np.std])
def test_numpys_functions_take_a_tensor(function):
    np.testing.assert_allclose(np.asarray(function(Tensor(X))), function(X), rtol=1e-6)


def test_a_misspelt_or_doubled_argument_of_a_reduction_is_named():
    with pytest.raises(TypeError, match="`axes` is not an argument"):
        x().sum(axes=0)
    with pytest.raises(TypeError, match="`dim` and `axis` mean the same"):
        x().sum(0, axis=1)
    with pytest.raises(TypeError, match="`dtype` and `out` are not offered"):
        np.sum(x(), dtype=np.float64)


def test_a_tensor_is_not_equal_to_a_text():
    assert (x() == "text") is False
    assert (x() != "text") is True


def test_sequentials_add_up_and_give_a_module_back():
    first, second = nn.Linear(3, 2), nn.ReLU()
    both = nn.Sequential(first) + nn.Sequential(second)
    assert list(both) == [first, second]
    assert both.pop(0) is first
    assert list(both) == [second]
    assert [name for name, _ in both.named_children()] == ["0"]


def test_a_buffer_that_is_not_persistent_is_neither_saved_nor_asked_for():
    module = nn.Module()
    module.register_buffer("table", np.ones(2), persistent=False)
    module.register_buffer("kept", np.ones(2))
    assert list(module.state_dict()) == ["kept"]
    assert len(list(module.buffers())) == 2
    assert module.load_state_dict({"kept": np.zeros(2)}).loaded == ["kept"]
    module.register_buffer("table", np.ones(2))
    assert sorted(module.state_dict()) == ["kept", "table"]
