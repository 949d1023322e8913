"""Gradients looked at: the graph with the order of backward, their check by differences, and the price of a wrong
one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.graph import fill_with_graph
from minicnn.figures.style import LINES, literal, new_mosaic
from minicnn.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def autograd_figure(
    loss: Tensor,
    names: Mapping[str, Tensor],
    steps: np.ndarray,
    differences: Mapping[str, np.ndarray],
    losses: Mapping[str, np.ndarray],
    every: int = 1,
) -> Figure:
    """A Figure of the graph of `loss`, its leaves called as in `names`, numbered in the order of backward.

    differences: for up to three kinds of check, how far (S,) backward and central differences with `steps` (S,) are
    apart, as shares of the slope. losses: for up to three networks, the loss (T,) after `every` training steps.
    """
    figure, axes = new_mosaic([["graph", "check"], ["graph", "training"]], (7.4, 5.8), width_ratios=(1.45, 1))
    for (name, shares), style in zip(differences.items(), LINES, strict=False):
        axes["check"].plot(steps, np.maximum(shares, 1e-15), label=literal(name), **style)
    axes["check"].set(xscale="log", yscale="log", xlabel="step h", ylim=(1e-15, 10))
    _titled(axes["check"], "Backward against differences", "share by which they differ")
    for (name, values), style in zip(losses.items(), LINES, strict=False):
        axes["training"].plot(every * np.arange(1, len(values) + 1), values, label=literal(name), **style)
    axes["training"].set(xlabel="training step")
    _titled(axes["training"], "Training with either", "cross-entropy (nats)")
    axes["graph"].set_title("The graph of one loss; numbers: order of backward", fontsize=10)
    fill_with_graph(axes["graph"], loss, names=names, numbered=True)
    return figure


def _titled(axes: Any, title: str, unit: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_ylabel(unit)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
