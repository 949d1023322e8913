"""The checks of lesson 2: the gradient of a kernel's weights, and one step with momentum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn import functional as F
from minicnn import optim
from minicnn.random import stream
from minicnn.teach.answers import call, compare, need
from minicnn.tensor import Tensor


def weight_gradient(answer: Callable) -> None:
    """02a: the gradient is the picture convolved with the slopes; sizes that are not square show exchanged axes."""
    hint = "weight [a, b] met picture[i + a, j + b] at place [i, j]: add up slopes[i, j] times that pixel over all i, j"
    generator = stream("check 02a", seed=0)
    sizes = [((3, 4), (2, 2)), ((4, 6), (2, 4)), ((6, 5), (4, 4)), ((5, 4), (5, 4))]
    for picture_size, slopes_size in sizes:
        picture = generator.integers(0, 10, picture_size).astype(np.float64)
        slopes = generator.integers(-3, 4, slopes_size).astype(np.float64)
        expected = F.conv2d(picture[None, None], slopes[None, None]).numpy()[0, 0]
        yours = call(answer, picture, slopes, hint=hint)
        what = f"weight_gradient(picture of {picture_size}, slopes of {slopes_size})"
        compare(yours, expected, what, hint)


def momentum_step(answer: Callable) -> None:
    """02b: three steps beside optim.SGD, with another learning rate at each, so that none can hide in the velocity."""
    hint = "first velocity = momentum * velocity + gradient, then weight - lr * velocity with the new one"
    generator = stream("check 02b", seed=0)
    parameter = Tensor(generator.standard_normal(3), requires_grad=True)
    optimizer = optim.SGD([parameter], lr=1.0, momentum=0.5)
    velocity = np.zeros(3)
    for step, lr in enumerate((0.1, 0.4, 0.2), 1):
        weight, gradient = parameter.data.copy(), generator.standard_normal(3)
        result = call(answer, weight, gradient, velocity, lr, 0.5, hint=hint)
        what = f"momentum_step(...), step {step} with lr={lr} and momentum=0.5"
        two = isinstance(result, (tuple, list)) and len(result) == 2
        shown = f"{type(result).__name__}" + (f" of {len(result)}" if isinstance(result, (tuple, list)) else "")
        need(two, what, shown, "two arrays: the new weight and the new velocity", hint)
        optimizer.param_groups[0]["lr"], parameter.grad = lr, Tensor(gradient)
        optimizer.step()
        velocity = optimizer.state[0]["momentum_buffer"].copy()
        compare(result[0], parameter.data, f"the weight after {what}", hint)
        compare(result[1], velocity, f"the velocity after {what}", hint)


CHECKS = {"02a": weight_gradient, "02b": momentum_step}
