"""The ONNX form of each step: one function for each kind of layer, and a table of these functions at the end.

A function adds nodes through the writer and returns the name of the last result. Names of ONNX's operators and
attributes are those of its specification, onnx.ai/onnx/operators.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn.functional.arguments import as_pair

if TYPE_CHECKING:
    from minicnn.export.graph import Step
    from minicnn.export.onnx_file import Writer

PADDING_MODES = {"reflect": "reflect", "replicate": "edge"}


def convolution(step: Step, writer: Writer) -> str:
    """Conv2d, and ConvReLU2d with its ReLU after it."""
    layer: Any = step.layer
    (top, bottom), (left, right) = layer.edges()
    source, pads = step.inputs[0], [top, left, bottom, right]
    if layer.padding_mode != "zeros":
        if layer.padding_mode not in PADDING_MODES:
            raise ValueError(f"layer {step.name!r}: padding_mode={layer.padding_mode!r} can't be exported")
        amounts = writer.constant(f"{step.name}.pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        source = writer.add("Pad", step, [source, amounts], "padded", mode=PADDING_MODES[layer.padding_mode])
        pads = [0, 0, 0, 0]
    relu = step.operation == "ConvReLU2d"
    sums = writer.add(
        "Conv",
        step,
        [source, *writer.parameters(layer, "weight", "bias")],
        "sums" if relu else "",
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        pads=pads,
        dilations=list(layer.dilation),
        group=layer.groups,
    )
    return writer.add("Relu", step, [sums]) if relu else sums


def linear(step: Step, writer: Writer) -> str:
    """Linear on rows (N, F)."""
    if len(step.input_shapes[0]) != 2:
        raise ValueError(f"layer {step.name!r}: Linear is exported for inputs (N, F), but gets {step.input_shapes[0]}")
    return writer.add("Gemm", step, [step.inputs[0], *writer.parameters(step.layer, "weight", "bias")], transB=1)


def batch_norm(step: Step, writer: Writer) -> str:
    """BatchNorm2d by its running statistics, and BatchNormAct2d with its ReLU after it."""
    layer: Any = step.layer
    if layer.running_mean is None:
        raise ValueError(f"layer {step.name!r} keeps no running statistics, so that it can't be exported")
    ones, zeros = np.ones(layer.num_features, np.float32), np.zeros(layer.num_features, np.float32)
    scale = writer.parameters(layer, "weight") or [writer.constant(f"{step.name}.ones", ones)]
    shift = writer.parameters(layer, "bias") or [writer.constant(f"{step.name}.zeros", zeros)]
    inputs = [step.inputs[0], *scale, *shift, *writer.parameters(layer, "running_mean", "running_var")]
    relu = step.operation == "BatchNormAct2d"
    normal = writer.add("BatchNormalization", step, inputs, "normal" if relu else "", epsilon=layer.eps)
    return writer.add("Relu", step, [normal]) if relu else normal


class _Windows(NamedTuple):
    """The geometry of a pooling, (down, across) each. `last` is the padding at the end: as much as the output needs.

    With ceil_mode the last window may reach beyond the padding. ONNX has a ceil_mode too, but its programs disagree on
    the size of the output; a longer padding at the end says the same without it.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]
    last: tuple[int, int]

    @property
    def reaches_beyond(self) -> bool:
        """True if a window of ceil_mode reaches beyond the padding."""
        return self.last != self.padding

    def attributes(self, padding: tuple[int, int]) -> dict[str, Any]:
        """ONNX's attributes, with `padding` at the beginning."""
        return {"kernel_shape": list(self.kernel), "strides": list(self.stride), "pads": [*padding, *self.last]}


