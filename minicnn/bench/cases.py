"""The measured cases: convolutions, other layers and whole networks, each a small record that can go to a process.

Every case makes its arrays from the same stream, so that all libraries get the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.kernels.convolution.algorithm import ALGORITHMS

FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT = "forward", "input gradient", "weight gradient"
BOTH = "forward + backward"
TRAINING, INFERENCE = "training step", "inference"

SLOW = ("reference", "im2col")  # algorithms that are measured on a part of the batch, where that is enough
SLOW_FLOP = 0.1e9


@dataclass(frozen=True)
class Convolution:
    """A square convolution without bias, padded so that stride 1 keeps the size of the image."""

    batch: int
    c_in: int
    c_out: int
    side: int
    kernel: int
    stride: int

    @property
    def padding(self) -> int:
        return self.kernel // 2

    @property
    def out_side(self) -> int:
        return (self.side + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def flop(self) -> float:
        """Operations of the plain algorithm in one of its three products, a multiply-add counted as two."""
        return 2.0 * self.batch * self.out_side**2 * self.c_out * self.c_in * self.kernel**2

    @property
    def algorithms(self) -> list[str]:
        """The algorithms that this shape can be computed with, slowest first; "auto" is none of them."""
        names = [name for name in ALGORITHMS if name != "auto"]
        return [name for name in names if name != "winograd" or (self.kernel == 3 and self.stride == 1)]

    def batch_for(self, algorithm: str) -> int:
        """How many of the images a slow algorithm is measured on; its rate does not depend on it."""
        share = min(1.0, SLOW_FLOP / self.flop) if algorithm in SLOW else 1.0
        return max(min(self.batch, 2), int(self.batch * share))

    def arrays(self, batch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x (N, H, W, C_in), weight (C_out, C_in, K, K) and a gradient (N, OH, OW, C_out), in C order."""
        draw = np.random.default_rng(0)
        x = draw.standard_normal((batch, self.side, self.side, self.c_in), dtype=np.float32)
        weight = draw.standard_normal((self.c_out, self.c_in, self.kernel, self.kernel), dtype=np.float32)
        gradient = draw.standard_normal((batch, self.out_side, self.out_side, self.c_out), dtype=np.float32)
        return x, weight, gradient

    def __str__(self) -> str:
        return f"{self.batch}, {self.c_in}, {self.c_out}, {self.side}, {self.kernel}, {self.stride}"


CONVOLUTIONS = (
    Convolution(64, 1, 16, 28, 5, 1),
    Convolution(64, 3, 64, 32, 3, 1),
    Convolution(64, 16, 16, 32, 3, 1),
    Convolution(64, 32, 32, 16, 3, 1),
    Convolution(64, 64, 64, 32, 3, 1),
    Convolution(64, 64, 64, 8, 3, 1),
    Convolution(64, 64, 128, 16, 3, 2),
    Convolution(64, 128, 128, 16, 3, 1),
    Convolution(64, 256, 256, 8, 3, 1),
    Convolution(64, 512, 512, 4, 3, 1),
    Convolution(64, 64, 256, 16, 1, 1),
    Convolution(4, 3, 64, 224, 7, 2),
    Convolution(4, 64, 64, 56, 3, 1),
)


def is_large(case: Convolution) -> bool:
    """3x3, stride 1, 64 channels or more and at least 14x14 outputs: where fewer multiplications are possible."""
    return _is_wide(case) and case.out_side >= 14


def is_small(case: Convolution) -> bool:
    """The same on maps of 8x8 and 4x4."""
    return _is_wide(case) and case.out_side <= 8


def _is_wide(case: Convolution) -> bool:
    return case.kernel == 3 and case.stride == 1 and min(case.c_in, case.c_out) >= 64


@dataclass(frozen=True)
class Layer:
    """A layer without a weight matrix, on images of `size` (N, C, H, W)."""

    kind: str
    size: tuple[int, int, int, int]

    @property
    def operations(self) -> tuple[str, ...]:
        """The timed operations; batch norm computes something else in a training step than in evaluation."""
        return (FORWARD, BOTH)

    def arrays(self) -> Iterator[np.ndarray]:
        """Images (N, H, W, C), one after the other, in C order."""
        draw, (n, c, h, w) = np.random.default_rng(0), self.size
        while True:
            yield draw.standard_normal((n, h, w, c), dtype=np.float32)

    def __str__(self) -> str:
        return f"{self.kind}, {'x'.join(map(str, self.size))}"


def layers(F: Any) -> dict[str, Callable[..., Any]]:
    """The computation of each kind of layer, given a batch norm layer and its inputs.

    F is the module of functions of minicnn or PyTorch, which have the same names: both compute the same.
    """
    return {
        "maximum 2x2": lambda norm, x: F.max_pool2d(x, 2),
        "maximum 3x3 / 2": lambda norm, x: F.max_pool2d(x, 3, 2, 1),
        "average 2x2": lambda norm, x: F.avg_pool2d(x, 2),
        "global average": lambda norm, x: F.adaptive_avg_pool2d(x, 1),
        "batch norm": lambda norm, x: norm(x),
        "relu": lambda norm, x: F.relu(x),
        "addition": lambda norm, x, y: x + y,
    }


POOLINGS = tuple(
    Layer(kind, size)
    for kind, size in (
        ("maximum 2x2", (128, 32, 32, 32)),
        ("maximum 2x2", (128, 512, 4, 4)),
        ("maximum 3x3 / 2", (8, 64, 112, 112)),
        ("average 2x2", (128, 32, 32, 32)),
        ("global average", (128, 64, 8, 8)),
    )
)

NORMALISATIONS = tuple(
    Layer(kind, size)
    for kind in ("batch norm", "relu", "addition")
    for size in ((128, 16, 32, 32), (64, 64, 32, 32), (128, 512, 4, 4))
)


@dataclass(frozen=True)
class Network:
    """A backbone with 10 classes on a batch of images (C, H, W), in a training step or in inference."""

    name: str
    backbone: str
    batch: int
    image: tuple[int, int, int]
    settings: Mapping[str, Any] = field(default_factory=dict)
    mode: str = TRAINING

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Images (N, C, H, W) in C order, and their labels (N,)."""
        draw = np.random.default_rng(0)
        images = draw.standard_normal((self.batch, *self.image), dtype=np.float32)
        return images, draw.integers(0, 10, self.batch)

    def __str__(self) -> str:
        return f"{self.name}, {self.batch} x {self.image[1]}x{self.image[2]}"


NETWORKS = (
    Network("LeNet-5", "lenet5", 128, (1, 28, 28)),
    Network("ResNet-20", "resnet20", 128, (3, 32, 32)),
    Network("six-conv VGG, batch norm", "vgg6_bn", 128, (3, 32, 32)),
    Network("VGG-11-BN", "vgg11_bn", 128, (3, 32, 32), {"stem": "small", "dropout": 0.0}),
    Network("ResNet-18, 3x3 stem", "resnet18", 64, (3, 32, 32), {"stem": "small"}),
    Network("ResNet-18", "resnet18", 8, (3, 224, 224)),
)

# Whole networks for photographs, in inference only: a training step of them takes seconds.
PHOTOGRAPHS = (
    Network("ResNet-50", "resnet50", 1, (3, 224, 224), mode=INFERENCE),
    Network("ResNet-50", "resnet50", 16, (3, 224, 224), mode=INFERENCE),
    Network("VGG-16", "vgg16", 1, (3, 224, 224), mode=INFERENCE),
    Network("GoogLeNet", "googlenet", 1, (3, 224, 224), mode=INFERENCE),
)
