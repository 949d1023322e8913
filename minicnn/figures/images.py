"""Figures made of pictures: a sheet of a data set, the filters of a first layer, the maps of one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minicnn.figures.style import literal, new_figure, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_sheet(images: np.ndarray, labels: np.ndarray, classes: Sequence[str], per_class: int = 8) -> Figure:
    """A Figure with one row a class and the first `per_class` pictures of it. images: (N, C, H, W), uint8 or 0..1.

    Raises ValueError if the images don't have 1 or 3 channels.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be (N, 1 or 3, H, W), but have shape {images.shape}")
    figure, axes = new_figure(len(classes), per_class, (per_class * 0.72 + 1.9, len(classes) * 0.74))
    for row, name in enumerate(classes):
        chosen = np.flatnonzero(labels == row)[:per_class]
        for column in range(per_class):
            if column < len(chosen):
                show_image(axes[row, column], np.squeeze(images[chosen[column]].transpose(1, 2, 0)), cmap="gray")
            else:
                axes[row, column].axis("off")
        axes[row, 0].set_ylabel(literal(name), rotation=0, ha="right", va="center", fontsize=8)
    return figure


def filter_grid(weight: np.ndarray, columns: int = 8, title: str = "") -> Figure:
    """A Figure of the filters (C_out, 3 or 1, KH, KW) of a first layer, as the colours that each one looks for.

    Grey is zero; all filters share one scale, so a weak filter looks weak. Raises ValueError for other channel counts:
    filters over deeper features have no colours.
    """
    if weight.ndim != 4 or weight.shape[1] not in (1, 3):
        raise ValueError(
            f"filters must be (C_out, 1 or 3, KH, KW) to be seen as colours, but have shape {weight.shape}"
        )
    rows = -(-len(weight) // columns)
    figure, axes = new_figure(rows, columns, (columns * 0.85, rows * 0.85 + (0.35 if title else 0)))
    limit = float(np.abs(weight).max()) or 1.0
    for position, one in enumerate(axes.flat):
        if position < len(weight):
            # (C, KH, KW) -> (KH, KW, C), and -limit..limit -> 0..1
            show_image(
                one, np.squeeze(0.5 + 0.5 * weight[position].transpose(1, 2, 0) / limit), cmap="gray", vmin=0, vmax=1
            )
        else:
            one.axis("off")
    if title:
        figure.suptitle(literal(title), fontsize=10)
    return figure


def feature_maps(image: np.ndarray, maps: Mapping[str, np.ndarray], channels: int = 7) -> Figure:
    """A Figure of one picture (3, H, W) and, for each stage of `maps` (name -> (C, h, w)), the channels that vary most.

    Each map is scaled by its own largest value, so that weak and strong channels can both be read.
    """
    figure, axes = new_figure(len(maps), channels + 1, ((channels + 1) * 0.95, len(maps) * 1.08))
    for row, (name, activation) in enumerate(maps.items()):
        if row == 0:
            show_image(axes[0, 0], np.squeeze(image.transpose(1, 2, 0)), "picture", cmap="gray")
        else:
            axes[row, 0].axis("off")
        strongest = np.argsort(-activation.std(axis=(1, 2)), kind="stable")[:channels]
        for column in range(channels):
            one = axes[row, column + 1]
            if column >= len(strongest):
                one.axis("off")
                continue
            show_image(one, activation[strongest[column]], f"ch {strongest[column]}", cmap="magma")
        axes[row, 1].set_ylabel(f"{literal(name)}\n{activation.shape[1]}x{activation.shape[2]}", fontsize=8)
    return figure
