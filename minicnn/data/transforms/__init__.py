"""Transforms of pictures: `transform(images, generator)` on one picture (C, H, W) or a batch (B, C, H, W)."""

from minicnn.data.transforms.base import Compose, ToFloat, Transform
from minicnn.data.transforms.colour import ColorJitter, Normalize
from minicnn.data.transforms.erasing import Cutout, RandomErasing
from minicnn.data.transforms.geometry import CenterCrop, RandomCrop, RandomHorizontalFlip, Resize

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "Cutout",
    "Normalize",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "Resize",
    "ToFloat",
    "Transform",
]
