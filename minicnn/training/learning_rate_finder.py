"""lr_find: a short trial with a growing learning rate, to see at which rates the loss falls and at which it explodes.

Source: Smith 2015, "Cyclical learning rates for training neural networks", section 3.3.
"""

import contextlib
import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import minicnn.functional as F
from minicnn import random
from minicnn.data.loader import Batch, ImageBatches
from minicnn.nn import Module
from minicnn.optim import Optimizer
from minicnn.tensor import Tensor
from minicnn.training.run import checked_batch, count_batches, epoch_batches


@dataclass(frozen=True)
class LearningRateCurve:
    """The result of a trial: the loss at each rate, measured and smoothed, and the rate to try first."""

    rates: np.ndarray  # (steps,)
    losses: np.ndarray  # (steps,)
    smoothed: np.ndarray  # (steps,)
    suggestion: float


def lr_find(
    model: Module,
    loader: ImageBatches,
    optimizer: Optimizer,
    *,
    loss: Callable[..., Any] = F.cross_entropy,
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    smoothing: float = 0.9,
    stop_factor: float = 4.0,
) -> LearningRateCurve:
    """The curve of the loss while the learning rate grows from `start` to `end` by a constant factor each step.

    The trial ends early once the smoothed loss is above `stop_factor` times its least value, or not finite. The
    suggestion is a tenth of the largest rate at which the smoothed loss is within 0.5% of its least value: there it
    still falls, with room before it explodes. Where the optimiser has several groups, their rates keep their
    proportions, and `rates` are those of the largest.

    Afterwards everything has its previous value, bit for bit: weights, buffers, gradients, modes, optimiser, random
    streams, and the epoch of the loader. Raises ValueError if the loader is empty, the rates are not 0 < start < end,
    steps is below 2, or the loss is not finite at the very first step.
    """
    count_batches(loader)
    if not 0 < start < end:
        raise ValueError(f"the rates must be 0 < start < end, but are start={start}, end={end}")
    if steps < 2 or not 0 <= smoothing < 1 or not stop_factor > 1:
        raise ValueError(
            "expected steps >= 2, 0 <= smoothing < 1 and stop_factor > 1, "
            f"but got {steps}, {smoothing} and {stop_factor}"
        )
    rates = np.geomspace(start, end, steps)
    # The loss is meant to explode at last: no warnings of it.
    with _everything_restored(model, loader, optimizer), np.errstate(over="ignore", invalid="ignore"):
        losses = list(_trial(model, loader, optimizer, loss, rates, smoothing, stop_factor))
    if not losses:
        raise ValueError("the loss is not finite at the first step already; check the data and the initial weights")
    raw, smoothed = np.array(losses).T  # (steps, 2) -> 2 of (steps,)
    return LearningRateCurve(rates[: len(raw)], raw, smoothed, _suggestion(rates[: len(raw)], smoothed, smoothing))


def _trial(
    model: Module,
    loader: ImageBatches,
    optimizer: Optimizer,
    loss: Callable[..., Any],
    rates: np.ndarray,
    smoothing: float,
    stop_factor: float,
) -> Iterator[tuple[float, float]]:
    """(loss, smoothed loss) of each step, until the loss explodes."""
    largest = max(group["lr"] for group in optimizer.param_groups) or 1.0
    shares = [group["lr"] / largest or 1.0 for group in optimizer.param_groups]
    average, least = 0.0, np.inf
    model.train()
    for step, (rate, batch) in enumerate(zip(rates, _endless(loader), strict=False)):
        images, *targets = checked_batch(batch)
        random.set_position(0, step)
        for group, share in zip(optimizer.param_groups, shares, strict=True):
            group["lr"] = float(rate) * share
        optimizer.zero_grad()
        value = loss(model(Tensor(images)), *map(Tensor, targets))
        if not np.isfinite(value.item()):
            return
        value.backward()
        optimizer.step()
        average = smoothing * average + (1 - smoothing) * value.item()
        smoothed = average / (1 - smoothing ** (step + 1))  # an average that began at 0 is too low at first
        yield value.item(), smoothed
        least = min(least, smoothed)
        if smoothed > stop_factor * least:
            return


def _endless(loader: ImageBatches) -> Iterator[Batch]:
    """Epoch after epoch."""
    return itertools.chain.from_iterable(epoch_batches(loader, epoch) for epoch in itertools.count())


def _suggestion(rates: np.ndarray, smoothed: np.ndarray, smoothing: float) -> float:
    """A tenth of the largest rate at which the smoothed loss is within 0.5% of its least value.

    The steepest descent, which others suggest, is on real batches often no more than noise among the least rates. The
    first steps, while the average has seen few losses and may be low by chance, don't count for the same reason.
    """
    settled = min(round(1 / (1 - smoothing)), len(smoothed) - 1)
    least = smoothed[settled:].min()
    low = np.flatnonzero(smoothed <= least + 0.005 * abs(least))
    return float(rates[low.max()] / 10)


@contextlib.contextmanager
def _everything_restored(model: Module, loader: Any, optimizer: Optimizer) -> Iterator[None]:
    """Restore, at the end of the block, everything that training changes."""
    tensors = [*model.parameters(), *model.buffers()]
    arrays = [tensor.data.copy(order="K") for tensor in tensors]
    gradients = [tensor.grad for tensor in tensors]
    modes = [(module, module.training) for module in model.modules()]
    optimizer_state = copy.deepcopy(optimizer.state_dict())
    streams, epoch = random.get_state(), getattr(loader, "epoch", None)
    for tensor in tensors:
        tensor.grad = None  # set aside: the trial's own would be added to it
    try:
        yield
    finally:
        for tensor, array, gradient in zip(tensors, arrays, gradients, strict=True):
            tensor.copy_(array)
            tensor.grad = gradient
        for module, training in modes:
            module.training = training
        optimizer.load_state_dict(optimizer_state)
        random.set_state(streams)
        if epoch is not None:
            loader.set_epoch(epoch)
