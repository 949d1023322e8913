"""Transforms that hide a part of the picture, so that a network cannot rest on one part alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.data.transforms.base import Transform, pair, probability

ATTEMPTS = 10  # to draw a rectangle that fits into the picture, as torchvision makes


class Cutout(Transform):
    """A rectangle of `size`, int or (height, width), around a random pixel set to `fill`; at the border it is cut off.

    DeVries and Taylor 2017, "Improved regularization of convolutional neural networks with Cutout".
    """

    draws = True

    def __init__(self, size: Any, fill: float = 0.0, p: float = 1.0):
        self.size = pair("size", size, 1)
        self.fill = float(fill)
        self.p = probability(p)

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        batch, height, width, _ = pixels.shape
        chosen = generator.random(batch) < self.p
        tops = generator.integers(0, height, batch) - self.size[0] // 2
        lefts = generator.integers(0, width, batch) - self.size[1] // 2
        result: np.ndarray = pixels.copy()
        for place in np.flatnonzero(chosen):
            top, left = int(tops[place]), int(lefts[place])
            result[place, max(top, 0) : top + self.size[0], max(left, 0) : left + self.size[1]] = self.fill
        return result

    def __repr__(self) -> str:
        return f"Cutout({self.size}, fill={self.fill}, p={self.p})"


class RandomErasing(Transform):
    """With probability p, a rectangle within each picture replaced by `value`.

    scale  its area as a share of the picture, drawn from this range
    ratio  its height by its width, drawn evenly in the logarithm
    value  a number, one number per channel, or "random" for normal noise, pixel by pixel

    Zhong et al. 2017, "Random erasing data augmentation"; drawn as torchvision draws it.
    """

    draws = True

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float | Sequence[float] | str = 0.0,
    ):
        self.p = probability(p)
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))
        if not 0 <= self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"scale must be two shares of the area between 0 and 1, lowest first, but is {scale}")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"ratio must be two numbers above 0, lowest first, but is {ratio}")
        if isinstance(value, str) and value != "random":
            raise ValueError(f'value must be a number, one number per channel, or "random", but is {value!r}')
        self.value = value

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        batch, height, width, channels = pixels.shape
        if not isinstance(self.value, str) and np.size(self.value) not in (1, channels):
            raise ValueError(f"value has {np.size(self.value)} numbers, but the pictures have {channels} channels")
        chosen = generator.random(batch) < self.p
        area = height * width * generator.uniform(*self.scale, (batch, ATTEMPTS))
        ratio = np.exp(generator.uniform(*np.log(self.ratio), (batch, ATTEMPTS)))
        heights, widths = np.rint(np.sqrt(area * ratio)).astype(int), np.rint(np.sqrt(area / ratio)).astype(int)
        where = generator.random((batch, 2))
        fits = (heights < height) & (widths < width)
        result: np.ndarray = pixels.copy()
        for place in np.flatnonzero(chosen & fits.any(axis=1)):
            attempt = fits[place].argmax()
            h, w = int(heights[place, attempt]), int(widths[place, attempt])
            top, left = int(where[place, 0] * (height - h + 1)), int(where[place, 1] * (width - w + 1))
            noise = isinstance(self.value, str)
            fill = generator.standard_normal((h, w, channels), np.float32) if noise else self.value
            result[place, top : top + h, left : left + w] = fill
        return result

    def __repr__(self) -> str:
        return f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value!r})"
