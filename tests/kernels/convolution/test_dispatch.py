"""Every convolution algorithm computes the same three products, and the loops agree with an independent oracle."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from minicnn.kernels.convolution import direct, dispatch, im2col, reference
from minicnn.kernels.convolution.algorithm import ALGORITHMS, current_algorithm, use_algorithm
from minicnn.kernels.convolution.geometry import Geometry


class Case(NamedTuple):
    n: int
    size: tuple[int, int]
    c_in: int
    c_out: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def geometry(self):
        return Geometry(self.stride, self.padding, self.dilation, self.groups)

    @property
    def output_size(self):
        axes = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple(len(positions(*axis)) for axis in axes)


def positions(size, kernel, stride, padding, dilation):
    """Where a window may begin, counted by trying every place: no formula shared with the library."""
    padded = size + 2 * padding
    taps = [k * dilation for k in range(kernel)]
    return [start for start in range(0, padded, stride) if all(start + tap < padded for tap in taps)]


@st.composite
def cases(draw):
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    c_in = groups * draw(st.integers(1, 5))
    if draw(st.booleans()) and groups > 1:
        c_in = groups  # depthwise
    case = Case(
        n=draw(st.integers(0, 3)),
        size=pair(1, 9),
        c_in=c_in,
        c_out=groups * draw(st.sampled_from([1, 2, 3, 9, 17])),
        kernel=pair(1, 4),
        stride=pair(1, 3),
        padding=pair(0, 3),
        dilation=pair(1, 3),
        groups=groups,
    )
    sizes = zip(case.size, case.kernel, case.stride, case.padding, case.dilation, strict=True)
    assume(all(positions(*axis) for axis in sizes))
    return case


EXACT_FIT = Case(2, (5, 6), 3, 4, (3, 3), (1, 2), (0, 0), (2, 2), 1)
ONE_PIXEL = Case(2, (1, 1), 5, 3, (3, 3), (1, 1), (1, 1), (1, 1), 1)
POINTWISE = Case(2, (5, 4), 5, 7, (1, 1), (1, 1), (0, 0), (1, 1), 1)
POINTWISE_STRIDED = Case(2, (5, 4), 5, 7, (1, 1), (2, 2), (0, 0), (1, 1), 1)
DEPTHWISE = Case(2, (7, 6), 6, 6, (3, 3), (2, 1), (1, 1), (1, 2), 6)
DEPTHWISE_TWICE = Case(2, (6, 5), 3, 6, (3, 2), (1, 1), (1, 0), (1, 1), 3)
GROUPED = Case(2, (6, 5), 4, 6, (3, 2), (1, 2), (1, 1), (1, 1), 2)
EMPTY_BATCH = Case(0, (5, 4), 3, 4, (3, 3), (1, 1), (1, 1), (1, 1), 1)
NOTHING_BUT_PADDING = Case(1, (1, 2), 2, 3, (1, 1), (2, 2), (3, 3), (1, 1), 1)
NAMED = [
    EXACT_FIT, ONE_PIXEL, POINTWISE, POINTWISE_STRIDED, DEPTHWISE, DEPTHWISE_TWICE, GROUPED, EMPTY_BATCH,
    NOTHING_BUT_PADDING,
]  # fmt: skip


def arrays(case, dtype, seed=0):
    """x, weight, bias and a gradient for the result, in the shapes that kernels take."""
    rng = np.random.default_rng(seed)
    oh, ow = case.output_size
    x = rng.normal(size=(case.n, *case.size, case.c_in))
    weight = rng.normal(size=(case.c_out, case.c_in // case.groups, *case.kernel))
    bias = rng.normal(size=case.c_out)
    gradient = rng.normal(size=(case.n, oh, ow, case.c_out))
    return tuple(array.astype(dtype) for array in (x, weight, bias, gradient))


def oracle(case, x, weight, bias, gradient):
    """The result and both gradients in float64, from views and einsum: no loop over windows, nothing of the library."""
    x, weight, bias, gradient = (array.astype(np.float64) for array in (x, weight, bias, gradient))
    (sh, sw), (ph, pw), (dh, dw), (kh, kw) = case.stride, case.padding, case.dilation, case.kernel
    n, h, w, c_in = x.shape
    oh, ow = gradient.shape[1:3]
    x = x.reshape(n, h, w, case.groups, c_in // case.groups)
    weight = weight.reshape(case.groups, -1, *weight.shape[1:])
    gradient = gradient.reshape(n, oh, ow, case.groups, case.c_out // case.groups)
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0), (0, 0)))
    span = ((kh - 1) * dh + 1, (kw - 1) * dw + 1)
    windows = sliding_window_view(padded, span, axis=(1, 2))[:, ::sh, ::sw, ..., ::dh, ::dw]
    y = np.einsum("nijgckl,gockl->nijgo", windows, weight)
    to_weight = np.einsum("nijgckl,nijgo->gockl", windows, gradient)
    to_padded = np.zeros_like(padded)
    for k in range(kh):
        for m in range(kw):
            seen = to_padded[:, k * dh : k * dh + (oh - 1) * sh + 1 : sh, m * dw : m * dw + (ow - 1) * sw + 1 : sw]
            seen += np.einsum("nijgo,goc->nijgc", gradient, weight[..., k, m])
    to_x = to_padded[:, ph : ph + h, pw : pw + w].reshape(n, h, w, c_in)
    return y.reshape(n, oh, ow, case.c_out) + bias, to_x, to_weight.reshape(case.c_out, c_in // case.groups, kh, kw)


def computed(module, case, x, weight, bias, gradient):
    """The result and both gradients as an algorithm's module computes them."""
    return (
        module.conv2d(x, weight, bias, case.output_size, case.geometry),
        module.conv2d_input_gradient(gradient, weight, case.size, case.geometry),
        module.conv2d_weight_gradient(x, gradient, case.kernel, case.geometry),
    )


