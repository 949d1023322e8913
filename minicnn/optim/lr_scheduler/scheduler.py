"""LRScheduler: what the schedules share. A schedule is a function of the step; nothing else is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.optim.optimizer import Optimizer


class LRScheduler:
    """Sets every group's learning rate to `rate_at(step, base, group)`, now for step 0 and then at every `step()`.

    `base` is the group's learning rate when its first schedule was made, kept in the group as "initial_lr". A schedule
    may be stepped once an epoch or once a batch: its lengths are in the same unit. Groups that are added to the
    optimiser later are left alone.
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.last_epoch = 0
        self.apply(0)

    @property
    def base_lrs(self) -> list[float]:
        """The learning rate that every group began with."""
        return [group["initial_lr"] for group in self.optimizer.param_groups if "initial_lr" in group]

    def rate_at(self, step: int, base: float, group: int) -> float:
        """The learning rate at `step` of group number `group`, which began with `base`."""
        raise NotImplementedError(f"{type(self).__name__} does not define rate_at()")

    def apply(self, step: int) -> None:
        """Set the optimiser to what this schedule says for `step`."""
        for number, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=False)):
            group["lr"] = self.rate_at(step, base, number)

    def step(self) -> None:
        """Move on by one step."""
        self.last_epoch += 1
        self.apply(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The place of the schedule, as plain values; its settings are given again when it is made again."""
        return {"last_epoch": self.last_epoch, "base_lrs": self.base_lrs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what state_dict() returned. Raises ValueError if it is of an optimiser with other groups."""
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"the state is of {len(state['base_lrs'])} groups, but the optimiser has {len(self.base_lrs)}"
            )
        self.last_epoch = int(state["last_epoch"])
        for group, base in zip(self.optimizer.param_groups, state["base_lrs"], strict=False):
            group["initial_lr"] = base
        self.apply(self.last_epoch)


def need_positive(name: str, value: float) -> None:
    """Raise ValueError unless a number of steps is positive."""
    if value <= 0:
        raise ValueError(f"{name} must be positive, but is {value}")
