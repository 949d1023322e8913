"""RMSprop. Sources: Tieleman and Hinton 2012 (lecture 6.5 of their course); Graves 2013, section 4.2 (centred)."""

from __future__ import annotations

import numpy as np

from minicnn.kernels.pointwise import optimizer_steps
from minicnn.optim.flat import NO_ARRAY, direction, flat, in_dtype_of
from minicnn.optim.optimizer import Group, Optimizer, Params, State, buffer_like, need


class RMSprop(Optimizer):
    """Each step: v = alpha * v + (1 - alpha) * g * g;  p = p - lr * g / (sqrt(v) + eps); g includes weight_decay * p.

    `centered` subtracts the square of the gradient's running mean from v; `momentum` keeps a velocity of the
    quotients, as in SGD.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "momentum": momentum, "centered": centered, "maximize": maximize})

    def check_settings(self, group: Group) -> None:
        super().check_settings(group)
        for name in ("alpha", "eps", "momentum"):
            need(group, name, group[name] >= 0, "at least 0")

    def update(self, parameter: np.ndarray, gradient: np.ndarray, state: State, group: Group) -> None:
        square = buffer_like(state, "square_avg", parameter)
        mean = buffer_like(state, "grad_avg", parameter) if group["centered"] else NO_ARRAY
        velocity = buffer_like(state, "momentum_buffer", parameter) if group["momentum"] else NO_ARRAY
        settings = group["lr"], 1 - group["alpha"], group["eps"], group["weight_decay"], group["momentum"]
        with flat(parameter, gradient, square, mean, velocity) as arrays:
            numbers = *in_dtype_of(parameter, *settings), direction(parameter, group)
            optimizer_steps.rmsprop_compiled(*arrays, optimizer_steps.RMSpropSettings(*numbers))
