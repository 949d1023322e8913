"""Early stopping: end a run after some epochs without an improvement of one of its numbers."""

import math
from typing import Any

import numpy as np

from minicnn.nn import Module


class EarlyStopping:
    """Says when to stop: after `patience` epochs in a row without an improvement by more than `min_delta`.

    monitor       the entry of the epoch's record to watch, such as "validation_loss" or "validation_accuracy"
    mode          "min" if lower is better, "max" if higher is
    restore_best  give the model the weights of its best epoch back when the run ends (they are kept in memory)

    Attributes: `best` and `best_epoch`. Not a number is never an improvement.
    Raises ValueError for another mode, patience below 1 or a negative min_delta.
    """

    def __init__(
        self,
        monitor: str = "validation_loss",
        patience: int = 5,
        mode: str = "min",
        min_delta: float = 0.0,
        restore_best: bool = True,
    ):
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', but is {mode!r}")
        if patience < 1:
            raise ValueError(f"patience must be 1 or more epochs, but is {patience}")
        if min_delta < 0:
            raise ValueError(f"min_delta must be 0 or more, but is {min_delta}")
        self.monitor, self.patience, self.mode, self.min_delta = monitor, patience, mode, min_delta
        self.restore_best = restore_best
        self.best = math.inf if mode == "min" else -math.inf
        self.best_epoch = 0
        self.epochs_without = 0
        self.best_weights: dict[str, np.ndarray] | None = None

    @property
    def should_stop(self) -> bool:
        """True once patience is at its end."""
        return self.epochs_without >= self.patience

    def update(self, record: dict[str, Any], model: Module) -> bool:
        """Look at the record of one epoch; True if the run should end now.

        Raises ValueError if the record has no entry `monitor`.
        """
        if self.monitor not in record:
            raise ValueError(
                f"early stopping watches {self.monitor!r}, but an epoch's record has only {', '.join(record)}"
            )
        value = record[self.monitor]
        gain = self.best - value if self.mode == "min" else value - self.best
        if gain > self.min_delta:
            self.best, self.best_epoch, self.epochs_without = value, record["epoch"], 0
            self.best_weights = model.state_dict() if self.restore_best else None
        else:
            self.epochs_without += 1
        return self.should_stop

    def restore(self, model: Module) -> None:
        """Give the model the weights of its best epoch, if they were kept."""
        if self.best_weights is not None:
            model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """The values that a checkpoint must hold, so that the count continues."""
        names = ("best", "best_epoch", "epochs_without", "best_weights")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        for name, value in state.items():
            setattr(self, name, value)
