"""Measuring a network on a whole data set: no gradients, evaluation mode, and the previous mode again at the end."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import minicnn.functional as F
from minicnn.data.loader import Batch, ImageBatches
from minicnn.grad_mode import no_grad
from minicnn.nn import Module, evaluation_mode
from minicnn.tensor import Tensor
from minicnn.training.averages import Averages
from minicnn.training.metrics import accuracy
from minicnn.training.run import checked_batch

Metrics = Mapping[str, Callable[[Any, Any], float]]
ACCURACY: Metrics = {"accuracy": accuracy}


def evaluate(
    model: Module,
    loader: ImageBatches | Iterable[Batch],
    loss: Callable[..., Any] | None = F.cross_entropy,
    metrics: Metrics = ACCURACY,
) -> dict[str, float]:
    """{"loss": ..., "accuracy": ...}: the mean over all pictures of `loader`.

    `loss(outputs, *targets)` returns a mean over the batch, or is None; each of `metrics` is called as `metric(outputs,
    targets)` and returns a mean too. A batch counts by its number of pictures: a small last batch has a small weight.
    Raises ValueError if the loader is empty.
    """
    averages = Averages()
    with evaluation_mode(model), no_grad():
        for batch in loader:
            images, *targets = checked_batch(batch)
            outputs = model(Tensor(images))
            if loss is not None:
                averages.add("loss", loss(outputs, *map(Tensor, targets)).item(), len(images))
            for name, metric in metrics.items():
                averages.add(name, metric(outputs, targets[0]), len(images))
    if not averages:
        raise ValueError(
            "there is nothing to evaluate: the loader gave no batch, or neither loss nor metrics are wanted"
        )
    return averages.means()


def predict(model: Module, loader: ImageBatches | Iterable[Batch]) -> tuple[np.ndarray, np.ndarray]:
    """(outputs, targets) of all pictures, in the loader's order: scores (N, K) and labels (N,) for a classifier.

    Raises ValueError if the loader is empty.
    """
    outputs, targets = [], []
    with evaluation_mode(model), no_grad():
        for batch in loader:
            images, target, *_ = checked_batch(batch)
            outputs.append(model(Tensor(images)).data)
            targets.append(np.asarray(target))
    if not outputs:
        raise ValueError("there is nothing to predict: the loader gave no batch")
    return np.concatenate(outputs), np.concatenate(targets)


@dataclass(frozen=True)
class TopLosses:
    """The pictures with the highest losses, worst first; all arrays have one entry a picture."""

    indices: np.ndarray  # places in the loader's order: in the data set, if the loader does not shuffle
    losses: np.ndarray
    predicted: np.ndarray
    targets: np.ndarray


def top_losses(
    model: Module, loader: ImageBatches | Iterable[Batch], k: int = 9, loss: Callable[..., Any] = F.cross_entropy
) -> TopLosses:
    """The k pictures (all, if there are fewer) on which a classifier is most wrong. `loss` must offer reduction="none".

    Raises ValueError if the loader is empty or k is below 1.
    """
    if k < 1:
        raise ValueError(f"k must be 1 or more pictures, but is {k}")
    outputs, targets = predict(model, loader)
    with no_grad():
        losses = loss(Tensor(outputs), Tensor(targets), reduction="none").data
    worst = np.argsort(-losses, kind="stable")[:k]
    return TopLosses(worst, losses[worst], outputs.argmax(axis=1)[worst], targets[worst])
