"""Receptive fields: the theoretical ones as nested squares over a picture, and maps of the parts in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.style import BLUE, VERMILION, literal, new_mosaic, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minicnn.features.receptive_field import EffectiveField

_DASHES: Any = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))  # of the squares, from the innermost


def receptive_field_figure(
    picture: np.ndarray,
    fields: Mapping[str, Mapping[str, EffectiveField]],
    names: Mapping[str, str] | None = None,
    growth: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """A Figure, 7 inches wide: left, `picture` (3 or 1, H, W) of 0..1 with the theoretical field of every layer as a
    square; right, a row of maps for each entry of `fields`, such as {"random weights": {"layer1": field, ...}, ...}.

    All entries have the same layers, up to four, at places that belong together. A map is the darker, the more a pixel
    matters; dashed is the theoretical field, and the line around the dark part holds the pixels in use. `names` may
    give layers other titles. `growth` adds a panel below the picture: the sides in pixels of both fields, "theoretical"
    and "in use", by the number of "layers"; it needs two rows of maps.
    Raises ValueError for a picture of other channels, and for maps of another size than it.
    """
    rows = list(fields)
    layers = list(fields[rows[0]])
    _check(picture, fields)
    left = [["picture"]] if growth is None else [["picture"], ["growth"]]
    right = [[f"map {i} {j}" for j in range(len(layers))] for i in range(len(rows))]
    size = (7.0, 1.15 + 1.45 * max(len(rows), 1.6))
    figure, axes = new_mosaic([[left, right]], size, width_ratios=[1.5, len(layers)])
    titles = {layer: (names or {}).get(layer, layer) for layer in layers}
    _nested_squares(axes["picture"], picture, {titles[layer]: fields[rows[0]][layer] for layer in layers})
    if growth is not None:
        _growth(axes["growth"], growth)
    maps = [[axes[name] for name in names_of_row] for names_of_row in right]
    for of_row, row in zip(maps, rows, strict=True):
        for one, layer in zip(of_row, layers, strict=True):
            _effective_map(one, fields[row][layer], titles[layer])
        of_row[0].set_ylabel(row, fontsize=9)
    colours = figure.colorbar(
        maps[0][0].images[0], ax=[one for of_row in maps for one in of_row], orientation="horizontal", aspect=40
    )
    colours.set_label(
        "share of the largest gradient of an output with respect to a pixel\n"
        "dashed: the theoretical field; solid line: around the pixels in use",
        fontsize=8,
    )
    colours.ax.tick_params(labelsize=7.5)
    return figure


def _check(picture: np.ndarray, fields: Mapping[str, Mapping[str, EffectiveField]]) -> None:
    if picture.ndim != 3 or picture.shape[0] not in (1, 3):
        raise ValueError(f"picture must be (3 or 1, H, W), but has shape {picture.shape}")
    for row, of_layers in fields.items():
        for layer, field in of_layers.items():
            if field.map.shape != picture.shape[1:]:
                raise ValueError(
                    f"the map of {layer!r} in {row!r} is {field.map.shape}, but the picture is {picture.shape[1:]}"
                )


def _nested_squares(one: Any, picture: np.ndarray, fields: Mapping[str, EffectiveField]) -> None:
    """The picture, and on it the square that one place of each layer sees."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import Normal, Stroke

    height, width = picture.shape[1:]
    show_image(one, np.squeeze(picture.transpose(1, 2, 0)), cmap="gray", vmin=0, vmax=1)
    outline = [Stroke(linewidth=3.4, foreground="black"), Normal()]  # to be seen on any picture
    edges, lines = [(0, 0, height, width)], []
    for dashes, (name, field) in zip(_DASHES, fields.items(), strict=False):
        top, left, bottom, right = field.theoretical.box(*field.place)
        style: Any = {"linewidth": 1.5, "linestyle": dashes, "path_effects": outline}
        one.add_patch(
            Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, fill=False, edgecolor="white", **style)
        )
        lines.append(
            Line2D([], [], color="white", label=f"{literal(name)}: {bottom - top} x {right - left} pixels", **style)
        )
        edges.append((top, left, bottom, right))
    (top, left), (bottom, right) = np.min(edges, axis=0)[:2], np.max(edges, axis=0)[2:]
    one.set(xlim=(left - 1, right), ylim=(bottom, top - 1))
    one.set_title("one output can see", fontsize=9)
    one.legend(
        handles=lines, loc="upper center", bbox_to_anchor=(0.5, -0.03), fontsize=8, handlelength=3.2, borderaxespad=0
    )


def _effective_map(one: Any, field: EffectiveField, title: str) -> None:
    from matplotlib.patches import Rectangle

    top, left, bottom, right = field.theoretical.box(*field.place)
    show_image(one, field.map, cmap="Greys", vmin=0, vmax=1)
    for spine in one.spines.values():  # the edge of the picture
        spine.set(visible=True, color="#B0B0B0", linewidth=0.8)
    style: Any = {"fill": False, "edgecolor": BLUE, "linewidth": 1.2, "linestyle": (0, (4, 2))}
    one.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, **style))
    # Around whole pixels: a contour of the small map would cut their corners.
    enlarged = np.kron(np.pad(field.in_use, 1), np.ones((8, 8)))  # (H, W) -> (8*(H + 2), 8*(W + 2))
    extent = (-1.5, field.map.shape[1] + 0.5, field.map.shape[0] + 0.5, -1.5)
    one.contour(enlarged, [0.5], colors=[VERMILION], linewidths=1.2, extent=extent, origin="upper")
    one.set_title(f"{literal(title)}\nuses {field.width:.1f} of {bottom - top}", fontsize=8)


def _growth(one: Any, growth: Mapping[str, Sequence[float]]) -> None:
    """Both axes count in powers of two, so that a root is a line of half the slope."""
    layers = growth["layers"]
    for label, colour, style in (("theoretical", BLUE, "s--"), ("in use", VERMILION, "o-")):
        one.plot(layers, growth[label], style, color=colour, markersize=4, linewidth=1.4, label=label)
    one.set_xscale("log", base=2)
    one.set_yscale("log", base=2)
    one.set_xticks(layers, layers)
    sides = [4, 8, 16, 32, 64]
    one.set_yticks(sides, sides)
    one.minorticks_off()
    one.tick_params(labelsize=7.5)
    one.set_xlabel("layers of 3x3 kernels", fontsize=8)
    one.set_title("side of the field, in pixels", fontsize=9)
    one.legend(fontsize=7.5, loc="upper left", handlelength=2.6)
