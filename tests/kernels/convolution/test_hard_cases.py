"""What real programs hand to a convolution sooner or later, through every algorithm, against the reference loops.

Through `F.conv2d`, so that memory orders, aliases and empty batches take the way that they take in a program.
"""

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minicnn import functional as F
from minicnn.kernels.convolution import reference
from minicnn.kernels.convolution.algorithm import ALGORITHMS, use_algorithm
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.tensor import Tensor
from tests.peers import needs_torch, torch

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


class Case(NamedTuple):
    """A convolution with `places` = (OH, OW); the image's size follows, `spare` pixels of it beyond the last window."""

    n: int
    places: tuple[int, int]
    c_in: int  # of a group
    c_out: int  # of a group
    groups: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    spare: tuple[int, int]

    @property
    def size(self):
        sizes = []
        for places, k, s, p, d, spare in zip(
            self.places, self.kernel, self.stride, self.padding, self.dilation, self.spare, strict=True
        ):
            sizes.append(max(1, (places - 1) * s + d * (k - 1) + 1 + min(spare, s - 1) - 2 * p))
        return tuple(sizes)

    @property
    def options(self):
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }


def case(n=2, places=(4, 5), c_in=3, c_out=5, groups=1, kernel=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1)):
    return Case(n, places, c_in, c_out, groups, kernel, stride, padding, dilation, (0, 0))


NAMED = {
    "one pixel": case(places=(1, 1), padding=(1, 1)),
    "one pixel, one channel, one image": case(1, (1, 1), 1, 1, kernel=(1, 1), padding=(0, 0)),
    "narrower than a block of positions": case(places=(9, 2), c_in=10, c_out=17),
    "narrow and 1 high": case(places=(1, 7), kernel=(1, 3), padding=(0, 1)),
    "one channel in": case(c_in=1, c_out=17),
    "one channel out": case(c_in=17, c_out=1),
    "channels that fill no vector": case(c_in=10, c_out=10, stride=(2, 2)),
    "more channels than a tile is wide": case(places=(5, 6), c_in=20, c_out=70),
    "grouped": case(c_in=3, c_out=2, groups=3),
    "depthwise": case(c_in=1, c_out=1, groups=17, stride=(2, 1)),
    "depthwise, three outputs a channel": case(c_in=1, c_out=3, groups=10),
    "dilated": case(places=(3, 4), dilation=(2, 3), padding=(2, 0)),
    "asymmetric": case(kernel=(1, 4), stride=(3, 1), padding=(0, 2)),
    "pixels that no window reads": case(kernel=(1, 1), stride=(3, 2), padding=(0, 0)),
    "windows on padding alone": case(places=(3, 3), kernel=(1, 1), stride=(3, 3), padding=(3, 3)),
    "no images": case(n=0),
    "no images, grouped": case(n=0, groups=2),
}
every_case = pytest.mark.parametrize("name", list(NAMED))


@st.composite
def cases(draw):
    pair = lambda low, high: (draw(st.integers(low, high)), draw(st.integers(low, high)))  # noqa: E731
    channels = st.sampled_from([1, 3, 10, 17])
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, 10]))
    few = groups > 1 and draw(st.booleans())  # depthwise
    return Case(
        n=draw(st.sampled_from([0, 1, 1, 2, 3])),
        places=pair(1, 11),
        c_in=1 if few else draw(channels),
        c_out=draw(st.sampled_from([1, 2])) if few else draw(channels),
        groups=groups,
        kernel=pair(1, 4),
        stride=pair(1, 3),
        padding=pair(0, 3),
        dilation=pair(1, 3),
        spare=pair(0, 2),
    )


def strided(array):
    """Every second element along the last axis of an array twice as wide."""
    wide = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[...] = np.nan  # what must not be read
    wide[..., ::2] = array
    return wide[..., ::2]


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


