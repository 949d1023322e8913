"""Residual networks for small images. Source: He, Zhang, Ren and Sun, "Deep residual learning" (2015), section 4.2."""

from __future__ import annotations

import numpy as np

from minicnn import functional as F
from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, linear_or_identity
from minicnn.functional.arguments import need_count
from minicnn.kernels import layout
from minicnn.nn import init
from minicnn.nn.receptive_field import ReceptiveField
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

    A shortcut that is not x itself is the child `downsample`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, shortcut: str = "A"):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = _shortcut(in_channels, out_channels, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))  # (N, C_in, H, W) -> (N, C_out, H / stride, W / stride)
        x = self.bn2(self.conv2(x))
        return self.relu2(x + shortcut)


def _shortcut(in_channels: int, out_channels: int, stride: int, option: str) -> nn.Module:
    if option == "A":
        return ZeroPadShortcut(in_channels, out_channels, stride)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )


class CifarResNet(Backbone):
    """The residual network for 32x32 images: 6 * blocks + 2 layers.

        conv1, bn1, relu    3x3 convolution, width              32x32
        layer1              blocks x BasicBlock, width          32x32
        layer2              blocks x BasicBlock, 2 * width      16x16
        layer3              blocks x BasicBlock, 4 * width        8x8
        linear              of the mean over the map

    Initialisation: normal, variance 2 / fan_out (He et al. 2015, rectifiers). Raises ValueError for blocks or width
    below 1 and for a shortcut other than "A" or "B".
    """

    classifier_name = "linear"

    def __init__(
        self,
        blocks: int,
        num_classes: int = 10,
        in_chans: int = 3,
        width: int = 16,
        shortcut: str = "A",
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        need_count("CifarResNet", "blocks", blocks)
        need_count("CifarResNet", "width (the channels of the first stage)", width)
        if shortcut not in ("A", "B"):
            raise ValueError(f"shortcut must be 'A' (zero channels) or 'B' (1x1 convolution), but is {shortcut!r}")
        self.conv1 = nn.Conv2d(in_chans, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = _stage(blocks, width, width, 1, shortcut)
        self.layer2 = _stage(blocks, width, 2 * width, 2, shortcut)
        self.layer3 = _stage(blocks, 2 * width, 4 * width, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = linear_or_identity(4 * width, num_classes)

        self.feature_info = _levels(blocks, width)
        self.num_features, self.num_classes = 4 * width, num_classes
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw all weights anew."""
        stream = next_stream("init", generator)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=stream)
            elif isinstance(module, nn.Linear):
                module.reset_parameters(stream)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (N, in_chans, 32, 32) -> (N, width, 32, 32)
        x = self.layer1(x)
        x = self.layer2(x)  # (N, width, 32, 32) -> (N, 2 * width, 16, 16)
        return self.layer3(x)  # (N, 2 * width, 16, 16) -> (N, 4 * width, 8, 8)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = F.flatten(self.avgpool(x), 1)  # (N, C, 8, 8) -> (N, C, 1, 1) -> (N, C)
        return x if pre_logits else self.linear(x)


def _stage(blocks: int, in_channels: int, out_channels: int, stride: int, shortcut: str) -> nn.Sequential:
    """A row of blocks; the first changes the channels and the size."""
    return nn.Sequential(
        BasicBlock(in_channels, out_channels, stride, shortcut),
        *(BasicBlock(out_channels, out_channels) for _ in range(1, blocks)),
    )


def _levels(blocks: int, width: int) -> FeatureInfo:
    field = ReceptiveField().after(3, padding=1)
    levels = [FeatureLevel(width, 1, "relu", field.size)]
    for name, channels, stride in (("layer1", width, 1), ("layer2", 2 * width, 2), ("layer3", 4 * width, 2)):
        field = field.after(3, stride, padding=1)
        for _ in range(2 * blocks - 1):
            field = field.after(3, padding=1)
        levels.append(FeatureLevel(channels, int(field.stride), name, field.size))
    return FeatureInfo(levels)


def resnet8(
    num_classes: int = 10,
    in_chans: int = 3,
    width: int = 16,
    shortcut: str = "A",
    generator: np.random.Generator | None = None,
) -> CifarResNet:
    """One block a stage: the smallest of the family, for quick experiments (not in the paper)."""
    return CifarResNet(1, num_classes, in_chans, width, shortcut, generator)


def resnet14(
    num_classes: int = 10,
    in_chans: int = 3,
    width: int = 16,
    shortcut: str = "A",
    generator: np.random.Generator | None = None,
) -> CifarResNet:
    """Two blocks a stage (not in the paper)."""
    return CifarResNet(2, num_classes, in_chans, width, shortcut, generator)


def resnet20(
    num_classes: int = 10,
    in_chans: int = 3,
    width: int = 16,
    shortcut: str = "A",
    generator: np.random.Generator | None = None,
) -> CifarResNet:
    """Three blocks a stage: 269,722 parameters, 40.55 million multiply-adds for a 32x32 colour image."""
    return CifarResNet(3, num_classes, in_chans, width, shortcut, generator)


def resnet32(
    num_classes: int = 10,
    in_chans: int = 3,
    width: int = 16,
    shortcut: str = "A",
    generator: np.random.Generator | None = None,
) -> CifarResNet:
    """Five blocks a stage: 464,154 parameters."""
    return CifarResNet(5, num_classes, in_chans, width, shortcut, generator)
