"""trace_window: the multiply-adds of one output of one convolution, forward and backward, number by number.

    y[o, i, j] = bias[o] + sum over c, kh, kw of
                 image[c, i * stride + kh * dilation - padding, j * ...] * weight[o, c, kh, kw]

Each factor of a product is the other factor's gradient. So for a gradient of 1 at y[o, i, j] the weight receives the
window, and the pixels of the window receive the kernel.
"""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from minicnn.functional.arguments import are_ints, need_count
from minicnn.functional.checks import need_float
from minicnn.grad_mode import enable_grad
from minicnn.kernels.shapes import convolution_output_size
from minicnn.nn.convolution import Conv2d
from minicnn.tensor import Tensor, as_tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 3  # channels that are written out; with more than four, one line holds the sum of the others
_MOST_ROWS, _MOST_COLUMNS = 16, 12  # of a kernel that are written out: a line has 100 characters
_MODES: dict[str, Any] = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # NumPy's


@dataclass(frozen=True, repr=False)
class WindowTrace:
    """The terms of one output of one convolution; C counts the channels of its group. str() is a table."""

    layer: str
    at: tuple[int, int]
    channel: int
    input_channels: np.ndarray  # (C,), their numbers in the image
    rows: np.ndarray  # (KH,), the image row under each kernel row; negative, or H and more, on padding
    columns: np.ndarray  # (KW,)
    padding: np.ndarray  # (KH, KW), True where the window lies on padding
    padding_mode: str
    window: np.ndarray  # (C, KH, KW), the pixels under the kernel
    kernel: np.ndarray  # (C, KH, KW)
    products: np.ndarray  # (C, KH, KW) in float64, as are all sums
    sums: np.ndarray  # (C,), of each channel's products
    running_sums: np.ndarray  # (C,), of all products up to and with this channel's
    bias: float | None
    result: float
    output: float  # the output of the layer itself
    weight_gradient: np.ndarray  # (C_out, C, KH, KW), of this one output, as the layer's own backward computes it
    input_gradient: np.ndarray  # (C_in, H, W), in the same way
    backward_difference: float  # the largest difference of these two from the table

    @property
    def shown(self) -> int:
        """The number of channels that are written out."""
        return len(self.sums) if len(self.sums) <= SHOWN + 1 else SHOWN

    @property
    def rest(self) -> float:
        """The sum of the other channels."""
        with np.errstate(invalid="ignore"):
            return float(self.sums[self.shown :].sum())

    @property
    def multiply_adds(self) -> int:
        """One for each channel and kernel element, those on padding included."""
        return self.products.size

    def figure(self) -> Figure:
        """The same as a Figure: windows, kernels and products as grids of numbers, in shades of grey that print."""
        from minicnn.figures.window import window_figure

        return window_figure(self)

    def __repr__(self) -> str:
        return f"WindowTrace({self.layer}, at={self.at}, channel={self.channel}, result={self.result:.6g})"

    def __str__(self) -> str:
        return "\n".join(line.rstrip() for line in [*_forward_lines(self), "", *_backward_lines(self)])


