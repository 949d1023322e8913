"""minicnn's networks built of torch.nn: same layers, same names of parameters. Imported only where torch is measured.

Each function returns a torch Module that loads the `state_dict()` of the backbone of the same name.
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


class Bottleneck(nn.Module):
    """The block of three convolutions, 1x1, 3x3 and 1x1; its shortcut, where it needs one, is a 1x1 convolution."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            shortcut = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

    def forward(self, x: Any) -> Any:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu_(self.bn1(self.conv1(x)))
        x = torch.relu_(self.bn2(self.conv2(x)))
        return torch.relu_(self.bn3(self.conv3(x)).add_(shortcut))


def _stage(blocks: int, channels: int, out: int, stride: int, shortcut: str) -> nn.Sequential:
    members = [BasicBlock(channels, out, stride, shortcut)]
    return nn.Sequential(*members, *(BasicBlock(out, out, 1, shortcut) for _ in range(1, blocks)))


def _bottleneck_stage(blocks: int, channels: int, width: int, stride: int) -> nn.Sequential:
    members = [Bottleneck(channels, width, stride)]
    return nn.Sequential(*members, *(Bottleneck(4 * width, width, 1) for _ in range(1, blocks)))


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
    """Four stages of basic blocks or bottlenecks, with the stem for photographs or for small images."""

    def __init__(
        self, blocks: Sequence[int], stem: str, width: int = 64, num_classes: int = 10, bottleneck: bool = False
    ):
        super().__init__()
        self.layer1: Any
        self.layer2: Any
        self.layer3: Any
        self.layer4: Any
        self.large = stem == "imagenet"
        self.conv1 = nn.Conv2d(3, width, *((7, 2, 3) if self.large else (3, 1, 1)), bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        channels = width
        for stage, count in enumerate(blocks):
            out, stride = width * 2**stage, 2 if stage else 1
            if bottleneck:
                layers = _bottleneck_stage(count, channels, out, stride)
            else:
                layers = _stage(count, channels, out, stride, "B")
            self.add_module(f"layer{stage + 1}", layers)
            channels = 4 * out if bottleneck else out
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Any) -> Any:
        x = torch.relu_(self.bn1(self.conv1(x)))
        if self.large:
            x = F.max_pool2d(x, 3, 2, 1)
        return self.fc(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3)))


class VGG(nn.Module):
    """Blocks of 3x3 convolutions and pooling; `hidden` units in each of the paper's linear layers, or the mean's only.

    Without `hidden` the classifier is one linear layer on the mean of the last map.
    """

    def __init__(
        self,
        blocks: Sequence[Sequence[int]],
        num_classes: int = 10,
        batch_norm: bool = True,
        hidden: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for block in blocks:
            for out in block:
                layers.append(nn.Conv2d(channels, out, 3, padding=1))
                layers += [nn.BatchNorm2d(out)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
                channels = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1 if hidden is None else 7)
        if hidden is None:
            self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        else:
            self.classifier = nn.Sequential(
                *(nn.Linear(49 * channels, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)),
                *(nn.Linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)),
                nn.Linear(hidden, num_classes),
            )

    def forward(self, x: Any) -> Any:
        return self.classifier(self.pool(self.features(x)).flatten(1))


def vgg6_bn() -> VGG:
    return VGG(((32, 32), (64, 64), (128, 128)))


VGG_A = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG_D = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg11_bn(width: float = 1.0) -> VGG:
    return VGG(narrowed(VGG_A, width))


def vgg16(width: float = 1.0) -> VGG:
    return VGG(narrowed(VGG_D, width), batch_norm=False, hidden=round(4096 * width))


def narrowed(blocks: Sequence[Sequence[int]], width: float) -> list[list[int]]:
    """`width` times as many channels everywhere."""
    return [[round(width * size) for size in block] for block in blocks]


class BasicConv2d(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1, padding: int = 0):
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Any) -> Any:
        return torch.relu_(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Four branches, stacked."""

    def __init__(self, channels: int, widths: Sequence[int], kernel: int):
        super().__init__()
        one, reduce3, three, reduce5, five, pool = widths
        self.branch1 = BasicConv2d(channels, one, 1)
        self.branch2 = nn.Sequential(BasicConv2d(channels, reduce3, 1), BasicConv2d(reduce3, three, 3, 1, 1))
        self.branch3 = nn.Sequential(
            BasicConv2d(channels, reduce5, 1), BasicConv2d(reduce5, five, kernel, 1, kernel // 2)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), BasicConv2d(channels, pool, 1))

    def forward(self, x: Any) -> Any:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryHead(nn.Module):
    """The classifier half way up."""

    def __init__(self, channels: int, width: float, num_classes: int):
        super().__init__()
        self.conv = BasicConv2d(channels, round(128 * width), 1)
        self.fc1 = nn.Linear(16 * round(128 * width), round(1024 * width))
        self.fc2 = nn.Linear(round(1024 * width), num_classes)

    def forward(self, x: Any) -> Any:
        return self.fc2(torch.relu(self.fc1(self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1))))


class GoogLeNet(nn.Module):
    """Inception v1 for photographs; in training with auxiliary heads it returns (logits, of 4d, of 4a)."""

    WIDTHS = (  # of 3a, 3b, 4a ... 5b: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection
        *((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), (192, 96, 208, 16, 48, 64)),
        *((160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64), (112, 144, 288, 32, 64, 64)),
        *((256, 160, 320, 32, 128, 128), (256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
    )

    def __init__(self, width: float = 1.0, kernel: int = 3, auxiliary: bool = False, num_classes: int = 10):
        super().__init__()
        narrow, channels = round(64 * width), round(192 * width)
        self.conv1 = BasicConv2d(3, narrow, 7, 2, 3)
        self.conv2, self.conv3 = BasicConv2d(narrow, narrow, 1), BasicConv2d(narrow, channels, 3, 1, 1)
        self.blocks = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
        outs = {}
        for name, widths in zip(self.blocks, self.WIDTHS, strict=True):
            row = [round(size * width) for size in widths]
            self.add_module(f"inception{name}", Inception(channels, row, kernel))
            outs[name] = channels = row[0] + row[2] + row[4] + row[5]
        self.aux1 = AuxiliaryHead(outs["4a"], width, num_classes) if auxiliary else None
        self.aux2 = AuxiliaryHead(outs["4d"], width, num_classes) if auxiliary else None
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True)
        x = F.max_pool2d(self.conv3(self.conv2(x)), 3, 2, ceil_mode=True)
        maps = {}
        for name in self.blocks:
            maps[name] = x = self.get_submodule(f"inception{name}")(x)
            if name in ("3b", "4e"):
                x = F.max_pool2d(x, *((3, 2) if name == "3b" else (2, 2)), ceil_mode=True)
        logits = self.fc(x.mean((2, 3)))
        if self.training and self.aux1 is not None and self.aux2 is not None:
            return logits, self.aux2(maps["4d"]), self.aux1(maps["4a"])
        return logits
