"""The common part of all figures: one size of type, colours that also differ in grey, and figures without a display.

A figure is matplotlib's Figure, made without pyplot: nothing is shown, nothing is kept in a global list, and no window
system is needed. `figure.savefig("name.png")` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's palette, ordered so that neighbours differ in lightness too.
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8A8A8A"

# What tells a figure's curves apart, in grey too.
LINES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": GREY, "linestyle": ":"},
)

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
}


def literal(text: Any) -> str:
    """The text for matplotlib, drawn unchanged: a dollar sign in a name would begin a formula."""
    return str(text).replace("$", r"\$")


def new_figure(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, np.ndarray]:
    """A Figure of `size` inches (width, height) and its axes, always a (rows, columns) array."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained", dpi=110)
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def new_mosaic(pattern: Any, size: tuple[float, float], **options: Any) -> tuple[Figure, dict[str, Any]]:
    """A Figure of `size` inches and its axes by name; a name repeated in the rows of `pattern` is one large axes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained", dpi=110)
        axes = figure.subplot_mosaic(pattern, **options)
    return figure, axes


def show_image(axes: Any, image: np.ndarray, title: str = "", **options: Any) -> None:
    """Draw one image (H, W, 3) or (H, W) without ticks; pixels stay squares."""
    axes.imshow(image, interpolation="nearest", **options)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(literal(title), fontsize=8)
