"""VGG: nothing but 3x3 convolutions and 2x2 pooling. Source: Simonyan and Zisserman 2014, table 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, check_stem, linear_or_identity, scaled
from minicnn.functional.arguments import are_ints
from minicnn.nn import init
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.random import next_stream
from minicnn.tensor import Tensor

# A column of the table: the output channels of the convolutions between two poolings.
Blocks = Sequence[Sequence[int]]

A = ((64,), (128,), (256, 256), (512, 512), (512, 512))
B = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))
D = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
E = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512))
SIX = ((32, 32), (64, 64), (128, 128))  # not in the paper


class VGG(Backbone):
    """Blocks of 3x3 convolutions, each ended by 2x2 maximum pooling; then a head of linear layers.

        image --[ conv3x3 - (bn) - relu ]--[ conv3x3 - (bn) - relu ]-- maxpool --[ ... ]-- maxpool -- head
                 \\________________ one block, such as (64, 64) ____________/

        stem        its head
        "imagenet"  mean over 7x7 places - linear 4096 - relu - dropout - linear 4096 - relu - dropout - linear
        "small"     mean over the map - dropout - linear

    Both stems have the same first layers. They differ in the head: the paper's head holds most of the weights and reads
    a map of 7x7 places. With `head=False` a network for photographs has the small head, as a backbone for other models
    should. `features` and the paper's head number their layers as torchvision does. `width` multiplies every number of
    channels, and the 4096. The levels are the map before each pooling, and the map after the last.
    Raises ValueError for an unknown stem, TypeError if `blocks` is not a sequence of rows of ints.
    Initialisation: normal, variance 2 / fan_out (He et al. 2015); the paper trained shallow networks first.
    """

    def __init__(
        self,
        blocks: Blocks,
        num_classes: int = 1000,
        in_chans: int = 3,
        batch_norm: bool = False,
        width: float = 1.0,
        dropout: float = 0.5,
        stem: str = "imagenet",
        head: bool = True,
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        check_stem(stem)
        _check_blocks(blocks)
        rows = [[scaled(width, size) for size in block] for block in blocks]
        layers: list[nn.Module] = []
        channels = in_chans
        for row in rows:
            for out_channels in row:
                layers.append(nn.Conv2d(channels, out_channels, 3, padding=1))
                if batch_norm:  # with its ReLU, Identity in its place: later layers keep torchvision's numbers
                    layers += [nn.BatchNormAct2d(out_channels), nn.Identity()]
                else:
                    layers.append(nn.ReLU())
                channels = out_channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

        if stem == "imagenet" and head:
            self._head_hidden_size = scaled(width, 4096)
            self.avgpool = nn.AdaptiveAvgPool2d(7)
            self.classifier = _three_layers(49 * channels, self._head_hidden_size, num_classes, dropout)
        else:
            self._head_hidden_size = channels
            self.avgpool = nn.AdaptiveAvgPool2d(1)
            self.classifier = nn.Sequential(nn.Dropout(dropout), linear_or_identity(channels, num_classes))
        self.classifier_name = f"classifier.{len(self.classifier) - 1}"
        self.feature_info = _levels(rows, 3 if batch_norm else 2)
        self.num_features, self.num_classes = channels, num_classes
        self.stem, self.input_size = stem, (in_chans, 224, 224) if stem == "imagenet" else (in_chans, 32, 32)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw all weights again; biases become 0."""
        stream = next_stream("init", generator)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=stream)
                init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                init.normal_(module.weight, 0.0, 0.01, stream)
                init.zeros_(module.bias)

    @property
    def head_hidden_size(self) -> int:
        return self._head_hidden_size

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (N, in_chans, H, W) -> (N, C, H / 2**blocks, W / 2**blocks)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.avgpool(x).flatten(1)  # (N, C, H, W) -> (N, C, 7, 7) -> (N, 49*C); small: (N, C, 1, 1) -> (N, C)
        x = self.classifier[:-1](x) if pre_logits else self.classifier(x)
        return x


