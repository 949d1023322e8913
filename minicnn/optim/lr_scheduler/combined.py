"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from minicnn.optim.lr_scheduler.scheduler import LRScheduler
from minicnn.optim.optimizer import Optimizer


class SequentialLR(LRScheduler):
    """One schedule after the other: at each of `milestones` the next begins, at its own step 0 and from the first rate.

    Raises ValueError unless there is one milestone fewer than schedules, rising, and all are of this optimiser.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]):
        if not schedulers or len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(milestones):
            raise ValueError(
                f"{len(schedulers)} schedules need {len(schedulers) - 1} rising milestones, but got {list(milestones)}"
            )
        _need_one_optimizer(optimizer, schedulers)
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        number = bisect_right(self.milestones, step)
        return self.schedulers[number].rate_at(step - self._begin(number), base, group)

    def apply(self, step: int) -> None:
        number = bisect_right(self.milestones, step)
        local = step - self._begin(number)
        if local == 0:
            for position, group in enumerate(self.optimizer.param_groups):
                group["lr"] = self.base_of(group, position)
        self.schedulers[number].apply(local)

    def _begin(self, number: int) -> int:
        return self.milestones[number - 1] if number else 0


class ChainedScheduler(LRScheduler):
    """All schedules at once: each changes the rate that the one before it set.

    Raises ValueError if `schedulers` is empty, or if one of them is of another optimiser.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        if not schedulers:
            raise ValueError("ChainedScheduler needs at least one schedule, but `schedulers` is empty")
        optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        _need_one_optimizer(optimizer, schedulers)
        self.schedulers = list(schedulers)
        self.optimizer, self.last_epoch = optimizer, 0  # the schedules have set their rates for step 0 themselves

    def rate_at(self, step: int, base: float, group: int) -> float:
        for schedule in self.schedulers:
            base = schedule.rate_at(step, base, group)
        return base

    def apply(self, step: int) -> None:
        for schedule in self.schedulers:
            schedule.apply(step)


def _need_one_optimizer(optimizer: Optimizer, schedulers: Sequence[LRScheduler]) -> None:
    for number, schedule in enumerate(schedulers):
        if not isinstance(schedule, LRScheduler):
            raise TypeError(
                f"schedule {number} must be a function of the step, but is {type(schedule).__name__}; step that one "
                "beside this schedule"
            )
        if schedule.optimizer is not optimizer:
            raise ValueError(f"schedule {number} ({type(schedule).__name__}) was made for another optimiser")
