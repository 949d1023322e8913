"""Stochastic gradient descent, with momentum as Sutskever et al. 2013 describe it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn.kernels.pointwise import optimizer_steps
from minicnn.optim.flat import NOTHING, alike, flat, sign
from minicnn.optim.optimizer import Group, Optimizer, State, buffer_like, need


class SGD(Optimizer):
    """Each step: g = gradient + weight_decay * p;  v = momentum * v + (1 - dampening) * g;  p = p - lr * v.

    The first v is g itself. Nesterov's form steps by g + momentum * v; `maximize` turns the gradient's sign.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "nesterov": nesterov, "maximize": maximize})

    def check_settings(self, group: Group) -> None:
        super().check_settings(group)
        need(group, "momentum", group["momentum"] >= 0, "at least 0")
        plain = group["momentum"] > 0 and group["dampening"] == 0
        need(group, "nesterov", plain or not group["nesterov"], "False unless momentum > 0 and dampening = 0")

    def update(self, parameter: np.ndarray, gradient: np.ndarray, state: State, group: Group) -> None:
        momentum, first = group["momentum"], "momentum_buffer" not in state
        velocity = buffer_like(state, "momentum_buffer", parameter) if momentum else NOTHING
        settings = group["lr"], momentum, 1 - group["dampening"], group["weight_decay"]
        with flat(parameter, gradient, velocity) as arrays:
            optimizer_steps.sgd_compiled(
                *arrays, first, *alike(parameter, *settings), group["nesterov"], sign(parameter, group)
            )
