"""Indexing: every kind of index against PyTorch, repeated positions included."""

import numpy as np
import pytest

from minicnn import Tensor, gradcheck
from minicnn.kernels import layout

X = np.random.default_rng(0).standard_normal((4, 3, 5, 2))
ROWS = np.array([0, 2, 2, -1])

INDICES = {
    "an integer": 1,
    "a negative integer": -1,
    "a NumPy integer": np.int64(2),
    "a slice": slice(1, 3),
    "a slice with a step": slice(None, None, 2),
    "nothing of it": slice(2, 2),
    "several slices": (slice(None), slice(0, 2), slice(1, None)),
    "None": (None, slice(None), None, 1),
    "ellipsis": (Ellipsis, 1),
    "ellipsis in the middle": (0, Ellipsis, 1),
    "positions, some twice": ROWS,
    "a list": [0, 2, 2],
    "positions along one axis": (slice(None), np.array([2, 0, 2])),
    "pairs of positions": (np.array([0, 0, 3]), np.array([1, 1, 2])),
    "positions and a slice": (np.array([0, 0, 3]), slice(1, 2), np.array([4, 4, 0])),
    "positions that broadcast": (np.array([[0], [3]]), np.array([1, 1, 2])),
    "a boolean mask": X > 0,
    "a boolean mask of rows": np.array([True, False, True, True]),
    "a mask that is false everywhere": np.zeros(X.shape, bool),
}


@pytest.mark.parametrize("name", INDICES)
def test_agrees_with_torch(name, same_as_torch):
    torch = pytest.importorskip("torch")

    def theirs(index):
        if isinstance(index, tuple):
            return tuple(theirs(part) for part in index)
        return torch.tensor(index) if isinstance(index, np.ndarray) else index

    index = INDICES[name]
    same_as_torch(lambda x: x[index], lambda x: x[theirs(index)], X)


@pytest.mark.parametrize("name", INDICES)
def test_gradient_is_the_slope(name, to_channels_last):
    x = Tensor(to_channels_last(X), requires_grad=True)
    assert gradcheck(lambda t: t[INDICES[name]], x, directions=2)


def test_tensors_are_indices_too():
    x = Tensor(np.arange(6.0).reshape(3, 2), requires_grad=True)
    y = x[Tensor([2, 2]), Tensor([0, 1])]
    y.backward(np.array([1.0, 10.0]))
    assert y.tolist() == [4, 5]
    np.testing.assert_array_equal(x.grad.data, [[0, 0], [0, 0], [1, 10]])
    assert x[x > 3].tolist() == [4, 5]


def test_a_position_picked_three_times_gets_three_gradients():
    x = Tensor(np.zeros(3), requires_grad=True)
    x[[1, 1, 1]].backward(np.array([1.0, 10.0, 100.0]))
    np.testing.assert_array_equal(x.grad.data, [0, 111, 0])


def test_images_picked_from_a_batch_stay_channels_last(to_channels_last):
    x = Tensor(to_channels_last(X.astype(np.float32)), requires_grad=True)
    for index in (slice(1, 3), ROWS):
        y = x[index]
        assert layout.is_channels_last(y.data)
        x.grad = None
        y.sum().backward()
        assert layout.is_channels_last(x.grad.data)
        assert x.grad.dtype == np.float32


def test_a_position_out_of_range_is_named_with_the_shape():
    with pytest.raises(IndexError, match=r"index 9 is out of bounds.*indexing a Tensor of shape \(4, 3, 5, 2\)"):
        Tensor(X)[9]
    with pytest.raises(IndexError, match=r"too many indices.*\(4, 3, 5, 2\)"):
        Tensor(X)[0, 0, 0, 0, 0]
    with pytest.raises(IndexError, match=r"boolean.*\(4, 3, 5, 2\)"):
        Tensor(X)[np.array([True, False])]
