"""VGG: nothing but 3x3 convolutions and 2x2 pooling. Source: Simonyan and Zisserman 2014, table 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, linear_or_identity
from minicnn.nn import init
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.random import next_stream
from minicnn.tensor import Tensor

# A row of the table: the output channels of the convolutions between two poolings.
Blocks = Sequence[Sequence[int]]

SIX = ((32, 32), (64, 64), (128, 128))


class VGG(Backbone):
    """Blocks of 3x3 convolutions, each ended by 2x2 maximum pooling; then a linear layer on the mean of the last map.

        image --[ conv3x3 - (bn) - relu ]--[ conv3x3 - (bn) - relu ]-- maxpool --[ ... ]-- maxpool -- mean -- linear
                 \\________________ one block, such as (32, 32) ____________/

    `features` numbers its layers as torchvision does. `width` multiplies every number of channels; `dropout` is that
    before the classifier. The levels are the maps before each pooling, and the last one behind it.
    Initialisation: normal, variance 2 / fan_out (He et al. 2015); the paper had to train shallow nets first.
    """

    classifier_name = "classifier.1"

    def __init__(
        self,
        blocks: Blocks,
        num_classes: int = 10,
        in_chans: int = 3,
        batch_norm: bool = True,
        width: float = 1.0,
        dropout: float = 0.0,
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        levels: list[FeatureLevel] = []
        field, reduction, channels = ReceptiveField(), 1, in_chans
        for block in blocks:
            for out_channels in (max(1, round(width * size)) for size in block):
                layers.append(nn.Conv2d(channels, out_channels, 3, padding=1))
                layers += [nn.BatchNorm2d(out_channels)] if batch_norm else []
                layers.append(nn.ReLU())
                field, channels = field.after(3, padding=1), out_channels
            levels.append(FeatureLevel(channels, reduction, f"features.{len(layers) - 1}", field.size))
            layers.append(nn.MaxPool2d(2))
            field, reduction = field.after(2, 2), reduction * 2
        levels.append(FeatureLevel(channels, reduction, f"features.{len(layers) - 1}", field.size))

        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), linear_or_identity(channels, num_classes))
        self.feature_info = FeatureInfo(levels)
        self.num_features, self.num_classes = channels, num_classes
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw all weights anew."""
        stream = next_stream("init", generator)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=stream)
                init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                init.normal_(module.weight, 0.0, 0.01, stream)
                init.zeros_(module.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        return self.features(x)  # (N, in_chans, H, W) -> (N, C, H / 2**blocks, W / 2**blocks)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.avgpool(x).flatten(1)  # (N, C, H, W) -> (N, C, 1, 1) -> (N, C)
        return x if pre_logits else self.classifier(x)


def vgg6(
    num_classes: int = 10,
    in_chans: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    generator: np.random.Generator | None = None,
) -> VGG:
    """Six convolutions, 32-32-64-64-128-128, for images of about 32x32."""
    return VGG(SIX, num_classes, in_chans, False, width, dropout, generator)


def vgg6_bn(
    num_classes: int = 10,
    in_chans: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    generator: np.random.Generator | None = None,
) -> VGG:
    """Six convolutions, 32-32-64-64-128-128, with batch norm, for images of about 32x32."""
    return VGG(SIX, num_classes, in_chans, True, width, dropout, generator)