def assert_equal(results, expected, dtype, what):
    for name, result, true in zip(("result", "input gradient", "weight gradient"), results, expected, strict=True):
        assert result.dtype == dtype, f"{what}: {name}"
        assert result.flags.c_contiguous, f"{what}: {name}"
        tolerance = 1e-12 if dtype == np.float64 else 2e-6
        scale = max(1.0, np.abs(true).max(initial=0)) * 30
        np.testing.assert_allclose(result, true, rtol=0, atol=tolerance * scale, err_msg=f"{what}: {name}")


def with_named_cases(test):
    for case in NAMED:
        test = example(case)(test)
    return test


@with_named_cases
@given(cases())
@settings(max_examples=60)
def test_the_reference_loops_agree_with_an_independent_oracle(case):
    operands = arrays(case, np.float64)
    assert_equal(computed(reference, case, *operands), oracle(case, *operands), np.float64, "reference")


@with_named_cases
@given(cases())
@settings(max_examples=100)
def test_every_algorithm_agrees_with_the_reference_loops(case):
    for dtype in (np.float32, np.float64):
        operands = arrays(case, dtype, seed=1)
        expected = computed(reference, case, *(array.astype(np.float64) for array in operands))
        assert_equal(computed(reference, case, *operands), expected, dtype, "reference")
        assert_equal(computed(im2col, case, *operands), expected, dtype, "im2col")
        assert_equal(computed(dispatch, case, *operands), expected, dtype, "auto")


@given(cases())
@settings(max_examples=20)
def test_a_missing_bias_counts_as_zero(case):
    x, weight, _, _ = arrays(case, np.float32)
    zeros = np.zeros(case.c_out, np.float32)
    for module in (reference, im2col, dispatch):
        without = module.conv2d(x, weight, None, case.output_size, case.geometry)
        np.testing.assert_array_equal(without, module.conv2d(x, weight, zeros, case.output_size, case.geometry))


