"""Information about weights: the preparation of their images, their classes, their licence, their measured figures.

The information is stored in the metadata of a file, together with the weights. Files of torchvision have no metadata;
their names identify them (weights/torchvision_files.py).
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = ("bilinear", "bicubic", "nearest")
_ENTRY = "weights"  # in the metadata of a file
_LARGEST_IMAGE = 2000  # a malicious file must not have pictures scaled until the memory is full


@dataclass(frozen=True)
class WeightsInformation:
    """The preparation of images for these weights, and other facts about them.

    resize         the shorter side of an image becomes this long; None leaves the size
    crop           the side of the square cut out of its middle; None cuts nothing
    interpolation  "bilinear", "bicubic" or "nearest"
    mean, std      of the channels, of images in [0, 1]: (image - mean) / std
    categories     the names of the classes, in the order of the logits; empty if unknown
    metrics        measured figures by name, as the authors state them
    sha256         of the original file, or its first digits
    void           prefixes of the names for which the file has no usable values
    """

    name: str = ""
    resize: int | None = 256
    crop: int | None = 224
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    categories: tuple[str, ...] = ()
    licence: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""
    url: str = ""
    void: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("resize", "crop"):
            side = getattr(self, name)
            if side is not None and not (type(side) is int and 1 <= side <= _LARGEST_IMAGE):
                raise ValueError(f"{name} must be None or from 1 to {_LARGEST_IMAGE} pixels, but is {side!r}")
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation must be one of {INTERPOLATIONS}, but is {self.interpolation!r}")
        for name, kind in (("mean", (int, float)), ("std", (int, float)), ("categories", str), ("void", str)):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
                raise ValueError(f"{name} must be a tuple of {'text' if kind is str else 'numbers'}")
        numbers = (*self.mean, *self.std)
        if len(self.mean) != len(self.std) or not all(map(math.isfinite, numbers)) or min(self.std, default=1) <= 0:
            raise ValueError(
                f"mean {self.mean} and std {self.std} must have the same length, be finite, and every std above 0"
            )
        for name in ("name", "licence", "sha256", "url"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text")
        if not isinstance(self.metrics, Mapping):
            raise ValueError("metrics must be a dictionary of figures by name")

    def transforms(self) -> Callable[..., np.ndarray]:
        """The preparation of images (C, H, W) or (B, C, H, W), uint8 or float32 in [0, 1], for a model."""
        from minicnn.data.transforms import CenterCrop, Compose, Normalize, Resize, ToFloat

        steps: list[Callable[..., np.ndarray]] = [ToFloat()]
        if self.resize is not None:
            steps.append(Resize(self.resize, self.interpolation))
        if self.crop is not None:
            steps.append(CenterCrop(self.crop))
        return Compose([*steps, Normalize(self.mean, self.std)])

    def normalization(self) -> nn.Normalize:
        """The last step of `transforms` as a layer, to put before a model that takes images in [0, 1]."""
        return nn.Normalize(self.mean, self.std)

    def category(self, number: int) -> str:
        """The name of a class, or "class 7" if the names are unknown."""
        return self.categories[number] if number < len(self.categories) else f"class {number}"

    def as_metadata(self) -> dict[str, Any]:
        """A dictionary for `save(..., metadata=)`, which `from_metadata` reads again."""
        return {_ENTRY: dataclasses.asdict(self)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> "WeightsInformation | None":
        """The information in the metadata of a file, or None. Raises ValueError if it contradicts itself."""
        entry = metadata.get(_ENTRY)
        if entry is None:
            return None
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in entry.items()
                if name in known
            }
            return cls(**values)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"the metadata about {_ENTRY!r} cannot be understood: {error}") from error
