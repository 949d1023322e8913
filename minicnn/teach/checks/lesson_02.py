"""The checks of lesson 2: the gradient of a kernel's weights, and one step with momentum."""

from __future__ import annotations

import numpy as np

from minicnn import optim
from minicnn.random import stream
from minicnn.teach.answers import Answer, agree, call, compare, pair
from minicnn.tensor import Tensor


def weight_gradient(answer: Answer) -> None:
    """02a: the gradient is the picture convolved with the slopes; sizes that are not square show exchanged axes."""
    hint = "weight [a, b] met picture[i + a, j + b] at place [i, j]: add up slopes[i, j] times that pixel over all i, j"
    fixed, fresh = stream("check 02a", seed=0), np.random.default_rng()
    cases = []
    for picture_size, slopes_size in (((3, 4), (2, 2)), ((4, 6), (2, 4)), ((6, 5), (4, 4)), ((5, 4), (5, 4))):
        picture = fixed.integers(0, 10, picture_size).astype(np.float64)
        cases.append((picture, fixed.integers(-3, 4, slopes_size).astype(np.float64)))
    cases += [(fixed.integers(0, 256, (5, 6), np.uint8), fixed.integers(-8, 9, (4, 3)) / 8)]
    cases += [(fresh.standard_normal((7, 9)), fresh.standard_normal((3, 8)))]
    agree(answer, cases, _gradient, hint, _gradient_case)


def _gradient_case(picture: np.ndarray, slopes: np.ndarray) -> str:
    kinds = "" if picture.dtype == slopes.dtype else f", their numbers {picture.dtype} and {slopes.dtype}"
    return f"weight_gradient(picture of {picture.shape}, slopes of {slopes.shape}{kinds})"


def _gradient(picture: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(picture.astype(np.float64), slopes.shape)  # (KH, KW, OH, OW)
    gradient: np.ndarray = np.einsum("abij,ij->ab", windows, slopes.astype(np.float64))
    return gradient


def momentum_step(answer: Answer) -> None:
    """02b: steps beside optim.SGD, with another learning rate at each, so that none can hide in the velocity."""
    hint = "first velocity = momentum * velocity + gradient, then weight - lr * velocity with the new one"
    generator = np.random.default_rng()
    for shape, momentum in (((3,), 0.5), ((2, 3), 0.9), ((2,), 0.0)):
        parameter = Tensor(generator.standard_normal(shape), requires_grad=True)
        optimizer = optim.SGD([parameter], lr=1.0, momentum=momentum)
        velocity, kept = np.zeros(shape), []
        for step, lr in enumerate((0.1, 0.4, 0.2), 1):
            weight, gradient = parameter.data.copy(), generator.standard_normal(shape)
            result = call(answer, weight, gradient, velocity, lr, momentum, hint=hint)
            what = f"momentum_step(...), step {step} with lr={lr} and momentum={momentum}"
            two = pair(result, what, "the new weight and the new velocity, in two arrays", hint)
            optimizer.param_groups[0]["lr"], parameter.grad = lr, Tensor(gradient)
            optimizer.step()
            velocity = optimizer.state[0]["momentum_buffer"].copy() if momentum else gradient
            compare(two[0], parameter.data, f"the weight after {what}", hint)
            compare(two[1], velocity, f"the velocity after {what}", hint)
            kept.append((two, parameter.data.copy(), velocity))
        own = "return new arrays: a step must not change those that earlier steps returned"
        for step, (two, weight, velocity) in enumerate(kept, 1):
            compare(two[0], weight, f"the weight of step {step}, looked at after step {len(kept)}", own)
            compare(two[1], velocity, f"the velocity of step {step}, looked at after step {len(kept)}", own)


CHECKS = {"02a": weight_gradient, "02b": momentum_step}
