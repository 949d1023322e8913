"""minicnn's functions against the cases that ONNX tests its backends with: one operator, its inputs, its results.

The table of operators is the adapter: each entry calls minicnn's function with what ONNX's attributes mean. A case is
left out only by raising `NotOurs` with a reason: another number of axes, a type or a mode that minicnn does not have.
"""

import warnings
from collections import defaultdict

import numpy as np
import pytest

from minicnn import Tensor
from minicnn import functional as F

onnx = pytest.importorskip("onnx")


class NotOurs(Exception):
    """The case asks for what minicnn does not offer; the text says for what."""


def need(condition, what):
    if not condition:
        raise NotOurs(what)


# What ONNX's attributes of windows mean here


def window(x, attributes, kernel, transposed=False):
    """(stride, dilation, (top, left, bottom, right)) of a window over images (N, C, H, W)."""
    need(x.ndim == 4, f"{x.ndim} axes")
    need(x.dtype in (np.float32, np.float64), f"dtype {x.dtype}")
    stride = tuple(attributes.get("strides", (1, 1)))
    dilation = tuple(attributes.get("dilations", (1, 1)))
    named = attributes.get("auto_pad", "NOTSET")
    if named in ("SAME_UPPER", "SAME_LOWER"):
        need(not transposed, "auto_pad of a transposed convolution")
        totals = [
            max(0, (-(-size // s) - 1) * s + d * (k - 1) + 1 - size)
            for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
        ]
        first = [total // 2 if named == "SAME_UPPER" else total - total // 2 for total in totals]
        return stride, dilation, (*first, *(total - begin for total, begin in zip(totals, first, strict=True)))
    return stride, dilation, tuple(attributes.get("pads", (0, 0, 0, 0)))


def padded(x, pads, value=0.0):
    """`x` with (top, left, bottom, right) added: ONNX's pads may differ at both ends, those of a layer may not."""
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


def is_plain(pads, kernel):
    """True for padding as a pooling layer has it: the same at both ends, and at most half a window."""
    return pads[:2] == pads[2:] and all(2 * pad <= size for pad, size in zip(pads[:2], kernel, strict=True))


def conv(attributes, x, weight, bias=None):
    stride, dilation, pads = window(x, attributes, weight.shape[2:])
    return F.conv2d(padded(x, pads), weight, bias, stride, 0, dilation, attributes.get("group", 1))


def conv_transpose(attributes, x, weight, bias=None):
    stride, dilation, pads = window(x, attributes, weight.shape[2:], transposed=True)
    extra = list(attributes.get("output_padding", (0, 0)))
    if "output_shape" in attributes:
        sizes = attributes["output_shape"][-2:]
        natural = [
            (n - 1) * s + d * (k - 1) + 1
            for n, s, d, k in zip(x.shape[2:], stride, dilation, weight.shape[2:], strict=True)
        ]
        extra = [size - before for size, before in zip(sizes, natural, strict=True)]
        need(min(extra) >= 0, "output_shape that cuts")
    need(pads[:2] == pads[2:], "different padding at both ends")
    return F.conv_transpose2d(x, weight, bias, stride, pads[:2], extra, attributes.get("group", 1), dilation)


def max_pool(attributes, x):
    kernel = attributes["kernel_shape"]
    stride, dilation, pads = window(x, attributes, kernel)
    need(not attributes.get("storage_order", 0), "places counted column by column")
    plain = is_plain(pads, kernel)
    images, edges = (x, pads[:2]) if plain else (padded(x, pads, -np.inf), (0, 0))
    need(plain or attributes["num_outputs"] == 1, "places beside different padding at both ends")
    ceil = bool(attributes.get("ceil_mode", 0))
    values, places = F.max_pool2d(images, kernel, stride, edges, dilation, ceil, return_indices=True)
    planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1, 1)
    return values, places.data + planes * x.shape[2] * x.shape[3]  # ONNX counts places through the whole batch


def max_unpool(attributes, x, places, output_shape=None):
    need(x.ndim == 4, f"{x.ndim} axes")
    stride = attributes.get("strides", (1, 1))
    need(output_shape is None, "places in a plane of another size")
    kernel = attributes["kernel_shape"]
    height, width = ((n - 1) * s + k for n, s, k in zip(x.shape[2:], stride, kernel, strict=True))
    return F.max_unpool2d(x, places % (height * width), kernel, stride, 0)


def average_pool(attributes, x):
    kernel = attributes["kernel_shape"]
    stride, dilation, pads = window(x, attributes, kernel)
    need(dilation == (1, 1), "dilated means")
    ceil, count = bool(attributes.get("ceil_mode", 0)), bool(attributes.get("count_include_pad", 0))
    if is_plain(pads, kernel):
        return F.avg_pool2d(x, kernel, stride, pads[:2], ceil, count)
    need(not ceil, "rounding up beside padding that no layer has")
    means = F.avg_pool2d(padded(x, pads), kernel, stride)
    if count:
        return means
    return means.data / F.avg_pool2d(padded(np.ones_like(x), pads), kernel, stride).data  # the share that is inside


def global_average_pool(attributes, x):
    need(x.ndim == 4, f"{x.ndim} axes")
    return F.adaptive_avg_pool2d(x, 1)


def global_max_pool(attributes, x):
    need(x.ndim == 4, f"{x.ndim} axes")
    return F.adaptive_max_pool2d(x, 1)


def batch_normalization(attributes, x, scale, bias, mean, variance):
    eps, training = attributes.get("epsilon", 1e-5), bool(attributes.get("training_mode", 0))
    if not training:
        return F.batch_norm(x, mean, variance, scale, bias, False, 0.0, eps)
    running_mean, running_variance = mean.copy(), variance.copy()
    share = 1 - attributes.get("momentum", 0.9)  # ONNX's momentum is what is kept, PyTorch's what is new
    count = x.size // x.shape[1]
    y = F.batch_norm(x, running_mean, running_variance, scale, bias, True, share, eps)
    # and its running variance takes that of the batch without Bessel's correction
    new = (running_variance - variance * (1 - share)) * (count - 1) / count
    return y, running_mean, variance * (1 - share) + new


def instance_normalization(attributes, x, scale, bias):
    return F.instance_norm(x, None, None, scale, bias, True, 0.0, attributes.get("epsilon", 1e-5))


def group_normalization(attributes, x, scale, bias):
    return F.group_norm(x, attributes["num_groups"], scale, bias, attributes.get("epsilon", 1e-5))


def layer_normalization(attributes, x, scale, bias=None):
    axis = attributes.get("axis", -1) % x.ndim
    eps, axes = attributes.get("epsilon", 1e-5), tuple(range(axis, x.ndim))
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return F.layer_norm(x, x.shape[axis:], scale, bias, eps), mean, 1 / np.sqrt(variance + eps)


def lrn(attributes, x):
    size = attributes["size"]
    need(size % 2 == 1, "an even number of neighbours")
    get = attributes.get
    return F.local_response_norm(x, size, get("alpha", 1e-4), get("beta", 0.75), get("bias", 1.0))


def gemm(attributes, a, b, c=None):
    a = F.transpose(a, 0, 1) if attributes.get("transA", 0) else a
    b = b if attributes.get("transB", 0) else F.transpose(b, 0, 1)
    product = F.linear(a, b) * attributes.get("alpha", 1.0)
    return product if c is None else product + Tensor(c) * attributes.get("beta", 1.0)


# Resizing, shaping and the rest


def resize(attributes, x, roi=None, scales=None, sizes=None):
    get = attributes.get
    need(x.ndim == 4 and "axes" not in attributes, "some axes only")
    need(not get("antialias", 0) and get("keep_aspect_ratio_policy", "stretch") == "stretch", "antialias or aspect")
    mode, places = get("mode", "nearest"), get("coordinate_transformation_mode", "half_pixel")
    size = None if sizes is None or not sizes.size else tuple(int(each) for each in sizes[2:])
    scale = None if size is not None else tuple(float(each) for each in scales[2:])
    if places == "align_corners" and scale is not None:
        lengths = [side * factor for side, factor in zip(x.shape[2:], scale, strict=True)]
        need(all(abs(length - round(length)) < 1e-5 for length in lengths), "a last corner on a part of a pixel")
    if mode == "linear":
        need(places in ("half_pixel", "align_corners"), f"places by {places}")
        return F.interpolate(x, size, scale, "bilinear", align_corners=places == "align_corners")
    need(mode == "nearest", f"mode {mode}")
    need((places, get("nearest_mode", "round_prefer_floor")) == ("asymmetric", "floor"), f"nearest by {places}")
    return F.interpolate(x, size, scale, "nearest")


def pad(attributes, x, pads, value=None, axes=None):
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}
    named = attributes.get("mode", "constant")
    x = x.astype(np.float64)  # some of the cases pad integers, for which the same places hold
    amounts = np.zeros((x.ndim, 2), int)
    chosen = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
    amounts[list(chosen)] = np.reshape(pads, (2, -1)).T
    need((amounts >= 0).all(), "negative padding")
    if named != "constant":
        need(x.ndim == 4 and not amounts[:2].any(), "borders of other axes")
        amounts = amounts[2:]
    fill = 0.0 if value is None or value.size == 0 else float(value.reshape(()))
    flat = [int(each) for axis in amounts[::-1] for each in axis]
    return F.pad(x, flat, mode=mode[named], value=fill if named == "constant" else None)


def reshape(attributes, x, shape):
    sizes = [int(size) for size in shape]
    if not attributes.get("allowzero", 0):
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return F.reshape(x, sizes)


def flatten(attributes, x):
    axis = attributes.get("axis", 1) % (x.ndim + 1) if attributes.get("axis", 1) >= 0 else attributes["axis"] + x.ndim
    return F.reshape(x, (int(np.prod(x.shape[:axis])), int(np.prod(x.shape[axis:]))))


def split(attributes, x, sizes=None):
    axis = attributes.get("axis", 0)
    if sizes is None:
        return F.split(x, -(-x.shape[axis] // attributes["num_outputs"]), axis)
    return F.split(x, [int(size) for size in sizes], axis)


def reduced(function):
    """A reduction over the axes that are an input, or an attribute in older versions; none are all, or none at all."""

    def reduce(attributes, x, axes=None):
        axes = attributes.get("axes", axes)
        keep = bool(attributes.get("keepdims", 1))
        if axes is None or len(axes) == 0:
            need(not attributes.get("noop_with_empty_axes", 0), "no axes at all")
            axes = range(x.ndim)
        need(x.dtype.kind == "f", f"dtype {x.dtype}")
        need(x.size > 0, "nothing to reduce")
        return function(x, tuple(int(axis) for axis in axes), keep)

    return reduce


def product_over(x, axes, keep):
    need(len(axes) == 1 or not keep, "a product over several axes")
    return F.prod(x, axes[0], keep) if len(axes) == 1 else F.prod(x)


def place(function):
    def find(attributes, x):
        need(not attributes.get("select_last_index", 0), "the last of several")
        return function(x, attributes.get("axis", 0), bool(attributes.get("keepdims", 1)))

    return find


def one_hot(attributes, indices, depth, values):
    need(attributes.get("axis", -1) in (-1, indices.ndim), "another axis than the last")
    count = int(depth.reshape(()))
    need((np.abs(indices) < count).all(), "classes out of range")
    rows = F.one_hot(indices.astype(np.int64) % count, count).data
    return np.where(rows, values[1], values[0])


def nll(attributes, x, target, weight=None):
    ignored = attributes.get("ignore_index", -100)
    return F.nll_loss(x, target.astype(np.int64), weight, ignored, attributes.get("reduction", "mean"))


def softmax_cross_entropy(attributes, x, target, weight=None):
    ignored, reduction = attributes.get("ignore_index", -100), attributes.get("reduction", "mean")
    loss = F.cross_entropy(x, target.astype(np.int64), weight, ignored, reduction)
    return loss, F.log_softmax(x, 1)


def col2im(attributes, x, image_shape, block_shape):
    need(len(block_shape) == 2, f"{len(block_shape)} axes of an image")
    pads = attributes.get("pads", (0, 0, 0, 0))
    need(tuple(pads[:2]) == tuple(pads[2:]), "different padding at both ends")
    settings = (attributes.get("dilations", (1, 1)), pads[:2], attributes.get("strides", (1, 1)))
    return F.fold(x, [int(n) for n in image_shape], [int(n) for n in block_shape], *map(tuple, settings))


def depth_to_space(attributes, x):
    need(attributes.get("mode", "DCR") == "CRD", "channels in another order")
    return F.pixel_shuffle(x, attributes["blocksize"])


def lp_normalization(attributes, x):
    need(np.abs(x).sum(attributes.get("axis", -1)).min() > 0, "rows of nothing")
    return F.normalize(x, attributes.get("p", 2), attributes.get("axis", -1))


def clip(attributes, x, low=None, high=None):
    low, high = (None if bound is None else bound.reshape(()).item() for bound in (low, high))
    need(low is not None or high is not None, "neither bound")
    return F.clamp(x, low, high)


def divide(attributes, x, y):
    need(x.dtype.kind == "f", "division of integers")
    return F.div(x, y)


def dropout(attributes, x, ratio=None, training=None):
    need(training is None or not training.reshape(()), "ONNX's own random numbers")
    return F.dropout(x, 0.5 if ratio is None else float(ratio.reshape(())), False), np.ones(x.shape, bool)


def plain(function, **defaults):
    """A function of the inputs alone, or of attributes by ONNX's name and default, in our order."""

    def call(attributes, *inputs):
        return function(*inputs, *(attributes.get(name, value) for name, value in defaults.items()))

    return call


def of_two(function):
    """ONNX's operators of any number of inputs, as functions of two take them one after the other."""

    def call(attributes, first, *others):
        result = first
        for other in others:
            result = function(result, other)
        return result

    return call


# Of each operator: the adapter, and how many of ONNX's cases must pass (newer versions of ONNX have more).
OPERATORS = {
    "Abs": (plain(F.abs), 1),
    "Add": (plain(F.add), 2),
    "ArgMax": (place(F.argmax), 8),
    "ArgMin": (place(F.argmin), 8),
    "AveragePool": (average_pool, 12),
    "BatchNormalization": (batch_normalization, 4),
    "Clip": (clip, 8),
    "Col2Im": (col2im, 4),
    "Concat": (lambda attributes, *inputs: F.concat(inputs, attributes["axis"]), 12),
    "Conv": (conv, 6),
    "ConvTranspose": (conv_transpose, 8),
    "DepthToSpace": (depth_to_space, 1),
    "Div": (divide, 3),
    "Dropout": (dropout, 6),
    "Einsum": (lambda attributes, *inputs: F.einsum(attributes["equation"], *inputs), 6),
    "Elu": (plain(F.elu, alpha=1.0), 3),
    "Exp": (plain(F.exp), 2),
    "Expand": (lambda attributes, x, shape: x + Tensor(np.zeros([int(n) for n in shape], x.dtype)), 2),
    "Flatten": (flatten, 9),
    "Gelu": (plain(F.gelu, approximate="none"), 4),
    "Gemm": (gemm, 11),
    "GlobalAveragePool": (global_average_pool, 2),
    "GlobalMaxPool": (global_max_pool, 2),
    "GroupNormalization": (group_normalization, 2),
    "HardSwish": (plain(F.hardswish), 1),
    "InstanceNormalization": (instance_normalization, 2),
    "LRN": (lrn, 2),
    "LayerNormalization": (layer_normalization, 19),
    "LeakyRelu": (plain(F.leaky_relu, alpha=0.01), 3),
    "Log": (plain(F.log), 2),
    "LogSoftmax": (plain(F.log_softmax, axis=-1), 7),
    "LpNormalization": (lp_normalization, 5),
    "MatMul": (plain(F.matmul), 7),
    "Max": (of_two(F.maximum), 7),
    "MaxPool": (max_pool, 12),
    "MaxUnpool": (max_unpool, 1),
    "Min": (of_two(F.minimum), 7),
    "Mul": (plain(F.mul), 3),
    "Neg": (plain(F.neg), 2),
    "NegativeLogLikelihoodLoss": (nll, 18),
    "OneHot": (one_hot, 1),
    "Pad": (pad, 6),
    "Pow": (plain(F.pow), 10),
    "ReduceLogSumExp": (reduced(F.logsumexp), 8),
    "ReduceMax": (reduced(F.amax), 8),
    "ReduceMean": (reduced(F.mean), 8),
    "ReduceMin": (reduced(F.amin), 8),
    "ReduceProd": (reduced(product_over), 6),
    "ReduceSum": (reduced(F.sum), 8),
    "Relu": (plain(F.relu), 1),
    "Reshape": (reshape, 10),
    "Resize": (resize, 3),
    "Sigmoid": (plain(F.sigmoid), 2),
    "Softmax": (plain(F.softmax, axis=-1), 7),
    "SoftmaxCrossEntropyLoss": (softmax_cross_entropy, 34),
    "Softplus": (plain(F.softplus), 2),
    "Split": (split, 16),
    "Sqrt": (plain(F.sqrt), 2),
    "Squeeze": (lambda attributes, x, axes: F.squeeze(x, tuple(int(axis) for axis in axes)), 2),
    "Sub": (plain(F.sub), 3),
    "Sum": (of_two(F.add), 3),
    "Tanh": (plain(F.tanh), 2),
    "Transpose": (lambda attributes, x: F.permute(x, attributes.get("perm", range(x.ndim)[::-1])), 7),
    "Where": (plain(F.where), 2),
}
TYPES = (np.float32, np.float64, np.int64, np.int32, np.bool_)


@pytest.fixture(scope="module")
def cases():
    """ONNX's cases of single operators, by operator."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of the cases overflow while they are made, which is their point
        found = collect_testcases()
    by_operator = defaultdict(list)
    for case in found:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in OPERATORS and not nodes[0].domain:
            by_operator[nodes[0].op_type].append(case)
    return by_operator


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_cases_of_an_operator_give_onnxs_results(operator, cases):
    adapter, least = OPERATORS[operator]
    passed, left_out = 0, {}
    for case in cases[operator]:
        node = case.model.graph.node[0]
        attributes = {"num_outputs": len(node.output)} | {each.name: attribute_value(each) for each in node.attribute}
        for inputs, expected in case.data_sets:
            try:
                results = adapter(attributes, *arguments(case, node, inputs))
                compare(case, node, results, expected)
                passed += 1
            except NotOurs as reason:
                left_out[case.name] = str(reason)
    assert passed >= least, left_out


def attribute_value(attribute):
    value = onnx.helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value


def arguments(case, node, inputs):
    """The node's inputs in their order, None where one is left out."""
    given = dict(zip([each.name for each in case.model.graph.input], inputs, strict=True))
    values = [given.get(name) for name in node.input]
    need(not any(isinstance(value, list) for value in values), "sequences")
    arrays = [None if value is None else np.asarray(value) for value in values]
    for array in arrays:
        need(array is None or array.dtype in TYPES, "types that no Tensor has")
    return arrays


def compare(case, node, results, expected):
    results = results if isinstance(results, (tuple, list)) else (results,)
    names = [each.name for each in case.model.graph.output]
    of_node = dict(zip(node.output, results, strict=False))
    for name, reference in zip(names, expected, strict=True):
        result = of_node[name]
        array = result.data if isinstance(result, Tensor) else np.asarray(result)
        assert array.shape == reference.shape, case.name
        np.testing.assert_allclose(array, reference, rtol=case.rtol, atol=max(case.atol, 1e-6), err_msg=case.name)
