"""The loss about a network's weights: its values along two random directions.

Source: Li, Xu, Taylor, Studer and Goldstein 2018, "Visualizing the loss landscape of neural nets", section 4.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minicnn.functional as F
from minicnn.grad_mode import no_grad
from minicnn.nn import Module
from minicnn.random import next_stream
from minicnn.tensor import Tensor


def random_direction(model: Module, generator: np.random.Generator | None = None) -> list[np.ndarray]:
    """A random step for every parameter, in their order: each filter's step is as long as the filter itself.

    A filter is the part of a weight that makes one output: weight[o] of a convolution or a linear layer. Without this
    scale, slices of two networks could not be compared: after a ReLU or a batch norm, a network with large weights
    computes the same as one with small weights, but a step of the same length would change its results less. Biases and
    the parameters of normalisation layers stay fixed, as in the source: their step is 0.
    """
    stream = next_stream("direction", generator)
    direction = []
    for parameter in model.parameters():
        weight = parameter.data
        step = np.zeros_like(weight)
        if weight.ndim > 1:
            drawn = stream.standard_normal(weight.shape)  # (C_out, ...)
            within = tuple(range(1, weight.ndim))
            length = np.sqrt(np.square(drawn).sum(within, keepdims=True))  # (C_out, 1, ...)
            step[...] = drawn * np.sqrt(np.square(weight, dtype=np.float64).sum(within, keepdims=True)) / length
        direction.append(step)
    return direction


def loss_surface(
    model: Module,
    images: np.ndarray,
    targets: np.ndarray,
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    offsets: np.ndarray,
    loss: Callable[..., Any] = F.cross_entropy,
) -> np.ndarray:
    """The loss on one batch where the weights are moved by a * first + b * second, for a and b in offsets: (A, A).

    Rows go with a, columns with b; offset 0 is where the model is. The loss is measured in the model's present mode: in
    training mode with the statistics of this batch, which is the loss that an optimiser goes down. Afterwards weights
    and buffers are as they were, bit for bit. Raises ValueError unless each direction has a step for each parameter.
    """
    parameters = list(model.parameters())
    for name, direction in (("first", first), ("second", second)):
        if [step.shape for step in direction] != [parameter.shape for parameter in parameters]:
            raise ValueError(f"{name} must have a step for each parameter, of its shape: random_direction() draws one")
    tensors = [*parameters, *model.buffers()]
    before = [tensor.data.copy(order="K") for tensor in tensors]
    surface = np.empty((len(offsets), len(offsets)))
    try:
        with no_grad(), warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", ".* went by the statistics of this batch"
            )  # in training mode it is meant to
            for row, a in enumerate(offsets):
                for column, b in enumerate(offsets):
                    for parameter, weight, one, other in zip(parameters, before, first, second, strict=False):
                        parameter.copy_(weight + a * one + b * other)
                    surface[row, column] = loss(model(Tensor(images)), Tensor(targets)).item()
    finally:
        for tensor, array in zip(tensors, before, strict=True):
            tensor.copy_(array)
    return surface
