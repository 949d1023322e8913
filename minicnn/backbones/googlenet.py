"""GoogLeNet: Inception v1. Source: Szegedy et al., "Going deeper with convolutions" (2014), table 1 and figure 3."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from minicnn import functional as F
from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, check_stem, linear_or_identity, scaled
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.tensor import Tensor
from minicnn.weights.information import IMAGENET_MEAN, IMAGENET_STD


class Width(NamedTuple):
    """A row of table 1: the output channels of each convolution of an Inception block."""

    one: int  # 1x1
    three_reduce: int  # 1x1 before the 3x3
    three: int
    five_reduce: int  # 1x1 before the 5x5
    five: int
    pool: int  # 1x1 after the pooling

    @property
    def out(self) -> int:
        """The channels of the block's result."""
        return self.one + self.three + self.five + self.pool


# fmt: off
TABLE = {
    #            1x1   3x3 reduce   3x3   5x5 reduce   5x5   pool     channels in -> out
    "3a": Width(  64,          96,  128,          16,   32,    32),  # 192 -> 256
    "3b": Width( 128,         128,  192,          32,   96,    64),  # 256 -> 480
    "4a": Width( 192,          96,  208,          16,   48,    64),  # 480 -> 512
    "4b": Width( 160,         112,  224,          24,   64,    64),  # 512 -> 512
    "4c": Width( 128,         128,  256,          24,   64,    64),  # 512 -> 512
    "4d": Width( 112,         144,  288,          32,   64,    64),  # 512 -> 528
    "4e": Width( 256,         160,  320,          32,  128,   128),  # 528 -> 832
    "5a": Width( 256,         160,  320,          32,  128,   128),  # 832 -> 832
    "5b": Width( 384,         192,  384,          48,  128,   128),  # 832 -> 1024
}
# fmt: on


class BasicConv2d(nn.Module):
    """A convolution without bias, batch norm (eps 0.001) and ReLU; the name is torchvision's, the arguments Conv2d's.

    The paper's network has no batch norm, which was published a year later; the published weights have batch norm.
    """

    fusable = (("conv", "bn"),)

    def __init__(self, in_channels: int, out_channels: int, **settings: Any):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **settings)
        self.bn = nn.BatchNormAct2d(out_channels, eps=0.001)  # with its ReLU

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return x


class Inception(nn.Module):
    """Four parallel branches, whose results are concatenated along the channels.

              +-- conv1x1 ----------------- branch1 --+
              |                                       |
        x ----+-- conv1x1 -- conv3x3 ------ branch2 --+-- concat --> (N, one + three + five + pool, H, W)
              |                                       |
              +-- conv1x1 -- conv5x5 ------ branch3 --+
              |                                       |
              +-- maxpool3x3 -- conv1x1 --- branch4 --+

    The 1x1 convolution before a larger one reduces the channels, and so the cost. `branch3_kernel=5` is the paper's; in
    torchvision's network, and so in its weights, that kernel is 3x3 by mistake.
    """

    def __init__(self, in_channels: int, width: Width, branch3_kernel: int = 3):
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, width.one, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, width.three_reduce, kernel_size=1),
            BasicConv2d(width.three_reduce, width.three, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, width.five_reduce, kernel_size=1),
            BasicConv2d(width.five_reduce, width.five, kernel_size=branch3_kernel, padding=branch3_kernel // 2),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, width.pool, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        # 4 x (N, ..., H, W) -> (N, one + three + five + pool, H, W)
        return F.concat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryHead(nn.Module):
    """A classifier on a map in the middle, whose loss adds a gradient for the lower layers; for training only.

    map (N, C, 14, 14) -- mean over 4x4 places -- conv1x1 128 -- linear 1024 -- relu -- dropout -- linear

    The paper has 5x5 windows of stride 3, which are 4x4 places on a 14x14 map too.
    """

    def __init__(self, in_channels: int, num_classes: int, channels: int, hidden: int, dropout: float):
        super().__init__()
        self.conv = BasicConv2d(in_channels, channels, kernel_size=1)
        self.fc1 = nn.Linear(16 * channels, hidden)
        self.fc2 = linear_or_identity(hidden, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, 4))  # (N, C, H, W) -> (N, C, 4, 4) -> (N, 128, 4, 4)
        x = F.relu(self.fc1(x.flatten(1)))  # (N, 128, 4, 4) -> (N, 2048) -> (N, 1024)
        x = self.fc2(self.dropout(x))
        return x


class GoogLeNetOutputs(NamedTuple):
    """The result of a GoogLeNet with auxiliary heads in training; names and order are torchvision's."""

    logits: Tensor
    aux_logits2: Tensor
    aux_logits1: Tensor


