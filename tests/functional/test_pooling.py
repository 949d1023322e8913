"""Pooling: values, gradients, padding, ties, NaN and infinities, layout, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor


def distinct(*shape, seed=0, dtype=np.float64):
    """Values that are all different and far apart, in random order: no maximum is near a tie."""
    count = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(count).reshape(shape) / 4 - count / 8).astype(dtype)


def leaf(*shape, seed=0):
    return Tensor(distinct(*shape, seed=seed), requires_grad=True)


def images(array):
    result = layout.empty(array.shape, array.dtype)
    result[...] = array
    return result


POOLINGS = {
    "max": lambda x: F.max_pool2d(x, 2),
    "max, overlapping and padded": lambda x: F.max_pool2d(x, (3, 2), 1, (1, 0)),
    "max, dilated": lambda x: F.max_pool2d(x, 2, (1, 2), 1, (3, 2)),
    "max, ceil": lambda x: F.max_pool2d(x, 3, 2, 1, 1, True),
    "avg": lambda x: F.avg_pool2d(x, 2),
    "avg, overlapping and padded": lambda x: F.avg_pool2d(x, (3, 2), 1, (1, 1)),
    "avg, padding not counted": lambda x: F.avg_pool2d(x, 3, 2, 1, False, False),
    "avg, ceil": lambda x: F.avg_pool2d(x, 3, 2, 1, True),
    "avg, divisor": lambda x: F.avg_pool2d(x, (2, 3), divisor_override=4),
    "adaptive avg": lambda x: F.adaptive_avg_pool2d(x, (3, 2)),
    "adaptive avg, larger than the image": lambda x: F.adaptive_avg_pool2d(x, (None, 9)),
    "adaptive max": lambda x: F.adaptive_max_pool2d(x, (2, 3)),
    "adaptive max, one size kept": lambda x: F.adaptive_max_pool2d(x, (4, None)),
}


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 6, 5)])
def test_gradients_are_the_slopes(name, shape):
    assert gradcheck(POOLINGS[name], [leaf(*shape)])


@pytest.mark.parametrize("name", POOLINGS)
def test_memory_order_does_not_matter_channels_last_stays_and_no_input_changes(name):
    x = distinct(2, 3, 5, 7, dtype=np.float32)
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]
    before = images(x)
    a, b = Tensor(before, requires_grad=True), Tensor(strided, requires_grad=True)
    conversions = layout.conversions()
    y = POOLINGS[name](a)
    cotangent = images(distinct(*y.shape, seed=1, dtype=np.float32))
    y.backward(cotangent)
    assert layout.conversions() == conversions
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(a.grad.data)
    z = POOLINGS[name](b)
    z.backward(cotangent)
    np.testing.assert_array_equal(z.data, y.data)
    np.testing.assert_array_equal(b.grad.data, a.grad.data)
    np.testing.assert_array_equal(before, x)
    np.testing.assert_array_equal(strided, x)


@pytest.mark.parametrize("name", POOLINGS)
def test_an_empty_batch_is_pooled_to_an_empty_batch(name):
    x = Tensor(np.zeros((0, 3, 5, 7)), requires_grad=True)
    y = POOLINGS[name](x)
    y.backward(np.zeros(y.shape))
    assert y.shape == (0, *POOLINGS[name](leaf(1, 3, 5, 7)).shape[1:])
    assert x.grad.shape == x.shape


def test_max_pool2d_takes_the_largest_of_each_window_and_says_where_it_was():
    x = np.array([[[[1.0, 5, 2, 0], [3, 4, 8, 6], [-1, -2, -3, -9]]]])
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    assert y.data.tolist() == [[[[5, 8]]]]
    assert indices.data.tolist() == [[[[1, 6]]]]
    assert indices.dtype == np.int64
    assert F.max_pool2d(x, 2, ceil_mode=True).data.tolist() == [[[[5, 8], [-1, -3]]]]


def test_padding_never_wins_a_maximum():
    x = np.full((1, 2, 4, 5), -1.0)
    y, indices = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert (y.data == -1).all()
    assert indices.data.min() >= 0
    assert (F.max_pool2d(np.full((1, 2, 4, 5), -np.inf), 3, 2, 1).data == -np.inf).all()


def test_the_first_of_equal_values_gets_the_whole_gradient():
    x = Tensor(np.zeros((1, 1, 2, 4)), requires_grad=True)
    F.max_pool2d(x, 2).backward(np.array([[[[3.0, 7.0]]]]))
    assert x.grad.data.tolist() == [[[[3, 0, 7, 0], [0, 0, 0, 0]]]]


def test_a_value_that_wins_several_windows_gets_the_sum_of_their_gradients():
    x = Tensor(np.array([[[[0.0, 9, 1]]]]), requires_grad=True)
    F.max_pool2d(x, (1, 2), 1).backward(np.array([[[[2.0, 3.0]]]]))
    assert x.grad.data.tolist() == [[[[0, 5, 0]]]]


def test_a_nan_wins_its_windows_and_no_others():
    x = distinct(1, 2, 4, 6)
    x[0, 1, 1, 3] = np.nan
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    assert np.argwhere(np.isnan(y.data)).tolist() == [[0, 1, 0, 1]]
    assert indices.data[0, 1, 0, 1] == 1 * 6 + 3
    assert np.argwhere(np.isnan(F.adaptive_max_pool2d(x, (2, 3)).data)).tolist() == [[0, 1, 0, 1]]
    assert np.argwhere(np.isnan(F.avg_pool2d(x, 2).data)).tolist() == [[0, 1, 0, 1]]


def test_avg_pool2d_divides_by_what_it_is_told_to():
    x = np.ones((1, 1, 3, 3))
    corner = lambda **options: F.avg_pool2d(x, 3, 2, 1, **options).data[0, 0, 0, 0]  # noqa: E731
    assert corner() == pytest.approx(4 / 9)
    assert corner(count_include_pad=False) == 1
    assert corner(divisor_override=5) == pytest.approx(4 / 5)
    # With ceil_mode the last window reaches over the padding; that part is never counted: 2 x 2 of it are in the
    # padded image of 4 x 4 + 1, of which 1 x 1 is image.
    assert F.avg_pool2d(np.ones((1, 1, 4, 4)), 3, 3, 1, ceil_mode=True).data[0, 0, 1, 1] == pytest.approx(4 / 9)
    assert F.avg_pool2d(np.ones((1, 1, 4, 4)), 3, 2, 1, ceil_mode=True).data[0, 0, 2, 2] == pytest.approx(1 / 4)


def test_adaptive_regions_cover_the_image_and_overlap_where_the_sizes_do_not_divide():
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    assert F.adaptive_avg_pool2d(x, (1, 2)).data.tolist() == [[[[1, 3]]]]  # columns 0 to 2 and 2 to 4
    y, indices = F.adaptive_max_pool2d(x, (None, 2), return_indices=True)
    assert y.data.tolist() == [[[[2, 4]]]]
    assert indices.data.tolist() == [[[[2, 4]]]]
    assert F.adaptive_avg_pool2d(leaf(2, 3, 5, 7), (None, None)).shape == (2, 3, 5, 7)
    np.testing.assert_allclose(
        F.adaptive_avg_pool2d(leaf(2, 3, 5, 7), 1).data[..., 0, 0], distinct(2, 3, 5, 7).mean((2, 3)), atol=1e-12
    )


def test_one_image_without_a_batch_axis_is_pooled_as_in_a_batch_of_one():
    x = distinct(3, 6, 5)
    for function in (F.max_pool2d, F.adaptive_max_pool2d):
        single, batch = function(x, 2, return_indices=True), function(x[None], 2, return_indices=True)
        for one, many in zip(single, batch, strict=True):
            np.testing.assert_array_equal(one.data, many.data[0])
    for function in (F.avg_pool2d, F.adaptive_avg_pool2d):
        np.testing.assert_array_equal(function(x, 2).data, function(x[None], 2).data[0])


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (3, 5, 7)])
def test_max_unpool2d_puts_each_maximum_back_and_its_gradient_reads_it_there(shape):
    x = leaf(*shape)
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(y, indices, 2, output_size=shape)
    assert back.shape == shape
    kept = back.data != 0
    np.testing.assert_array_equal(back.data[kept], x.data[kept])
    np.testing.assert_array_equal(F.max_pool2d(back, 2).data, np.maximum(y.data, 0))
    assert gradcheck(lambda v: F.max_unpool2d(v, indices, 2, output_size=(5, 7)), [leaf(*y.shape, seed=4)])


def test_max_unpool2d_without_a_size_makes_the_smallest_image_with_those_windows():
    y, indices = F.max_pool2d(leaf(2, 3, 4, 6), 2, return_indices=True)
    assert F.max_unpool2d(y, indices, 2).shape == (2, 3, 4, 6)
    y, indices = F.max_pool2d(leaf(3, 7, 6), (3, 2), 2, (1, 0), return_indices=True)
    assert F.max_unpool2d(y, indices, (3, 2), 2, (1, 0)).shape == (3, 7, 6)


def test_max_unpool2d_keeps_channels_last():
    y, indices = F.max_pool2d(Tensor(images(distinct(2, 3, 4, 6)), requires_grad=True), 2, return_indices=True)
    before = layout.conversions()
    assert layout.is_channels_last(indices.data)
    assert layout.is_channels_last(F.max_unpool2d(y, indices, 2).data)
    assert layout.conversions() == before


pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


def has_empty_window(size, counts, kernel, stride, padding, dilation):
    """True if a window touches no pixel: its places lie on both sides of a narrow image, or beyond its end."""
    for axis in (0, 1):
        for start in range(-padding[axis], -padding[axis] + counts[axis + 2] * stride[axis], stride[axis]):
            places = [start + tap * dilation[axis] for tap in range(kernel[axis])]
            if not any(0 <= place < size[axis + 2] for place in places):
                return True
    return False


def test_a_window_that_touches_no_pixel_has_no_maximum_and_passes_no_gradient():
    x = Tensor(np.ones((1, 1, 1, 1)), requires_grad=True)
    y, indices = F.max_pool2d(x, (1, 2), 1, (0, 1), 2, return_indices=True)
    assert y.data.tolist() == [[[[-np.inf]]]]
    assert indices.data.tolist() == [[[[-1]]]]
    y.backward(np.ones(y.shape))
    assert x.grad.data.tolist() == [[[[0]]]]


@given(
    data=st.data(),
    size=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    kernel=pairs,
    stride=st.none() | pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    ceil_mode=st.booleans(),
)
def test_pooling_agrees_with_pytorch_on_drawn_shapes(data, size, kernel, stride, padding, ceil_mode):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).integers(-3, 4, size).astype(np.float64)  # ties on purpose
    x[x == 3] = data.draw(st.sampled_from([3, np.nan, np.inf]))
    x[x == -3] = data.draw(st.sampled_from([-3, -np.inf]))
    stride = stride or kernel
    if data.draw(st.booleans()):
        rest = (kernel, stride, padding, data.draw(pairs), ceil_mode, True)
        name = "max_pool2d"
    else:
        rest = (kernel, stride, padding, ceil_mode, data.draw(st.booleans()), data.draw(st.sampled_from([None, 3, -2])))
        name = "avg_pool2d"
    theirs, ours = torch.from_numpy(x.copy()).requires_grad_(), Tensor(x, requires_grad=True)
    try:
        expected = getattr(torch.nn.functional, name)(theirs, *rest)
    except RuntimeError:
        with pytest.raises(ValueError, match=name):
            getattr(F, name)(ours, *rest)
        return
    result = getattr(F, name)(ours, *rest)
    if name == "max_pool2d" and has_empty_window(size, expected[0].shape, *rest[:4]):
        return  # PyTorch's index lies outside the image there, and its gradient would go astray
    if name == "max_pool2d":
        np.testing.assert_array_equal(result[1].data, expected[1].numpy())
        result, expected = result[0], expected[0]
    np.testing.assert_allclose(result.data, expected.detach().numpy(), atol=1e-12)
    cotangent = np.random.default_rng(1).standard_normal(result.shape)
    result.backward(cotangent)
    expected.backward(torch.from_numpy(cotangent))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), atol=1e-12)


@given(
    size=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    output_size=st.tuples(st.none() | st.integers(1, 6), st.none() | st.integers(1, 6)),
    maximum=st.booleans(),
)
def test_adaptive_pooling_agrees_with_pytorch_on_drawn_shapes(size, output_size, maximum):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(size)
    theirs, ours = torch.from_numpy(x.copy()).requires_grad_(), Tensor(x, requires_grad=True)
    name = "adaptive_max_pool2d" if maximum else "adaptive_avg_pool2d"
    expected = getattr(torch.nn.functional, name)(theirs, output_size)
    result = getattr(F, name)(ours, output_size)
    np.testing.assert_allclose(result.data, expected.detach().numpy(), atol=1e-12)
    cotangent = np.random.default_rng(1).standard_normal(result.shape)
    result.backward(cotangent)
    expected.backward(torch.from_numpy(cotangent))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), atol=1e-12)


ALL = [F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d]


@pytest.mark.parametrize("function", ALL)
def test_every_pooling_names_itself_and_the_shape_it_cannot_pool(function):
    name = function.__name__
    with pytest.raises(ValueError, match=re.escape(f"{name}: input must have 4 axes (N, C, H, W), or 3 (C, H, W)")):
        function(np.zeros((5, 7)), 2)
    with pytest.raises(
        ValueError, match=re.escape(f"{name}: only the batch may be empty, but input has shape (2, 3, 0")
    ):
        function(np.zeros((2, 3, 0, 7)), 2)
    with pytest.raises(TypeError, match=f"{name}: input must be float32 or float64, but is int64"):
        function(np.zeros((2, 3, 5, 7), np.int64), 2)
    for wrong in (0, -1, (2, 0)):
        with pytest.raises(ValueError, match=f"{name}: .*_size must be at least 1, but is"):
            function(np.zeros((2, 3, 5, 7)), wrong)
    with pytest.raises(ValueError, match=f"{name}: .*_size must be an int or a pair"):
        function(np.zeros((2, 3, 5, 7)), (1, 2, 3))
    for wrong in (2.5, True, "2", (2, 2.0)):
        with pytest.raises(TypeError, match=f"{name}: .*_size must be an int or a pair of ints"):
            function(np.zeros((2, 3, 5, 7)), wrong)


@pytest.mark.parametrize("function", [F.max_pool2d, F.avg_pool2d])
def test_windows_that_do_not_fit_are_refused_with_the_arithmetic(function):
    x, name = np.zeros((2, 3, 5, 7)), function.__name__
    message = "output height (H + 2*padding - dilation*(KH-1) - 1)//stride + 1 = (5 + 2*0 - 1*(6-1) - 1)//6 + 1 = 0"
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message} with H=5")):
        function(x, 6)
    message = "output width (W + 2*padding - dilation*(KW-1) - 1 + stride - 1)//stride + 1 = "
    with pytest.raises(ValueError, match=re.escape(f"{name}: {message}(7 + 2*0 - 1*(9-1) - 1 + 1 - 1)//1 + 1 = -1")):
        function(x, (2, 9), 1, ceil_mode=True)
    with pytest.raises(ValueError, match=re.escape("padding is (2, 2) and kernel_size (3, 3)")):
        function(x, 3, padding=2)
    with pytest.raises(ValueError, match=f"{name}: stride must be at least 1"):
        function(x, 2, 0)
    with pytest.raises(ValueError, match=f"{name}: padding must be at least 0"):
        function(x, 2, padding=-1)


def test_options_of_one_pooling_that_are_refused():
    x = np.zeros((2, 3, 5, 7))
    with pytest.raises(ValueError, match="max_pool2d: dilation must be at least 1"):
        F.max_pool2d(x, 2, dilation=0)
    with pytest.raises(ValueError, match="avg_pool2d: divisor_override must not be 0"):
        F.avg_pool2d(x, 2, divisor_override=0)


def test_max_unpool2d_refuses_indices_and_sizes_that_no_pooling_has():
    x, indices = np.ones((1, 1, 2, 2)), np.array([[[[0, 3], [11, 5]]]])
    with pytest.raises(TypeError, match="indices must be int64, as max_pool2d returns them, but are float64"):
        F.max_unpool2d(x, x, 2)
    with pytest.raises(
        ValueError, match=re.escape("indices (1, 2, 2) and input (1, 1, 2, 2) must have the same shape")
    ):
        F.max_unpool2d(x, indices[0], 2)
    with pytest.raises(
        ValueError, match=re.escape("0 to H*W - 1 = 4*4 - 1 = 15, but range from 5 to 16; pass output_size")
    ):
        F.max_unpool2d(x, indices + 5, 2)
    with pytest.raises(ValueError, match="range from -1 to 10"):
        F.max_unpool2d(x, indices - 1, 2)
    with pytest.raises(ValueError, match=r"between 4 - 2 and 4 \+ 2 for H .* but is 6"):
        F.max_unpool2d(x, indices, 2, output_size=(6, 5))
    with pytest.raises(ValueError, match=r"for W .* but is 2"):
        F.max_unpool2d(x, indices, 2, output_size=(4, 2))
    with pytest.raises(ValueError, match=re.escape("output_size must be (H, W) or the whole shape, but is (4,)")):
        F.max_unpool2d(x, indices, 2, output_size=(4,))


def test_a_dilated_window_may_fill_the_image_exactly():
    x = Tensor(np.arange(25.0).reshape(1, 1, 5, 5), requires_grad=True)
    pooled = F.max_pool2d(x, 3, dilation=2)  # rows and columns 0, 2 and 4
    assert pooled.data.tolist() == [[[[24.0]]]]
    with pytest.raises(ValueError, match=r"\(4 \+ 2\*0 - 2\*\(3-1\) - 1\)//3 \+ 1 = 0 with H=4"):
        F.max_pool2d(x[:, :, :4], 3, dilation=2)
