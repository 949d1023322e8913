"""Adam and AdamW. Sources: Kingma and Ba 2014, algorithm 1; Loshchilov and Hutter 2017, algorithm 2."""

from __future__ import annotations

import math

import numpy as np

from minicnn.kernels.pointwise import optimizer_steps
from minicnn.optim.flat import NO_ARRAY, direction, flat, in_dtype_of
from minicnn.optim.optimizer import Group, Optimizer, Params, State, buffer_like, need


class Adam(Optimizer):
    """Steps of about `lr` in every element, whatever the scale of the gradient.

        m = b1 * m + (1 - b1) * g            the mean of recent gradients; g includes weight_decay * p
        v = b2 * v + (1 - b2) * g * g        the mean of their squares
        p = p - lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)

    m and v start at 0, and the divisions by 1 - b**t correct for that start. `amsgrad` takes the largest v so far
    instead of v (Reddi et al. 2018).
    """

    decoupled = False  # AdamW: the decay acts on the parameter itself and does not pass through m and v

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "amsgrad": amsgrad, "maximize": maximize})

    def check_settings(self, group: Group) -> None:
        super().check_settings(group)
        need(group, "eps", group["eps"] >= 0, "at least 0")
        betas = group["betas"]
        two = isinstance(betas, (tuple, list)) and len(betas) == 2
        need(group, "betas", two and all(0 <= beta < 1 for beta in betas), "two numbers in [0, 1)")

    def update(self, parameter: np.ndarray, gradient: np.ndarray, state: State, group: Group) -> None:
        lr, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
        mean, square = buffer_like(state, "exp_avg", parameter), buffer_like(state, "exp_avg_sq", parameter)
        largest = buffer_like(state, "max_exp_avg_sq", parameter) if group["amsgrad"] else NO_ARRAY
        count = state["step"] = state.get("step", 0) + 1
        settings = lr / (1 - beta1**count), 1 - beta1, 1 - beta2, math.sqrt(1 - beta2**count), group["eps"]
        decays = (0.0, lr * decay) if self.decoupled else (decay, 0.0)
        with flat(parameter, gradient, mean, square, largest) as arrays:
            numbers = *in_dtype_of(parameter, *settings, *decays), direction(parameter, group)
            optimizer_steps.adam_compiled(*arrays, optimizer_steps.AdamSettings(*numbers))


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter directly: p = (1 - lr * weight_decay) * p before Adam's step."""

    decoupled = True

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