ORDERS: dict[str, Any] = {
    "channels first": np.ascontiguousarray,
    "channels last": lambda array: np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "columns first": np.asfortranarray,
    "every second element": strided,
    "backwards": lambda array: np.ascontiguousarray(array[::-1, :, ::-1])[::-1, :, ::-1],
    "read-only": read_only,
}


def operands(case, dtype, seed=0):
    """x (N, C_in, H, W), weight, bias and a gradient (N, C_out, OH, OW)."""
    rng = np.random.default_rng(seed)
    shapes = (
        (case.n, case.c_in * case.groups, *case.size),
        (case.c_out * case.groups, case.c_in, *case.kernel),
        (case.c_out * case.groups,),
    )
    x, weight, bias = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    gradient = rng.normal(size=F.conv2d(x, weight, bias, **case.options).shape).astype(dtype)
    return x, weight, bias, gradient


def computed(algorithm, x, weight, bias, gradient, options):
    """The result, and the gradients of x, weight and bias."""
    tensors = [Tensor(array, requires_grad=True) for array in (x, weight, bias)]
    with use_algorithm(algorithm):
        y = F.conv2d(*tensors, **options)
        y.backward(gradient)
    return [y.data, *(tensor.grad.data for tensor in tensors)]


def expected(case, x, weight, bias, gradient):
    """The same from the reference loops in float64."""
    x, gradient = (np.ascontiguousarray(a.transpose(0, 2, 3, 1), np.float64) for a in (x, gradient))
    weight = weight.astype(np.float64)
    geometry = Geometry(**case.options)
    y = reference.conv2d(x, weight, bias.astype(np.float64), gradient.shape[1:3], geometry).transpose(0, 3, 1, 2)
    to_x = reference.conv2d_input_gradient(gradient, weight, x.shape[1:3], geometry).transpose(0, 3, 1, 2)
    return [y, to_x, reference.conv2d_weight_gradient(x, gradient, case.kernel, geometry), gradient.sum((0, 1, 2))]


NAMES = ("result", "gradient of x", "gradient of the weight", "gradient of the bias")


def assert_equal(results, wanted, dtype, what=""):
    for name, result, true in zip(NAMES, results, wanted, strict=True):
        assert (result.shape, result.dtype) == (true.shape, dtype), f"{what} {name}"
        scale = 30 * max(1.0, np.abs(true[np.isfinite(true)]).max(initial=0))
        tolerance = scale * (1e-12 if dtype == np.float64 else 2e-6)
        np.testing.assert_allclose(result, true, rtol=0, atol=tolerance, err_msg=f"{what} {name}")


def with_named_cases(test):
    for named in NAMED.values():
        test = example(named, "channels first", "channels last", np.float32)(test)
    return test


@every_algorithm
@with_named_cases
@given(cases(), st.sampled_from(list(ORDERS)), st.sampled_from(list(ORDERS)), st.sampled_from([np.float32, np.float64]))
@settings(deadline=None, max_examples=40)
def test_any_shape_in_any_memory_order(algorithm, drawn, order, other_order, dtype):
    arrays = operands(drawn, dtype)
    wanted = expected(drawn, *arrays)
    x, weight, bias, gradient = arrays
    ordered = ORDERS[order](x), ORDERS[other_order](weight), bias, ORDERS[other_order](gradient)
    results = computed(algorithm, *ordered, drawn.options)
    assert_equal(results, wanted, dtype, algorithm)
    for given_array, original in zip(ordered, arrays, strict=True):
        np.testing.assert_array_equal(given_array, original, err_msg="an input was changed")
    for result, given_array in itertools.product(results, ordered):
        assert not np.shares_memory(result, given_array)


@pytest.mark.tiny
@every_algorithm
@every_case
def test_named_shapes_as_they_are(algorithm, name):
    """The same shapes once more, for the run without compilation: twins check every offset there."""
    tiny = NAMED[name]._replace(n=min(NAMED[name].n, 1))
    arrays = operands(tiny, np.float32)
    assert_equal(computed(algorithm, *arrays, tiny.options), expected(tiny, *arrays), np.float32, name)


