"""The direct convolution: its three products equal float64 sums over the definition, whatever the shape."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.kernels.convolution import direct, direct_plan, direct_weights, reference
from minicnn.kernels.convolution.geometry import Geometry


def padded_windows(x, kernel, stride, padding, dilation):
    """All windows of x (N, H, W, C) as a float64 view (N, OH, OW, C, KH, KW)."""
    (kh, kw), (ph, pw) = kernel, padding
    padded = np.pad(x.astype(np.float64), ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    reach = (dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(1, 2))
    return windows[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


def expected_products(x, weight, bias, gradient, stride, padding, dilation, groups=1):
    """Output, input gradient and weight gradient by einsum in float64, from the definition, group by group."""
    shares = [np.split(x, groups, axis=3), np.split(weight, groups), np.split(gradient, groups, axis=3)]
    products = [_products_of_group(*share, stride, padding, dilation) for share in zip(*shares, strict=True)]
    outputs, input_gradients, weight_gradients = zip(*products, strict=True)
    output = np.concatenate(outputs, axis=3)
    if bias is not None:
        output += bias
    return output, np.concatenate(input_gradients, axis=3), np.concatenate(weight_gradients)


def _products_of_group(x, weight, gradient, stride, padding, dilation):
    windows = padded_windows(x, weight.shape[2:], stride, padding, dilation)
    output = np.einsum("nijckl,ockl->nijo", windows, weight.astype(np.float64))
    weight_gradient = np.einsum("nijckl,nijo->ockl", windows, gradient.astype(np.float64))
    # The input gradient is the transposed map: each window's share is added back where the window lay.
    n, h, w, c = x.shape
    (ph, pw), shares = padding, np.einsum("nijo,ockl->nijckl", gradient.astype(np.float64), weight.astype(np.float64))
    padded = np.zeros((n, h + 2 * ph, w + 2 * pw, c))
    for i, j, k, m in np.ndindex(*shares.shape[1:3], *shares.shape[4:]):
        padded[:, i * stride[0] + k * dilation[0], j * stride[1] + m * dilation[1]] += shares[:, i, j, :, k, m]
    return output, padded[:, ph : ph + h, pw : pw + w], weight_gradient


def operands(n, h, w, c_in, c_out, kernel, stride, padding, dilation, dtype=np.float32, seed=0, groups=1):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, h, w, c_in)).astype(dtype)
    weight = rng.standard_normal((c_out, c_in // groups, *kernel)).astype(dtype)
    bias = rng.standard_normal(c_out).astype(dtype)
    oh = (h + 2 * padding[0] - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    ow = (w + 2 * padding[1] - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
    gradient = rng.standard_normal((n, oh, ow, c_out)).astype(dtype)
    return x, weight, bias, gradient


def three_products(x, weight, bias, gradient, stride, padding, dilation, groups=1):
    geometry = Geometry(stride, padding, dilation, groups)
    return (
        direct.conv2d(x, weight, bias, gradient.shape[1:3], geometry),
        direct.conv2d_input_gradient(gradient, weight, x.shape[1:3], geometry),
        direct.conv2d_weight_gradient(x, gradient, weight.shape[2:], geometry),
    )


def check(
    n, h, w, c_in, c_out, kernel, stride=(1, 1), padding=(0, 0), dilation=(1, 1), dtype=np.float32, bias=True, groups=1
):
    geometry = stride, padding, dilation
    x, weight, b, gradient = operands(n, h, w, c_in, c_out, kernel, *geometry, dtype, groups=groups)
    b = b if bias else None
    arrays = [a for a in (x, weight, b, gradient) if a is not None]
    before = [a.copy() for a in arrays]
    results = three_products(x, weight, b, gradient, *geometry, groups)
    expected = expected_products(x, weight, b, gradient, *geometry, groups)
    absolute = [None if a is None else np.abs(a) for a in (x, weight, b, gradient)]
    magnitudes = expected_products(*absolute, *geometry, groups)  # what the rounding errors are measured by
    names = "output", "input gradient", "weight gradient"
    for name, result, wanted, magnitude in zip(names, results, expected, magnitudes, strict=True):
        assert result.shape == wanted.shape, name
        assert result.dtype == dtype, name
        assert (np.abs(result - wanted) <= 4 * np.finfo(dtype).eps * magnitude).all(), name
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg="an input was changed")
    relu = direct.conv2d(x, weight, b, gradient.shape[1:3], Geometry(*geometry, groups), relu=True)
    np.testing.assert_array_equal(relu, np.maximum(results[0], 0))


@st.composite
def shapes(draw):
    """A convolution that has at least one output; sizes are drawn from the output backwards, not from a bound."""
    axes = []
    for _ in range(2):
        kernel, stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
        positions, spare = draw(st.integers(1, 11)), draw(st.integers(0, 2))
        padded = (positions - 1) * stride + dilation * (kernel - 1) + 1 + min(spare, stride - 1)
        padding = min(draw(st.integers(0, 4)), (padded - 1) // 2)
        axes.append((padded - 2 * padding, kernel, stride, padding, dilation))
    h, w = axes
    channels, groups = st.sampled_from([1, 2, 3, 10, 16, 17, 32, 33, 48]), draw(st.sampled_from([1, 1, 1, 2, 3]))
    pairs = {name: (h[i], w[i]) for i, name in enumerate(["size", "kernel", "stride", "padding", "dilation"])}
    return draw(st.integers(1, 9)), groups * draw(channels), groups * draw(channels), pairs, draw(st.booleans()), groups


@settings(deadline=None, max_examples=100, derandomize=True)
@given(shapes())
def test_three_products_of_any_shape(shape):
    n, c_in, c_out, pairs, bias, groups = shape
    size = pairs.pop("size")
    check(n, *size, c_in, c_out, **pairs, bias=bias, groups=groups)


@pytest.mark.parametrize(
    ("n", "h", "w", "c_in", "c_out", "kernel", "stride", "padding"),
    [
        (2, 28, 28, 1, 16, 5, 1, 2),  # LeNet's first layer: one channel
        (1, 41, 37, 3, 64, 7, 2, 3),  # ResNet's first layer
        (9, 4, 4, 40, 70, 3, 1, 1),  # several images a unit, more than two blocks of channels
        (3, 8, 6, 64, 48, 1, 1, 0),  # 1x1
        (3, 9, 6, 20, 48, 1, 2, 0),  # 1x1 with a stride: pixels that no window reads
        (2, 90, 70, 32, 32, 3, 1, 1),  # bands of one image
        (2, 7, 5, 17, 10, 2, 2, 1),  # even kernel
        (1, 1, 1, 1, 1, 1, 1, 0),
        (3, 2, 3, 3, 5, 3, 1, 2),  # more padding than image
        (2, 6, 7, 3, 5, 2, 3, 0),  # stride larger than the kernel
        (1, 3, 4, 2, 3, 1, 1, 2),  # padding larger than the kernel: whole outputs of nothing but bias
        (64, 4, 4, 3, 5, 3, 1, 1),  # so many small images that zones pay
        (2, 12, 24, 2, 3, 3, 2, 1),  # bundles with a stride, in the output and in the input gradient
        (150, 3, 3, 32, 80, 3, 1, 1),  # weights pass by while images stay, three blocks
    ],
)
def test_three_products_of_named_layers(n, h, w, c_in, c_out, kernel, stride, padding):
    check(n, h, w, c_in, c_out, (kernel, kernel), (stride, stride), (padding, padding))


def test_an_empty_batch_gives_empty_output_and_a_zero_weight_gradient():
    x, weight, bias, gradient = operands(0, 5, 6, 3, 4, (3, 3), (1, 1), (1, 1), (1, 1))
    output, input_gradient, weight_gradient = three_products(x, weight, bias, gradient, (1, 1), (1, 1), (1, 1))
    assert output.shape == (0, 5, 6, 4)
    assert input_gradient.shape == (0, 5, 6, 3)
    np.testing.assert_array_equal(weight_gradient, np.zeros((4, 3, 3, 3)))


def test_read_only_arrays_are_accepted():
    arrays = operands(2, 6, 5, 3, 4, (3, 3), (1, 1), (1, 1), (1, 1))
    expected = three_products(*arrays, (1, 1), (1, 1), (1, 1))
    for array in arrays:
        array.flags.writeable = False
    for result, wanted in zip(three_products(*arrays, (1, 1), (1, 1), (1, 1)), expected, strict=True):
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize(("stride", "c_in", "c_out"), [(1, 5, 70), (2, 5, 70), (1, 32, 40), (2, 3, 16), (1, 1, 16)])
def test_number_of_threads_does_not_change_a_bit(stride, c_in, c_out, on_one_thread_and_on_all):
    arrays = operands(13, 15, 14, c_in, c_out, (3, 3), (stride, stride), (1, 1), (1, 1))
    results = on_one_thread_and_on_all(lambda: three_products(*arrays, (stride, stride), (1, 1), (1, 1)))
    for one, many in zip(*results, strict=True):
        assert one.tobytes() == many.tobytes()


def test_cutting_the_work_otherwise_does_not_change_a_bit_of_the_output(monkeypatch):
    arrays = operands(5, 21, 19, 7, 37, (3, 3), (1, 1), (1, 1), (1, 1))
    output, input_gradient, _ = three_products(*arrays, (1, 1), (1, 1), (1, 1))
    monkeypatch.setattr(direct, "LIMITS", direct_plan.Limits(10**6, 1, 1, 1))
    again, gradient_again, _ = three_products(*arrays, (1, 1), (1, 1), (1, 1))
    assert output.tobytes() == again.tobytes()
    assert input_gradient.tobytes() == gradient_again.tobytes()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_reach_the_outputs_that_see_them_and_no_others(value):
    x, weight, bias, gradient = operands(2, 9, 8, 3, 20, (3, 3), (2, 2), (1, 1), (1, 1))
    x[1, 4, 5, 2] = value
    gradient[0, 3, 2, 7] = value
    with np.errstate(invalid="ignore"):
        expected = expected_products(x, weight, bias, gradient, (2, 2), (1, 1), (1, 1))
    output, input_gradient, _ = three_products(x, weight, bias, gradient, (2, 2), (1, 1), (1, 1))
    for result, wanted in ((output, expected[0]), (input_gradient, expected[1])):
        finite = np.isfinite(wanted)
        assert 0 < finite.sum() < wanted.size
        np.testing.assert_array_equal(result[~finite], wanted[~finite].astype(np.float32))
        np.testing.assert_allclose(result[finite], wanted[finite], atol=1e-4)


def test_weight_gradient_of_a_long_sum_keeps_its_digits():
    x = np.full((64, 64, 64, 1), 0.1, np.float32)
    gradient = np.ones((64, 64, 64, 1), np.float32)
    (total,) = direct.conv2d_weight_gradient(x, gradient, (1, 1), Geometry()).ravel().tolist()
    exact = float(x[0, 0, 0, 0]) * x.size
    in_one_go = float(np.add.accumulate(x.ravel())[-1])
    assert abs(in_one_go - exact) > 1e-3 * exact
    assert abs(total - exact) < 1e-5 * exact


def test_gradients_are_the_transposes_of_the_forward_map_in_float64():
    stride, padding, dilation = (2, 1), (1, 2), (1, 2)
    x, weight, _, gradient = operands(2, 9, 11, 3, 19, (3, 2), stride, padding, dilation, np.float64)
    output, input_gradient, weight_gradient = three_products(x, weight, None, gradient, stride, padding, dilation)
    np.testing.assert_allclose(np.vdot(output, gradient), np.vdot(x, input_gradient), rtol=1e-12)
    np.testing.assert_allclose(np.vdot(output, gradient), np.vdot(weight, weight_gradient), rtol=1e-12)
    check(2, 9, 11, 3, 19, (3, 2), stride, padding, dilation, np.float64)


def test_applies_to_float32_unless_it_is_depthwise():
    assert direct.applies(np.float32, 3, 1)
    assert direct.applies(np.float32, 1, 1)
    assert direct.applies(np.float32, 3, 2)
    assert not direct.applies(np.float32, 1, 2)
    assert not direct.applies(np.dtype("float64"), 3, 1)


@pytest.mark.parametrize("groups", [2, 16])
def test_groups_are_convolutions_of_their_own(groups):
    check(3, 9, 8, 32, 64, (3, 3), (2, 1), (1, 1), groups=groups)


def test_a_weight_that_is_not_finite_meets_no_padding():
    """Zero times infinity is not a number; the padding is not there to be multiplied."""
    geometry = Geometry(padding=(1, 1))
    for n, h, w in ((32, 4, 4), (64, 8, 8)):
        x, weight, bias, _ = operands(n, h, w, 3, 20, (3, 3), *geometry[:3])
        weight[5, 1, 0, 2] = np.inf
        result, wanted = (module.conv2d(x, weight, bias, (h, w), geometry) for module in (direct, reference))
        np.testing.assert_array_equal(np.isfinite(result), np.isfinite(wanted))


def test_few_channels_are_bundled_where_that_saves_steps():
    def one_axis(bundle):
        return (direct_plan.forward_axis(32, 3, 1, 1, 1, bundle),)

    assert direct._bundle(32, 3, 1, one_axis, 16) == 4  # 6 taps instead of 4 times 3
    assert direct._bundle(31, 3, 1, one_axis, 16) == 1  # nothing divides 31
    assert direct._bundle(32, 16, 1, one_axis, 16) == 1  # full vectors already
    assert direct_weights._form(28, 1, 16, (5, 5), 1, 1, 16) == (2, False)  # 30 taps x 32 lanes for two positions
    assert direct_weights._form(28, 16, 16, (3, 3), 1, 1, 16) == (1, True)
    assert direct_weights._form(28, 3, 64, (3, 3), 1, 1, 16) == (1, False)


def test_everything_runs_in_python_when_compilation_is_off(tmp_path):
    stride, padding, dilation = (2, 2), (1, 1), (1, 1)
    arrays = operands(2, 5, 4, 3, 19, (3, 3), stride, padding, dilation)
    np.savez(tmp_path / "operands.npz", *arrays)
    script = (
        "import numpy as np, os, sys\n"
        "from minicnn.kernels.convolution import direct\n"
        "from minicnn.kernels.convolution.geometry import Geometry\n"
        "assert direct.convolve_units_compiled is direct.convolve_units\n"
        "x, w, b, g = np.load('operands.npz').values()\n"
        "geometry = Geometry(stride=(2, 2), padding=(1, 1))\n"
        "np.savez('results.npz', direct.conv2d(x, w, b, (3, 2), geometry),\n"
        "         direct.conv2d_input_gradient(g, w, (5, 4), geometry),\n"
        "         direct.conv2d_weight_gradient(x, g, (3, 3), geometry))\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, timeout=120, cwd=tmp_path)
    expected = three_products(*arrays, stride, padding, dilation)
    with np.load(tmp_path / "results.npz") as results:
        for result, wanted in zip(results.values(), expected, strict=True):
            np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-5)
