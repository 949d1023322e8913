"""The common part of all transforms: arguments, results, and how they are chained.

A transform takes one picture (C, H, W) or a batch (B, C, H, W), float32 in [0, 1] as a rule, and gives back the same
kind; it never changes its argument. In a batch every picture draws for itself. Inside, a transform works on pixels
(B, H, W, C), the order in which the memory lies.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import random
from minicnn.data.dataset import as_array, channels_last
from minicnn.kernels import layout


class Transform:
    """Base of all transforms: a subclass writes `apply(pixels, generator)`, (B, H, W, C) -> (B, OH, OW, C), float32.

    `draws` says whether the transform uses the generator. Without `generator=` a transform that draws takes the next
    stream of `minicnn.random`; DataLoader gives a generator keyed by epoch and batch.
    """

    draws = False

    def __call__(self, images: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        """The transformed picture or batch, float32, channels-last in memory.

        Raises TypeError unless `images` are floats, ValueError unless they have three or four axes.
        """
        images = self.check(images)
        if self.draws:
            generator = random.next_stream("augment", generator)
        batch = images if images.ndim == 4 else images[np.newaxis]  # (C, H, W) -> (1, C, H, W)
        pixels = channels_last(batch, np.float32).transpose(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite pixels give infinite or NaN ones, as PyTorch's do
            moved = self.apply(pixels, generator)
        result = layout.from_kernel(moved)  # (B, OH, OW, C) -> (B, C, OH, OW)
        return result if images.ndim == 4 else result[0]

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        """The transformed pixels: a new array, or `pixels` itself where nothing changes."""
        raise NotImplementedError(f"{type(self).__name__} must define apply")

    def check(self, images: Any) -> np.ndarray:
        """`images` if this transform can take them; TypeError or ValueError otherwise."""
        name = type(self).__name__
        images = as_array(f"images of {name}", images)
        if images.ndim not in (3, 4):
            raise ValueError(f"{name} takes a picture (C, H, W) or a batch (B, C, H, W), but got {images.shape}")
        if images.dtype.kind != "f":
            raise TypeError(f"{name} takes floats, but got {images.dtype}; {self.advice(images.dtype)}")
        if 0 in images.shape[-3:]:
            raise ValueError(f"{name} takes pictures with pixels, but got {images.shape}, one axis of which is 0")
        result: np.ndarray = images
        return result

    def advice(self, dtype: np.dtype) -> str:
        """The end of the error for pictures of another type than floats."""
        if dtype == np.uint8:
            return "put ToFloat() before it"
        return "give uint8 (0 to 255) to ToFloat(), or floats in [0, 1]"


class Compose:
    """The given transforms, one after the other, on one generator.

    Raises TypeError if one of them cannot be called.
    """

    def __init__(self, transforms: Sequence[Callable[..., np.ndarray]]):
        self.transforms = list(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(f"Compose takes transforms, but got {transform!r}")

    def __call__(self, images: np.ndarray, generator: np.random.Generator | None = None) -> np.ndarray:
        for transform in self.transforms:
            images = transform(images, generator)
        return images

    def __repr__(self) -> str:
        return "Compose(\n" + "".join(f"  {transform!r},\n" for transform in self.transforms) + ")"


class ToFloat(Transform):
    """uint8 pictures become float32 in [0, 1]; floats become float32, their values as they are."""

    def check(self, images: Any) -> np.ndarray:
        images = as_array("images of ToFloat", images)
        if images.dtype == np.uint8:
            images = np.divide(images, np.float32(255), dtype=np.float32)
        return super().check(images)

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        return pixels

    def __repr__(self) -> str:
        return "ToFloat()"


def pair(name: str, value: Any, least: int) -> tuple[int, int]:
    """(height, width) of an int or a pair. Raises TypeError or ValueError that names the argument."""
    whole = isinstance(value, (int, np.integer))
    both = (value, value) if whole else tuple(value) if isinstance(value, (Sequence, np.ndarray)) else ()
    if len(both) != 2 or not all(isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in both):
        raise TypeError(f"{name} must be a whole number or (height, width), but is {value!r}")
    if min(both) < least:
        raise ValueError(f"{name} must be {least} or more, but is {value!r}")
    return int(both[0]), int(both[1])


def probability(value: float) -> float:
    """`value` as a float. Raises TypeError unless it is a number, ValueError outside 0..1."""
    if not isinstance(value, (int, float, np.number)):
        raise TypeError(f"p must be a number between 0 and 1, but is {type(value).__name__}: {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"p is a probability between 0 and 1, but is {value!r}")
    return float(value)
