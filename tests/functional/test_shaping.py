"""Shaping: every view and joint against PyTorch, memory order included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


X = np.random.default_rng(0).standard_normal((2, 3, 4, 5))

CASES = {
    "reshape": (lambda x: F.reshape(x, (6, -1)), lambda x: x.reshape(6, -1)),
    "reshape to itself": (lambda x: F.reshape(x, (2, 3, 4, 5)), lambda x: x.reshape(2, 3, 4, 5)),
    "reshape, other images": (lambda x: F.reshape(x, (3, 2, 5, 4)), lambda x: x.reshape(3, 2, 5, 4)),
    "flatten": (lambda x: F.flatten(x), lambda x: x.flatten()),
    "flatten from 1": (lambda x: F.flatten(x, 1), lambda x: x.flatten(1)),
    "flatten the middle": (lambda x: F.flatten(x, 1, -2), lambda x: x.flatten(1, -2)),
    "flatten one": (lambda x: F.flatten(x, 2, 2), lambda x: x.flatten(2, 2)),
    "permute": (lambda x: F.permute(x, (3, 0, 2, 1)), lambda x: x.permute(3, 0, 2, 1)),
    "permute, negative": (lambda x: F.permute(x, (0, -1, 1, -2)), lambda x: x.permute(0, -1, 1, -2)),
    "transpose": (lambda x: F.transpose(x, 1, -1), lambda x: x.transpose(1, -1)),
    "unsqueeze": (lambda x: F.unsqueeze(x, 2), lambda x: x.unsqueeze(2)),
    "unsqueeze at the end": (lambda x: F.unsqueeze(x, -1), lambda x: x.unsqueeze(-1)),
    "squeeze": (lambda x: F.squeeze(x[:1, :, :1]), lambda x: x[:1, :, :1].squeeze()),
    "squeeze one": (lambda x: F.squeeze(x[:1, :, :1], 0), lambda x: x[:1, :, :1].squeeze(0)),
    "squeeze one of another size": (lambda x: F.squeeze(x, 1), lambda x: x.squeeze(1)),
    "expand": (lambda x: F.expand(x[:, :1], (7, 2, -1, 4, 5)), lambda x: x[:, :1].expand(7, 2, -1, 4, 5)),
    "split": (lambda x: F.split(x, 2, 2)[1], lambda x: x.split(2, 2)[1]),
    "split, a smaller rest": (lambda x: F.split(x, 2, -1)[-1], lambda x: x.split(2, -1)[-1]),
    "split by sizes": (lambda x: F.split(x, [1, 4], 3)[1], lambda x: x.split([1, 4], 3)[1]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("memory", ["C", "channels-last"])
def test_agrees_with_torch(name, memory, same_as_torch, torch, to_channels_last):
    ours, theirs = CASES[name]
    x = X if memory == "C" else to_channels_last(X)
    same_as_torch(ours, theirs, x)


@pytest.mark.parametrize("name", CASES)
def test_gradient_is_the_slope(name, to_channels_last):
    assert gradcheck(CASES[name][0], Tensor(to_channels_last(X), requires_grad=True), directions=2)


@settings(max_examples=25)
@given(
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    count=st.integers(1, 4),
    data=st.data(),
    seed=st.integers(0, 2**20),
)
def test_concat_and_stack_agree_with_torch(shape, count, data, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    arrays = []
    for _ in range(count):
        size = list(shape)
        size[dim] = data.draw(st.integers(0, 3))
        arrays.append(generator.standard_normal(size))
    same_as_torch(lambda *t: F.concat(t, dim), lambda *t: torch.concat(t, dim), *arrays, seed=seed)
    alike = [generator.standard_normal(shape) for _ in range(count)]
    dim = data.draw(st.integers(-len(shape) - 1, len(shape)))
    same_as_torch(lambda *t: F.stack(t, dim), lambda *t: torch.stack(t, dim), *alike, seed=seed)


def test_one_tensor_may_be_joined_with_itself():
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    F.concat([x, x, x * 2], 1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full((2, 3), 4))


def test_concat_of_images_along_channels_stays_channels_last(to_channels_last):
    a, b = (Tensor(to_channels_last(np.ones((2, c, 4, 5), np.float32)), requires_grad=True) for c in (3, 2))
    before = layout.conversions()
    y = F.concat([a, b], 1)
    assert layout.is_channels_last(y.data)
    y.backward(to_channels_last(np.ones((2, 5, 4, 5), np.float32)))
    assert layout.is_channels_last(a.grad.data)
    assert a.grad.shape == (2, 3, 4, 5)
    assert layout.conversions() <= before + 2  # a part of the channels is not an image batch by itself


def test_a_split_gives_back_what_concat_joined():
    pieces = F.split(Tensor(X), [1, 2, 2], 3)
    assert [piece.shape[3] for piece in pieces] == [1, 2, 2]
    np.testing.assert_array_equal(F.concat(pieces, 3).data, X)


def test_gradients_flow_between_floating_point_dtypes_and_nowhere_else():
    x = Tensor(np.array([1.5, -2.5], np.float32), requires_grad=True)
    y = F.astype(x, np.float64)
    y.sum().backward()
    assert y.dtype == np.float64
    assert x.grad.dtype == np.float32
    assert not F.astype(x, np.int64).requires_grad
    assert F.astype(x, np.float32) is x
    with pytest.raises(TypeError, match="a Tensor holds numbers or booleans"):
        F.astype(x, np.complex64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: F.reshape(x, (7, -1)),
            r"120 elements of shape \(2, 3, 4, 5\) can't be divided into \(7, -1\): 120 / 7",
        ),
        (lambda x: F.reshape(x, (2, 3)), r"shape \(2, 3, 4, 5\) has 120 elements, but \(2, 3\) has 6"),
        (lambda x: F.reshape(x, (-1, -1)), "more than one -1"),
        (lambda x: F.reshape(x, (-2, 60)), "below -1"),
        (lambda x: F.flatten(x, 2, 1), "start_dim 2 comes after end_dim 1"),
        (lambda x: F.permute(x, (0, 1)), r"dims \(0, 1\) names 2 axes, but the shape \(2, 3, 4, 5\) has 4"),
        (lambda x: F.permute(x, (0, 1, 1, 2)), "names an axis twice"),
        (lambda x: F.transpose(x, 0, 4), "dim 4 is out of range for a Tensor of 4 axes"),
        (lambda x: F.expand(x, (2, 3, 4, 6)), "only axes of size 1 can be repeated"),
        (lambda x: F.expand(x, (4, 5)), r"has fewer axes than the shape \(2, 3, 4, 5\)"),
        (lambda x: F.concat([]), "needs at least one Tensor"),
        (lambda x: F.concat([x, x[:, :2]], 0), r"Tensor 1 has shape \(2, 2, 4, 5\), Tensor 0 \(2, 3, 4, 5\)"),
        (lambda x: F.stack([x, x[0]]), "of one shape"),
        (lambda x: F.stack([]), "one or more"),
        (lambda x: F.split(x, 0), "split_size must be positive, but is 0"),
        (lambda x: F.split(x, [1, 3], 1), r"sizes \[1, 3\] add up to 4, but dim 1 has 3"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(Tensor(X))
