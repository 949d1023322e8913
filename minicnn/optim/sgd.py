"""Stochastic gradient descent, plain or with momentum in PyTorch's form."""

from __future__ import annotations

import numpy as np

from minicnn.kernels.pointwise import optimizer_steps
from minicnn.optim.flat import NO_ARRAY, direction, flat, in_dtype_of
from minicnn.optim.optimizer import Group, Optimizer, Params, State, buffer_like, need


class SGD(Optimizer):
    """Steps down the gradient, or down a velocity that remembers earlier gradients (`momentum`).

        g = gradient + weight_decay * p
        v = momentum * v + (1 - dampening) * g        the first v is g itself
        p = p - lr * v

    With `nesterov` the step is lr * (g + momentum * v). `maximize` steps up the gradient instead.

    This is PyTorch's momentum. Polyak (1964) and Sutskever et al. (2013) put the learning rate into the velocity:
    v = momentum * v + lr * g, then p = p - v. Both forms take the same steps while `lr` is constant. If a schedule
    changes `lr`, the change acts here on the whole velocity at once, but there on new gradients only. Nesterov's form
    differs from Sutskever's in the same way.

    Source: torch.optim.SGD; Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
    """

    def __init__(
        self,
        params: Params,
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
        velocity = buffer_like(state, "momentum_buffer", parameter) if momentum else NO_ARRAY
        settings = group["lr"], momentum, 1 - group["dampening"], group["weight_decay"]
        with flat(parameter, gradient, velocity) as arrays:
            optimizer_steps.sgd_compiled(
                *arrays, first, *in_dtype_of(parameter, *settings), group["nesterov"], direction(parameter, group)
            )
