"""LeNet-5: the network that read cheques. Source: LeCun, Bottou, Bengio and Haffner 1998, section II.B and figure 2."""

from __future__ import annotations

import numpy as np

from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo, FeatureLevel, linear_or_identity
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.tensor import Tensor


class LeNet5(Backbone):
    """LeNet-5 for square images.

        image 32x32 (28x28 is padded to 32x32)
          |  C1  5x5 convolution, 6        28x28
          |  S2  2x2 pooling               14x14
          |  C3  5x5 convolution, 16       10x10
          |  S4  2x2 pooling                 5x5
          |  C5  linear, 120     the paper's 5x5 convolution of a 5x5 map
          |  F6  linear, 84
          v      linear, num_classes

    The activations are ReLU and the pooling is maximum pooling, as usual today. `classic=True` takes the paper's tanh
    and average pooling. Three parts of the paper's network of 1998 are missing in both forms: its trainable pooling,
    its table of partial connections in C3, and its radial-basis output. `image_size` is 28, 32, or any number from 16
    up; C5 is made to fit.
    """

    classifier_name = "fc3"
    fusable = (("conv1", "act1"), ("conv2", "act2"))

    def __init__(
        self,
        num_classes: int = 10,
        in_chans: int = 1,
        image_size: int = 28,
        classic: bool = False,
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        padding = 2 if image_size == 28 else 0
        side = ((image_size + 2 * padding - 4) // 2 - 4) // 2
        if side < 1:
            raise ValueError(
                f"image_size must be at least 16, but is {image_size}: (({image_size} - 4)//2 - 4)//2 = {side} pixels"
            )
        activation, pooling = (nn.Tanh, nn.AvgPool2d) if classic else (nn.ReLU, nn.MaxPool2d)
        self.conv1 = nn.Conv2d(in_chans, 6, 5, padding=padding, generator=generator)
        self.act1 = activation()
        self.pool1 = pooling(2)
        self.conv2 = nn.Conv2d(6, 16, 5, generator=generator)
        self.act2 = activation()
        self.pool2 = pooling(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(16 * side * side, 120, generator=generator)
        self.act3 = activation()
        self.fc2 = nn.Linear(120, 84, generator=generator)
        self.act4 = activation()
        self.fc3 = linear_or_identity(84, num_classes, generator)

        first = ReceptiveField().after(5, padding=padding)
        second = first.after(2, 2).after(5)
        self.feature_info = FeatureInfo(
            [
                FeatureLevel(6, 1, "act1", first.size),
                FeatureLevel(16, 2, "act2", second.size),
                FeatureLevel(16, 4, "pool2", second.after(2, 2).size),
            ]
        )
        self.num_features, self.num_classes, self.image_size = 16, num_classes, image_size
        self.input_size = in_chans, image_size, image_size

    @property
    def head_hidden_size(self) -> int:
        return 84

    def forward_features(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != (self.image_size, self.image_size):
            raise ValueError(
                f"this LeNet-5 was made for {self.image_size}x{self.image_size} images, but got shape {x.shape}; "
                "give image_size when making the network"
            )
        x = self.pool1(self.act1(self.conv1(x)))  # (N, C, 28, 28) -> (N, 6, 14, 14)
        x = self.pool2(self.act2(self.conv2(x)))  # (N, 6, 14, 14) -> (N, 16, 5, 5)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.act3(self.fc1(self.flatten(x)))  # (N, 16, 5, 5) -> (N, 400) -> (N, 120)
        x = self.act4(self.fc2(x))  # (N, 120) -> (N, 84)
        return x if pre_logits else self.fc3(x)


def lenet5(
    num_classes: int = 10,
    in_chans: int = 1,
    image_size: int = 28,
    classic: bool = False,
    generator: np.random.Generator | None = None,
) -> LeNet5:
    """LeNet-5: 61,706 parameters for 28x28 or 32x32 grey images and 10 classes."""
    return LeNet5(num_classes, in_chans, image_size, classic, generator)
