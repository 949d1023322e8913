"""What residual networks are made of: the basic block, its shortcuts, and a row of blocks.

Source: He, Zhang, Ren and Sun, "Deep residual learning" (2015), section 3.
"""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn import nn
from minicnn.kernels import layout
from minicnn.nn import init
from minicnn.random import next_stream
from minicnn.tensor import Tensor, make_result


class ZeroPadShortcut(nn.Module):
    """Option A: every `stride`-th pixel, and channels of zeros, half of them in front; no parameters.

    (N, C_in, H, W) -> (N, C_out, H / stride, W / stride)
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding, self.dilation = 1, stride, 0, 1

    def forward(self, input: Tensor) -> Tensor:
        return subsample_and_pad_channels(input, self.out_channels, self.stride)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"


def subsample_and_pad_channels(input: Tensor, out_channels: int, stride: int) -> Tensor:
    """Every `stride`-th pixel of `input`, with as many channels of zeros before as behind (one more behind if odd).

    One operation, not an index and a pad, so that the result lies in memory as images do.
    """
    x = input.data
    size, channels, first = x.shape, x.shape[1], (out_channels - x.shape[1]) // 2
    kept = x[:, :, ::stride, ::stride]  # (N, C_in, H, W) -> (N, C_in, OH, OW)
    result = layout.zeros((size[0], out_channels, *kept.shape[2:]), x.dtype)
    result[:, first : first + channels] = kept  # (N, C_in, OH, OW) -> (N, C_out, OH, OW)

    def backward(gradient: np.ndarray):  # keeps nothing
        to_input = layout.zeros(size, gradient.dtype)
        to_input[:, :, ::stride, ::stride] = gradient[:, first : first + channels]
        return (to_input,)

    return make_result(result, (input,), backward, "subsample_and_pad_channels")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and a shortcut past them.

        x --+-- conv3x3 -- bn -- relu -- conv3x3 -- bn --(+)-- relu -->
            |          (stride)                           |
            +----------- shortcut: x itself, or ----------+
                         option A: subsample, zero channels
                         option B: conv1x1 (stride) -- bn

    A shortcut that is not x itself is the child `downsample`. Each ReLU is taken in the pass over memory of what comes
    before it: the first by `bn1`, the second by the sum.
    """

    fusable = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, shortcut: str = "A"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNormAct2d(out_channels)  # with its ReLU
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = _shortcut(in_channels, out_channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn1(self.conv1(x))  # (N, C_in, H, W) -> (N, C_out, H / stride, W / stride)
        x = self.bn2(self.conv2(x))
        return F.add_relu(x, shortcut)


def _shortcut(in_channels: int, out_channels: int, stride: int, option: str) -> nn.Module:
    if option == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def residual_stage(blocks: int, in_channels: int, out_channels: int, stride: int, shortcut: str) -> nn.Sequential:
    """A row of blocks; the first changes the channels and the size."""
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride, shortcut),
        *(BasicBlock(out_channels, out_channels) for _ in range(1, blocks)),
    )


def draw_residual_weights(model: nn.Module, generator: np.random.Generator | None) -> None:
    """Draw all weights anew: convolutions with variance 2 / fan_out, the classifier as Linear does."""
    stream = next_stream("init", generator)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=stream)
        elif isinstance(module, nn.Linear):
            module.reset_parameters(stream)