def _windows(step: Step) -> _Windows:
    kernel, stride, dilation, padding = (
        as_pair("pooling", name, getattr(step.layer, name, 1), least)
        for name, least in (("kernel_size", 1), ("stride", 1), ("dilation", 1), ("padding", 0))
    )
    last = []
    for axis in (0, 1):
        size, count = step.input_shapes[0][2 + axis], step.output_shape[2 + axis]
        covered = (count - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        last.append(max(padding[axis], covered - size - padding[axis]))
        if last[axis] >= kernel[axis]:
            raise ValueError(f"layer {step.name!r}: ceil_mode=True with dilation={dilation} can't be exported here")
    return _Windows(kernel, stride, dilation, padding, (last[0], last[1]))


def max_pooling(step: Step, writer: Writer) -> str:
    """MaxPool2d."""
    windows = _windows(step)
    attributes = windows.attributes(windows.padding)
    return writer.add("MaxPool", step, step.inputs, **attributes, dilations=list(windows.dilation))


def average_pooling(step: Step, writer: Writer) -> str:
    """AvgPool2d. Zeros beyond the padding, where a last window of ceil_mode reaches, never count for the mean."""
    layer: Any = step.layer
    if layer.divisor_override is not None:
        raise ValueError(f"layer {step.name!r}: divisor_override can't be exported")
    windows, source, padding = _windows(step), step.inputs[0], _windows(step).padding
    counts = layer.count_include_pad
    if windows.reaches_beyond and counts:
        if any(padding):  # its zeros count: they become part of the image
            amounts = np.array([0, 0, *padding, 0, 0, *padding], np.int64)
            source = writer.add("Pad", step, [source, writer.constant(f"{step.name}.pads", amounts)], "padded")
            beyond = (windows.last[0] - padding[0], windows.last[1] - padding[1])
            windows, padding = windows._replace(last=beyond), (0, 0)
        counts = False
    return writer.add("AveragePool", step, [source], **windows.attributes(padding), count_include_pad=int(counts))


def adaptive_average(step: Step, writer: Writer) -> str:
    """AdaptiveAvgPool2d: ONNX has this layer for one place only. Means over regions are two matrix products.

    result = rows @ image @ columns        (OH, H) @ (N, C, H, W) @ (W, OW) -> (N, C, OH, OW)
    """
    (height, width), (out_height, out_width) = step.input_shapes[0][2:], step.output_shape[2:]
    if (out_height, out_width) == (1, 1):
        return writer.add("GlobalAveragePool", step, step.inputs)
    if (out_height, out_width) == (height, width):
        return writer.add("Identity", step, step.inputs)
    rows = writer.constant(f"{step.name}.rows", region_means(height, out_height))
    columns = writer.constant(f"{step.name}.columns", region_means(width, out_width).T)
    means = writer.add("MatMul", step, [rows, step.inputs[0]], "means")
    return writer.add("MatMul", step, [means, columns])


def region_means(size: int, count: int) -> np.ndarray:
    """The matrix (count, size) that takes the means of `count` regions of a line, those of adaptive pooling."""
    matrix = np.zeros((count, size), np.float32)
    for place in range(count):
        begin, end = place * size // count, -(-(place + 1) * size // count)
        matrix[place, begin:end] = 1 / (end - begin)
    return matrix


def reshape(step: Step, writer: Writer) -> str:
    """Flatten, and any other reshape that keeps the batch axis."""
    before, after = step.input_shapes[0], step.output_shape
    if not after or after[0] != before[0]:
        raise ValueError(f"step {step.name!r} reshapes a batch {before} into {after}, which can't be exported")
    if after == (before[0], math.prod(before[1:])):
        return writer.add("Flatten", step, step.inputs, axis=1)
    sizes = writer.constant(f"{step.name}.shape", np.array([0, *after[1:]], np.int64))  # 0 keeps the batch
    return writer.add("Reshape", step, [step.inputs[0], sizes])


def concat(step: Step, writer: Writer) -> str:
    """Values one after the other, along the one axis on which their sizes add up."""
    if len(step.inputs) == 1:
        return writer.add("Identity", step, step.inputs)
    sizes = zip(*step.input_shapes, step.output_shape, strict=True)
    axis = next((axis for axis, (*parts, whole) in enumerate(sizes) if sum(parts) == whole), 0)
    if axis == 0:
        raise ValueError(
            f"step {step.name!r} concatenates {step.input_shapes} to {step.output_shape}, along the batch, which can't "
            "be exported"
        )
    return writer.add("Concat", step, step.inputs, axis=axis)


def add_relu(step: Step, writer: Writer) -> str:
    """relu(a + b), the end of a residual block."""
    return writer.add("Relu", step, [writer.add("Add", step, step.inputs, "sum")])


def zero_pad_shortcut(step: Step, writer: Writer) -> str:
    """Option A: every stride-th pixel, and channels of zeros on both sides."""
    layer: Any = step.layer
    before = (layer.out_channels - layer.in_channels) // 2
    behind = layer.out_channels - layer.in_channels - before
    slices = {"starts": [0, 0], "ends": [2**31, 2**31], "axes": [2, 3], "steps": [layer.stride, layer.stride]}
    names = [writer.constant(f"{step.name}.{name}", np.array(values, np.int64)) for name, values in slices.items()]
    kept = writer.add("Slice", step, [step.inputs[0], *names], "kept")
    amounts = writer.constant(f"{step.name}.pads", np.array([0, before, 0, 0, 0, behind, 0, 0], np.int64))
    return writer.add("Pad", step, [kept, amounts])


def normalize(step: Step, writer: Writer) -> str:
    """Normalize: x * scale + shift for each channel."""
    layer: Any = step.layer
    scale, shift = layer.scale_and_shift()
    scaled = writer.add("Mul", step, [step.inputs[0], writer.constant(f"{step.name}.scale", scale)], "scaled")
    return writer.add("Add", step, [scaled, writer.constant(f"{step.name}.shift", shift)])


def local_response_norm(step: Step, writer: Writer) -> str:
    """LocalResponseNorm."""
    layer: Any = step.layer
    if layer.size % 2 == 0:
        raise ValueError(f"layer {step.name!r}: size={layer.size} is even, and ONNX takes its other neighbour then")
    return writer.add("LRN", step, step.inputs, size=layer.size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)


def silu(step: Step, writer: Writer) -> str:
    """x * sigmoid(x), which ONNX does not name before version 24."""
    return writer.add("Mul", step, [step.inputs[0], writer.add("Sigmoid", step, step.inputs, "gate")])


def _plain(operator: str, *settings: str) -> Callable[[Step, Writer], str]:
    """A writer for a layer that is one operator, with the settings as attributes of the same names."""

    def write(step: Step, writer: Writer) -> str:
        return writer.add(operator, step, step.inputs, **{name: getattr(step.layer, name) for name in settings})

    return write


def leaky_relu(step: Step, writer: Writer) -> str:
    """LeakyReLU."""
    layer: Any = step.layer
    return writer.add("LeakyRelu", step, step.inputs, alpha=layer.negative_slope)


def softmax(step: Step, writer: Writer) -> str:
    """Softmax and LogSoftmax, over the axis `dim`."""
    layer: Any = step.layer
    return writer.add(step.operation, step, step.inputs, axis=layer.dim)


# Types of layers, and names of operations between layers. Subclasses, which may differ, are not found.
WRITERS: dict[str, Callable[[Step, Writer], str]] = {
    "AdaptiveAvgPool2d": adaptive_average,
    "AvgPool2d": average_pooling,
    "BatchNorm2d": batch_norm,
    "BatchNormAct2d": batch_norm,
    "Conv2d": convolution,
    "ConvReLU2d": convolution,
    "ELU": _plain("Elu", "alpha"),
    "Flatten": reshape,
    "Hardswish": _plain("HardSwish"),
    "LeakyReLU": leaky_relu,
    "Linear": linear,
    "LocalResponseNorm": local_response_norm,
    "LogSoftmax": softmax,
    "MaxPool2d": max_pooling,
    "Normalize": normalize,
    "ReLU": _plain("Relu"),
    "SiLU": silu,
    "Sigmoid": _plain("Sigmoid"),
    "Softmax": softmax,
    "Tanh": _plain("Tanh"),
    "ZeroPadShortcut": zero_pad_shortcut,
    "add": _plain("Add"),
    "add_relu": add_relu,
    "concat": concat,
    "relu": _plain("Relu"),
    "reshape": reshape,
}
