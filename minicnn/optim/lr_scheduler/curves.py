"""Schedules that follow one curve: steps, a straight line, half a cosine, or any function."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from minicnn.optim.lr_scheduler.scheduler import LRScheduler, need_positive
from minicnn.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Times `gamma` after every `step_size` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1):
        need_positive("step_size", step_size)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return base * self.gamma ** (step // self.step_size)


class MultiStepLR(LRScheduler):
    """Times `gamma` at each of `milestones`."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1):
        self.milestones, self.gamma = sorted(milestones), gamma
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, step)


class LinearLR(LRScheduler):
    """From start_factor to end_factor times the rate in a straight line over `total_iters` steps: a warm-up."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5
    ):
        need_positive("total_iters", total_iters)
        if not 0 < start_factor <= 1:
            raise ValueError(f"start_factor must lie in (0, 1], but is {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ValueError(f"end_factor must lie in [0, 1], but is {end_factor}")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        done = min(step, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class CosineAnnealingLR(LRScheduler):
    """Down to `eta_min` along half a cosine of `T_max` steps (and up again after it). Loshchilov and Hutter 2016."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0):
        need_positive("T_max", T_max)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * step / self.T_max)) / 2


class LambdaLR(LRScheduler):
    """`lr_lambda(step)` times the rate; one function for all groups, or a list with one for each."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]):
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"lr_lambda has {len(self.lr_lambdas)} functions, but the optimiser {groups} groups")
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        return base * self.lr_lambdas[group](step)
