"""Figures made of numbers: training curves, the probe ladder, bars of transfer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minicnn.figures.style import BLUE, GREY, ORANGE, VERMILION, literal, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def training_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """A Figure of loss and accuracy by epoch. `history` rows have "epoch", "loss", "validation_accuracy"."""
    epochs = [row["epoch"] for row in history]
    figure, axes = new_figure(1, 2, (7.2, 2.6))
    axes[0, 0].plot(epochs, [row["loss"] for row in history], color=BLUE, marker="o")
    axes[0, 0].set(title="Loss while training", xlabel="epoch", ylabel="cross-entropy (nats)")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 1].plot(epochs, [row["validation_accuracy"] for row in history], color=ORANGE, marker="s")
    axes[0, 1].set(title="Accuracy on new pictures", xlabel="epoch", ylabel="accuracy", ylim=(0, 1.02))
    for one in axes.flat:
        one.xaxis.get_major_locator().set_params(integer=True)
    return figure


def probe_curves(
    levels: Mapping[str, Mapping[str, Sequence[float]]], stages: Sequence[str], chance: Mapping[str, float]
) -> Figure:
    """A Figure with one panel a level: probe accuracy by stage, "trained" beside "untrained", and chance as a line.

    `levels` maps a level to {"trained": accuracies, "untrained": accuracies}, one for each of `stages`.
    """
    figure, axes = new_figure(1, len(levels), (2.0 * len(levels) + 0.6, 3.0), sharey=True)
    positions = np.arange(len(stages))
    for one, (level, curves) in zip(axes[0], levels.items(), strict=True):
        one.plot(positions, curves["trained"], color=BLUE, marker="o", label="trained")
        one.plot(positions, curves["untrained"], color=ORANGE, marker="s", linestyle="--", label="untrained")
        one.axhline(chance[level], color=GREY, linestyle=":", linewidth=1.2, label="chance")
        one.set(title=literal(level), ylim=(0, 1.03))
        one.set_xticks(positions, list(map(literal, stages)), rotation=45, ha="right")
    axes[0, 0].set_ylabel("probe accuracy")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def transfer_bars(results: Mapping[str, Mapping[str, float]], chance: float) -> Figure:
    """A Figure of bars: for each target set (the keys), the accuracy of each way of using the backbone."""
    methods = list(next(iter(results.values())))
    figure, axes = new_figure(1, 1, (6.4, 3.0))
    one = axes[0, 0]
    width = 0.8 / len(methods)
    fills = [(GREY, "//"), ("#D8D8D8", ""), (ORANGE, ".."), (BLUE, ""), (VERMILION, "xx")]
    for k, method in enumerate(methods):
        colour, hatch = fills[k % len(fills)]
        heights = [results[target][method] for target in results]
        places = np.arange(len(results)) + (k - (len(methods) - 1) / 2) * width
        bars = one.bar(
            places, heights, width * 0.92, color=colour, hatch=hatch, edgecolor="white", label=literal(method)
        )
        one.bar_label(bars, fmt="%.2f", fontsize=7.5, padding=1)
    one.axhline(chance, color="black", linestyle=":", linewidth=1, label="chance")
    one.set_xticks(range(len(results)), list(map(literal, results)))
    one.set(ylabel="accuracy on new pictures", ylim=(0, 1.08))
    one.grid(axis="x", visible=False)
    figure.legend(*one.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    return figure
