"""What a Tensor is: dtypes, conversions, comparisons, and the errors that say what to do instead."""

import subprocess
import sys

import numpy as np
import pytest

import minicnn
from minicnn import Tensor


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, np.float32),
        ([1.5, 2.0], np.float32),
        (3, np.int64),
        ([[1], [2]], np.int64),
        (True, bool),
        (np.float64(1.5), np.float64),
        (np.zeros(2), np.float64),
        (np.zeros(2, np.float32), np.float32),
        (np.zeros(2, np.uint8), np.uint8),
    ],
)
def test_arrays_keep_their_dtype_and_python_numbers_get_the_default(value, dtype):
    assert Tensor(value).dtype == dtype


def test_an_array_is_not_copied():
    array = np.zeros(3)
    assert Tensor(array).data is array
    assert Tensor(Tensor(array)).data is array


@pytest.mark.parametrize("value", ["text", [None], [1j], {"a": 1}, np.array(["x"])])
def test_only_numbers_make_a_tensor(value):
    with pytest.raises(TypeError, match="a Tensor holds numbers or booleans, but got"):
        Tensor(value)


def test_pictures_of_different_sizes_make_no_tensor():
    with pytest.raises(ValueError, match="this list has parts of different shapes; bring pictures to one size"):
        Tensor([np.zeros((3, 4, 4)), np.zeros((3, 5, 4))])


@pytest.mark.parametrize("array", [np.zeros(2, int), np.zeros(2, bool), np.zeros(2, np.uint8)])
def test_only_floating_point_can_require_gradients(array):
    with pytest.raises(TypeError, match=rf"only floating-point Tensors.*{array.dtype}.*\.float\(\)"):
        Tensor(array, requires_grad=True)


def test_shape_and_its_kin():
    x = Tensor(np.zeros((2, 3, 4)))
    assert (x.shape, x.size(), x.size(-1), x.ndim, x.dim(), x.numel(), len(x)) == ((2, 3, 4), (2, 3, 4), 4, 3, 3, 24, 2)
    assert [row.shape for row in x] == [(3, 4), (3, 4)]
    with pytest.raises(TypeError, match="without axes"):
        len(Tensor(1.0))


def test_item_wants_one_element():
    assert Tensor([[2.5]]).item() == 2.5
    assert isinstance(Tensor(3).item(), int)
    with pytest.raises(ValueError, match=r"one element, but the shape is \(2,\): 2 elements"):
        Tensor([1, 2]).item()
    with pytest.raises(ValueError, match="one element"):
        bool(Tensor([1, 2]))
    assert float(Tensor(1.5)) == 1.5
    assert int(Tensor(1.5)) == 1


def test_no_tensor_equals_none():
    assert (Tensor([1.0, 2.0]) == None) is False  # noqa: E711 (what is tested)
    assert (Tensor([1.0, 2.0]) != None) is True  # noqa: E711


def test_numpy_is_the_array_itself_unless_that_would_cut_the_graph():
    x = Tensor(np.zeros(2))
    assert x.numpy() is x.data
    x.requires_grad_()
    for read in (x.numpy, lambda: np.asarray(x), lambda: np.sin(x)):
        with pytest.raises(RuntimeError, match=r"\.detach\(\)\.numpy\(\)"):
            read()
    assert x.detach().numpy() is x.data


def test_arrays_on_the_left_make_tensors():
    x = Tensor(np.ones(2), requires_grad=True)
    for result in (np.ones(2) + x, np.ones(2) * x, np.ones(2) - x, np.ones(2) / x, np.float64(2) * x, np.ones(2) @ x):
        assert isinstance(result, Tensor)
        assert result.requires_grad


def test_comparisons_are_elementwise_and_carry_no_gradient():
    x = Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    y = Tensor(np.array([3.0, 2.0, 1.0]))
    for result, expected in [
        (x < y, [True, False, False]),
        (x <= y, [True, True, False]),
        (x > y, [False, False, True]),
        (x >= y, [False, True, True]),
        (x == y, [False, True, False]),
        (x != y, [True, False, True]),
        (x > 1.5, [False, True, True]),
        (~(x > 1.5), [True, False, False]),
        ((x > 1.5) & (x < 2.5), [False, True, False]),
        ((x < 1.5) | (x > 2.5), [True, False, True]),
    ]:
        assert result.tolist() == expected
        assert not result.requires_grad


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_python_number_has_the_precision_of_the_tensor_beside_it(dtype):
    x = Tensor(np.array([0.1], dtype))
    assert (x == 0.1).tolist() == [True]
    assert (x <= 0.1).tolist() == [True]
    assert (x - 0.1).tolist() == [0]
    assert (Tensor(np.ones(1, dtype)) * 0.1).data == dtype(0.1)
    assert (Tensor(np.full(1, 2, dtype)) ** 0.1).data == dtype(2) ** dtype(0.1)
    assert Tensor(np.ones(1, dtype)).clamp(max=0.1).data == dtype(0.1)


