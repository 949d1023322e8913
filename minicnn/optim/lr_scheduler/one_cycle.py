"""One cycle: the rate rises, falls and vanishes, and momentum does the reverse. Source: Smith and Topin 2017."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn.optim.lr_scheduler.scheduler import LRScheduler, need_positive
from minicnn.optim.optimizer import Optimizer


class OneCycleLR(LRScheduler):
    """From max_lr / div_factor up to max_lr and down to max_lr / (div_factor * final_div_factor), one step a batch.

        rate      ^      /\\              momentum   \\      ____
                  |     /  \\                         \\    /
                  |    /    \\___                      \\  /
                  +----------------> steps             \\/

    The rise takes `pct_start` of all steps. A `three_phase` cycle falls back as far as it rose, in as many steps, and
    vanishes after that. `momentum` (of Adam: the first beta) goes from max_momentum to base_momentum and back. `max_lr`
    is a number, or a list with one for each group. The number of steps is `total_steps`, or epochs * steps_per_epoch.
    Raises ValueError for a step beyond the last, settings out of range, and an optimiser without momentum.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ):
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or both epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        need_positive("total_steps", total_steps)
        if not 0 <= pct_start <= 1:
            raise ValueError(f"pct_start must be in [0, 1], but is {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', but is {anneal_strategy!r}")
        groups = optimizer.param_groups
        self.max_lrs = [max_lr] * len(groups) if isinstance(max_lr, (int, float)) else list(max_lr)
        if len(self.max_lrs) != len(groups):
            raise ValueError(f"max_lr has {len(self.max_lrs)} values, but the optimiser {len(groups)} groups")
        if cycle_momentum and not all({"momentum", "betas"} & set(group) for group in groups):
            raise ValueError("cycle_momentum=True needs an optimiser with momentum or betas; set cycle_momentum=False")
        self.total_steps, self.anneal_strategy, self.cycle_momentum = total_steps, anneal_strategy, cycle_momentum
        self.momenta = base_momentum, max_momentum
        self.div_factor, self.final_div_factor = div_factor, final_div_factor
        # The last step of each phase. A phase may end between two steps, as in torch.
        rise = float(pct_start * total_steps) - 1
        fall = float(2 * pct_start * total_steps) - 2
        self.ends = [rise, fall, total_steps - 1] if three_phase else [rise, total_steps - 1]
        super().__init__(optimizer)

    def rate_at(self, step: int, base: float, group: int) -> float:
        highest = self.max_lrs[group]
        first = highest / self.div_factor
        last = first / self.final_div_factor
        return self._between([first, highest, last] if len(self.ends) == 2 else [first, highest, first, last], step)

    def apply(self, step: int) -> None:
        if step > self.total_steps:  # the last of total_steps calls after a batch is still allowed, and changes little
            raise ValueError(
                f"OneCycleLR was made for {self.total_steps} steps, but this is step {step}; make it with a larger "
                "total_steps"
            )
        super().apply(step)
        if self.cycle_momentum:
            low, high = self.momenta
            momentum = self._between([high, low, high] if len(self.ends) == 2 else [high, low, high, high], step)
            for group in self.optimizer.param_groups:
                _set_momentum(group, momentum)

    def _between(self, values: list[float], step: int) -> float:
        """The value at `step` on the curve through `values`, which are reached at 0 and at the ends of the phases."""
        begin = 0.0
        for number, end in enumerate(self.ends):
            if step <= end or number == len(self.ends) - 1:
                break
            begin = end
        done = (step - begin) / (end - begin) if end != begin else 1.0
        start, target = values[number], values[number + 1]
        if self.anneal_strategy == "linear":
            return start + (target - start) * done
        return target + (start - target) / 2 * (1 + math.cos(math.pi * done))


def _set_momentum(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
