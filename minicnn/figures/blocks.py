"""Blocks of a network beside their costs: windows seen from the side, branches, accuracy by multiply-adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, literal, new_mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Branch = tuple[Sequence[tuple[str, int]], float]  # its boxes as (window, channels), and its millions of multiply-adds

_FACE, _EDGE = "#DCE9F3", "#333333"
_MARKS = (("o", BLUE, 8), ("s", ORANGE, 7), ("^", GREEN, 8), ("D", VERMILION, 7))  # (marker, colour, size)
_BOX, _COLUMNS, _GAP = 0.5, (0.0, 1.15, 2.05, 3.2), 56  # width of a box, where boxes begin, and channels between lanes


def window_stack_figure(stacks: Mapping[str, Sequence[int]], results: Mapping[str, Sequence[float]]) -> Figure:
    """A Figure, 7 inches wide: left, stacks of windows cut through from the side; right, accuracies, a line a network.

    stacks: two names with the sides of their windows from the image upwards, such as {"two 3x3": (3, 3)}.
    results: at most four names, of up to two lines each, with the accuracy of every seed.
    """
    figure, axes = new_mosaic([[name, "results"] for name in stacks], (7.0, 4.0), width_ratios=(1.0, 1.35))
    for name, windows in stacks.items():
        _side_view(axes[name], name, windows)
    _accuracies(axes["results"], results)
    return figure


def _accuracies(axes: Any, results: Mapping[str, Sequence[float]]) -> None:
    """A line for each network, below its name: a small hollow mark for every seed, a large one for their mean."""
    for row, ((name, accuracies), (marker, colour, size)) in enumerate(zip(results.items(), _MARKS, strict=False)):
        marks: Any = {"color": colour, "marker": marker, "linestyle": "none", "markeredgecolor": _EDGE}
        axes.plot([min(accuracies), max(accuracies)], [row, row], color=colour, linewidth=1.0)
        axes.plot(np.mean(accuracies), row, markersize=size, **marks)
        axes.plot(accuracies, [row] * len(accuracies), markersize=3.5, markerfacecolor="white", **marks)
        text = axes.text(
            0.02, row - 0.22, literal(name), transform=axes.get_yaxis_transform(), va="bottom", fontsize=8.5
        )
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})
    axes.set(ylim=(len(results) - 0.6, -0.75), xlabel="accuracy on new pictures")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title("Mean (large mark) and every seed (small ones)", fontsize=9)


def _side_view(axes: Any, name: str, windows: Sequence[int]) -> None:
    """Rows of places, the image lowest; a line from each place to each place that it looks at, for one result."""
    sides = [1]
    for window in reversed(windows):
        sides.append(sides[-1] + window - 1)
    sides.reverse()  # of the part of each map that the result sees, from the image upwards
    widest = sides[0] + 2
    for level, side in enumerate(sides):
        places = np.arange(widest) - (widest - 1) / 2
        seen = np.abs(places) <= (side - 1) / 2
        style: Any = {"marker": "s", "linestyle": "none", "markersize": 11, "markeredgecolor": _EDGE}
        axes.plot(places[~seen], np.full((~seen).sum(), level), color="white", **style | {"markeredgecolor": "#BBBBBB"})
        axes.plot(places[seen], np.full(seen.sum(), level), color=BLUE if level == len(sides) - 1 else _FACE, **style)
        if level:
            reach = (windows[level - 1] - 1) // 2
            for place in places[seen]:
                for below in np.arange(place - reach, place + reach + 1):
                    axes.plot([below, place], [level - 1, level], color=GREY, linewidth=0.9, zorder=0)
    labels = ["image", *(f"after {window}x{window}" for window in windows)]
    for level, label in enumerate(labels):
        axes.text(-widest / 2 - 0.3, level, label, ha="right", va="center", fontsize=8)
    axes.set_title(f"{literal(name)}: one result sees {sides[0]}x{sides[0]} pixels", fontsize=9)
    axes.set(xlim=(-widest / 2 - 3.6, widest / 2 + 0.2), ylim=(-0.5, len(sides) - 0.5))
    axes.axis("off")


def branches_figure(
    in_channels: int, blocks: Mapping[str, Sequence[Branch]], results: Mapping[str, Sequence[float]]
) -> Figure:
    """A Figure, 7 inches wide: above, two blocks of branches side by side; below, accuracies, a line a network.

    The height of a box is its channels, and beside each branch stand its multiply-adds. results: at most four names,
    of up to two lines each, with the accuracy of every seed.
    """
    pattern = [list(blocks), ["results"] * len(blocks)]
    figure, axes = new_mosaic(pattern, (7.0, 6.6), height_ratios=(1.2, 1.0))
    figure.set_layout_engine("constrained", h_pad=0.08)
    for name, branches in blocks.items():
        _branches(axes[name], name, in_channels, branches)
    _accuracies(axes["results"], results)
    return figure


def _branches(axes: Any, name: str, in_channels: int, branches: Sequence[Branch]) -> None:
    """The input on the left, the branches below one another, their results stacked on the right."""
    heights = [max(channels for _, channels in boxes) for boxes, _ in branches]
    bottom = sum(heights) + _GAP * len(branches)
    out_channels = sum(boxes[-1][1] for boxes, _ in branches)
    x_in, *columns, x_out = _COLUMNS
    _box(axes, x_in, bottom / 2, in_channels, f"in\n{in_channels}")
    stacked, top = bottom / 2 - out_channels / 2, 0.0
    _label(axes, x_out, stacked, f"out\n{out_channels}")
    for (boxes, cost), height in zip(branches, heights, strict=True):
        middle = top + _GAP + height / 2
        x, y = x_in + _BOX, bottom / 2
        # A branch of a single box stands in the second column, where the windows are.
        for (window, channels), column in zip(boxes, columns[-len(boxes) :], strict=True):
            turn = min(column, columns[0]) - 0.15  # from there on level, so that no line crosses a label
            axes.plot([x, max(x, turn), column], [y, middle, middle], color=GREY, linewidth=1.0, zorder=0)
            _box(axes, column, middle, channels, f"{window}\n{channels}")
            x, y = column + _BOX, middle
        last = boxes[-1][1]
        axes.plot([x, x_out], [y, stacked + last / 2], color=GREY, linewidth=1.0, zorder=0)
        _box(axes, x_out, stacked + last / 2, last)
        axes.text(x_out + _BOX + 0.1, stacked + last / 2, f"{cost:.1f} M", va="center", fontsize=8)
        stacked, top = stacked + last, top + _GAP + height
    axes.set_title(f"{literal(name)}: {sum(cost for _, cost in branches):.1f} million multiply-adds", fontsize=9)
    axes.set(xlim=(-0.1, x_out + _BOX + 0.75), ylim=(bottom + 10, -10))
    axes.axis("off")


def _box(axes: Any, left: float, middle: float, height: float, text: str = "") -> None:
    """A box as high as its channels, with its name above."""
    from matplotlib.patches import Rectangle

    top = middle - height / 2
    axes.add_patch(Rectangle((left, top), _BOX, height, facecolor=_FACE, edgecolor=_EDGE, linewidth=0.8))
    _label(axes, left, top, text)


def _label(axes: Any, left: float, top: float, text: str) -> None:
    axes.text(left + _BOX / 2, top - 3, text, ha="center", va="bottom", fontsize=7.5, linespacing=0.95)