@pytest.mark.tiny
@every_algorithm
@every_case
def test_relu_in_the_same_pass(algorithm, name):
    """What a fused layer calls: 0 for negative sums, and NaN and infinity as relu has them."""
    tiny = NAMED[name]._replace(n=min(NAMED[name].n, 1))
    x, weight, bias, gradient = operands(tiny, np.float32)
    bias[::3] = [[np.nan], [np.inf], [-np.inf]][len(name) % 3]
    tensors = [Tensor(array, requires_grad=True) for array in (x, weight, bias)]
    with use_algorithm(algorithm):
        y = F.conv2d_relu(*tensors, **tiny.options)
        y.backward(gradient)
    sums, *_ = expected(tiny, x, weight, bias, gradient)
    passed = np.where(y.data <= 0, 0, gradient)  # NaN passes it on
    wanted = [np.maximum(sums, 0), *expected(tiny, x, weight, bias, passed)[1:]]
    assert_equal([y.data, *(tensor.grad.data for tensor in tensors)], wanted, np.float32, name)


@needs_torch
@every_algorithm
def test_an_empty_batch_is_what_it_is_in_torch(algorithm):
    for empty in (NAMED["no images"], NAMED["no images, grouped"]):
        arrays = operands(empty, np.float32)
        theirs = [torch.tensor(array, requires_grad=True) for array in arrays[:3]]
        y = torch.nn.functional.conv2d(*theirs, **empty.options)
        y.backward(torch.tensor(arrays[3]))
        results = computed(algorithm, *arrays, empty.options)
        for result, true in zip(results, [y.detach(), *(tensor.grad for tensor in theirs)], strict=True):
            assert result.shape == tuple(true.shape)
            np.testing.assert_array_equal(result, true.numpy())


# Aliases


@every_algorithm
def test_image_and_weight_may_be_views_of_one_array(algorithm):
    base = np.random.default_rng(1).normal(size=(5, 3, 6, 7)).astype(np.float32)
    x, weight = base[1:3], base[:, :, 1:4, 2:4]  # they overlap
    before = base.copy()
    shape = Case(2, (4, 6), 3, 5, 1, (3, 2), (1, 1), (0, 0), (1, 1), (0, 0))
    bias, gradient = base[0, 0, 0, :5], base[:2, :, :4, :6].repeat(2, 1)[:, :5]
    results = computed(algorithm, x, weight, bias, gradient, shape.options)
    assert_equal(results, expected(shape, x, weight, bias, gradient), np.float32, algorithm)
    np.testing.assert_array_equal(base, before)
    assert not any(np.shares_memory(result, base) for result in results)


@every_algorithm
def test_one_tensor_as_image_and_as_weight(algorithm):
    array = np.random.default_rng(2).normal(size=(3, 4, 5, 2))
    shape = case(3, (1, 1), 4, 3, kernel=(5, 2), padding=(0, 0))
    both = Tensor(array, requires_grad=True)
    with use_algorithm(algorithm):
        y = F.conv2d(both, both)
        y.backward(np.ones_like(y.data))
    true = expected(shape, array, array, np.zeros(3), np.ones((3, 3, 1, 1)))
    np.testing.assert_allclose(y.data, true[0], atol=1e-12)
    np.testing.assert_allclose(both.grad.data, true[1] + true[2], atol=1e-12)


@every_algorithm
def test_the_image_may_be_the_gradient_too(algorithm):
    """As in y.backward(x): 3 channels in and out, and the size kept."""
    shape = case(c_in=3, c_out=3)
    x, weight, bias, _ = operands(shape, np.float32)
    assert_equal(computed(algorithm, x, weight, bias, x, shape.options), expected(shape, x, weight, bias, x), x.dtype)


