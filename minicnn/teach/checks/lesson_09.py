"""The checks of lesson 9: a residual block forward and backward, and the size of a residual network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import backbones, nn
from minicnn import functional as F
from minicnn.random import stream
from minicnn.teach.answers import WrongAnswer, call, compare
from minicnn.tensor import Tensor


def residual_block(answer: Callable) -> None:
    """09a: result and input gradient of relu(x + f(x)), beside those of the library's own backward."""
    hint = (
        "the sum gives its gradient to both ways: x gets gradient * (y > 0), plus what comes back through f: times the "
        "transpose of second, where hidden is above 0, times the transpose of first"
    )
    generator = stream("check 09a", seed=0)
    for rows, channels, hidden in ((1, 2, 3), (4, 3, 2), (5, 3, 3)):
        x, gradient = generator.standard_normal((2, rows, channels))
        first, second = generator.standard_normal((channels, hidden)), generator.standard_normal((hidden, channels))
        source = Tensor(x, requires_grad=True)
        result = F.relu(source + F.relu(source @ Tensor(first)) @ Tensor(second))
        result.backward(gradient)
        yours = call(answer, x, first, second, gradient, hint=hint)
        what = f"residual_block(x of {x.shape}, first of {first.shape}, second of {second.shape}, gradient)"
        y, to_x = _pair(yours, what, "y and the gradient of x", hint)
        compare(y, result.detach(), f"{what}: y", "y = relu(x + f(x)): x is added before the last ReLU")
        compare(to_x, source.grad, f"{what}: the gradient of x", hint)


def layers_and_weights(answer: Callable) -> None:
    """09b: counted in networks that the library builds."""
    hint = (
        "a 3x3 convolution from a to b channels has 9 * a * b weights and its batch norm 2 * b; a stage has 2 * blocks "
        "convolutions, of which in stages 2 and 3 the first comes from half as many channels"
    )
    for blocks, width, classes in ((1, 1, 2), (1, 4, 10), (3, 16, 10)):
        network = backbones.create("resnet8", num_classes=classes, blocks=blocks, width=width, seed=0)
        layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules())
        weights = sum(parameter.data.size for parameter in network.parameters())
        what = f"layers_and_weights(blocks={blocks}, width={width}, classes={classes})"
        yours = _pair(call(answer, blocks, width, classes, hint=hint), what, "layers and weights", hint)
        compare(yours[0], layers, f"{what}: the layers", "one at either end, and two a block in three stages")
        compare(yours[1], weights, f"{what}: the weights", hint, tolerance=0)


def _pair(yours: Any, what: str, names: str, hint: str) -> Any:
    """`yours` after a check that it is a pair, which may be a tuple, a list or an array."""
    if not isinstance(yours, tuple | list | np.ndarray) or len(yours) != 2:
        count = f"{len(yours)} results" if isinstance(yours, tuple | list) else type(yours).__name__
        raise WrongAnswer(f"{what}\n  yours     {count}\n  expected  two: {names}\n  hint: {hint}")
    return yours


CHECKS = {"09a": residual_block, "09b": layers_and_weights}