def trace_window(conv: Conv2d, image: Tensor | ArrayLike, at: Sequence[int] = (0, 0), channel: int = 0) -> WindowTrace:
    """A WindowTrace of output `channel` of `conv` at row and column `at`, for one image; its table is printed.

    image (C_in, H, W) or (1, C_in, H, W), an array or a Tensor. The numbers are compared with the layer's own results,
    forward and backward; parameters and their gradients do not change. `trace.figure()` draws the numbers.
    Raises TypeError if `conv` is not a Conv2d. Raises ValueError for an image of other channels, for more than one
    image, and for a place or a channel outside the output, with the arithmetic of the output size.
    """
    if not isinstance(conv, Conv2d) or type(conv).forward is not Conv2d.forward:
        raise TypeError(
            f"trace_window takes a Conv2d, but got {type(conv).__name__}; a layer of a network is reached by its path, "
            'as in model.get_submodule("layer1.0.conv1")'
        )
    pixels = _one_image(conv, image)
    i, j = _place(conv, pixels.shape, at)
    need_count("trace_window", "channel", channel, 0)
    if channel >= conv.out_channels:
        raise ValueError(f"channel={channel}, but the layer's output channels are 0 to {conv.out_channels - 1}")

    per_group = conv.in_channels // conv.groups
    group = channel // (conv.out_channels // conv.groups)
    input_channels = np.arange(per_group) + group * per_group
    edges, mode = conv.edges(), _MODES[conv.padding_mode]
    down = i * conv.stride[0] + np.arange(conv.kernel_size[0]) * conv.dilation[0]  # rows of the padded image
    across = j * conv.stride[1] + np.arange(conv.kernel_size[1]) * conv.dilation[1]
    inside = np.pad(np.full(pixels.shape[1:], True), edges)[down[:, None], across]  # (H, W) padded -> (KH, KW)
    padded = np.pad(pixels[input_channels], ((0, 0), *edges), mode)
    window = padded[:, down[:, None], across]  # (C, H + padding, W + padding) -> (C, KH, KW)
    kernel = conv.weight.data[channel].copy()
    with np.errstate(invalid="ignore"):  # an infinite pixel under a 0 makes NaN, here as in the layer
        products = window.astype(np.float64) * kernel
        sums = products.sum(axis=(1, 2))
        running_sums = sums.cumsum()
    bias = None if conv.bias is None else float(conv.bias.data[channel])

    output, weight_gradient, input_gradient = _computed_by_the_layer(conv, pixels, (channel, i, j))
    # Each kernel element goes to the pixel under it, or to the pixel that the padding there repeats.
    numbers = np.arange(pixels[0].size).reshape(pixels.shape[1:])
    receivers = np.pad(numbers, edges, mode)[down[:, None], across]  # (H, W) padded -> (KH, KW)
    receives = inside if mode == "constant" else np.full(inside.shape, True)
    expected = np.zeros((len(pixels), pixels[0].size))
    for number, element in zip(input_channels, kernel, strict=True):
        np.add.at(expected[number], receivers[receives], element[receives])
    differs = _difference(weight_gradient[channel], window), _difference(input_gradient.ravel(), expected.ravel())

    trace = WindowTrace(
        layer=f"Conv2d({conv.extra_repr()})",
        at=(i, j),
        channel=channel,
        input_channels=input_channels,
        rows=down - edges[0][0],
        columns=across - edges[1][0],
        padding=~inside,
        padding_mode=conv.padding_mode,
        window=window,
        kernel=kernel,
        products=products,
        sums=sums,
        running_sums=running_sums,
        bias=bias,
        result=float(running_sums[-1]) + (bias or 0.0),
        output=output,
        weight_gradient=weight_gradient,
        input_gradient=input_gradient,
        backward_difference=max(differs),
    )
    print(trace)
    return trace


