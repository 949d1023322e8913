"""Dropout layers: active in training, the identity in evaluation."""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class Dropout(Module):
    """Each element 0 with probability `p`, the others scaled by 1 / (1 - p).

    The mask comes from `generator`, or from the stream "dropout".
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: np.random.Generator | None = None):
        super().__init__()
        self.p, self.generator = _probability(type(self).__name__, p), generator

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout2d(Dropout):
    """Each channel of each image 0 with probability `p`, the others scaled by 1 / (1 - p): (N, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, generator=self.generator)


def _probability(name: str, p: float) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be in [0, 1], but is {p}")
    return p