def test_a_tensor_can_be_a_key():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert {x: "x", y: "y"}[x] == "x"


@pytest.mark.parametrize("statement", ["x += 1", "x -= 1", "x *= 2", "x /= 2", "x **= 2", "x[0] = 1"])
def test_in_place_operators_say_what_to_write_instead(statement):
    x = Tensor([1.0, 2.0])
    with pytest.raises(NotImplementedError, match=r"in-place operations \(tensor.*\) would change a value.*write"):
        exec(statement, {"x": x})
    assert x.tolist() == [1, 2]


def test_detach_shares_the_array_and_cuts_the_graph():
    x = Tensor(np.ones(2), requires_grad=True)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.node is None
    assert x.detach().data is x.data


def test_requires_grad_is_for_leaves():
    x = Tensor(np.ones(2), requires_grad=True)
    assert x.is_leaf
    assert not (x * 2).is_leaf
    with pytest.raises(RuntimeError, match=r"requires_grad_\(\) is for leaves.*mul.*\.detach\(\)"):
        (x * 2).requires_grad_()
    assert not x.requires_grad_(False).requires_grad


def test_repr_shows_values_shape_dtype_and_origin():
    x = Tensor(np.array([1.25, 2.0]), requires_grad=True)
    assert repr(x) == "Tensor([1.25, 2.  ], shape=(2,), dtype=float64, requires_grad=True)"
    assert "made by mul" in repr(x * 2)
    assert len(repr(Tensor(np.zeros((100, 100))))) < 1000


def test_conversions():
    x = Tensor(np.array([1.75, -1.75]))
    assert x.float().dtype == np.float32
    assert x.double() is x
    assert x.long().tolist() == [1, -1]
    assert x.astype(bool).tolist() == [True, True]


def test_every_operator_and_method_is_the_function_of_that_name():
    x = Tensor(np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]]))
    for name, arguments in [
        ("exp", ()), ("log", ()), ("sqrt", ()), ("abs", ()), ("pow", (2,)), ("clamp", (2, 4)), ("maximum", (3.0,)),
        ("minimum", (3.0,)), ("sum", (1,)), ("mean", (0, True)), ("var", (1,)), ("std", (1, 0)), ("prod", (1,)),
        ("amax", (0,)), ("amin", (0,)), ("argmax", (1,)), ("argmin", (1,)), ("logsumexp", (1,)), ("reshape", ((3, 2),)),
        ("flatten", ()), ("permute", ((1, 0),)), ("transpose", (0, 1)), ("squeeze", ()), ("unsqueeze", (1,)),
        ("expand", ((2, 2, 3),)),
    ]:  # fmt: skip
        ours, function = getattr(x, name)(*arguments), getattr(minicnn.functional, name)(x, *arguments)
        np.testing.assert_array_equal(ours.data, function.data, err_msg=name)
    for name in ("max", "min"):
        for ours, function in zip(getattr(x, name)(1), getattr(minicnn.functional, name)(x, 1), strict=True):
            np.testing.assert_array_equal(ours.data, function.data)
    np.testing.assert_array_equal(x.T.data, x.data.T)
    with pytest.raises(ValueError, match=r"\.T needs a matrix"):
        _ = Tensor([1.0]).T


@pytest.mark.slow
def test_importing_prints_nothing_and_every_module_can_come_first():
    modules = ["minicnn", "minicnn.functional.arithmetic", "minicnn.tensor"]
    pipe = subprocess.PIPE
    runs = [subprocess.Popen([sys.executable, "-c", f"import {name}"], stdout=pipe, stderr=pipe) for name in modules]
    for name, run in zip(modules, runs, strict=True):
        assert (*run.communicate(), run.returncode) == (b"", b"", 0), name
