"""pad: all four modes, negative amounts, gradients, layout, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor

MODES = ["constant", "reflect", "replicate", "circular"]
NUMPY_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def values(*shape, dtype=np.float64):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def images(*shape):
    array = layout.empty(shape, np.float32)
    array[...] = values(*shape)
    return array


def in_numpys_order(pad, ndim):
    """torch's pad names the last axis first; NumPy's names every axis, the first one first."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("shape", "pad"),
    [
        ((2, 3, 5, 7), (1, 2, 3, 0)),
        ((2, 3, 5, 7), (4, 4, 2, 3)),
        ((3, 5, 7), (0, 2, 1, 1)),
        ((2, 3, 7), (2, 3)),
        ((5, 7), (3, 1)),
        ((2, 3, 4, 5, 6), (1, 2, 3, 0, 2, 2)),
        ((4, 3, 5, 6), (1, 2, 0, 3, 2, 1)),
    ],
)
def test_padding_is_numpys_and_its_gradient_is_the_slope(mode, shape, pad):
    x = Tensor(values(*shape), requires_grad=True)
    y = F.pad(x, pad, mode)
    np.testing.assert_array_equal(y.data, np.pad(x.data, in_numpys_order(pad, len(shape)), NUMPY_MODES[mode]))
    assert gradcheck(lambda x: F.pad(x, pad, mode), [x], directions=2)


@pytest.mark.parametrize("mode", ["constant", "replicate", "reflect"])
def test_negative_amounts_crop_and_the_gradient_there_is_zero(mode):
    x = Tensor(values(2, 3, 5, 7), requires_grad=True)
    y = F.pad(x, (-1, -2, 0, -3), mode)
    np.testing.assert_array_equal(y.data, x.data[:, :, :2, 1:5])
    y.backward(np.ones(y.shape))
    expected = np.zeros(x.shape)
    expected[:, :, :2, 1:5] = 1
    np.testing.assert_array_equal(x.grad.data, expected)


def test_circular_padding_goes_round_what_cropping_left():
    assert F.pad(np.arange(5.0)[None], (-1, 2), "circular").data.tolist() == [[1, 2, 3, 4, 1, 2]]
    assert F.pad(np.arange(5.0)[None], (2, -1), "circular").data.tolist() == [[2, 3, 0, 1, 2, 3]]


def test_a_constant_may_be_anything_and_pads_any_axis_and_dtype():
    assert F.pad(np.array([1.0, 2.0]), (1, 2), value=-np.inf).data.tolist() == [-np.inf, 1, 2, -np.inf, -np.inf]
    assert F.pad(np.array([True, True]), (0, 1)).data.tolist() == [True, True, False]
    y = F.pad(np.ones((1, 2, 2, 3), np.int64), (0, 0, 0, 0, 0, 0, 1, 0), value=7)
    assert y.dtype == np.int64
    assert y.shape == (2, 2, 2, 3)
    assert (y.data[0] == 7).all()


def test_an_empty_batch_stays_empty():
    for mode in MODES:
        x = Tensor(np.zeros((0, 3, 5, 7)), requires_grad=True)
        y = F.pad(x, (1, 2, 3, 4), mode)
        y.backward(np.zeros(y.shape))
        assert y.shape == (0, 3, 12, 10)
        assert x.grad.shape == x.shape


@pytest.mark.parametrize("mode", MODES)
def test_channels_last_stays_nothing_is_converted_and_no_input_changes(mode):
    array = images(2, 3, 5, 7)
    x = Tensor(array, requires_grad=True)
    conversions = layout.conversions()
    y = F.pad(x, (1, 2, -1, 3), mode)
    y.backward(images(*y.shape))
    assert layout.conversions() == conversions
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)
    np.testing.assert_array_equal(array, images(2, 3, 5, 7))
    turned = values(2, 3, 5, 7).transpose(0, 1, 3, 2).astype(np.float32)
    np.testing.assert_array_equal(
        F.pad(turned, (1, 2, -1, 3), mode).data, F.pad(turned.copy(), (1, 2, -1, 3), mode).data
    )