@every_algorithm
def test_a_broadcast_gradient(algorithm):
    """What sum() hands back: one number with strides of zero."""
    shape = NAMED["channels that fill no vector"]
    x, weight, bias, gradient = operands(shape, np.float32)
    ones = np.broadcast_to(np.float32(1), gradient.shape)
    assert_equal(
        computed(algorithm, x, weight, bias, ones, shape.options), expected(shape, x, weight, bias, ones), x.dtype
    )


# NaN and infinity. In an image they go where PyTorch lets them go. A weight or a gradient that is not finite and meets
# padding has no one answer: 0 * inf is NaN, and a term that is left out is none. PyTorch does either, by the number of
# groups and the memory order. So there, and only there, the algorithms may differ.

SEEN_BY_TORCH = {
    "3x3": case(n=2, c_in=4, c_out=5, places=(6, 6)),
    "stride": case(c_in=4, c_out=5, places=(4, 4), stride=(2, 2)),
    "dilation": case(c_in=3, c_out=5, places=(7, 7), padding=(2, 2), dilation=(2, 2)),
    "1x1": case(c_in=4, c_out=17, places=(6, 6), kernel=(1, 1), padding=(0, 0)),
    "groups": case(c_in=2, c_out=3, groups=2, places=(6, 6)),
    "depthwise": case(c_in=1, c_out=1, groups=4, places=(6, 6)),
}


def kind_of(array):
    """0 where finite, 1 and -1 at the infinities, 2 at NaN."""
    return np.where(np.isnan(array), 2, np.where(np.isinf(array), np.sign(array), 0))


def torchs(x, weight, bias, gradient, options):
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    y = torch.nn.functional.conv2d(*tensors, **options)
    y.backward(torch.tensor(gradient))
    return [y.detach().numpy(), *(tensor.grad.numpy() for tensor in tensors)]


def references(*arguments):
    return computed("reference", *arguments)


# The plain loops judge too, so that these are tested where torch is not installed.
every_judge = pytest.mark.parametrize("judge", [references, pytest.param(torchs, marks=needs_torch)])


@every_algorithm
@every_judge
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", list(SEEN_BY_TORCH))
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_nan_and_infinity_in_the_image_go_where_the_judge_lets_them_go(algorithm, judge, value, name):
    shape = SEEN_BY_TORCH[name]
    x, weight, bias, gradient = operands(shape, np.float32, seed=3)
    x[0, 1, 0, 0] = x[1, 0, 3, 3] = value
    bias[2] = value
    true = judge(x, weight, bias, gradient, shape.options)
    assert 0 < (kind_of(true[0]) != 0).sum() < true[0].size
    for what, result, theirs in zip(
        NAMES, computed(algorithm, x, weight, bias, gradient, shape.options), true, strict=True
    ):
        np.testing.assert_array_equal(kind_of(result), kind_of(theirs), err_msg=what)


@every_algorithm
@every_judge
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["weight", "gradient"])
@pytest.mark.parametrize("name", list(SEEN_BY_TORCH))
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_nan_and_infinity_in_weight_and_gradient_go_where_the_judge_lets_them_go(algorithm, judge, value, where, name):
    shape = SEEN_BY_TORCH[name]
    x, weight, bias, gradient = operands(shape, np.float32, seed=4)
    if where == "weight":
        weight[1, 0, 0, 0] = value
    else:
        gradient[0, 1, 0, 0] = gradient[1, 2, 2, 2] = value
    true = judge(x, weight, bias, gradient, shape.options)
    ones = [np.ones_like(array) for array in (x, weight, bias, gradient)]
    counted = computed("reference", *ones, shape.options)  # fewer terms than elsewhere: some lie on padding
    for what, result, theirs, terms in zip(
        NAMES, computed(algorithm, x, weight, bias, gradient, shape.options), true, counted, strict=True
    ):
        on_padding = terms < terms.max()
        result_kind, true_kind = kind_of(result), kind_of(theirs)
        np.testing.assert_array_equal(result_kind[~on_padding], true_kind[~on_padding], err_msg=what)
        differs = result_kind != true_kind
        assert np.all((result_kind[differs] == 2) | (true_kind[differs] == 2)), what
