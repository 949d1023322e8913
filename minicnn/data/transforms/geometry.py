"""Transforms that move pixels: flip, crop, resize."""

import functools
from typing import Any

import numpy as np

from minicnn.data.transforms.base import Transform, pair, probability

PADDING_MODES = ("constant", "edge", "reflect")


class RandomHorizontalFlip(Transform):
    """Each picture mirrored left to right with probability p."""

    draws = True

    def __init__(self, p: float = 0.5):
        self.p = probability(p)

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        result: np.ndarray = pixels.copy()
        for place in np.flatnonzero(generator.random(len(pixels)) < self.p):
            result[place] = pixels[place, :, ::-1]
        return result

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


class RandomCrop(Transform):
    """A window of `size` at a random place of each picture, after `padding` pixels are added on every side.

    size          int or (height, width)
    padding       int or (above and below, left and right)
    padding_mode  "constant" (filled with `fill`), "edge" (the outermost pixel goes on), "reflect" (mirrored)

    Called, it raises ValueError if the padded picture is smaller than the window, or too small to be mirrored.
    """

    draws = True

    def __init__(self, size: Any, padding: Any = 0, padding_mode: str = "constant", fill: float = 0.0):
        self.size = pair("size", size, 1)
        self.padding = pair("padding", padding, 0)
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {', '.join(PADDING_MODES)}, but is {padding_mode!r}")
        self.padding_mode = padding_mode
        self.fill = float(fill)

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        batch, channels = len(pixels), pixels.shape[3]
        height, width = self.size
        free_h = pixels.shape[1] + 2 * self.padding[0] - height
        free_w = pixels.shape[2] + 2 * self.padding[1] - width
        if free_h < 0 or free_w < 0:
            raise ValueError(
                f"RandomCrop: the window {self.size} is larger than the picture {pixels.shape[1:3]} with padding "
                f"{self.padding}: H + 2*padding - height = {free_h}, W + 2*padding - width = {free_w}"
            )
        padded = _pad(pixels, self.padding, self.padding_mode, self.fill)
        tops = generator.integers(0, free_h + 1, batch).tolist()
        lefts = generator.integers(0, free_w + 1, batch).tolist()
        result = np.empty((batch, height, width, channels), np.float32)  # (B, H + 2p, W + 2p, C) -> (B, OH, OW, C)
        for place, (top, left) in enumerate(zip(tops, lefts, strict=True)):
            result[place] = padded[place, top : top + height, left : left + width]
        return result

    def __repr__(self) -> str:
        return f"RandomCrop({self.size}, padding={self.padding}, padding_mode={self.padding_mode!r}, fill={self.fill})"