@given(data=st.data(), mode=st.sampled_from(MODES), axes=st.integers(1, 3), batched=st.booleans())
def test_padding_agrees_with_pytorch_on_drawn_shapes(data, mode, axes, batched):
    torch = pytest.importorskip("torch")
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=axes + 1 + batched, max_size=axes + 1 + batched)))
    pad = tuple(data.draw(st.lists(st.integers(-3, 5), min_size=2 * axes, max_size=2 * axes)))
    theirs = torch.from_numpy(values(*shape)).requires_grad_()
    try:
        expected = torch.nn.functional.pad(theirs, pad, mode)
    except RuntimeError:
        with pytest.raises(ValueError, match="pad: "):
            F.pad(values(*shape), pad, mode)
        return
    ours = Tensor(values(*shape), requires_grad=True)
    amounts = in_numpys_order(pad, len(shape))
    undefined = mode == "circular" and any(
        max(before, after) > size + min(before, 0) + min(after, 0)
        for size, (before, after) in zip(shape, amounts, strict=True)
    )
    if undefined or (mode != "constant" and 0 in expected.shape):
        # PyTorch reads memory it never wrote where a crop leaves less than circular padding needs; an image without
        # pixels it gives in some modes and refuses in others.
        with pytest.raises(ValueError, match="pad: "):
            F.pad(ours, pad, mode)
        return
    y = F.pad(ours, pad, mode)
    np.testing.assert_array_equal(y.data, expected.detach().numpy())
    cotangent = np.random.default_rng(3).standard_normal(y.shape)
    y.backward(cotangent)
    expected.backward(torch.from_numpy(cotangent))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("error", "message", "shape", "arguments"),
    [
        (ValueError, "mode must be one of 'constant', 'reflect', 'replicate', 'circular', but is 'edge'", (2, 3),
         ((1, 1), "edge")),
        (ValueError, "but has 3 numbers: (1, 2, 3)", (2, 3), ((1, 2, 3),)),
        (ValueError, "each of at most 2 axes of shape (2, 3), but has 6 numbers", (2, 3), ((1,) * 6,)),
        (TypeError, "pad must be a sequence of ints (left, right, top, bottom, ...), but is 1", (2, 3), (1,)),
        (TypeError, "but is (1.5, 1)", (2, 3), ((1.5, 1),)),
        (ValueError, "axis 1 of shape (2, 3) has 3 places, fewer than pad (-4, 5) cuts off", (2, 3), ((-4, 5),)),
        (ValueError, "axis 1 of shape (2, 3) would have 3 + -2 + -2 = -1 places", (2, 3), ((-2, -2),)),
        (ValueError, "adds at most 2 to axis 1 of shape (2, 3), but pad is (3, 0)", (2, 3), ((3, 0), "reflect")),
        (ValueError, "adds at most 3 to axis 1 of shape (2, 3), but pad is (0, 4)", (2, 3), ((0, 4), "circular")),
        (ValueError, "pad names 1 axes and the shape is (3,)", (3,), ((1, 1), "replicate")),
        (ValueError, "pad names 2 axes and the shape is (2, 3)", (2, 3), ((1, 1, 1, 1), "reflect")),
        (ValueError, "an image that is not empty, before and after it", (2, 3, 0, 5), ((1, 1, 1, 1), "replicate")),
        (ValueError, "needs an image that is not empty", (2, 3), ((-3, 0), "replicate")),
        (ValueError, "value is for mode 'constant', but mode is 'reflect' and value 1", (2, 3), ((1, 1), "reflect", 1)),
    ],
)  # fmt: skip
def test_what_cannot_be_padded_is_refused_with_the_reason(error, message, shape, arguments):
    with pytest.raises(error, match=re.escape(message)):
        F.pad(np.zeros(shape), *arguments)
