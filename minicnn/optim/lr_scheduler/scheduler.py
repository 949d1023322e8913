"""LRScheduler: the part that the schedules share. A schedule is a function of the step, and keeps nothing else.

Something else may change the learning rate between two steps: a second schedule, ReduceLROnPlateau, or the user. As in
PyTorch, the schedules of the first kind then go on from the present rate, and those of the second kind set their own
rate again:

    from the present rate     StepLR, MultiStepLR, LinearLR, CosineAnnealingLR
    their own rate            LambdaLR, OneCycleLR
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minicnn.optim.optimizer import Group, Optimizer


class LRScheduler:
    """Sets every group's learning rate to `rate_at(step, base, group)`, now for step 0 and then at every `step()`.

    `base` is the group's learning rate at the time when its first schedule was made, kept in the group as "initial_lr".
    A schedule may be stepped once an epoch or once a batch: its lengths are in the same unit.
    """

    def __init__(self, optimizer: Optimizer):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be an Optimizer, but is {type(optimizer).__name__}: {optimizer!r}")
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.last_epoch = 0
        self.apply(0)

    @property
    def base_lrs(self) -> list[float]:
        """The first learning rate of every group."""
        return [group["initial_lr"] for group in self.optimizer.param_groups if "initial_lr" in group]

    def rate_at(self, step: int, base: float, group: int) -> float:
        """The learning rate at `step` of group number `group`, whose first rate was `base`."""
        raise NotImplementedError(f"{type(self).__name__} does not define rate_at()")

    def next_rate(self, rate: float, step: int, base: float, group: int) -> float:
        """The learning rate at `step` of a group whose present rate is `rate`."""
        return self.rate_at(step, base, group)

    def base_of(self, group: Group, number: int) -> float:
        """The first learning rate of a group. Raises ValueError if the group is younger than all schedules."""
        if "initial_lr" not in group:
            raise ValueError(
                f"group {number} was added after this {type(self).__name__} was made, which has no first rate for that "
                "group; make the schedule after add_param_group()"
            )
        return float(group["initial_lr"])

    def apply(self, step: int) -> None:
        """Set the learning rates of the optimiser for `step`."""
        for number, group in enumerate(self.optimizer.param_groups):
            group["lr"] = self.next_rate(group["lr"], step, self.base_of(group, number), number)

    def step(self) -> None:
        """Move on by one step."""
        self.last_epoch += 1
        self.apply(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The place of the schedule and the rates, as plain values; a new schedule gets its settings again."""
        return {"last_epoch": self.last_epoch, "base_lrs": self.base_lrs, "lrs": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state that state_dict() returned.

        Raises ValueError if the state is of an optimiser with other groups. A state of an older version lacks "lrs":
        the rates are then those of `rate_at`.
        """
        if len(state["base_lrs"]) != len(self.base_lrs):
            raise ValueError(
                f"the state is of {len(state['base_lrs'])} groups, but the optimiser has {len(self.base_lrs)}; make "
                "the optimiser with the same groups"
            )
        self.last_epoch = int(state["last_epoch"])
        for group, base in zip(self.optimizer.param_groups, state["base_lrs"], strict=True):
            group["initial_lr"] = base
        self.apply(self.last_epoch)  # for the settings beside the rate, such as the momentum of one cycle
        bases = enumerate(state["base_lrs"])
        rates = state.get("lrs") or [self.rate_at(self.last_epoch, base, number) for number, base in bases]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


class RelativeScheduler(LRScheduler):
    """A schedule that goes on from the present rate if something else changed it.

    An undisturbed rate is set to `rate_at`, so that no rounding adds up over the steps. A group that is added to the
    optimiser later takes part from its next step.
    """

    def changed_rate(self, rate: float, step: int, base: float) -> float:
        """The rate at `step` of a group whose rate at step - 1 is `rate`; of the start, at step 0."""
        raise NotImplementedError(f"{type(self).__name__} does not define changed_rate()")

    def next_rate(self, rate: float, step: int, base: float, group: int) -> float:
        if step > 0 and rate == self.rate_at(step - 1, base, group):
            return self.rate_at(step, base, group)
        return self.changed_rate(rate, step, base)


def need_positive(name: str, value: float) -> None:
    """Raise ValueError unless a number of steps is positive."""
    if value <= 0:
        raise ValueError(f"{name} must be positive, but is {value}")