def _check_blocks(blocks: Blocks) -> None:
    rows = blocks if isinstance(blocks, Sequence) else ()
    if not rows or not all(isinstance(row, Sequence) and len(row) and are_ints(row) and min(row) >= 1 for row in rows):
        raise TypeError(
            "blocks must be rows of channels, one row for the convolutions before each pooling, such as "
            f"((64,), (128, 128)), but is {blocks!r}"
        )


def _levels(rows: Sequence[Sequence[int]], layers_each: int) -> FeatureInfo:
    """One level before each pooling, and one after the last; `layers_each` counts a convolution with its ReLU."""
    field, reduction, layers, levels = ReceptiveField(), 1, 0, []
    for row in rows:
        for _ in row:
            field, layers = field.after(3, padding=1), layers + layers_each
        levels.append(FeatureLevel(row[-1], reduction, f"features.{layers - 1}", field.size))
        field, layers, reduction = field.after(2, 2), layers + 1, reduction * 2
    levels.append(FeatureLevel(rows[-1][-1], reduction, f"features.{layers - 1}", field.size))
    return FeatureInfo(levels)


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


# Each function below is a column of the table. `settings` are those of VGG: width, dropout, stem, head, generator.


def vgg11(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = A, **settings: Any) -> VGG:
    """Column A, eight convolutions and three linear layers: 132,863,336 parameters with 1000 classes.

    With the small stem and 10 classes 9,225,610, and 152.8 million multiply-adds for a 32x32 image.
    """
    return VGG(blocks, num_classes, in_chans, batch_norm=False, **settings)


def vgg11_bn(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = A, **settings: Any) -> VGG:
    """Column A with batch norm: 132,868,840 parameters with 1000 classes."""
    return VGG(blocks, num_classes, in_chans, batch_norm=True, **settings)


def vgg13(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = B, **settings: Any) -> VGG:
    """Column B, ten convolutions and three linear layers: 133,047,848 parameters with 1000 classes."""
    return VGG(blocks, num_classes, in_chans, batch_norm=False, **settings)


def vgg13_bn(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = B, **settings: Any) -> VGG:
    """Column B with batch norm: 133,053,736 parameters with 1000 classes."""
    return VGG(blocks, num_classes, in_chans, batch_norm=True, **settings)


def vgg16(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = D, **settings: Any) -> VGG:
    """Column D, 13 convolutions and three linear layers: 138,357,544 parameters with 1000 classes.

    15.47 billion multiply-adds for a 224x224 image; with the small stem 313.2 million for a 32x32 image.
    """
    return VGG(blocks, num_classes, in_chans, batch_norm=False, **settings)


def vgg16_bn(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = D, **settings: Any) -> VGG:
    """Column D with batch norm: 138,365,992 parameters with 1000 classes."""
    return VGG(blocks, num_classes, in_chans, batch_norm=True, **settings)


def vgg19(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = E, **settings: Any) -> VGG:
    """Column E, 16 convolutions and three linear layers: 143,667,240 parameters with 1000 classes."""
    return VGG(blocks, num_classes, in_chans, batch_norm=False, **settings)


def vgg19_bn(num_classes: int = 1000, in_chans: int = 3, blocks: Blocks = E, **settings: Any) -> VGG:
    """Column E with batch norm: 143,678,248 parameters with 1000 classes."""
    return VGG(blocks, num_classes, in_chans, batch_norm=True, **settings)


def vgg6(
    num_classes: int = 10,
    in_chans: int = 3,
    blocks: Blocks = SIX,
    stem: str = "small",
    dropout: float = 0.0,
    **settings: Any,
) -> VGG:
    """Six convolutions, 32-32-64-64-128-128, for images of about 32x32 (not in the paper)."""
    return VGG(blocks, num_classes, in_chans, batch_norm=False, stem=stem, dropout=dropout, **settings)


def vgg6_bn(
    num_classes: int = 10,
    in_chans: int = 3,
    blocks: Blocks = SIX,
    stem: str = "small",
    dropout: float = 0.0,
    **settings: Any,
) -> VGG:
    """Six convolutions, 32-32-64-64-128-128, with batch norm, for images of about 32x32 (not in the paper)."""
    return VGG(blocks, num_classes, in_chans, batch_norm=True, stem=stem, dropout=dropout, **settings)
