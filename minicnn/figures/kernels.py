"""The answers of small kernels: the kernels as numbers, their response maps, and their answers by direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.style import LINES, literal, new_mosaic, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MARKERS = (("o", 8), ("s", 4.5))  # a small one on a large one: both are seen where they meet


def tuning_figure(
    kernels: Mapping[str, np.ndarray],
    maps: np.ndarray,
    picture: np.ndarray,
    edge: np.ndarray,
    angles: np.ndarray,
    answers: Mapping[str, np.ndarray],
    measured: tuple[np.ndarray, Mapping[str, np.ndarray]],
) -> Figure:
    """A Figure of up to three kernels (KH, KW): their numbers, their maps (K, h, w) of `picture`, their answers.

    picture (H, W) and edge (h, w): grey, 0..1. answers: for each kernel (A,) numbers, at `angles` (A,) in degrees.
    measured: (P,) angles, and for at most two of the kernels (P,) numbers measured on pictures, drawn as markers.
    """
    columns = len(kernels) + 1
    pattern = [[f"{row}{column}" for column in range(columns)] for row in ("kernel", "map")] + [["curves"] * columns]
    figure, axes = new_mosaic(pattern, (7.0, 6.6), height_ratios=(1.0, 1.0, 1.5))
    figure.set_layout_engine("constrained", h_pad=0.08)
    framed(axes["kernel0"], edge, "a drawn edge", 0, 1)
    framed(axes["map0"], picture, "a PartWorld picture", 0, 1)
    limit = float(np.abs(maps).max())
    for column, (name, kernel) in enumerate(kernels.items(), 1):
        draw_kernel(axes[f"kernel{column}"], kernel, f"{name} kernel")
        framed(axes[f"map{column}"], maps[column - 1], "its answers (grey: 0)", -limit, limit)
    _curves(axes["curves"], angles, answers, measured)
    handles = axes["curves"].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def framed(axes: Any, image: np.ndarray, title: str, lowest: float, highest: float) -> None:
    """A grey image with a thin frame, so that its white does not run into the page's."""
    show_image(axes, image, title, cmap="gray", vmin=lowest, vmax=highest)
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, color="#707070")


def draw_kernel(axes: Any, kernel: np.ndarray, title: str, form: str = "{:g}", size: float = 10) -> None:
    """The weights as numbers, written by `form` in letters of `size` points, on grey: white above zero, dark below."""
    limit = float(np.abs(kernel).max())
    framed(axes, kernel, title, -2 * limit, limit)
    for (row, column), weight in np.ndenumerate(kernel):
        text = form.format(weight).replace("-", "\N{MINUS SIGN}")
        shade = "white" if weight <= -limit / 2 else "black"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=size)


def _curves(
    axes: Any,
    angles: np.ndarray,
    answers: Mapping[str, np.ndarray],
    measured: tuple[np.ndarray, Mapping[str, np.ndarray]],
) -> None:
    for (name, curve), line in zip(answers.items(), LINES, strict=False):
        axes.plot(angles, curve, label=f"{literal(name)}, drawn edges", **line)
    places, points = measured
    styles = zip(points.items(), LINES, _MARKERS, strict=False)
    for (name, values), line, (marker, size) in styles:
        style: Any = {"color": line["color"], "marker": marker, "markersize": size}
        style |= {"markeredgecolor": "black", "linestyle": "none"}
        axes.plot(places, values, label=f"{literal(name)}, PartWorld strokes", **style)
    axes.set_title("Answers by the direction of the edge", fontsize=10)
    axes.set_ylabel("answer (share of the largest)")
    axes.set(xlabel="direction (degrees: 0 lying, 45 rising, 90 standing, 135 falling)")
    axes.set(xlim=(-4, 184), ylim=(0, 1.08))
    axes.set_xticks(range(0, 181, 45))
