"""What small kernels answer to: the kernels as numbers, their response maps, and their answers by direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.style import BLUE, GREY, ORANGE, new_mosaic, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES: tuple[Any, ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": GREY, "linestyle": ":"},
)
_MARKERS = (("o", 8), ("s", 4.5))  # a small one on a large one: both are seen where they meet


def tuning_figure(
    kernels: Mapping[str, np.ndarray],
    edge: np.ndarray,
    picture: np.ndarray,
    angles: np.ndarray,
    answers: Mapping[str, np.ndarray],
    measured: tuple[np.ndarray, Mapping[str, np.ndarray]],
) -> Figure:
    """A Figure of up to three kernels (KH, KW): their numbers, their maps of `picture`, their answers by angle.

    edge (h, w) and picture (H, W): grey, 0..1. answers: for each kernel (A,) numbers, at `angles` (A,) in degrees.
    measured: (P,) angles, and for at most two of the kernels (P,) numbers measured on pictures, drawn as markers.
    """
    columns = len(kernels) + 1
    pattern = [[f"{row}{column}" for column in range(columns)] for row in ("kernel", "map")] + [["curves"] * columns]
    figure, axes = new_mosaic(pattern, (7.0, 6.4), height_ratios=(1.0, 1.0, 1.5))
    show_image(axes["kernel0"], edge, "a drawn edge", cmap="gray", vmin=0, vmax=1)
    show_image(axes["map0"], picture, "a PartWorld picture", cmap="gray", vmin=0, vmax=1)
    maps = [_response_map(picture, kernel) for kernel in kernels.values()]
    limit = max(float(np.abs(one).max()) for one in maps)
    for column, (name, kernel) in enumerate(kernels.items(), 1):
        _numbers(axes[f"kernel{column}"], kernel, f"kernel: {name}")
        show_image(axes[f"map{column}"], maps[column - 1], f"answers of {name}", cmap="gray", vmin=-limit, vmax=limit)
    _curves(axes["curves"], angles, answers, measured)
    figure.legend(*axes["curves"].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _response_map(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """(H, W) -> (H-KH+1, W-KW+1)."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, kernel.shape)
    return np.einsum("hwij,ij->hw", windows, kernel)


def _numbers(axes: Any, kernel: np.ndarray, title: str) -> None:
    """The weights as numbers on grey: white above zero, dark below."""
    limit = float(np.abs(kernel).max())
    show_image(axes, kernel, title, cmap="gray", vmin=-2 * limit, vmax=limit)
    for (row, column), weight in np.ndenumerate(kernel):
        text = f"{weight:g}".replace("-", "\N{MINUS SIGN}")
        shade = "white" if weight <= -limit / 2 else "black"
        axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=10)


def _curves(
    axes: Any,
    angles: np.ndarray,
    answers: Mapping[str, np.ndarray],
    measured: tuple[np.ndarray, Mapping[str, np.ndarray]],
) -> None:
    for (name, curve), line in zip(answers.items(), _LINES, strict=False):
        axes.plot(angles, curve, label=f"{name}, drawn edges", **line)
    places, points = measured
    styles = zip(points.items(), _LINES, _MARKERS, strict=False)
    for (name, values), line, (marker, size) in styles:
        style: Any = {"color": line["color"], "marker": marker, "markersize": size}
        style |= {"markeredgecolor": "black", "linestyle": "none"}
        axes.plot(places, values, label=f"{name}, PartWorld strokes", **style)
    axes.set(xlabel="direction of the edge (degrees; 0 lies, 90 stands)", ylabel="answer (share of its largest)")
    axes.set(xlim=(-4, 184), ylim=(0, 1.08))
    axes.set_xticks(range(0, 181, 45))
