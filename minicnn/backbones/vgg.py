"""VGG: nothing but 3x3 convolutions and 2x2 pooling. Source: Simonyan and Zisserman 2014, table 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, check_stem, linear_or_identity
from minicnn.nn import init
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.random import next_stream
from minicnn.tensor import Tensor

# A column of the table: the output channels of the convolutions between two poolings.
Blocks = Sequence[Sequence[int]]

SIX = ((32, 32), (64, 64), (128, 128))  # not in the paper
A = ((64,), (128,), (256, 256), (512, 512), (512, 512))


class VGG(Backbone):
    """Blocks of 3x3 convolutions, each ended by 2x2 maximum pooling; then a head of linear layers.

        image --[ conv3x3 - (bn) - relu ]--[ conv3x3 - (bn) - relu ]-- maxpool --[ ... ]-- maxpool -- head
                 \\________________ one block, such as (32, 32) ____________/

        stem        its head
        "imagenet"  mean over 7x7 places - linear 4096 - relu - dropout - linear 4096 - relu - dropout - linear
        "small"     mean over the map - dropout - linear

    Both begin alike: what sets photographs apart is the paper's head, which holds most of its weights and reads a map
    of 7x7 places. `features` and that head number their layers as torchvision does. `width` multiplies every number of
    channels, and the 4096. The levels are the maps before each pooling, and the last one behind it.
    Raises ValueError for an unknown stem.
    Initialisation: normal, variance 2 / fan_out (He et al. 2015); the paper had to train shallow nets first.
    """

    def __init__(
        self,
        blocks: Blocks,
        num_classes: int = 10,
        in_chans: int = 3,
        batch_norm: bool = True,
        width: float = 1.0,
        dropout: float = 0.0,
        stem: str = "small",
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        check_stem(stem)
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
        if stem == "imagenet":
            self._head_features = max(1, round(width * 4096))
            self.avgpool = nn.AdaptiveAvgPool2d(7)
            self.classifier = _three_layers(49 * channels, self._head_features, num_classes, dropout)
        else:
            self._head_features = channels
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.classifier = nn.Sequential(nn.Dropout(dropout), linear_or_identity(channels, num_classes))
        self.classifier_name = f"classifier.{len(self.classifier) - 1}"
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

    @property
    def head_features(self) -> int:
        return self._head_features

    def forward_features(self, x: Tensor) -> Tensor:
        return self.features(x)  # (N, in_chans, H, W) -> (N, C, H / 2**blocks, W / 2**blocks)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.avgpool(x).flatten(1)  # (N, C, H, W) -> (N, C, 7, 7) -> (N, 49*C); small: (N, C, 1, 1) -> (N, C)
        return self.classifier[:-1](x) if pre_logits else self.classifier(x)


def _three_layers(features: int, hidden: int, num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        linear_or_identity(hidden, num_classes),
    )


def vgg6(
    num_classes: int = 10,
    in_chans: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    generator: np.random.Generator | None = None,
) -> VGG:
    """Six convolutions, 32-32-64-64-128-128, for images of about 32x32."""
    return VGG(SIX, num_classes, in_chans, False, width, dropout, generator=generator)


def vgg6_bn(
    num_classes: int = 10,
    in_chans: int = 3,
    width: float = 1.0,
    dropout: float = 0.0,
    generator: np.random.Generator | None = None,
) -> VGG:
    """Six convolutions, 32-32-64-64-128-128, with batch norm, for images of about 32x32."""
    return VGG(SIX, num_classes, in_chans, True, width, dropout, generator=generator)


def vgg11_bn(
    num_classes: int = 1000,
    in_chans: int = 3,
    width: float = 1.0,
    dropout: float = 0.5,
    stem: str = "imagenet",
    generator: np.random.Generator | None = None,
) -> VGG:
    """Eight convolutions with batch norm and three linear layers: 132,868,840 parameters with 1000 classes.

    With the small stem and 10 classes 9,231,114, and 152.8 million multiply-adds for a 32x32 image.
    """
    return VGG(A, num_classes, in_chans, True, width, dropout, stem, generator)
