"""A run of training: everything that changes during the run, and so everything that a checkpoint must hold."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from minicnn.data.loader import Batch, ImageBatches
from minicnn.nn import Module
from minicnn.optim import Optimizer
from minicnn.training.averages import Averages
from minicnn.training.early_stopping import EarlyStopping


@dataclass
class Run:
    """The parts of a run, and its place: `epoch` epochs are finished, and of the next one `batch` batches.

    Callbacks of `fit` get the run after every epoch: `records[-1]` is the record of that epoch.
    """

    model: Module
    optimizer: Optimizer
    loader: ImageBatches
    schedule: Any = None
    ema: Any = None
    early_stopping: EarlyStopping | None = None
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0  # spent on the present epoch before the run was resumed
    learning_rate: float = 0.0  # of the last step
    averages: Averages = field(default_factory=Averages)  # of the present epoch
    records: list[dict[str, Any]] = field(default_factory=list)  # one for each finished epoch

    @property
    def evaluated_model(self) -> Module:
        """The model to measure and to use: the moving average of the weights, where one is kept."""
        average: Module | None = None if self.ema is None else self.ema.module
        return self.model if average is None else average

    def stateful_parts(self) -> dict[str, Any]:
        """The parts with a `state_dict`, by name; those that this run goes without are left out."""
        names = ("optimizer", "schedule", "ema", "early_stopping", "averages")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def remaining_batches(self) -> Iterator[tuple[int, Batch]]:
        """(number, batch) of the present epoch, from the first batch that was not trained on.

        Raises ValueError if the loader gives fewer batches than its length.
        """
        given, expected = self.batch, len(self.loader)
        for number, batch in zip(range(given, expected), epoch_batches(self.loader, self.epoch, given), strict=False):
            yield number, checked_batch(batch)
            given = number + 1
        if given < expected:
            raise ValueError(f"the loader has a length of {expected} batches, but gave only {given} in this epoch")

    def group_size(self, batch: int, accumulate: int) -> int:
        """How many batches make the step to which this one belongs: fewer than `accumulate` at the end of an epoch."""
        first = batch - batch % accumulate
        return min(accumulate, len(self.loader) - first)


def epoch_batches(loader: Any, epoch: int, start: int = 0) -> Iterator[Batch]:
    """The batches of epoch `epoch` from number `start` on. A plain list of batches is the same in every epoch."""
    if hasattr(loader, "set_epoch"):
        loader.set_epoch(epoch)
        batches: Iterator[Batch] = loader.iterate(start_batch=start)
        return batches
    return itertools.islice(iter(loader), start, None)


def checked_batch(batch: Any) -> Batch:
    """The same batch as a tuple. Raises TypeError unless the batch is (images, targets), ValueError if there are no
    pictures."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2 or not all(map(_has_rows, batch[:2])):
        parts = [_shape(part) for part in batch] if isinstance(batch, (tuple, list)) else _shape(batch)
        raise TypeError(
            "a batch must be (images, targets), both with a batch axis, but the loader gave "
            f"{type(batch).__name__} {parts}; DataLoader(TensorDataset(images, labels), batch_size=...) "
            "makes such batches"
        )
    if not len(batch[0]):
        raise ValueError(f"the loader gave a batch without pictures: images have the shape {_shape(batch[0])}")
    return tuple(batch)


def _has_rows(part: Any) -> bool:
    """False for a single number, and for an array without axes."""
    return hasattr(part, "__len__") and getattr(part, "ndim", 1) > 0


def _shape(part: Any) -> Any:
    return getattr(part, "shape", type(part).__name__)


def count_batches(loader: Any) -> int:
    """The number of batches in an epoch. Raises TypeError if the loader does not have a length, ValueError if the
    length is 0."""
    if not hasattr(loader, "__len__"):
        raise TypeError(f"loader must have a length, as a DataLoader or a list of batches has, but is {type(loader)}")
    if not len(loader):
        raise ValueError("the data set is empty: the loader has no batch to train on")
    return len(loader)