def _difference(values: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference; NaN and infinities in the same places do not count."""
    alike = (values == expected) | (np.isnan(values) & np.isnan(expected))
    return float(np.abs(values[~alike].astype(np.float64) - expected[~alike]).max(initial=0))


def _one_image(conv: Conv2d, image: Any) -> np.ndarray:
    """`image` as an array (C, H, W) of the layer's dtype."""
    pixels = as_tensor(image).data
    if pixels.ndim == 4 and len(pixels) == 1:
        pixels = pixels[0]  # (1, C, H, W) -> (C, H, W)
    if pixels.ndim != 3:
        advice = "; take one of them, as images[0]" if pixels.ndim == 4 else ""
        raise ValueError(f"image must be one image (C, H, W) or (1, C, H, W), but its shape is {pixels.shape}{advice}")
    if len(pixels) != conv.in_channels:
        turned = "; if it is (H, W, C), turn it with transpose(2, 0, 1)" if pixels.shape[2] == conv.in_channels else ""
        raise ValueError(
            f"the layer takes images of {conv.in_channels} channels, but image has {len(pixels)}: its shape is "
            f"{pixels.shape}{turned}"
        )
    need_float("trace_window", pixels, "image")
    return pixels.astype(conv.weight.dtype)


def _place(conv: Conv2d, shape: tuple[int, ...], at: Sequence[int]) -> tuple[int, int]:
    """`at` as (row, column), if the output for an image (C, H, W) of this shape has it."""
    if not isinstance(at, Sequence) or len(at) != 2 or not are_ints(at):
        raise TypeError(f"at must be a pair of ints, (row, column) of the output, but is {at!r}")
    counts, formulas = [], []
    for axis, letter in enumerate("HW"):
        size, kernel, stride, dilation = shape[axis + 1], conv.kernel_size[axis], conv.stride[axis], conv.dilation[axis]
        before, after = conv.edges()[axis]
        counts.append(convolution_output_size(size + before + after, kernel, stride, 0, dilation))
        formulas.append(
            f"O{letter} = ({letter} + padding - dilation*(K{letter}-1) - 1)//stride + 1 = "
            f"({size} + {before + after} - {dilation}*({kernel}-1) - 1)//{stride} + 1 = {counts[-1]}"
        )
    if not all(0 <= place < count for place, count in zip(at, counts, strict=True)):
        rows, columns = (f"0 to {count - 1}" if count > 0 else "none" for count in counts)
        raise ValueError(
            f"at={tuple(at)} is outside of the output, whose rows are {rows} and columns {columns}: "
            f"{formulas[0]}, {formulas[1]}"
        )
    return int(at[0]), int(at[1])


def _computed_by_the_layer(
    conv: Conv2d, pixels: np.ndarray, place: tuple[int, int, int]
) -> tuple[float, np.ndarray, np.ndarray]:
    """The output at `place`, and the gradients of it alone for the weight and for the image; on a copy of the layer."""
    twin = copy.deepcopy(conv).requires_grad_(True)
    image = Tensor(pixels[None], requires_grad=True)  # (C, H, W) -> (1, C, H, W)
    with enable_grad():
        output = twin.forward(image)[0][place]
        output.backward()
    weight_gradient, input_gradient = twin.weight.grad, image.grad
    if weight_gradient is None or input_gradient is None:
        raise RuntimeError("the layer's backward gave no gradient; is its weight a Parameter?")
    return output.item(), weight_gradient.data, input_gradient.data[0]


# The table in the terminal: at most 100 characters a line


def _forward_lines(trace: WindowTrace) -> list[str]:
    channels, rows, columns = trace.window.shape
    padding = f"; in ( ): padding, mode {trace.padding_mode!r}" if trace.padding.any() else ""
    lines = [
        *textwrap.wrap(trace.layer, 100),
        f"output channel {trace.channel}, row {trace.at[0]}, column {trace.at[1]}",
        "",
        f"FORWARD  {_count(channels, 'channel')} x {rows} x {columns} = "
        f"{_count(trace.multiply_adds, 'multiply-add')}{padding}",
    ]
    for k in range(trace.shown):
        grids = [
            _grid("window of the image", trace.window[k], trace.rows, trace.columns, trace.padding),
            _grid(f"weight[{trace.channel}, {k}]", trace.kernel[k], range(rows), range(columns)),
            _grid("products", trace.products[k], trace.rows, trace.columns, trace.padding),
        ]
        lines += ["", f"input channel {trace.input_channels[k]}", *_side_by_side(grids, "x=")]
        lines.append(f"    sum {_long(trace.sums[k])}    running sum {_long(trace.running_sums[k])}")
    if trace.shown < channels:
        lines += ["", f"{_others(trace)}    sum {_long(trace.rest)}    running sum {_long(trace.running_sums[-1])}"]
    bias = "no bias" if trace.bias is None else f"bias {_long(trace.bias)}"
    lines += ["", f"{bias}    result {_long(trace.result)}"]
    lines.append(f"the layer itself computes {_long(trace.output)} (difference {abs(trace.result - trace.output):.1g})")
    return lines


def _backward_lines(trace: WindowTrace) -> list[str]:
    _, rows, columns = trace.window.shape
    lines = ["BACKWARD  of a gradient of 1 at this output: each factor receives the other one"]
    if trace.padding.any():
        who = "no pixel" if trace.padding_mode == "zeros" else "the pixel that is repeated there"
        lines.append(f"          in ( ): the kernel on padding, which {who} receives")
    for k in range(trace.shown):
        grids = [
            _grid(f"to weight[{trace.channel}, {k}]: the window", trace.window[k], range(rows), range(columns)),
            _grid("to the image: the kernel", trace.kernel[k], trace.rows, trace.columns, trace.padding),
        ]
        lines += ["", f"input channel {trace.input_channels[k]}", *_side_by_side(grids, " ")]
    if trace.shown < len(trace.sums):
        lines += ["", f"{_others(trace)}: in the same way"]
    bias = "" if trace.bias is None else f"to bias[{trace.channel}]: 1    "
    lines += ["", f"{bias}the layer's own backward differs by {trace.backward_difference:.1g} at most"]
    return lines


def _others(trace: WindowTrace) -> str:
    first, last = trace.input_channels[trace.shown], trace.input_channels[-1]
    return f"input channels {first} to {last}"


def _grid(
    heading: str, values: np.ndarray, rows: Any, columns: Any, padding: np.ndarray | None = None
) -> tuple[str, list[str]]:
    """(heading, lines) of one kernel-sized array, with the numbers of its rows and columns."""
    height, width = min(values.shape[0], _MOST_ROWS), min(values.shape[1], _MOST_COLUMNS)
    cell = 9 if 9 * width < 96 else 8
    lines = [" " * 4 + "".join(f"{columns[j]:>{cell}}" for j in range(width))]
    for i in range(height):
        numbers = (_short(values[i, j], padding is not None and bool(padding[i, j])) for j in range(width))
        lines.append(f"{rows[i]:>4}" + "".join(f"{number:>{cell}}" for number in numbers))
    if values.shape != (height, width):
        lines.append(f"    ... the first {height} x {width} of {values.shape[0]} x {values.shape[1]}")
    return heading, lines


def _side_by_side(grids: list[tuple[str, list[str]]], signs: str) -> list[str]:
    """The grids beside one another, with the signs between them in the middle; below one another if too wide."""
    widths = [max(len(line) for line in [heading, *lines]) for heading, lines in grids]
    if sum(widths) + 3 * len(signs) > 100:
        return [line for heading, lines in grids for line in [f"  {heading}", *lines]]
    result, middle = [], (len(grids[0][1]) + 2) // 2
    for number, cells in enumerate(zip(*([heading, *lines] for heading, lines in grids), strict=True)):
        line = cells[0].ljust(widths[0])
        for sign, cell, width in zip(signs, cells[1:], widths[1:], strict=False):
            line += f" {sign if number == middle else ' '} {cell.ljust(width)}"
        result.append(line)
    return result


def _short(value: float, in_padding: bool) -> str:
    """At most 8 characters."""
    if in_padding:
        return "(0)" if value == 0 else f"({_digits(value, 3)})"
    return _digits(value, 4)


def _digits(value: float, places: int) -> str:
    """`value` with `places` decimals, fewer before larger numbers; as a power of ten where that would not tell it."""
    size = abs(value)
    if not np.isfinite(value) or size == 0 or 0.5 * 10.0**-places <= size < 10.0 ** (places + 1):
        digits_before = len(str(int(size))) if np.isfinite(value) else 1
        return f"{value:.{max(0, places + 1 - digits_before)}f}"
    return f"{value:.0e}"


def _long(value: float) -> str:
    return f"{value:.6g}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
