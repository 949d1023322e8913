"""The parts of residual networks: blocks, shortcuts, and a row of blocks.

Source: He, Zhang, Ren and Sun, "Deep residual learning" (2015), section 3.
"""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn import nn
from minicnn.kernels import layout
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.tensor import Tensor, make_result


class ZeroPadShortcut(nn.Module):
    """Option A: every `stride`-th pixel, and channels of zeros, half of them before the input's; no parameters.

    (N, C_in, H, W) -> (N, C_out, H / stride, W / stride)
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        # The window, for the calculation of receptive fields
        self.kernel_size, self.stride, self.padding, self.dilation = 1, stride, 0, 1

    def forward(self, input: Tensor) -> Tensor:
        return subsample_and_pad_channels(input, self.out_channels, self.stride)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, stride={self.stride}"


def subsample_and_pad_channels(input: Tensor, out_channels: int, stride: int) -> Tensor:
    """Every `stride`-th pixel of `input`, with channels of zeros before and after (one more after, if odd).

    This is one operation, not an index and a pad, so that the result has the memory layout of images.
    """
    x = input.data
    size, channels, first = x.shape, x.shape[1], (out_channels - x.shape[1]) // 2
    kept = x[:, :, ::stride, ::stride]  # (N, C_in, H, W) -> (N, C_in, OH, OW)
    result = layout.zeros((size[0], out_channels, *kept.shape[2:]), x.dtype)
    result[:, first : first + channels] = kept  # (N, C_in, OH, OW) -> (N, C_out, OH, OW)

    def backward(gradient: np.ndarray) -> tuple[np.ndarray]:  # keeps nothing
        to_input = layout.zeros(size, gradient.dtype)
        to_input[:, :, ::stride, ::stride] = gradient[:, first : first + channels]
        return (to_input,)

    return make_result(result, (input,), backward, "subsample_and_pad_channels")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and a shortcut past them.

        x --+-- conv3x3 -- bn -- relu -- conv3x3 -- bn --(+)-- relu -->
            |   (stride)                                  |
            +----------- shortcut: x itself, or ----------+
                         option A: subsample, zero channels
                         option B: conv1x1 (stride) -- bn

    A shortcut that is not x itself is the child `downsample`. Each ReLU is computed in the same pass over memory as the
    step before: the first in `bn1`, the second in the sum.
    """

    expansion = 1  # output channels for each of `channels`
    fusable = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: str = "A"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNormAct2d(channels)  # with its ReLU
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn1(self.conv1(x))  # (N, C_in, H, W) -> (N, C, H / stride, W / stride)
        x = self.bn2(self.conv2(x))
        return F.add_relu(x, shortcut)

    @staticmethod
    def field_after(field: ReceptiveField, stride: int) -> ReceptiveField:
        """The receptive field after such a block, whose input has the field `field`."""
        return field.after(3, stride, padding=1).after(3, padding=1)


class PlainBlock(nn.Module):
    """A basic block without its shortcut: the paper's plain network for comparison (section 4.2, figure 3 middle).

        x -- conv3x3 -- bn -- relu -- conv3x3 -- bn -- relu -->
             (stride)

    Parameters have the names and shapes of a BasicBlock of option A.
    """

    expansion = 1
    fusable = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: str = "none"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNormAct2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNormAct2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x))  # (N, C_in, H, W) -> (N, C, H / stride, W / stride)
        x = self.bn2(self.conv2(x))
        return x

    field_after = staticmethod(BasicBlock.field_after)


class Bottleneck(nn.Module):
    """A 3x3 convolution of few channels between two 1x1 convolutions that reduce and restore the channels; a shortcut.

        x --+-- conv1x1 -- bn -- relu -- conv3x3 -- bn -- relu -- conv1x1 -- bn --(+)-- relu -->
            |   C_in -> C               C -> C (stride)          C -> 4 * C        |
            +------------- shortcut: x itself, or option A or B of BasicBlock -----+

    A 3x3 convolution of 256 channels in a basic block has 590 thousand weights; these three convolutions
    (256 -> 64 -> 64 -> 256) have 70 thousand. The 3x3 has the stride, as in torchvision. The paper gives the stride to
    the first 1x1, which then skips three pixels of four. ReLUs are computed as in BasicBlock.
    """

    expansion = 4
    fusable = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))

    def __init__(self, in_channels: int, channels: int, stride: int = 1, shortcut: str = "B"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNormAct2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNormAct2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.downsample = _shortcut(in_channels, 4 * channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.bn1(self.conv1(x))  # (N, C_in, H, W) -> (N, C, H, W)
        x = self.bn2(self.conv2(x))  # (N, C, H, W) -> (N, C, H / stride, W / stride)
        x = self.bn3(self.conv3(x))  # (N, C, H / stride, W / stride) -> (N, 4*C, H / stride, W / stride)
        return F.add_relu(x, shortcut)

    @staticmethod
    def field_after(field: ReceptiveField, stride: int) -> ReceptiveField:
        """The receptive field after such a block, whose input has the field `field`."""
        return field.after(3, stride, padding=1)


Block = type[BasicBlock] | type[PlainBlock] | type[Bottleneck]


def _shortcut(in_channels: int, out_channels: int, stride: int, option: str) -> nn.Module | None:
    """The shortcut past a block's convolutions; None if the shortcut is the input itself."""
    if option not in ("A", "B"):
        raise ValueError(
            f"shortcut must be 'A' (zero channels), 'B' (1x1 convolution) or 'none' (plain), but is {option!r}"
        )
    if stride == 1 and in_channels == out_channels:
        return None
    if option == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def residual_stage(
    block: Block, blocks: int, in_channels: int, channels: int, stride: int, shortcut: str
) -> nn.Sequential:
    """A row of blocks; the first one changes the size, and the channels to `channels` * block.expansion."""
    return nn.Sequential(
        block(in_channels, channels, stride, shortcut),
        *(block(channels * block.expansion, channels, 1, shortcut) for _ in range(1, blocks)),
    )


def field_after_stage(field: ReceptiveField, block: Block, blocks: int, stride: int) -> ReceptiveField:
    """The receptive field after such a row, whose input has the field `field`."""
    for position in range(blocks):
        field = block.field_after(field, stride if position == 0 else 1)
    return field