@pytest.mark.parametrize("case", [EXACT_FIT, GROUPED, POINTWISE])
def test_blocks_of_patches_do_not_change_the_result(case, monkeypatch):
    operands = arrays(case, np.float64)
    whole = computed(im2col, case, *operands)
    monkeypatch.setattr(im2col, "BLOCK_BYTES", 1)  # one output row at a time, so blocks begin inside images
    assert_equal(computed(im2col, case, *operands), whole, np.float64, "im2col in blocks")


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(1, 4))
def test_the_output_size_counts_the_places_where_the_kernel_fits(size, kernel, stride, padding, dilation):
    geometry = Geometry((stride, 1), (padding, 0), (dilation, 1))
    oh, ow = geometry.output_size((size, 6), (kernel, 2))
    assert (max(oh, 0), ow) == (len(positions(size, kernel, stride, padding, dilation)), 5)


def test_operands_are_not_changed_and_may_be_read_only():
    for case in (EXACT_FIT, DEPTHWISE, GROUPED):
        operands = arrays(case, np.float32)
        before = [array.copy() for array in operands]
        for array in operands:
            array.flags.writeable = False
        for module in (reference, im2col, dispatch):
            computed(module, case, *operands)
        for array, original in zip(operands, before, strict=True):
            np.testing.assert_array_equal(array, original)


def test_read_only_arrays_do_not_compile_a_kernel_anew():
    operands = arrays(GROUPED, np.float32)
    computed(im2col, GROUPED, *operands)
    if im2col.gather_patches_compiled is im2col.gather_patches:
        pytest.skip("NUMBA_DISABLE_JIT=1: nothing is compiled")
    kernel = im2col.gather_patches_compiled.__wrapped__
    before = len(kernel.signatures)
    for array in operands:
        array.flags.writeable = False
    computed(im2col, GROUPED, *operands)
    assert len(kernel.signatures) == before


def test_plain_python_bodies_give_what_the_compiled_ones_give():
    case = Case(1, (4, 3), 2, 2, (2, 3), (1, 1), (0, 1), (1, 1), 1)
    x, weight, bias, gradient = arrays(case, np.float64)
    y, to_x, to_weight = np.empty_like(gradient), np.zeros_like(x), np.zeros_like(weight)
    reference.forward_loops(x, weight, bias, y, case.geometry)
    reference.input_gradient_loops(gradient, weight, to_x, case.geometry)
    reference.weight_gradient_loops(x, gradient, to_weight, case.geometry)
    assert_equal((y, to_x, to_weight), computed(reference, case, x, weight, bias, gradient), np.float64, "Python")


@pytest.mark.parametrize("name", ["reference", "im2col", "direct"])
def test_use_algorithm_runs_the_algorithm_it_names_and_restores_the_one_before(name, monkeypatch):
    modules = {"reference": reference, "im2col": im2col, "direct": direct}
    x, weight, bias, gradient = arrays(EXACT_FIT, np.float32)
    calls = []
    for module_name, module in modules.items():
        for function in ("conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"):
            monkeypatch.setattr(module, function, lambda *_, called=(module_name, function): calls.append(called))
    with use_algorithm(name):
        assert current_algorithm() == name
        computed(dispatch, EXACT_FIT, x, weight, bias, gradient)
    assert calls == [(name, "conv2d"), (name, "conv2d_input_gradient"), (name, "conv2d_weight_gradient")]
    assert current_algorithm() == "auto"


def test_use_algorithm_is_left_when_its_block_raises():
    with pytest.raises(KeyError), use_algorithm("reference"):
        raise KeyError
    assert current_algorithm() == "auto"


def test_an_unknown_algorithm_is_refused_and_the_choices_are_named():
    with pytest.raises(ValueError) as error, use_algorithm("fft"):
        pass
    assert "'fft'" in str(error.value)
    assert all(repr(name) in str(error.value) for name in ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_algorithm_serves_groups_and_float64(name):
    for case in (GROUPED, DEPTHWISE, EXACT_FIT):
        operands = arrays(case, np.float64)
        with use_algorithm(name):
            assert_equal(computed(dispatch, case, *operands), oracle(case, *operands), np.float64, name)
