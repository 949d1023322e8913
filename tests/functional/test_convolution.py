"""conv2d and conv_transpose2d: values, gradients, layout, and what they refuse."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn.grad_mode import no_grad
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.kernels.convolution.algorithm import use_algorithm
from minicnn.tensor import Tensor

ALGORITHMS = ["auto", "reference", "im2col", "direct", "winograd"]


def draw(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def leaf(*shape, seed=0, dtype=np.float64):
    return Tensor(draw(*shape, seed=seed, dtype=dtype), requires_grad=True)


def images(*shape, seed=0, dtype=np.float32):
    """Random images that lie channels-last in memory, as everything in a network does."""
    array = layout.empty(shape, dtype)
    array[...] = draw(*shape, seed=seed)
    return array


def windows_by_hand(x, weight, bias, stride, padding, dilation, groups):
    """The definition: for each place, the window cut out of a zero-padded image, times the weights, summed."""
    n, c_in, h, w = x.shape
    c_out, per_group, kh, kw = weight.shape
    padded = np.zeros((n, c_in, h + 2 * padding[0], w + 2 * padding[1]), x.dtype)
    padded[:, :, padding[0] : padding[0] + h, padding[1] : padding[1] + w] = x
    reach = (kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1
    rows = range(0, padded.shape[2] - reach[0] + 1, stride[0])
    columns = range(0, padded.shape[3] - reach[1] + 1, stride[1])
    y = np.zeros((n, c_out, len(rows), len(columns)), x.dtype)
    for o in range(c_out):
        group = slice(o // (c_out // groups) * per_group, (o // (c_out // groups) + 1) * per_group)
        for i, top in enumerate(rows):
            for j, left in enumerate(columns):
                window = padded[:, group, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]]
                y[:, o, i, j] = (window * weight[o]).sum((1, 2, 3)) + bias[o]
    return y


CASES = {  # x, weight, stride, padding, dilation, groups
    "plain": ((2, 3, 5, 7), (4, 3, 3, 2), (1, 1), (0, 0), (1, 1), 1),
    "stride and padding": ((2, 3, 6, 5), (4, 3, 3, 3), (2, 3), (1, 2), (1, 1), 1),
    "rows left over at the end": ((1, 2, 8, 9), (3, 2, 3, 2), (3, 4), (0, 1), (1, 1), 1),
    "dilation": ((1, 2, 7, 9), (3, 2, 2, 3), (1, 2), (1, 0), (3, 2), 1),
    "dilation that fits exactly": ((1, 2, 5, 5), (3, 2, 3, 3), (1, 1), (0, 0), (2, 2), 1),
    "groups": ((2, 4, 5, 6), (6, 2, 3, 3), (1, 2), (1, 1), (1, 1), 2),
    "depthwise": ((2, 3, 5, 6), (3, 1, 3, 3), (1, 1), (1, 1), (1, 1), 3),
    "depthwise, two results a channel": ((2, 3, 5, 6), (6, 1, 3, 2), (2, 1), (1, 0), (1, 1), 3),
    "1x1": ((2, 5, 4, 3), (7, 5, 1, 1), (1, 1), (0, 0), (1, 1), 1),
    "1x1 with stride": ((2, 5, 5, 4), (7, 5, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    "kernel as large as the image": ((2, 3, 4, 5), (2, 3, 4, 5), (1, 1), (0, 0), (1, 1), 1),
    "more padding than kernel": ((1, 1, 2, 3), (2, 1, 2, 2), (1, 1), (3, 2), (1, 1), 1),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("case", CASES)
def test_conv2d_is_the_sum_of_weighted_windows_and_its_gradients_are_the_slopes(case, algorithm):
    shape, kernel, *rest = CASES[case]
    x, weight, bias = leaf(*shape), leaf(*kernel), leaf(kernel[0])
    with use_algorithm(algorithm):
        y = F.conv2d(x, weight, bias, *rest)
        np.testing.assert_allclose(y.data, windows_by_hand(x.data, weight.data, bias.data, *rest), atol=1e-12)
        assert gradcheck(lambda x, w, b: F.conv2d(x, w, b, *rest), [x, weight, bias], directions=2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("case", CASES)
def test_float32_agrees_with_float64_forward_and_backward(case, algorithm):
    shape, kernel, *rest = CASES[case]
    gradients = []
    for dtype in (np.float64, np.float32):
        inputs = [leaf(*s, dtype=dtype) for s in (shape, kernel, kernel[:1])]
        with use_algorithm(algorithm if dtype == np.float32 else "reference"):
            y = F.conv2d(*inputs, *rest)
            y.backward(draw(*y.shape, seed=5))
        assert all(tensor.dtype == dtype for tensor in (y, *(t.grad for t in inputs)))
        gradients.append([y.data, *(t.grad.data for t in inputs)])
    for exact, single in zip(*gradients, strict=True):
        np.testing.assert_allclose(single, exact, atol=1e-4, rtol=1e-4)


sizes = st.integers(1, 4)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_convolutions_agree_with_pytorch_on_drawn_shapes(data):
    torch = pytest.importorskip("torch")
    draw_pair = lambda least, most: tuple(data.draw(st.integers(least, most)) for _ in range(2))  # noqa: E731
    groups, stride, dilation, padding = data.draw(st.integers(1, 3)), draw_pair(1, 3), draw_pair(1, 3), draw_pair(0, 3)
    kernel, transposed = draw_pair(1, 3), data.draw(st.booleans())
    inner, outer, batch = data.draw(sizes), data.draw(sizes), data.draw(st.integers(0, 2))
    size = draw_pair(1, 8)
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    x = draw(batch, groups * inner, *size)
    weight = draw(groups * inner, outer, *kernel) if transposed else draw(groups * outer, inner, *kernel)
    bias = draw(groups * outer) if data.draw(st.booleans()) else None
    name = "conv_transpose2d" if transposed else "conv2d"
    rest = (stride, padding, extra, groups, dilation) if transposed else (stride, padding, dilation, groups)
    theirs = [None if a is None else torch.from_numpy(a).requires_grad_() for a in (x, weight, bias)]
    try:
        expected = getattr(torch.nn.functional, name)(*theirs, *rest)
        if 0 in expected.shape[1:]:  # of an empty batch PyTorch makes images without pixels, of others it doesn't
            raise RuntimeError
    except RuntimeError:
        with pytest.raises(ValueError, match=name):
            getattr(F, name)(x, weight, bias, *rest)
        return
    ours = [None if a is None else Tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = getattr(F, name)(*ours, *rest)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=1e-10)
    cotangent = draw(*y.shape, seed=1)
    y.backward(cotangent)
    expected.backward(torch.from_numpy(cotangent))
    for mine, other in zip(ours, theirs, strict=True):
        if mine is not None:
            np.testing.assert_allclose(mine.grad.data, other.grad.numpy(), atol=1e-10)


@pytest.mark.parametrize("kernel", [(3, 3), (2, 4), (1, 2), (4, 3)])
@pytest.mark.parametrize("dilation", [1, (1, 3)])
def test_same_padding_keeps_the_size_and_puts_the_odd_pixel_last(kernel, dilation):
    x, weight = leaf(2, 3, 6, 7), leaf(2, 3, *kernel)
    y = F.conv2d(x, weight, padding="same", dilation=dilation)
    assert y.shape == (2, 2, 6, 7)
    gaps = (dilation, dilation) if isinstance(dilation, int) else dilation
    total = [d * (k - 1) for d, k in zip(gaps, kernel, strict=True)]
    before = [t // 2 for t in total]
    padded = np.pad(x.data, ((0, 0), (0, 0), (before[0], total[0] - before[0]), (before[1], total[1] - before[1])))
    expected = windows_by_hand(padded, weight.data, np.zeros(2), (1, 1), (0, 0), gaps, 1)
    np.testing.assert_allclose(y.data, expected, atol=1e-12)
    assert gradcheck(lambda x, w: F.conv2d(x, w, padding="same", dilation=dilation), [x, weight])


def test_valid_padding_is_none():
    x, weight = draw(2, 3, 6, 7), draw(2, 3, 3, 2)
    assert np.array_equal(F.conv2d(x, weight, padding="valid").data, F.conv2d(x, weight).data)


TRANSPOSED = {  # x, weight, stride, padding, output_padding, groups, dilation
    "plain": ((2, 3, 4, 5), (3, 2, 3, 2), 1, 0, 0, 1, 1),
    "stride, output padding": ((2, 3, 4, 5), (3, 2, 3, 3), (2, 3), (1, 0), (1, 2), 1, 1),
    "output padding beyond the stride": ((1, 2, 3, 4), (2, 3, 3, 2), (2, 1), (2, 3), (3, 2), 1, (4, 3)),
    "groups": ((1, 4, 3, 4), (4, 3, 2, 3), 2, (0, 1), 0, 2, 1),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("case", TRANSPOSED)
def test_conv_transpose2d_is_the_transpose_of_conv2d(case, algorithm):
    shape, kernel, stride, padding, extra, groups, dilation = TRANSPOSED[case]
    x, weight = leaf(*shape), leaf(*kernel)
    bias = leaf(kernel[1] * groups)
    transpose = lambda x, w, b=None: F.conv_transpose2d(x, w, b, stride, padding, extra, groups, dilation)  # noqa: E731
    with use_algorithm(algorithm):
        y = transpose(x, weight)
        # <T(x), z> = <x, conv2d(z)> for every z, where conv2d has the same weight.
        z = draw(*y.shape, seed=3)
        back = F.conv2d(z, weight, None, stride, padding, dilation, groups).data[:, :, : shape[2], : shape[3]]
        np.testing.assert_allclose((y.data * z).sum(), (x.data * back).sum(), rtol=1e-10)
        np.testing.assert_allclose(transpose(x, weight, bias).data, y.data + bias.data[:, None, None], atol=1e-12)
        assert gradcheck(transpose, [x, weight, bias], directions=2)


@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_one_image_without_a_batch_axis(function):
    x, weight, bias = leaf(3, 5, 4), leaf(3, 3, 2, 3), leaf(3)
    y = function(x, weight, bias, 2, 1)
    assert np.array_equal(y.data, function(x.data[None], weight.data, bias.data, 2, 1).data[0])
    assert gradcheck(lambda x, w, b: function(x, w, b, 2, 1), [x, weight, bias])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_an_empty_batch_gives_an_empty_result_and_gradients_of_zeros(function, algorithm):
    x, weight, bias = (leaf(*s, dtype=np.float32) for s in ((0, 3, 5, 6), (3, 3, 3, 3), (3,)))
    with use_algorithm(algorithm):
        y = function(x, weight, bias)
        y.backward(np.zeros(y.shape, np.float32))
    assert y.shape == ((0, 3, 3, 4) if function is F.conv2d else (0, 3, 7, 8))
    assert x.grad.shape == x.shape
    assert not weight.grad.data.any()
    assert not bias.grad.data.any()


def test_any_memory_order_gives_the_same_result_and_no_input_changes():
    x, weight, bias = draw(2, 4, 6, 5), draw(3, 4, 3, 2), draw(3)
    expected = F.conv2d(x, weight, bias, 1, 1).data
    flipped, strided = x[:, :, ::-1].copy()[:, :, ::-1], np.repeat(x, 2, axis=3)[..., ::2]
    readonly = x.copy()
    readonly.setflags(write=False)
    turned = np.ascontiguousarray(weight.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    for variant in (flipped, strided, readonly, images(*x.shape, dtype=np.float64)):
        if variant.flags.writeable:
            variant[...] = x
        a, w, b = (Tensor(v, requires_grad=True) for v in (variant, turned, bias))
        y = F.conv2d(a, w, b, 1, 1)
        y.backward(np.ones(y.shape))
        np.testing.assert_allclose(y.data, expected, atol=1e-12)
        assert np.array_equal(variant, x)
        assert np.array_equal(w.data, weight)


def test_channels_last_goes_in_and_comes_out_and_nothing_is_converted_on_the_way():
    x = Tensor(images(2, 4, 6, 5), requires_grad=True)
    weight, bias = leaf(4, 4, 3, 3, dtype=np.float32), leaf(4, dtype=np.float32)
    before = layout.conversions()
    y = F.conv_transpose2d(F.conv2d(x, weight, bias, padding=1), weight, bias, 2)
    y.backward(images(*y.shape, seed=2))
    assert layout.conversions() == before
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)
    assert weight.grad.data.flags.c_contiguous


@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_only_the_gradients_asked_for_are_computed(function, monkeypatch):
    from minicnn.functional import convolution

    called = []

    def spy(name):
        original = getattr(convolution.kernels, name)
        monkeypatch.setattr(convolution.kernels, name, lambda *a: called.append(name) or original(*a))

    x, weight, bias = draw(1, 2, 5, 4), draw(2, 2, 3, 3), draw(2)
    y = function(x, weight, Tensor(bias, requires_grad=True))
    for name in ("conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"):
        spy(name)
    y.sum().backward()
    assert called == []
    function(x, Tensor(weight, requires_grad=True), bias).sum().backward()
    assert called.count("conv2d_weight_gradient") == 1
    assert len(called) == 2  # the forward and the weight's gradient


@pytest.mark.parametrize("wanted", ["input", "weight"])
@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_the_graph_keeps_an_array_only_if_a_gradient_needs_it(function, wanted):
    import weakref

    x, weight = images(1, 2, 5, 4), draw(2, 2, 3, 3, dtype=np.float32)
    references = weakref.ref(x.base), weakref.ref(weight)
    y = function(Tensor(x, requires_grad=wanted == "input"), Tensor(weight, requires_grad=wanted == "weight"))
    del x, weight
    # A convolution is linear: the gradient of one factor needs the other one only.
    assert [reference() is not None for reference in references] == [wanted == "weight", wanted == "input"]
    assert y.requires_grad


def test_nothing_is_recorded_under_no_grad():
    with no_grad():
        assert not F.conv2d(leaf(1, 2, 4, 4), leaf(2, 2, 3, 3)).requires_grad


X, W = (2, 4, 5, 7), (6, 4, 3, 3)


@pytest.mark.parametrize(
    ("error", "message", "arguments", "options"),
    [
        (ValueError, "conv2d: input must have 4 axes (N, C, H, W), or 3 (C, H, W)", ((5, 7), W), {}),
        (ValueError, "conv2d: only the batch may be empty, but input has shape (2, 4, 0, 7)", ((2, 4, 0, 7), W), {}),
        (ValueError, "conv2d: weight must have 4 axes (C_out, C_in/groups, KH, KW)", (X, (6, 4, 3)), {}),
        (ValueError, "none of them empty, but has shape (6, 4, 0, 3)", (X, (6, 4, 0, 3)), {}),
        (ValueError, "input has 4 channels (shape (2, 4, 5, 7)), but weight (6, 3, 3, 3)", (X, (6, 3, 3, 3)), {}),
        (ValueError, "with groups=3 needs 2 * 3 = 6", (X, (6, 2, 3, 3)), {"groups": 3}),
        (ValueError, "groups is 4 and weight has C_out=6", (X, (6, 1, 3, 3)), {"groups": 4}),
        (ValueError, "groups is 0", (X, W), {"groups": 0}),
        (ValueError, "conv2d: bias must have shape (6,)", (X, W, (4,)), {}),
        (ValueError, "conv2d: stride must be at least 1, but is 0", (X, W), {"stride": 0}),
        (ValueError, "conv2d: dilation must be at least 1, but is (1, -1)", (X, W), {"dilation": (1, -1)}),
        (ValueError, "conv2d: padding must be at least 0, but is -1", (X, W), {"padding": -1}),
        (ValueError, "conv2d: stride must be an int or a pair (h, w), but has 3", (X, W), {"stride": (1, 1, 1)}),
        (TypeError, "conv2d: stride must be an int or a pair of ints (h, w), but is 1.5", (X, W), {"stride": 1.5}),
        (ValueError, 'padding must be "same", "valid"', (X, W), {"padding": "full"}),
        (ValueError, 'padding="same" needs stride 1, but stride is (2, 2)', (X, W), {"padding": "same", "stride": 2}),
        (
            ValueError,
            "conv2d: output height (H + 2*padding - dilation*(KH-1) - 1)//stride + 1 = "
            "(3 + 2*0 - 1*(5-1) - 1)//1 + 1 = -1 with H=3: pad the input or use a smaller kernel",
            ((2, 4, 3, 7), (6, 4, 5, 3)),
            {},
        ),
        (
            ValueError,
            "output width (W + 2*padding - dilation*(KW-1) - 1)//stride + 1 = "
            "(7 + 2*1 - 5*(3-1) - 1)//3 + 1 = 0 with W=7",
            (X, W),
            {"dilation": (1, 5), "padding": 1, "stride": 3},
        ),
    ],
)
def test_conv2d_says_what_does_not_fit(error, message, arguments, options):
    with pytest.raises(error, match=re.escape(message)):
        F.conv2d(*(draw(*shape) for shape in arguments), **options)


@pytest.mark.parametrize(
    ("message", "arguments", "options"),
    [
        ("input has 4 channels (shape (2, 4, 5, 7)), but weight (3, 6, 3, 3)", (X, (3, 6, 3, 3)), {}),
        ("weight must have 4 axes (C_in, C_out/groups, KH, KW)", (X, (4, 6, 3)), {}),
        ("groups is 3 and weight has C_in=4", (X, (4, 6, 3, 3)), {"groups": 3}),
        ("bias must have shape (12,)", (X, (4, 6, 3, 3), (6,)), {"groups": 2}),
        ("is 2 for W, with stride 2 and dilation 1", (X, (4, 6, 3, 3)), {"stride": (3, 2), "output_padding": 2}),
        ("output_padding must be at least 0", (X, (4, 6, 3, 3)), {"output_padding": -1}),
        (
            "output height (H-1)*stride - 2*padding + dilation*(KH-1) + output_padding + 1 = "
            "(5-1)*1 - 2*4 + 1*(3-1) + 0 + 1 = -1 with H=5",
            (X, (4, 6, 3, 3)),
            {"padding": 4},
        ),
    ],
)
def test_conv_transpose2d_says_what_does_not_fit(message, arguments, options):
    with pytest.raises(ValueError, match=re.escape(message)):
        F.conv_transpose2d(*(draw(*shape) for shape in arguments), **options)


@pytest.mark.parametrize("function", [F.conv2d, F.conv_transpose2d])
def test_integers_and_mixed_dtypes_are_refused_by_name(function):
    x, weight = draw(1, 2, 5, 5), draw(2, 2, 3, 3)
    with pytest.raises(TypeError, match=r"but is uint8; .* NumPy array with \.astype\(np\.float32\) / 255"):
        function(np.ones((1, 2, 5, 5), np.uint8), weight)
    with pytest.raises(TypeError, match=r"input must be float32 or float64, but is int64; convert it with \.float\(\)"):
        function(np.ones((1, 2, 5, 5), np.int64), weight)
    with pytest.raises(TypeError, match="input is float64, weight is float32"):
        function(x, weight.astype(np.float32))
    with pytest.raises(TypeError, match="bias is float32"):
        function(x, weight, draw(2, dtype=np.float32))


def test_images_with_their_channels_behind_are_recognised():
    behind = np.ones((2, 8, 6, 3), np.float32)
    with pytest.raises(ValueError, match=r"last axis has 3: if these are \(N, H, W, C\).*permute\(0, 3, 1, 2\)"):
        F.conv2d(behind, np.ones((4, 3, 3, 3), np.float32))
    with pytest.raises(ValueError, match=r"last axis has 3.*permute\(0, 3, 1, 2\)"):
        F.conv_transpose2d(behind, np.ones((3, 4, 3, 3), np.float32))
    with pytest.raises(ValueError, match="needs 5") as grey:
        F.conv2d(behind, np.ones((4, 5, 3, 3), np.float32))
    assert "permute" not in str(grey.value)


def test_a_dilated_kernel_may_fill_the_image_exactly():
    x, weight = Tensor(np.arange(25.0).reshape(1, 1, 5, 5), requires_grad=True), np.ones((1, 1, 3, 3))
    result = F.conv2d(x, weight, dilation=2)  # rows and columns 0, 2 and 4
    assert result.data.tolist() == [[[[108.0]]]]
    result.sum().backward()
    assert np.flatnonzero(x.grad.data).tolist() == [0, 2, 4, 10, 12, 14, 20, 22, 24]
    with pytest.raises(ValueError, match=r"\(4 \+ 2\*0 - 2\*\(3-1\) - 1\)//1 \+ 1 = 0 with W=4"):
        F.conv2d(x[:, :, :, :4], weight, dilation=2)
