"""The fully connected layer."""

from __future__ import annotations

import math

import numpy as np

from minicnn import functional as F
from minicnn.functional.arguments import need_count
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.random import next_stream
from minicnn.tensor import Tensor


class Linear(Module):
    """input @ weight.T + bias: (..., in_features) -> (..., out_features). Weight (out_features, in_features)."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, generator: np.random.Generator | None = None
    ):
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            need_count("Linear", name, value)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_features, np.float32)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the parameters again, as torch does."""
        draw_weight_and_bias(self.weight, self.bias, generator)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + ("" if self.bias is not None else ", bias=False")


def draw_weight_and_bias(weight: Parameter, bias: Parameter | None, generator: np.random.Generator | None) -> None:
    """Draw both evenly from +-1 / sqrt(fan_in): torch's default for linear and convolution layers."""
    stream = next_stream("init", generator)
    init.kaiming_uniform_(weight, a=math.sqrt(5), generator=stream)
    if bias is not None:
        bound = 1 / math.sqrt(init.fan_in_and_fan_out(weight)[0])
        init.uniform_(bias, -bound, bound, stream)
