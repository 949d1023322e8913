"""The effects of depth on training: losses by epoch and by depth, gradients by layer, and the loss about the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, literal, new_mosaic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BY_DEPTH: tuple[Any, ...] = (
    {"color": GREEN, "linestyle": ":"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": BLUE, "linestyle": "-"},
)
_BY_KIND: tuple[Any, ...] = (
    {"color": VERMILION, "marker": "s", "linestyle": "--"},
    {"color": BLUE, "marker": "o", "linestyle": "-"},
)
_SEED: Any = {"markersize": 4.5, "markeredgecolor": "black", "markeredgewidth": 0.6}
_HIGHEST = 4.0  # of the greys of the surfaces: what is above is white
_SPACINGS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)  # of lines of equal loss


def depth_figure(
    losses: Mapping[str, Mapping[int, np.ndarray]],
    control: tuple[str, int, np.ndarray],
    gradients: Mapping[str, np.ndarray],
    surfaces: Mapping[str, np.ndarray],
    offsets: np.ndarray,
) -> Figure:
    """A Figure of up to two kinds of network, such as "plain" and "residual", in this order in all mappings.

    losses     for each kind: depth in layers -> training losses (S, epochs) of S seeds; up to three depths
    control    name, depth and training losses (S, epochs) of a third kind
    gradients  for each kind: gradient norms (S, layers) with random weights
    surfaces   for each kind: losses (A, A) at `offsets` (A,) along two directions
    """
    kinds = list(losses)
    pattern = [[f"losses {kind}" for kind in kinds] + ["end"], [f"surface {kind}" for kind in kinds] + ["gradients"]]
    figure, axes = new_mosaic(pattern, (7.8, 5.7))
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.06)
    highest = 1.03 * max(runs.max() for by_depth in losses.values() for runs in by_depth.values())
    for kind in kinds:
        _by_epoch(axes[f"losses {kind}"], losses[kind])
        axes[f"losses {kind}"].set_title(f"{kind.capitalize()}: training loss", fontsize=10)
        axes[f"losses {kind}"].set_ylim(0, highest)
        _surface(axes[f"surface {kind}"], surfaces[kind], offsets, f"{kind.capitalize()}, {max(losses[kind])} layers")
    axes[f"losses {kinds[0]}"].set_ylabel("cross-entropy (nats)")
    axes[f"losses {kinds[0]}"].legend(fontsize=8, loc="lower left", frameon=False)
    axes[f"surface {kinds[0]}"].set_ylabel("steps along another direction")
    _by_depth(axes["end"], losses, control)
    _by_layer(axes["gradients"], gradients)
    return figure


def _by_epoch(axes: Any, losses: Mapping[int, np.ndarray]) -> None:
    """The mean over the seeds as a line, from the lowest to the highest of them as a band."""
    for (depth, runs), style in zip(losses.items(), _BY_DEPTH, strict=False):
        epochs = np.arange(1, runs.shape[1] + 1)
        axes.fill_between(epochs, runs.min(axis=0), runs.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)
        axes.plot(epochs, runs.mean(axis=0), label=f"{depth} layers", **style)
    axes.set_xlabel("epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _by_depth(axes: Any, losses: Mapping[str, Mapping[int, np.ndarray]], control: tuple[str, int, np.ndarray]) -> None:
    """The loss in the last epoch: the mean of each depth on a line, and a small hollow point for every seed."""
    for (kind, by_depth), style in zip(losses.items(), _BY_KIND, strict=False):
        depths = list(by_depth)
        axes.plot(depths, [runs[:, -1].mean() for runs in by_depth.values()], label=kind, **style)
        for depth, runs in by_depth.items():
            axes.plot([depth] * len(runs), runs[:, -1], ".", color="white", zorder=3, **_SEED)
    name, depth, runs = control
    mark: Any = {"marker": "^", "markersize": 7, "markeredgecolor": "black", "linestyle": "none"}
    axes.plot([depth], [runs[:, -1].mean()], color=GREY, label=literal(name), **mark)
    axes.set_title("Loss in the last epoch", fontsize=10)
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])  # room for the legend
    axes.set_xlabel("layers")
    axes.set_xticks(list(next(iter(losses.values()))))
    axes.legend(fontsize=8, loc="upper left", frameon=False)


def _by_layer(axes: Any, gradients: Mapping[str, np.ndarray]) -> None:
    """The geometric mean over the seeds for every layer, and a band from the lowest to the highest of them."""
    for (kind, norms), style in zip(gradients.items(), _BY_KIND, strict=False):
        mean = np.exp(np.log(norms).mean(axis=0))
        layers = np.arange(1, len(mean) + 1)
        axes.fill_between(layers, norms.min(axis=0), norms.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)
        axes.plot(layers, mean, label=kind, markersize=4, markevery=max(1, len(mean) // 6), **style)
    axes.set_yscale("log")
    axes.set_ylim(bottom=10 ** np.floor(np.log10(axes.get_ylim()[0])))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    axes.set_title("Gradients by layer,\nrandom weights", fontsize=10)
    axes.set(xlabel="layer, from the picture on", ylabel="norm of its weights' gradient")
    axes.legend(fontsize=8, loc="upper right", frameon=False)


def _surface(axes: Any, surface: np.ndarray, offsets: np.ndarray, title: str) -> None:
    """Lines of equal loss over grey: the darker, the lower, and the same greys for both kinds."""
    spacing = next(step for step in _SPACINGS if np.ptp(surface) <= 18 * step or step == _SPACINGS[-1])
    levels = np.arange(np.floor(surface.min() / spacing), np.ceil(surface.max() / spacing) + 1) * spacing
    axes.pcolormesh(offsets, offsets, surface.T, shading="gouraud", cmap="gray", vmin=0, vmax=_HIGHEST)
    lines = axes.contour(offsets, offsets, surface.T, levels, colors="black", linewidths=0.6)
    axes.clabel(lines, levels[: 3 * len(levels) // 4 : 3], fontsize=6.5, fmt="%g")  # the highest are cut by the edges
    axes.plot(0, 0, "+", color="white", markersize=8, markeredgewidth=1.5)
    axes.set_title(f"{literal(title)}: slice of the\nloss, lines {spacing:g} apart", fontsize=10)
    axes.set(xlabel="steps along one direction", aspect="equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.grid(False)
