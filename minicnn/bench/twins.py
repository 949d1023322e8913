"""minicnn's networks built of torch.nn: same layers, same names of parameters. Imported only where torch is measured.

Each function returns a torch Module that loads what `state_dict()` of the backbone of the same name gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class LeNet5(nn.Module):
    """The modern LeNet-5: ReLU and maximum pooling, for grey images of 28x28."""

    def __init__(self, num_classes: int = 10):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, num_classes)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x.flatten(1))))))


class BasicBlock(nn.Module):
    """The residual block; shortcut "A" is a slice and a pad, "B" a 1x1 convolution."""

    def __init__(self, channels: int, out: int, stride: int, shortcut: str):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.stride, self.extra = stride, (out - channels) // 2
        self.pads = channels != out and shortcut == "A"
        self.downsample = None
        if channels != out and shortcut == "B":
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Any) -> Any:
        shortcut = x
        if self.pads:
            shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra, self.extra))
        elif self.downsample is not None:
            shortcut = self.downsample(x)
        x = torch.relu_(self.bn1(self.conv1(x)))
        return torch.relu_(self.bn2(self.conv2(x)).add_(shortcut))


def _stage(blocks: int, channels: int, out: int, stride: int, shortcut: str) -> nn.Sequential:
    members = [BasicBlock(channels, out, stride, shortcut)]
    return nn.Sequential(*members, *(BasicBlock(out, out, 1, shortcut) for _ in range(1, blocks)))


class CifarResNet(nn.Module):
    """Three stages for small images."""

    def __init__(self, blocks: int, width: int = 16, shortcut: str = "A", num_classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(blocks, width, width, 1, shortcut)
        self.layer2 = _stage(blocks, width, 2 * width, 2, shortcut)
        self.layer3 = _stage(blocks, 2 * width, 4 * width, 2, shortcut)
        self.linear = nn.Linear(4 * width, num_classes)

    def forward(self, x: Any) -> Any:
        x = torch.relu_(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class ResNet(nn.Module):
    """Four stages, with the stem for photographs or for small images."""

    def __init__(self, blocks: Sequence[int], stem: str, width: int = 64, num_classes: int = 10):
        super().__init__()
        self.layer1: Any
        self.layer2: Any
        self.layer3: Any
        self.layer4: Any
        self.large = stem == "imagenet"
        self.conv1 = nn.Conv2d(3, width, *((7, 2, 3) if self.large else (3, 1, 1)), bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for stage, count in enumerate(blocks):
            channels = width * 2 ** max(0, stage - 1)
            layers = _stage(count, channels, width * 2**stage, 2 if stage else 1, "B")
            self.add_module(f"layer{stage + 1}", layers)
        self.fc = nn.Linear(8 * width, num_classes)

    def forward(self, x: Any) -> Any:
        x = torch.relu_(self.bn1(self.conv1(x)))
        if self.large:
            x = F.max_pool2d(x, 3, 2, 1)
        return self.fc(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3)))


class VGG(nn.Module):
    """Blocks of 3x3 convolutions with batch norm, and a linear layer on the mean of the last map."""

    def __init__(self, blocks: Sequence[Sequence[int]], num_classes: int = 10):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block in blocks:
            for out in block:
                layers += [nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(channels, num_classes))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean((2, 3)))


def vgg6_bn() -> VGG:
    return VGG(((32, 32), (64, 64), (128, 128)))


def vgg11_bn(width: float = 1.0) -> VGG:
    blocks = ((64,), (128,), (256, 256), (512, 512), (512, 512))
    return VGG([[round(width * size) for size in block] for block in blocks])
