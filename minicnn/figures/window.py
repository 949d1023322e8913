"""One output of one convolution: windows, kernels and products as grids of numbers, and where the gradient goes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minicnn.trace import WindowTrace

# Inches: the figure is as wide as the text of a printed page.
WIDTH = 7.0
_LEFT, _RIGHT = 0.95, 6.85  # of the first grid, and of the column of sums
_GAP = 0.52  # between two grids: a sign, and the row numbers of the second one
_SUMS = 1.1  # the width of that column
_LARGEST_CELL = 0.44
_MOST_NUMBERS = 5  # columns of a kernel whose numbers can still be read


def window_figure(trace: WindowTrace) -> Figure:
    """A Figure of a trace, 7 inches wide: above, a line of grids for each channel, and the sums added up as on paper;
    below, the contributions of a gradient of 1 at the output to the weight and to the image (for the first channel).

    The farther from 0, the darker a cell; cells on padding are hatched. Kernels of more than 5 columns are too small
    for numbers: their cells are grey at 0, lighter above and darker below it.
    """
    figure, axes = new_figure(1, 1, (WIDTH, WIDTH))
    one = axes[0, 0]
    figure.set_layout_engine("none")
    one.set_position([0, 0, 1, 1])
    one.axis("off")
    bottom = _backward(one, trace, _forward(one, trace, _title(one, trace)))
    one.set(xlim=(0, WIDTH), ylim=(bottom, 0))
    figure.set_size_inches(WIDTH, bottom)
    return figure


def _title(one: Any, trace: WindowTrace) -> float:
    """Draws the title; returns the height where the rest begins, in inches from the top."""
    i, j = trace.at
    one.text(0.12, 0.25, f"Output channel {trace.channel} at row {i}, column {j}", fontsize=11, weight="bold")
    lines = textwrap.wrap(trace.layer, 100)
    for number, line in enumerate(lines):
        one.text(0.12, 0.45 + 0.16 * number, line, fontsize=8, family="monospace")
    return 0.45 + 0.16 * len(lines)


def _forward(one: Any, trace: WindowTrace, top: float) -> float:
    channels, rows, columns = trace.window.shape
    cell = _cell(columns)
    lefts = [_LEFT + k * (columns * cell + _GAP) for k in range(3)]
    size = f"{channels} x {rows} x {columns} = {trace.multiply_adds:,} multiply-adds"
    notes = f"; hatched: padding ({trace.padding_mode})" if trace.padding.any() else ""
    notes += "" if columns <= _MOST_NUMBERS else "; grey: 0, white: the largest, black: the least"
    top = _heading(one, "Forward", size + notes, top)
    headings = ("window of the image", "kernel", "products")
    for heading, left in zip(headings, lefts, strict=True):
        one.text(left + columns * cell / 2, top, heading, fontsize=8.5, ha="center")
    one.text(_RIGHT, top, "sums", fontsize=8.5, ha="right")
    top += 0.08
    largest = [float(np.abs(grids).max()) for grids in (trace.window, trace.kernel, trace.products)]
    steps = range(rows), range(columns)
    for k in range(trace.shown):
        top += 0.2
        places = trace.rows, trace.columns
        _grid(one, lefts[0], top, cell, trace.window[k], *places, trace.padding, largest[0])
        _grid(one, lefts[1], top, cell, trace.kernel[k], *steps, None, largest[1])
        _grid(one, lefts[2], top, cell, trace.products[k], *places, trace.padding, largest[2])
        middle = top + rows * cell / 2
        one.text(0.12, middle, f"input\nchannel {trace.input_channels[k]}", fontsize=8, va="center")
        for sign, left in zip("\N{MULTIPLICATION SIGN}=", lefts, strict=False):
            one.text(left + columns * cell + 0.14, middle, sign, fontsize=12, ha="center", va="center")
        _sum(one, middle, trace.sums[k], sign="" if k == 0 else "+")
        top += rows * cell + 0.12
    return _total(one, trace, top + 0.16)


def _total(one: Any, trace: WindowTrace, top: float) -> float:
    """The end of the column of sums."""
    lines = []
    if trace.shown < len(trace.sums):
        first, last = trace.input_channels[trace.shown], trace.input_channels[-1]
        lines.append((f"input channels {first} to {last} in the same way", trace.rest))
    if trace.bias is not None:
        lines.append((f"bias of output channel {trace.channel}", trace.bias))
    for text, value in lines:
        one.text(_RIGHT - _SUMS, top, text, fontsize=8, ha="right", va="center")
        _sum(one, top, value, "+")
        top += 0.19
    one.plot([_RIGHT - _SUMS + 0.14, _RIGHT], [top - 0.06] * 2, color="black", linewidth=0.8)
    top += 0.06
    text = f"the output (the layer computes {_number(trace.output, 5)})"
    one.text(_RIGHT - _SUMS, top, text, fontsize=8, ha="right", va="center")
    _sum(one, top, trace.result, "=", weight="bold")
    return top + 0.12


def _backward(one: Any, trace: WindowTrace, top: float) -> float:
    _, rows, columns = trace.window.shape
    cell = _cell(columns)
    top = _heading(one, "Backward", "of a gradient of 1 at this output: each factor receives the other one", top + 0.1)
    lefts = [_LEFT, _LEFT + columns * cell + 2 * _GAP + 0.7]
    receivers = (f"weight[{trace.channel}, 0] receives the window", "the pixels receive the kernel")
    for left, text in zip(lefts, receivers, strict=True):
        one.text(left + columns * cell / 2, top, text, fontsize=8.5, ha="center")
    top += 0.28
    largest = [float(np.abs(grids).max()) for grids in (trace.window, trace.kernel)]
    _grid(one, lefts[0], top, cell, trace.window[0], range(rows), range(columns), None, largest[0])
    _grid(one, lefts[1], top, cell, trace.kernel[0], trace.rows, trace.columns, trace.padding, largest[1])
    channel = f"input\nchannel {trace.input_channels[0]}"
    one.text(0.12, top + rows * cell / 2, channel, fontsize=8, va="center")
    notes = []
    if trace.padding.any():
        notes.append(f"hatched: {'no pixel' if trace.padding_mode == 'zeros' else 'the repeated pixel'} receives it")
    if len(trace.sums) > 1:
        others = len(trace.sums) - 1
        notes.append(
            f"the other {others} input channels in the same way"
            if others > 1
            else "the other input channel in the same way"
        )
    notes += [] if trace.bias is None else [f"bias[{trace.channel}] receives 1"]
    text = "\n".join(textwrap.fill(note, 24, subsequent_indent="   ") for note in notes)
    one.text(lefts[1] + columns * cell + 0.18, top + rows * cell / 2, text, fontsize=8, va="center")
    result: float = top + rows * cell + 0.15
    return result


def _heading(one: Any, text: str, rest: str, top: float) -> float:
    one.plot([0.12, _RIGHT], [top] * 2, color="black", linewidth=0.6)
    one.text(0.12, top + 0.2, text, fontsize=9.5, weight="bold")
    one.text(_LEFT, top + 0.2, rest, fontsize=8.5)
    return top + 0.48


def _grid(
    one: Any,
    left: float,
    top: float,
    cell: float,
    values: np.ndarray,
    rows: Sequence[int] | np.ndarray | range,
    columns: Sequence[int] | np.ndarray | range,
    padding: np.ndarray | None,
    largest: float,
) -> None:
    """One kernel-sized array, its rows and columns numbered; `largest` is the absolute value that is darkest."""
    from matplotlib.patches import Rectangle

    numbers = values.shape[1] <= _MOST_NUMBERS
    places, font = (3, 7.0) if values.shape[1] < 4 else (2, 6.2)
    for (i, j), value in np.ndenumerate(values):
        share = float(value) / largest if largest > 0 and np.isfinite(value) else 0.0
        shade = 1 - 0.42 * abs(share) if numbers else 0.5 + 0.5 * share
        x, y = left + j * cell, top + i * cell
        on_padding = padding is not None and bool(padding[i, j])
        style: Any = {"edgecolor": "#707070", "linewidth": 0.5, "facecolor": "white" if on_padding else str(shade)}
        one.add_patch(Rectangle((x, y), cell, cell, **style))
        if on_padding:  # a patch of its own: hatching takes the colour of the edge
            hatch: Any = {"facecolor": "none", "edgecolor": "#B8B8B8", "linewidth": 0, "hatch": "////"}
            one.add_patch(Rectangle((x, y), cell, cell, **hatch))
        if numbers:
            behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.6} if on_padding else None
            middle = x + cell / 2, y + cell / 2 + 0.005
            one.text(
                *middle,
                "0" if value == 0 else _in_cell(value, places),
                fontsize=font,
                ha="center",
                va="center",
                bbox=behind,
            )
    small = {"fontsize": 6.5, "color": "#505050"}
    for i, row in enumerate(rows):
        one.text(left - 0.05, top + (i + 0.5) * cell, _number(row, 0), ha="right", va="center", **small)
    for j, column in enumerate(columns):
        one.text(left + (j + 0.5) * cell, top - 0.03, _number(column, 0), ha="center", va="bottom", **small)


def _in_cell(value: float, places: int) -> str:
    """As short as can be: .25 for 0.25."""
    text = _number(value, places)
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def _sum(one: Any, y: float, value: float, sign: str, weight: str = "normal") -> None:
    one.text(_RIGHT - _SUMS + 0.2, y, sign, fontsize=9, va="center", weight=weight)
    one.text(_RIGHT, y, _number(value, 5), fontsize=9, ha="right", va="center", weight=weight)


def _cell(columns: int) -> float:
    """The side of a cell, so that three grids and the sums fit beside one another."""
    return min(_LARGEST_CELL, (_RIGHT - _SUMS - _LEFT - 2 * _GAP) / (3 * columns))


def _number(value: float, places: int) -> str:
    """With a proper minus sign; fewer places for large values."""
    text = f"{value:.{places}f}" if abs(value) < 10 or places == 0 else f"{value:.{places + 1}g}"
    return text.replace("-", "\N{MINUS SIGN}")
