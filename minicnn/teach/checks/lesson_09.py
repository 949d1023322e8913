"""The checks of lesson 9: a residual block forward and backward, and the size of a residual network."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import backbones, nn
from minicnn import functional as F
from minicnn.teach.answers import Answer, agree, call, compare, pair
from minicnn.tensor import Tensor

_OF_Y = "y = relu(x + f(x)): x is added before the last ReLU; inside f is a ReLU of its own, between the two products"


def residual_block(answer: Answer) -> None:
    """09a: result and input gradient of relu(x + f(x)), beside those of the library's own backward."""
    hint = (
        "the sum gives its gradient to both ways: x gets gradient * (y > 0), plus what comes back through f: times the "
        "transpose of second, where hidden is above 0, times the transpose of first"
    )
    generator = np.random.default_rng()
    cases = []
    for rows, channels, hidden in ((1, 2, 3), (4, 3, 2), (5, 3, 3), (6, 7, 9)):
        x, gradient = generator.standard_normal((2, rows, channels))
        first, second = generator.standard_normal((channels, hidden)), generator.standard_normal((hidden, channels))
        cases.append((x, first, second, gradient))
    x, first, second, gradient = (array.copy() for array in cases[-1])
    x[1] = 0  # here every sum is exactly 0, which is not above 0
    cases.append((x, first, second, gradient))
    agree(answer, cases, _block_and_gradient, hint, _block_case, judge=_judge_block)


def _block_and_gradient(
    x: np.ndarray, first: np.ndarray, second: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    source = Tensor(x, requires_grad=True)
    result = F.relu(source + F.relu(source @ Tensor(first)) @ Tensor(second))
    result.backward(gradient)
    return np.asarray(result.data), np.asarray(source.grad)


def _block_case(x: np.ndarray, first: np.ndarray, second: np.ndarray, gradient: np.ndarray) -> str:
    zeros = " with a row of zeros" if (x == 0).any() else ""
    return f"residual_block(x of {x.shape}{zeros}, first of {first.shape}, second of {second.shape}, gradient)"


def _judge_block(yours: Any, expected: tuple[np.ndarray, np.ndarray], what: str, hint: str) -> None:
    y, to_x = pair(yours, what, "y and the gradient of x", hint)
    compare(y, expected[0], f"{what}: y, the first of the two", _OF_Y)
    compare(to_x, expected[1], f"{what}: the gradient of x", hint)


def layers_and_weights(answer: Answer) -> None:
    """09b: counted in networks that the library builds."""
    fresh = np.random.default_rng()
    cases = [(1, 1, 2), (1, 4, 10), (3, 16, 10), (9, 16, 100)]
    cases.append((int(fresh.integers(2, 4)), int(fresh.integers(5, 12)), int(fresh.integers(3, 30))))
    for blocks, width, classes in [*cases, cases[0]]:
        network = backbones.create("resnet8", num_classes=classes, blocks=blocks, width=width, seed=0)
        layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules())
        counted = _weights_by_part(network)
        parts = "; ".join(f"{part} {weights:,}" for part, weights in counted.items())
        hint = (
            "a 3x3 convolution from a to b channels has 9 * a * b weights and its batch norm 2 * b; a stage has 2 * "
            "blocks convolutions, of which in stages 2 and 3 the first comes from half as many channels. "
            f"Part by part: {parts}"
        )
        what = f"layers_and_weights(blocks={blocks}, width={width}, classes={classes})"
        yours = pair(call(answer, blocks, width, classes, hint=hint), what, "layers and weights", hint)
        of_layers = "convolutions and linear layers only: one at either end, and two a block in three stages"
        compare(yours[0], layers, f"{what}: the layers, the first of the two", of_layers, tolerance=0)
        compare(yours[1], sum(counted.values()), f"{what}: the weights", hint, tolerance=0)


def _weights_by_part(network: nn.Module) -> dict[str, int]:
    """How many trainable numbers each part of a residual network has, in the words of the exercise."""
    names = {"conv1": "first convolution", "bn1": "its batch norm", "linear": "linear layer"}
    names |= {f"layer{number}": f"stage {number}" for number in (1, 2, 3)}
    counted = {
        child: sum(parameter.data.size for parameter in module.parameters())
        for child, module in network.named_children()
    }
    return {names[child]: weights for child, weights in counted.items() if weights}


CHECKS = {"09a": residual_block, "09b": layers_and_weights}
