"""Schedules that follow one curve: steps, a straight line, half a cosine, or any function.

Each curve stands here twice: `rate_at` from the first rate, and `changed_rate` from the rate of the step before. The
second form is torch's recursive form, for rates that something else changed.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from minicnn.optim.lr_scheduler.scheduler import LRScheduler, RelativeScheduler, need_positive
from minicnn.optim.optimizer import Group, Optimizer


class FactorScheduler(RelativeScheduler):
    """A schedule that multiplies the rate at each step by `quotient(step)`, whatever the rate is.

    So a group that was added to the optimiser later is multiplied too.
    """

    def quotient(self, step: int) -> float:
        """The rate at `step` divided by the rate at step - 1; at step 0, by the rate that the group came with."""
        raise NotImplementedError(f"{type(self).__name__} does not define quotient()")

    def changed_rate(self, rate: float, step: int, base: float) -> float:
        return rate * self.quotient(step)

    def base_of(self, group: Group, number: int) -> float:
        group.setdefault("initial_lr", group["lr"])
        return super().base_of(group, number)


class StepLR(FactorScheduler):
    """Times `gamma` after every `step_size` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        need_positive("step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return base * self.gamma ** (step // self.step_size)

    def quotient(self, step: int) -> float:
        return self.gamma if step > 0 and step % self.step_size == 0 else 1.0


class MultiStepLR(FactorScheduler):
    """Times `gamma` at each of `milestones`."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, step)

    def quotient(self, step: int) -> float:
        return self.gamma ** self.milestones.count(step)


class LinearLR(FactorScheduler):
    """From start_factor to end_factor times the rate in a straight line over `total_iters` steps: a warm-up."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
    ):
        need_positive("total_iters", total_iters)
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor must be in (0, 1], but is {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor must be in [0, 1], but is {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return base * self._factor(step)

    def quotient(self, step: int) -> float:
        if step > self.total_iters:
            return 1.0
        return self._factor(step) / self._factor(step - 1) if step > 0 else self.start_factor

    def _factor(self, step: int) -> float:
        done = min(step, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


class CosineAnnealingLR(RelativeScheduler):
    """Down to `eta_min` along half a cosine of `T_max` steps, and up again after that. Loshchilov and Hutter 2016."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        need_positive("T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * self._height(step) / 2

    def changed_rate(self, rate: float, step: int, base: float) -> float:
        if step == 0:
            return rate
        if (step - 1) % (2 * self.T_max) == self.T_max:  # up from the lowest point, whose height has no quotient
            return rate + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
        return self.eta_min + (rate - self.eta_min) * self._height(step) / self._height(step - 1)

    def _height(self, step: int) -> float:
        """2 at the start of the cosine, 0 at its lowest point."""
        return 1 + math.cos(math.pi * step / self.T_max)


class LambdaLR(LRScheduler):
    """`lr_lambda(step)` times the first rate; one function for all groups, or a list with one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]):
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(
                f"lr_lambda must be one function, or one for each group, but has {len(self.lr_lambdas)} functions, "
                f"and the optimiser {groups} groups"
            )
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return base * self.lr_lambdas[group](step)