class GoogLeNet(Backbone):
    """Nine Inception blocks after three convolutions.

        stem         "imagenet"                            "small"
        conv1        7x7, 64, stride 2           112x112     3x3, 64       32x32
        maxpool1     3x3, stride 2                 56x56     none          32x32
        conv2        1x1, 64                       56x56                   32x32
        conv3        3x3, 192                      56x56                   32x32
        maxpool2     3x3, stride 2                 28x28     none          32x32
        inception    3a (256), 3b (480)            28x28                   32x32
        maxpool3     3x3, stride 2                 14x14                   16x16
        inception    4a (512) to 4e (832)          14x14                   16x16   auxiliary heads on 4a and 4d
        maxpool4     2x2, stride 2                   7x7                     8x8
        inception    5a (832), 5b (1024)             7x7                     8x8
        fc           of the mean over the map, after dropout

    Names and shapes are torchvision's, whose published weights need `transform_input=True`. With `aux_logits` a call in
    training returns GoogLeNetOutputs, for `auxiliary_loss`; in evaluation the heads are not used. `width` multiplies
    every number of channels. The paper's local response normalisation is left out, because batch norm replaces it.
    Initialisation: normal, variance 2 / fan_out (He et al. 2015).
    Raises ValueError for an unknown stem, a branch3_kernel other than 3 and 5, and transform_input without 3 channels.
    """

    classifier_name = "fc"

    def __init__(
        self,
        num_classes: int = 1000,
        in_chans: int = 3,
        aux_logits: bool = False,
        branch3_kernel: int = 3,
        transform_input: bool = False,
        stem: str = "imagenet",
        width: float = 1.0,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        check_stem(stem)
        if branch3_kernel not in (3, 5):
            raise ValueError(f"branch3_kernel must be 3 (torchvision's) or 5 (the paper's), but is {branch3_kernel}")
        if transform_input and in_chans != 3:
            raise ValueError(f"transform_input=True is for images of 3 channels, but in_chans={in_chans}")
        rows = {name: Width(*(scaled(width, size) for size in row)) for name, row in TABLE.items()}
        narrow, wide, large = scaled(width, 64), scaled(width, 192), stem == "imagenet"

        def block(name: str, in_channels: int) -> Inception:
            return Inception(in_channels, rows[name], branch3_kernel)

        self.input_transform = _from_imagenet_to_half() if transform_input else nn.Identity()
        if large:
            self.conv1 = BasicConv2d(in_chans, narrow, kernel_size=7, stride=2, padding=3)
        else:
            self.conv1 = BasicConv2d(in_chans, narrow, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True) if large else nn.Identity()
        self.conv2 = BasicConv2d(narrow, narrow, kernel_size=1)
        self.conv3 = BasicConv2d(narrow, wide, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True) if large else nn.Identity()
        self.inception3a = block("3a", wide)
        self.inception3b = block("3b", rows["3a"].out)
        self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.inception4a = block("4a", rows["3b"].out)
        self.inception4b = block("4b", rows["4a"].out)
        self.inception4c = block("4c", rows["4b"].out)
        self.inception4d = block("4d", rows["4c"].out)
        self.inception4e = block("4e", rows["4d"].out)
        self.maxpool4 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.inception5a = block("5a", rows["4e"].out)
        self.inception5b = block("5b", rows["5a"].out)
        self.aux1: AuxiliaryHead | None = None
        self.aux2: AuxiliaryHead | None = None
        if aux_logits:
            sizes = scaled(width, 128), scaled(width, 1024)
            self.aux1 = AuxiliaryHead(rows["4a"].out, num_classes, *sizes, dropout_aux)
            self.aux2 = AuxiliaryHead(rows["4d"].out, num_classes, *sizes, dropout_aux)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = linear_or_identity(rows["5b"].out, num_classes)

        self.feature_info = _levels(rows, narrow, wide, large, branch3_kernel)
        self.num_features, self.num_classes = rows["5b"].out, num_classes
        self.stem, self.input_size = stem, (in_chans, 224, 224) if large else (in_chans, 32, 32)
        self.reset_parameters(generator)

    def forward(self, x: Tensor) -> Any:
        if not self.training or self.aux1 is None or self.aux2 is None or self.out_indices is not None:
            return super().forward(x)
        with self._recording(("inception4a", "inception4d")) as maps:
            logits = super().forward(x)
        return GoogLeNetOutputs(logits, self.aux2(maps["inception4d"]), self.aux1(maps["inception4a"]))

    def forward_features(self, x: Tensor) -> Tensor:
        x = self.input_transform(x)
        x = self.conv1(x)  # (N, in_chans, 224, 224) -> (N, 64, 112, 112)
        x = self.maxpool1(x)  # (N, 64, 112, 112) -> (N, 64, 56, 56)
        x = self.conv2(x)
        x = self.conv3(x)  # (N, 64, 56, 56) -> (N, 192, 56, 56)
        x = self.maxpool2(x)  # (N, 192, 56, 56) -> (N, 192, 28, 28)
        x = self.inception3a(x)  # (N, 192, 28, 28) -> (N, 256, 28, 28)
        x = self.inception3b(x)  # (N, 256, 28, 28) -> (N, 480, 28, 28)
        x = self.maxpool3(x)  # (N, 480, 28, 28) -> (N, 480, 14, 14)
        x = self.inception4a(x)  # (N, 480, 14, 14) -> (N, 512, 14, 14)
        x = self.inception4b(x)
        x = self.inception4c(x)
        x = self.inception4d(x)  # (N, 512, 14, 14) -> (N, 528, 14, 14)
        x = self.inception4e(x)  # (N, 528, 14, 14) -> (N, 832, 14, 14)
        x = self.maxpool4(x)  # (N, 832, 14, 14) -> (N, 832, 7, 7)
        x = self.inception5a(x)
        x = self.inception5b(x)  # (N, 832, 7, 7) -> (N, 1024, 7, 7)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = F.flatten(self.avgpool(x), 1)  # (N, C, 7, 7) -> (N, C, 1, 1) -> (N, C)
        x = self.dropout(x)
        return x if pre_logits else self.fc(x)

    @property
    def classifiers(self) -> list[str]:
        return [self.classifier_name, "aux1.fc2", "aux2.fc2"]

    def reset_classifier(self, num_classes: int, generator: np.random.Generator | None = None) -> None:
        """Replace the last layers by fresh ones, in the auxiliary heads too; by Identity if `num_classes` is 0."""
        super().reset_classifier(num_classes, generator)
        for head in (self.aux1, self.aux2):
            if head is not None:
                head.fc2 = linear_or_identity(head.fc1.out_features, num_classes, generator).train(self.training)


def _from_imagenet_to_half() -> nn.Normalize:
    """A layer from images with torchvision's normalisation to images with mean 0.5 and standard deviation 0.5.

    Another library trained the published weights, with this second normalisation.
    """
    half = [(0.5 - mean) / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)]
    return nn.Normalize(half, [0.5 / std for std in IMAGENET_STD])


