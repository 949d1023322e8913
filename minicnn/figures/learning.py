"""How a kernel is learnt: its values after some steps, how loss and distance fall, and the effect of the learning
rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.kernels import draw_kernel, framed
from minicnn.figures.style import BLUE, GREY, LINES, VERMILION, literal, new_mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = ("o", "s", "^")


def learning_figure(
    teachers: Mapping[str, np.ndarray],
    kernels: Mapping[str, np.ndarray],
    losses: Mapping[str, np.ndarray],
    distances: Mapping[str, np.ndarray],
    steps: Sequence[int],
    rates: tuple[np.ndarray, np.ndarray],
    pairs: np.ndarray,
) -> Figure:
    """A Figure of up to three teachers, each a row: one of its pictures (H, W), and the kernel after each of `steps`.

    Below: losses (T,) before each step and distances (T+1,) by the number of steps taken, for each teacher; of `rates`
    the (R,) learning rates as shares of their limit and the (R,) losses that they led to; pairs (P, 2, 2): for each
    of up to three starts the two kernels that it led to, each as its parts of the two that were to be found.
    """
    above = [[f"{row} {column}" for column in range(len(steps) + 1)] for row in range(len(teachers))]
    below = [["loss", "distance"], ["rates", "pairs"]]
    figure, axes = new_mosaic([[above], [below]], (7.0, 8.4), height_ratios=[1.2 * len(teachers), 4.6])
    figure.set_layout_engine("constrained", h_pad=0.07)
    for row, (name, picture) in enumerate(teachers.items()):
        framed(axes[f"{row} 0"], picture, name, float(picture.min()), float(picture.max()))
        for column, step in enumerate(steps, 1):
            title = f"{step} step{'s' if step != 1 else ''}"
            rounded = np.round(kernels[name][column - 1], 1) + 0.0  # no minus sign before a zero
            draw_kernel(axes[f"{row} {column}"], rounded, title, "{:.1f}", 8)
    _falling(axes["loss"], losses, "Loss", "mean squared error")
    _falling(axes["distance"], distances, "Distance to Sobel", "share of Sobel's size")
    axes["distance"].legend(fontsize=8, loc="lower center", frameon=False)
    _by_rate(axes["rates"], *rates)
    _found_pairs(axes["pairs"], pairs)
    return figure


def _falling(axes: Any, curves: Mapping[str, np.ndarray], title: str, unit: str) -> None:
    """Curves by the number of steps, both axes logarithmic; step 0 stands at the left edge."""
    for (name, curve), style in zip(curves.items(), LINES, strict=False):
        axes.plot(np.maximum(np.arange(len(curve)), 0.5), np.maximum(curve, 1e-12), label=literal(name), **style)
    axes.set(xscale="log", yscale="log", xlabel="steps taken", ylim=(1e-8, None))
    axes.set_xticks([0.5, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"])
    axes.minorticks_off()
    axes.set_xlim(0.5, max(len(curve) for curve in curves.values()))
    axes.set_ylabel(unit)
    axes.set_title(title, fontsize=10)


def _by_rate(axes: Any, rates: np.ndarray, ends: np.ndarray) -> None:
    axes.axhline(1, color=GREY, linestyle=":", linewidth=1.2)
    axes.axvline(1, color=VERMILION, linestyle="--", linewidth=1.2)
    axes.plot(rates, ends, color=BLUE, marker="o", markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="learning rate (share of the limit)")
    axes.annotate("limit", (1, 1), xytext=(-4, 14), textcoords="offset points", ha="right", fontsize=8, color=VERMILION)
    axes.set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    axes.set_ylabel("loss at the end (share of the first)")
    axes.set_title("Larger steps, up to a limit", fontsize=10)


def _found_pairs(axes: Any, pairs: np.ndarray) -> None:
    """Each kernel as an arrow in the plane of the upright and the lying kernel; a circle where their length is 1."""
    circle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(circle), np.sin(circle), color=GREY, linestyle=":", linewidth=1.2)
    for start, (pair, style, marker) in enumerate(zip(pairs, LINES, _MARKERS, strict=False), 1):
        for index, (upright, lying) in enumerate(pair):
            label = f"start {start}" if index == 0 else None
            axes.plot([0, upright], [0, lying], label=label, marker=marker, markevery=[1], **style)
    axes.set(aspect="equal", xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), xlabel="part of the upright kernel")
    axes.set_ylabel("part of the lying kernel")
    axes.set_title("Pairs learnt from steepness", fontsize=10)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