class CenterCrop(Transform):
    """The window of `size`, int or (height, width), in the middle; a smaller picture is first padded with zeros.

    Places are rounded as torchvision rounds them.
    """

    def __init__(self, size: Any):
        self.size = pair("size", size, 1)

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        (height, width), (h, w) = self.size, pixels.shape[1:3]
        if h < height or w < width:
            short_h, short_w = max(height - h, 0), max(width - w, 0)
            around = ((short_h // 2, (short_h + 1) // 2), (short_w // 2, (short_w + 1) // 2))
            pixels = np.pad(pixels, ((0, 0), *around, (0, 0)))
            h, w = pixels.shape[1:3]
        top, left = round((h - height) / 2), round((w - width) / 2)
        return np.ascontiguousarray(pixels[:, top : top + height, left : left + width])

    def __repr__(self) -> str:
        return f"CenterCrop({self.size})"


class Resize(Transform):
    """Pictures scaled to `size`: (height, width), or an int for the shorter side, the other in proportion.

    interpolation  "bilinear", "bicubic" or "nearest". The first two average over all the pixels that fall on one when a
                   picture shrinks (antialiasing), so that the result is Pillow's, without its rounding to 8 bits.
    """

    def __init__(self, size: Any, interpolation: str = "bilinear"):
        self.size = pair("size", size, 1)
        self.keep_ratio = isinstance(size, (int, np.integer))
        if interpolation not in _FILTERS:
            raise ValueError(f"interpolation must be one of {', '.join(_FILTERS)}, but is {interpolation!r}")
        self.interpolation = interpolation

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """The size that a picture of (height, width) gets; the longer side is rounded down, as torchvision does it."""
        if not self.keep_ratio:
            return self.size
        shorter = self.size[0]
        if height <= width:
            return shorter, max(1, shorter * width // height)
        return max(1, shorter * height // width), shorter

    def apply(self, pixels: np.ndarray, generator: Any) -> np.ndarray:
        batch, h, w, channels = pixels.shape
        height, width = self.output_size(h, w)
        if (height, width) == (h, w):
            return pixels
        rows = resampling_matrix(h, height, self.interpolation)
        columns = resampling_matrix(w, width, self.interpolation)
        planes = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(-1, w)  # (B, H, W, C) -> (B*C*H, W)
        # Two large products: hundreds of small ones (one a picture) would make BLAS's threads wait for each other.
        across = (planes @ columns.T).reshape(-1, h, width)  # (B*C*H, W) -> (B*C, H, OW)
        across = np.ascontiguousarray(across.transpose(0, 2, 1)).reshape(-1, h)  # (B*C, H, OW) -> (B*C*OW, H)
        resized = (across @ rows.T).reshape(batch, channels, width, height)  # (B*C*OW, H) -> (B, C, OW, OH)
        return np.ascontiguousarray(resized.transpose(0, 3, 2, 1))  # (B, C, OW, OH) -> (B, OH, OW, C)

    def __repr__(self) -> str:
        size = self.size[0] if self.keep_ratio else self.size
        return f"Resize({size}, interpolation={self.interpolation!r})"


def _triangle(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.maximum(1 - np.abs(x), 0)
    return result


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys 1981, "Cubic convolution interpolation for digital image processing", with a = -0.5."""
    a, x = -0.5, np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


_FILTERS = {"nearest": None, "bilinear": _triangle, "bicubic": _cubic}


@functools.lru_cache(maxsize=64)
def resampling_matrix(size: int, new_size: int, interpolation: str) -> np.ndarray:
    """float32 (new_size, size): row i holds the weight of every old pixel in new pixel i; each row adds to 1."""
    scale = size / new_size
    kernel = _FILTERS[interpolation]
    if kernel is None:
        nearest = (2 * np.arange(new_size) + 1) * size // (2 * new_size)  # floor((i + 0.5) * scale), without rounding
        taken: np.ndarray = (np.arange(size) == nearest[:, np.newaxis]).astype(np.float32)
        return taken
    centres = (np.arange(new_size) + 0.5) * scale  # of the new pixels, in old pixels
    # Shrinking widens the filter to cover every old pixel; enlarging keeps it one pixel wide.
    weights = kernel((np.arange(size) + 0.5 - centres[:, np.newaxis]) / max(scale, 1.0))
    result: np.ndarray = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return result


def _pad(pixels: np.ndarray, padding: tuple[int, int], mode: str, fill: float) -> np.ndarray:
    """(B, H, W, C) -> (B, H + 2*padding[0], W + 2*padding[1], C)."""
    if padding == (0, 0):
        return pixels
    batch, height, width, channels = pixels.shape
    if mode == "reflect" and (padding[0] >= height or padding[1] >= width):
        raise ValueError(f"padding {padding} must be smaller than the picture {(height, width)} to be mirrored")
    if mode != "constant":
        around = ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0))
        return np.pad(pixels, around, mode="edge" if mode == "edge" else "reflect")
    padded = np.full((batch, height + 2 * padding[0], width + 2 * padding[1], channels), fill, np.float32)
    padded[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width] = pixels
    return padded
