"""Residual networks for small images. Source: He, Zhang, Ren and Sun, "Deep residual learning" (2015), section 4.2."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, linear_or_identity
from minicnn.backbones.residual import BasicBlock, PlainBlock, field_after_stage, residual_stage
from minicnn.functional.arguments import need_count
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.tensor import Tensor


class CifarResNet(Backbone):
    """The residual network for 32x32 images: 6 * blocks + 2 layers.

        conv1, bn1, relu    3x3 convolution, width              32x32
        layer1              blocks x BasicBlock, width          32x32
        layer2              blocks x BasicBlock, 2 * width      16x16
        layer3              blocks x BasicBlock, 4 * width        8x8
        linear              of the mean over the map

    Where a block changes the size, its shortcut is option "A" (zero channels: the paper's option for these networks,
    without further parameters) or option "B" (1x1 convolutions). "none" leaves out all shortcuts: the plain network of
    the paper's comparison. Initialisation: normal, variance 2 / fan_out (He et al. 2015, rectifiers).
    Raises ValueError if `blocks` or `width` is below 1, and for another shortcut.
    """

    classifier_name = "linear"
    fusable = (("conv1", "bn1", "relu"),)

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
        block = PlainBlock if shortcut == "none" else BasicBlock
        self.conv1 = nn.Conv2d(in_chans, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = residual_stage(block, blocks, width, width, 1, shortcut)
        self.layer2 = residual_stage(block, blocks, width, 2 * width, 2, shortcut)
        self.layer3 = residual_stage(block, blocks, 2 * width, 4 * width, 2, shortcut)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = linear_or_identity(4 * width, num_classes)

        self.feature_info = _levels(blocks, width)
        self.num_features, self.num_classes = 4 * width, num_classes
        self.input_size = in_chans, 32, 32
        self.reset_parameters(generator)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (N, in_chans, 32, 32) -> (N, width, 32, 32)
        x = self.layer1(x)
        x = self.layer2(x)  # (N, width, 32, 32) -> (N, 2 * width, 16, 16)
        x = self.layer3(x)  # (N, 2 * width, 16, 16) -> (N, 4 * width, 8, 8)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = F.flatten(self.avgpool(x), 1)  # (N, C, 8, 8) -> (N, C, 1, 1) -> (N, C)
        return x if pre_logits else self.linear(x)


def _levels(blocks: int, width: int) -> FeatureInfo:
    field = ReceptiveField().after(3, padding=1)
    levels = [FeatureLevel(width, 1, "relu", field.size)]
    for name, channels, stride in (("layer1", width, 1), ("layer2", 2 * width, 2), ("layer3", 4 * width, 2)):
        field = field_after_stage(field, BasicBlock, blocks, stride)
        levels.append(FeatureLevel(channels, int(field.stride), name, field.size))
    return FeatureInfo(levels)


# The networks by their layers, 6 * blocks + 2. `settings` are those of CifarResNet: width, shortcut, generator.


def resnet8(num_classes: int = 10, in_chans: int = 3, blocks: int = 1, **settings: Any) -> CifarResNet:
    """Eight layers, one block a stage: the smallest of the family, for quick experiments (not in the paper)."""
    return CifarResNet(blocks, num_classes, in_chans, **settings)


def resnet14(num_classes: int = 10, in_chans: int = 3, blocks: int = 2, **settings: Any) -> CifarResNet:
    """14 layers (not in the paper)."""
    return CifarResNet(blocks, num_classes, in_chans, **settings)


def resnet20(num_classes: int = 10, in_chans: int = 3, blocks: int = 3, **settings: Any) -> CifarResNet:
    """20 layers: 269,722 parameters, 40.55 million multiply-adds for a 32x32 colour image."""
    return CifarResNet(blocks, num_classes, in_chans, **settings)


def resnet32(num_classes: int = 10, in_chans: int = 3, blocks: int = 5, **settings: Any) -> CifarResNet:
    """32 layers: 464,154 parameters, 68.86 million multiply-adds."""
    return CifarResNet(blocks, num_classes, in_chans, **settings)


def resnet44(num_classes: int = 10, in_chans: int = 3, blocks: int = 7, **settings: Any) -> CifarResNet:
    """44 layers: 658,586 parameters, 97.17 million multiply-adds."""
    return CifarResNet(blocks, num_classes, in_chans, **settings)


def resnet56(num_classes: int = 10, in_chans: int = 3, blocks: int = 9, **settings: Any) -> CifarResNet:
    """56 layers: 853,018 parameters, 125.49 million multiply-adds."""
    return CifarResNet(blocks, num_classes, in_chans, **settings)


def resnet110(num_classes: int = 10, in_chans: int = 3, blocks: int = 18, **settings: Any) -> CifarResNet:
    """110 layers: 1,727,962 parameters, 252.89 million multiply-adds."""
    return CifarResNet(blocks, num_classes, in_chans, **settings)
