"""DeZero in the measurements: convolutions and the LeNet step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

vars(np)["int"] = int  # DeZero 0.0.13 asks NumPy for this name, which it dropped in version 1.24

import dezero  # noqa: E402
import dezero.functions as F  # noqa: E402
import dezero.layers as L  # noqa: E402

from minicnn.bench.cases import BOTH, TRAINING, Convolution, Network  # noqa: E402


def start(threads: int) -> None:
    """NumPy's BLAS takes its threads from the environment."""


def variants(case: Any) -> list[str]:
    """Every square convolution, and of the networks LeNet-5 in training."""
    can = isinstance(case, Convolution) or (case.backbone == "lenet5" and case.mode == TRAINING)
    return ["dezero"] if can else []


def prepare(case: Any, variant: str) -> dict[str, Callable[[], Any]]:
    """The runs of a case."""
    return {BOTH: _convolution(case)} if isinstance(case, Convolution) else {TRAINING: _lenet(case)}


def _convolution(case: Convolution) -> Callable[[], None]:
    pixels, weight, gradient = case.arrays(case.batch)
    image, kernel = dezero.Variable(_channels_first(pixels)), dezero.Variable(weight)
    output_gradient = dezero.Variable(_channels_first(gradient))

    def both() -> None:
        image.cleargrad()
        kernel.cleargrad()
        result = F.conv2d(image, kernel, None, case.stride, case.padding)
        result.grad = output_gradient
        result.backward()

    return both


def _channels_first(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))  # (N, H, W, C) -> (N, C, H, W)


class LeNet5(dezero.Model):  # type: ignore[misc]  # dezero has no types
    """Two convolutions and three linear layers, as minicnn's lenet5."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = L.Conv2d(6, 5, pad=2), L.Conv2d(16, 5)
        self.fc1, self.fc2, self.fc3 = L.Linear(120), L.Linear(84), L.Linear(10)

    def forward(self, x: Any) -> Any:
        x = F.pooling(F.relu(self.conv1(x)), 2, 2)
        x = F.pooling(F.relu(self.conv2(x)), 2, 2)
        x = F.reshape(x, (x.shape[0], -1))
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def _lenet(case: Network) -> Callable[[], float]:
    images, labels = case.arrays()
    model = LeNet5()
    optimizer = dezero.optimizers.MomentumSGD(1e-3, 0.9).setup(model)

    def step() -> float:
        loss = F.softmax_cross_entropy(model(images), labels)
        model.cleargrads()
        loss.backward()
        optimizer.update()
        return float(loss.data)

    return step
