"""Transforms of the values of pixels: normalise, colour jitter."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.data.transforms.base import Transform

GREY = np.array([0.2989, 0.587, 0.114], np.float32)  # how bright red, green and blue look (ITU-R 601-2), as torchvision


class Normalize(Transform):
    """(picture - mean) / std, channel by channel: about zero and of unit spread, as networks learn best.

    A sequence has one value for each channel; plain numbers serve every channel, however many there are.
    Raises ValueError if mean and std differ in length or a std is not above 0; when it is called, if the pictures have
    another number of channels.
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]):
        self.for_every_channel = np.ndim(mean) == np.ndim(std) == 0
        self.mean = tuple(float(value) for value in np.atleast_1d(mean))
        self.std = tuple(float(value) for value in np.atleast_1d(std))
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean and std must have one value per channel each, but have {mean} and {std}")
        if not all(0 < value < np.inf for value in self.std):
            raise ValueError(f"std must be above 0 in every channel, and finite, but is {self.std}")
        if not np.isfinite(self.mean).all():
            raise ValueError(f"mean must be finite in every channel, but is {self.mean}")

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        batch, height, width, channels = pixels.shape
        if channels != len(self.mean) and not self.for_every_channel:
            raise ValueError(f"Normalize has {len(self.mean)} means, but the pictures have {channels} channels")
        # One row of pixels at a time, not one pixel: NumPy's inner loop is then long enough for vector registers.
        mean = np.resize(np.array(self.mean, np.float32), width * channels)  # repeats the values as often as it takes
        std = np.resize(np.array(self.std, np.float32), width * channels)
        result = pixels.reshape(batch, height, width * channels) - mean  # (B, H, W, C) -> (B, H, W*C)
        result /= std
        return result.reshape(pixels.shape)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue of each picture changed at random, in random order; values in [0, 1].

    brightness, contrast, saturation  x draws a factor from [max(0, 1 - x), 1 + x]; or a pair (lowest, highest)
    hue                               x <= 0.5 draws a shift from [-x, x] of a full turn of the colour circle; or a pair

    Grey pictures (one channel) have no saturation and no hue: these leave them as they are. Every picture draws its own
    factors; the order is drawn once a batch. The definitions are torchvision's.
    """

    draws = True

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0):
        self.ranges = {
            "brightness": _range("brightness", brightness, 1.0, (0.0, np.inf)),
            "contrast": _range("contrast", contrast, 1.0, (0.0, np.inf)),
            "saturation": _range("saturation", saturation, 1.0, (0.0, np.inf)),
            "hue": _range("hue", hue, 0.0, (-0.5, 0.5)),
        }

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        if pixels.shape[3] not in (1, 3):
            raise ValueError(f"ColorJitter takes pictures with 1 or 3 channels, but got {pixels.shape[3]}")
        names = list(self.ranges)
        for name in (names[place] for place in generator.permutation(len(names))):
            low, high = self.ranges[name]
            factors = generator.uniform(low, high, len(pixels)).astype(np.float32)  # drawn even where they do nothing
            if (low, high) != _NOTHING[name]:
                pixels = _ADJUST[name](pixels, factors.reshape(-1, 1, 1, 1))
        return pixels

    def __repr__(self) -> str:
        return f"ColorJitter({', '.join(f'{name}={bounds}' for name, bounds in self.ranges.items())})"


def adjust_brightness(pixels: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Pixels (B, H, W, C) times factors (B, 1, 1, 1), in [0, 1]: 0 is black."""
    result: np.ndarray = np.clip(pixels * factors, 0, 1)
    return result


def adjust_contrast(pixels: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Pixels moved away from (factor > 1) or towards (< 1) the mean grey of their picture."""
    mean = grey(pixels).mean(axis=(1, 2, 3), keepdims=True)  # (B, H, W, 1) -> (B, 1, 1, 1)
    return _blend(pixels, mean, factors)


def adjust_saturation(pixels: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Pixels moved away from (factor > 1) or towards (< 1) their own grey."""
    return pixels if pixels.shape[3] == 1 else _blend(pixels, grey(pixels), factors)


def adjust_hue(pixels: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Colours turned by shifts (B, 1, 1, 1), in full turns, around the circle of hues: red, green, blue, red."""
    if pixels.shape[3] == 1:
        return pixels
    red, green, blue = (np.ascontiguousarray(pixels[..., channel]) for channel in range(3))
    value = np.maximum(np.maximum(red, green), blue)
    span = value - np.minimum(np.minimum(red, green), blue)
    divisor = np.where(span == 0, 1, span)
    # Hue in sixths of a turn: which channel is the largest, and which way the other two lean.
    hue = np.where(
        value == red,
        (green - blue) / divisor,
        np.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    hue += 6 * shifts[..., 0]  # (B, 1, 1)
    result = np.empty_like(pixels)
    # Each channel falls from `value` by up to `span`, by where the hue stands from it (Smith 1978, in closed form).
    for channel, offset in enumerate((5, 3, 1)):
        place = hue + offset
        place -= 6 * np.floor(place / 6)  # `%` would be several times slower
        result[..., channel] = value - span * np.clip(np.minimum(place, 4 - place), 0, 1)
    return result


def grey(pixels: np.ndarray) -> np.ndarray:
    """How bright each pixel looks: (B, H, W, 3) -> (B, H, W, 1); one channel stays as it is."""
    return pixels if pixels.shape[3] == 1 else (pixels @ GREY)[..., np.newaxis]


def _blend(pixels: np.ndarray, other: np.ndarray, factors: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.clip(factors * pixels + (1 - factors) * other, 0, 1)
    return result


_ADJUST = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}
_NOTHING = {"brightness": (1.0, 1.0), "contrast": (1.0, 1.0), "saturation": (1.0, 1.0), "hue": (0.0, 0.0)}


def _range(name: str, value: Any, centre: float, bounds: tuple[float, float]) -> tuple[float, float]:
    if isinstance(value, (int, float, np.number)):
        if value < 0:
            raise ValueError(f"{name} must be 0 or more, or a pair (lowest, highest), but is {value}")
        low = centre - value if name == "hue" else max(0.0, centre - value)
        low, high = float(low), float(centre + value)
    else:
        low, high = (float(end) for end in value)
    if not bounds[0] <= low <= high <= bounds[1]:
        raise ValueError(f"{name} must stay within {bounds[0]} and {bounds[1]}, lowest first, but is {value}")
    return low, high
