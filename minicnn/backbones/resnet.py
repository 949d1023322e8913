"""Residual networks for photographs. Source: He, Zhang, Ren and Sun, "Deep residual learning" (2015), table 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, check_stem, linear_or_identity
from minicnn.backbones.residual import (
    BasicBlock,
    Block,
    Bottleneck,
    field_after_stage,
    residual_stage,
)
from minicnn.functional.arguments import need_count
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.tensor import Tensor


class ResNet(Backbone):
    """The residual network of four stages; `blocks` holds the number of blocks of each.

        stem            "imagenet"                         "small"
        conv1, bn1      7x7, width, stride 2     112x112     3x3, width     32x32
        maxpool         3x3, stride 2              56x56     none           32x32
        layer1          blocks[0] blocks,     width  56x56                  32x32
        layer2          blocks[1] blocks, 2 * width  28x28                  16x16
        layer3          blocks[2] blocks, 4 * width  14x14                    8x8
        layer4          blocks[3] blocks, 8 * width    7x7                    4x4
        fc              of the mean over the map

    The sizes are for images of 224x224, and of 32x32 with the small stem. `block` is BasicBlock or Bottleneck; a stage
    of bottlenecks returns four times the channels of the table. Names and shapes of the parameters are torchvision's.
    Initialisation: normal, variance 2 / fan_out (He et al. 2015, rectifiers).
    Raises ValueError for an unknown stem, if `blocks` does not hold four numbers, and if one or `width` is below 1.
    """

    classifier_name = "fc"
    fusable = (("conv1", "bn1", "relu"),)

    def __init__(
        self,
        block: Block,
        blocks: Sequence[int],
        num_classes: int = 1000,
        in_chans: int = 3,
        stem: str = "imagenet",
        width: int = 64,
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        check_stem(stem)
        if not isinstance(blocks, Sequence) or len(blocks) != 4:
            raise ValueError(f"blocks must hold the number of blocks of each of four stages, but is {blocks!r}")
        for count in blocks:
            need_count("ResNet", "blocks (of every stage)", count)
        need_count("ResNet", "width (the channels of the first stage)", width)
        large, wide = stem == "imagenet", width * block.expansion
        self.conv1 = nn.Conv2d(
            in_chans, width, 7 if large else 3, stride=2 if large else 1, padding=3 if large else 1, bias=False
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if large else nn.Identity()
        self.layer1 = residual_stage(block, blocks[0], width, width, 1, "B")
        self.layer2 = residual_stage(block, blocks[1], wide, 2 * width, 2, "B")
        self.layer3 = residual_stage(block, blocks[2], 2 * wide, 4 * width, 2, "B")
        self.layer4 = residual_stage(block, blocks[3], 4 * wide, 8 * width, 2, "B")
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = linear_or_identity(8 * wide, num_classes)

        self.feature_info = _levels(block, blocks, width, large)
        self.num_features, self.num_classes = 8 * wide, num_classes
        self.stem, self.input_size = stem, (in_chans, 224, 224) if large else (in_chans, 32, 32)
        self.reset_parameters(generator)

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (N, in_chans, 224, 224) -> (N, width, 112, 112)
        x = self.maxpool(x)  # (N, width, 112, 112) -> (N, width, 56, 56)
        x = self.layer1(x)  # (N, width, 56, 56) -> (N, wide, 56, 56), wide = width * expansion
        x = self.layer2(x)  # (N, wide, 56, 56) -> (N, 2 * wide, 28, 28)
        x = self.layer3(x)  # (N, 2 * wide, 28, 28) -> (N, 4 * wide, 14, 14)
        x = self.layer4(x)  # (N, 4 * wide, 14, 14) -> (N, 8 * wide, 7, 7)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = F.flatten(self.avgpool(x), 1)  # (N, C, 7, 7) -> (N, C, 1, 1) -> (N, C)
        return x if pre_logits else self.fc(x)


def _levels(block: Block, blocks: Sequence[int], width: int, large: bool) -> FeatureInfo:
    """The map after the first convolution, and the last map of every stage."""
    field = ReceptiveField().after(7, 2, 3) if large else ReceptiveField().after(3, padding=1)
    levels = [FeatureLevel(width, int(field.stride), "relu", field.size)]
    if large:
        field = field.after(3, 2, 1)
    for stage, count in enumerate(blocks):
        field = field_after_stage(field, block, count, 2 if stage else 1)
        channels = width * block.expansion * 2**stage
        levels.append(FeatureLevel(channels, int(field.stride), f"layer{stage + 1}", field.size))
    return FeatureInfo(levels)


# The columns of table 1. `settings` are those of ResNet: stem, width, generator.


def resnet18(
    num_classes: int = 1000, in_chans: int = 3, blocks: Sequence[int] = (2, 2, 2, 2), **settings: Any
) -> ResNet:
    """The 18-layer network: 11,689,512 parameters with 1000 classes.

    With the small stem and 10 classes 11,173,962, and 555.4 million multiply-adds for a 32x32 image.
    """
    return ResNet(BasicBlock, blocks, num_classes, in_chans, **settings)


def resnet34(
    num_classes: int = 1000, in_chans: int = 3, blocks: Sequence[int] = (3, 4, 6, 3), **settings: Any
) -> ResNet:
    """The 34-layer network: 21,797,672 parameters with 1000 classes."""
    return ResNet(BasicBlock, blocks, num_classes, in_chans, **settings)


def resnet50(
    num_classes: int = 1000, in_chans: int = 3, blocks: Sequence[int] = (3, 4, 6, 3), **settings: Any
) -> ResNet:
    """The 50-layer network, resnet34 with bottlenecks: 25,557,032 parameters with 1000 classes."""
    return ResNet(Bottleneck, blocks, num_classes, in_chans, **settings)


def resnet101(
    num_classes: int = 1000, in_chans: int = 3, blocks: Sequence[int] = (3, 4, 23, 3), **settings: Any
) -> ResNet:
    """The 101-layer network: 44,549,160 parameters with 1000 classes."""
    return ResNet(Bottleneck, blocks, num_classes, in_chans, **settings)


def resnet152(
    num_classes: int = 1000, in_chans: int = 3, blocks: Sequence[int] = (3, 8, 36, 3), **settings: Any
) -> ResNet:
    """The 152-layer network: 60,192,808 parameters with 1000 classes."""
    return ResNet(Bottleneck, blocks, num_classes, in_chans, **settings)
