"""Batch-norm statistics, measured again before an evaluation.

Running statistics are a moving average over weights that were still moving. At a high learning rate they are out of
date, and the accuracy of an evaluation swings from epoch to epoch although the network does not. Averaging over a
number of batches with the weights at rest gives the statistics that belong to these weights.
"""

import itertools
from collections.abc import Iterable

from minicnn.data.loader import Batch, ImageBatches
from minicnn.grad_mode import no_grad
from minicnn.nn import Module, evaluation_mode
from minicnn.nn.normalization import BatchNorm2d
from minicnn.tensor import Tensor


def reestimate_batch_norm(model: Module, loader: ImageBatches | Iterable[Batch], batches: int | None = None) -> None:
    """Set the running statistics of each batch norm that is not frozen to the mean over `batches` batches (None: all).

    Everything else stays unchanged: weights, modes, momentum; dropout is off meanwhile. Does nothing to a model without
    batch norm. Raises ValueError if the loader is empty or `batches` is below 1. Source: Izmailov et al. 2018,
    "Averaging weights leads to wider optima and better generalization", section 3.2.
    """
    if batches is not None and batches < 1:
        raise ValueError(f"batches must be 1 or more, but is {batches}")
    layers = [
        module
        for module in model.modules()
        if isinstance(module, BatchNorm2d) and module.track_running_stats and not module.frozen
    ]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    seen = 0
    try:
        with evaluation_mode(model), no_grad():
            for layer in layers:
                layer.reset_running_stats()
                layer.momentum = None  # the mean over all batches since the reset
                layer.training = True
            for images, *_ in itertools.islice(loader, batches):
                model(Tensor(images))
                seen += 1
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    if not seen:
        raise ValueError("there is nothing to measure: the loader gave no batch")