def auxiliary_loss(outputs: GoogLeNetOutputs | Tensor, target: Tensor | ArrayLike, weight: float = 0.3) -> Tensor:
    """The cross-entropy of the logits plus `weight` times the cross-entropy of each auxiliary head (section 5).

    For `training.fit(model, ..., loss=auxiliary_loss)`. Without auxiliary logits, as in evaluation, the cross-entropy
    of the logits alone.
    """
    if not isinstance(outputs, GoogLeNetOutputs):
        return F.cross_entropy(outputs, target)
    auxiliary = F.cross_entropy(outputs.aux_logits1, target) + F.cross_entropy(outputs.aux_logits2, target)
    return F.cross_entropy(outputs.logits, target) + weight * auxiliary


def _levels(rows: dict[str, Width], narrow: int, wide: int, large: bool, branch3_kernel: int) -> FeatureInfo:
    """The map before each pooling, and the last map: timm's choice for networks of this kind.

    The small stem has two poolings fewer, so its levels begin with conv3.
    """
    field = ReceptiveField().after(7, 2, 3) if large else ReceptiveField().after(3, padding=1)
    first = FeatureLevel(narrow, int(field.stride), "conv1", field.size)
    field = (field.after(3, 2) if large else field).after(3, padding=1)
    levels = [first] if large else []
    levels.append(FeatureLevel(wide, int(field.stride), "conv3", field.size))
    if large:
        field = field.after(3, 2)
    for stage, names, pooling in ((3, "ab", 3), (4, "abcde", 2), (5, "ab", 0)):
        for _ in names:
            field = field.after(branch3_kernel, padding=branch3_kernel // 2)  # the largest of the branches
        name = f"{stage}{names[-1]}"
        levels.append(FeatureLevel(rows[name].out, int(field.stride), f"inception{name}", field.size))
        field = field.after(pooling, 2) if pooling else field
    return FeatureInfo(levels)


def googlenet(num_classes: int = 1000, in_chans: int = 3, **settings: Any) -> GoogLeNet:
    """GoogLeNet: 6,624,904 parameters with 1000 classes; 13,004,888 with auxiliary heads, as in torchvision's file.

    7,005,832 with branch3_kernel=5. `settings` are those of GoogLeNet.
    """
    return GoogLeNet(num_classes, in_chans, **settings)
