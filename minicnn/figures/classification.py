"""How classifiers did: the confusion matrix, and networks compared by their curves, their accuracies and its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.figures.style import BLUE, GREY, ORANGE, literal, new_figure, new_mosaic, show_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES: tuple[Any, ...] = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": ORANGE, "marker": "s", "linestyle": "--"},
)
_FILLS: tuple[Any, ...] = ({"color": BLUE}, {"color": ORANGE, "hatch": "///", "edgecolor": "white"})


def confusion_figure(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """A Figure of a confusion matrix (K, K), true classes by rows, as from training.confusion_matrix.

    Numbers are percent of the pictures of a true class, and the cells are the darker, the higher they are; those
    that round to 0 are blank. Raises ValueError unless `counts` is (K, K) for the K `classes`.
    """
    figure, axes = new_figure(1, 1, (2.4 + 0.34 * len(classes), 1.0 + 0.34 * len(classes)))
    _confusion(axes[0, 0], counts, classes, "Answers (percent of a true class)")
    return figure


def comparison_figure(
    histories: Mapping[str, Sequence[Sequence[Mapping[str, float]]]],
    accuracies: Mapping[str, Mapping[str, Sequence[float]]],
    pictures: Mapping[str, np.ndarray],
    counts: np.ndarray,
    classes: Sequence[str],
) -> Figure:
    """A Figure that compares two networks: curves of training, bars of test accuracy, one confusion matrix.

    histories: for each network the records of its runs, one a seed, as `fit` returns them with a validation set.
    accuracies: for each form of the pictures, such as "as drawn" and "shuffled", for each network a number a seed.
    pictures: an example (H, W, 3) of each form, 0..1, set below its bars. counts, classes: as for confusion_figure,
    for the first network. Curves and bars are means over seeds; bands and points show the single seeds.
    """
    examples = [f"picture {form}" for form in pictures]
    left = [["bars"] * len(examples)] * 4 + [examples] * 3
    pattern: Any = [[[["loss", "accuracy"]]], [[[left, "confusion"]]]]
    figure, axes = new_mosaic(pattern, (7.2, 6.3), height_ratios=(1, 1.5))
    chance = 1 / len(classes)
    _curves(axes["loss"], histories, "loss", -np.log(chance))
    axes["loss"].set_title("Loss while training", fontsize=10)
    axes["loss"].set_ylabel("cross-entropy (nats)")
    _curves(axes["accuracy"], histories, "validation_accuracy", chance)
    axes["accuracy"].set_title("Accuracy on validation pictures", fontsize=10)
    axes["accuracy"].set(ylabel="share of right answers", ylim=(0, 1.02))
    axes["loss"].legend(fontsize=8, loc="lower left", frameon=False)
    _bars(axes["bars"], accuracies, chance)
    for form, name in zip(pictures, examples, strict=True):
        show_image(axes[name], pictures[form])
    _confusion(axes["confusion"], counts, classes, f"Answers of {next(iter(histories))} (percent)")
    return figure


def _curves(axes: Any, histories: Mapping[str, Sequence[Any]], key: str, chance: float) -> None:
    """Means over runs, a band from the lowest to the highest of them, and the level of chance."""
    for (name, runs), line in zip(histories.items(), _LINES, strict=False):
        epochs = [record["epoch"] for record in runs[0]]
        values = np.array([[record[key] for record in records] for records in runs])  # (S, E)
        axes.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=line["color"], alpha=0.25, linewidth=0)
        axes.plot(epochs, values.mean(axis=0), label=literal(name), **line)
    axes.axhline(chance, color="black", linestyle=":", linewidth=1.2, label="chance")
    axes.set_xlabel("epoch")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _bars(axes: Any, accuracies: Mapping[str, Mapping[str, Sequence[float]]], chance: float) -> None:
    """A group of bars for each form of the pictures; points are the single seeds."""
    networks = list(next(iter(accuracies.values())))
    width = 0.8 / len(networks)
    for k, (network, fill) in enumerate(zip(networks, _FILLS, strict=False)):
        places = np.arange(len(accuracies)) + (k - (len(networks) - 1) / 2) * width
        of_seeds = np.array([accuracies[form][network] for form in accuracies])  # (forms, S)
        axes.bar(places, of_seeds.mean(axis=1), width * 0.9, label=literal(network), **fill)
        axes.plot(
            places, of_seeds, linestyle="none", marker="o", color="white", markeredgecolor="black", markersize=3.5
        )
        for place, values in zip(places, of_seeds, strict=True):
            axes.text(place, values.max() + 0.03, f"{values.mean():.2f}", ha="center", fontsize=8)
    axes.axhline(chance, color="black", linestyle=":", linewidth=1.2)
    axes.set_title("Accuracy on test pictures", fontsize=10)
    axes.set_xticks(range(len(accuracies)), list(map(literal, accuracies)))
    axes.set(ylabel="share of right answers", ylim=(0, 1.02))
    axes.grid(axis="x", visible=False)
    axes.legend(fontsize=8, loc="upper right", frameon=False)


def _confusion(axes: Any, counts: np.ndarray, classes: Sequence[str], title: str) -> None:
    if np.shape(counts) != (len(classes), len(classes)):
        raise ValueError(
            f"counts must be ({len(classes)}, {len(classes)}), a row and a column for each of the {len(classes)} "
            f"classes, but has the shape {np.shape(counts)}"
        )
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (K, K); a class without pictures stays 0
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(share):
        if round(100 * value):
            shade = "white" if value > 0.5 else "black"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=shade, fontsize=7)
    axes.set_xticks(range(len(classes)))
    axes.set_yticks(range(len(classes)), [f"{literal(name)}  {k}" for k, name in enumerate(classes)])
    axes.tick_params(labelsize=7.5, length=0)
    axes.set_title(literal(title), fontsize=10)
    axes.set_xlabel("taken for class")
    axes.annotate("true class", (0, 1), (-4, 4), "axes fraction", "offset points", ha="right", fontsize=9)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, color=GREY)
