"""ReduceLROnPlateau: a smaller learning rate when a measure has stopped improving."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minicnn.optim.optimizer import Optimizer

_STATE = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


class ReduceLROnPlateau:
    """Times `factor` after `step(measure)` got no better value for more than `patience` steps.

    "Better" is lower (mode "min") or higher ("max") than the best value so far by more than `threshold`: a share of the
    best value's size (threshold_mode "rel") or a difference ("abs"). After a cut, `cooldown` steps pass before the
    count begins again. No rate falls below `min_lr`, and a cut smaller than `eps` is not made. Groups that are added to
    the optimiser later are cut too. Raises ValueError for settings out of range.

    A measure below 0 differs from torch: there the share of a negative best value has the wrong sign, and an equal
    measure counts as better.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ):
        if not factor < 1:
            raise ValueError(f"factor must be below 1, but is {factor}; the rate would not fall")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(f"mode is 'min' or 'max', threshold_mode 'rel' or 'abs'; got {mode!r}, {threshold_mode!r}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, but is {type(optimizer).__name__}: {optimizer!r}")
        self.min_lr = min_lr
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._lowest()

    def step(self, metrics: float) -> None:
        """Note the measure of one more epoch, and cut the rates if it is time."""
        measure = float(metrics)
        self.last_epoch += 1
        if self._is_better(measure):
            self.best, self.num_bad_epochs = measure, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _is_better(self, measure: float) -> bool:
        if math.isinf(self.best):  # the first measure; a share of infinity is not a number
            return measure < self.best if self.mode == "min" else measure > self.best
        margin = self.threshold * abs(self.best) if self.threshold_mode == "rel" else self.threshold
        return measure < self.best - margin if self.mode == "min" else measure > self.best + margin

    def _lowest(self) -> list[float]:
        """`min_lr` for each group. Raises ValueError if `min_lr` is a list of another length."""
        groups = len(self.optimizer.param_groups)
        lowest = [float(self.min_lr)] * groups if isinstance(self.min_lr, (int, float)) else list(self.min_lr)
        if len(lowest) != groups:
            raise ValueError(
                f"min_lr must be a number or a list of one number for each group, but min_lr has {len(lowest)} values, "
                f"and the optimiser {groups} groups"
            )
        return lowest

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.param_groups, self._lowest(), strict=True):
            reduced = max(group["lr"] * self.factor, lowest)
            if group["lr"] - reduced > self.eps:
                group["lr"] = reduced

    def get_last_lr(self) -> list[float]:
        """The learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The counters, the best measure and the rates, as plain values."""
        return {**{name: getattr(self, name) for name in _STATE}, "lrs": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that state_dict() returned.

        Raises ValueError if the state is of an optimiser with other groups.
        """
        if len(state["lrs"]) != len(self.optimizer.param_groups):
            raise ValueError(
                f"the state is of {len(state['lrs'])} groups, but there are {len(self.optimizer.param_groups)}"
            )
        for name in _STATE:
            setattr(self, name, state[name])
        for group, rate in zip(self.optimizer.param_groups, state["lrs"], strict=True):
            group["lr"] = rate
