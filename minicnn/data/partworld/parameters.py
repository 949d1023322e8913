"""From random bits to the numbers that describe a picture: factors, and the tables that drawing.py reads.

The factors are drawn independently of the class and of each other. Lengths are in pixels at 32 x 32; parts and their
spacing grow with the picture, while the period of a texture, the width of a stroke and the noise stay in pixels. A pair
is a range that is drawn from evenly.
"""

import math
from dataclasses import dataclass

import numpy as np

from minicnn.data.partworld.composition import LAYOUTS, PARTS, TEXTURES, Family
from minicnn.data.partworld.random_bits import between, choices

RADIUS = 4.4  # of a part, px at scale 1 in a picture of 32
SPACING = 8.8  # between slots, px at scale 1 in a picture of 32
SCALE = (0.73, 0.97)
TURN = 0.28  # tangent of half the largest turn: 31 degrees for the object
PART_TURN = 0.095  # and 11 for a part within it
JITTER = 1.0  # of a slot, px to either side
CONTRAST = (0.3, 0.42)
AMPLITUDE = (0.7, 0.88)  # how much of the contrast is missing in the gaps of a texture
SATURATION = (0.1, 0.2)
GROUND = (0.42, 0.58)
GROUND_TINT = 0.05
SHADE = 0.12
NOISE = (0.028, 0.062)  # standard deviation, in units of full brightness
STROKES = 4
STROKE_LENGTH = (2.0, 4.5)  # half of it
STROKE_CONTRAST = (0.12, 0.3)

_PICTURE_DRAWS = 32
_OBJECT_DRAWS = 32
_PLACES = (3, 24, 26, 28, 30)  # draws (x, y) of an object's places: the first that is free is taken

_NOISE_UNIT = 104.5  # standard deviation of the sum of two random bytes
_HALF = math.sqrt(0.5)
_DIRECTIONS = np.array([[1.0, 0.0], [_HALF, _HALF], [0.0, 1.0], [-_HALF, _HALF]])  # y points down
# Red, green and blue of each hue, less its mean: a hue moves the colour, not the brightness.
_HUES = np.array([[2, -1, -1], [1, 1, -2], [-1, 2, -1], [-2, 1, 1], [-1, -1, 2], [1, -2, 1]]) / 2.0
# Shortest and longest period of each texture, px.
_PERIODS = np.array([[3, 3], [2.5, 2.9], [5, 6], [3.4, 4.2], [3.8, 4.6], [3.2, 3.8], [3.4, 4.2], [5.6, 6.6]])


@dataclass
class PictureParameters:
    """The tables from which N pictures of up to M objects are drawn: float64, except the two that are int64."""

    ground: np.ndarray  # (N, 6): red, green, blue, slope to the right, slope downwards, noise per unit of bytes
    strokes: np.ndarray  # (N, STROKES, 4): x, y, half length, contrast
    directions: np.ndarray  # (N, 2): unit vector along strokes and textures
    objects: np.ndarray  # (N, M, 7): red, green, blue of the hue, period, two phases, amplitude
    parts: np.ndarray  # (N, M, 3, 7): x, y, cosine and sine of the turn, radius, -1 if mirrored, contrast
    kinds: np.ndarray  # (N, M, 4) int64: parts in slots 0, 1, 2, and the texture
    counts: np.ndarray  # (N,) int64: objects drawn


def draws_needed(objects: int) -> int:
    """The number of draws for a picture of up to `objects` objects, without its noise."""
    return _PICTURE_DRAWS + objects * _OBJECT_DRAWS


def picture_parameters(
    bits: np.ndarray, labels: np.ndarray, family: Family, size: int, unit: float, counts: np.ndarray
) -> tuple[PictureParameters, dict[str, np.ndarray]]:
    """(parameters, factors) of N pictures from random bits (N, draws_needed(M)), labels (N, M) and wanted counts (N,).

    `unit` is the size of a picture that one object would fill: RADIUS and SPACING are multiplied by unit / 32. An
    object that finds no free place in five draws is left out, and so are those after it.
    """
    n, m = labels.shape
    ground, strokes, orientation, factors = _ground(bits[:, :_PICTURE_DRAWS], size)
    own = bits[:, _PICTURE_DRAWS : draws_needed(m)].reshape(n, m, _OBJECT_DRAWS)
    objects, texture, object_factors = _fills(own, family)
    offsets, turns, mirror, radius, body = _bodies(own, labels, family, unit / 32.0)
    x, y, counts = _places(own, offsets, 1.12 * radius, size, counts)
    parts = np.empty((n, m, 3, 7))
    parts[..., 0] = x[:, :, None] + offsets[..., 0]
    parts[..., 1] = y[:, :, None] + offsets[..., 1]
    parts[..., 2], parts[..., 3] = turns
    parts[..., 4] = radius[:, :, None]
    parts[..., 5] = mirror[:, :, None]
    parts[..., 6] = object_factors["contrast"]
    kinds = np.empty((n, m, 4), np.int64)
    arrangements = np.array([[PARTS.index(part) for part in parts] for _, parts in family.arrangements])
    kinds[..., :3] = arrangements[labels]
    kinds[..., 3] = texture
    factors |= object_factors | body | {"centre": np.stack([x, y], axis=-1)}
    return PictureParameters(ground, strokes, _DIRECTIONS[orientation], objects, parts, kinds, counts), factors


def _ground(bits: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Ground, strokes and orientation of N pictures from their first draws (N, 32)."""
    n = len(bits)
    ground = np.empty((n, 6))
    tint = between(bits[:, 2], 0.0, GROUND_TINT)[:, None] * _HUES[choices(bits[:, 1], len(_HUES))]
    ground[:, :3] = between(bits[:, 0], *GROUND)[:, None] + tint
    ground[:, 3] = between(bits[:, 3], -SHADE, SHADE)
    ground[:, 4] = between(bits[:, 4], -SHADE, SHADE)
    noise = between(bits[:, 5], *NOISE)
    ground[:, 5] = noise / _NOISE_UNIT
    orientation = choices(bits[:, 6], len(_DIRECTIONS))
    own = bits[:, 8 : 8 + 4 * STROKES].reshape(n, STROKES, 4)
    strokes = np.empty((n, STROKES, 4))
    strokes[..., 0] = between(own[..., 0], 0.0, size)
    strokes[..., 1] = between(own[..., 1], 0.0, size)
    strokes[..., 2] = between(own[..., 2], *STROKE_LENGTH)
    contrast = between(own[..., 3], -1.0, 1.0)
    low, high = STROKE_CONTRAST
    strokes[..., 3] = np.where(contrast < 0, -low, low) + contrast * (high - low)
    return ground, strokes, orientation, {"orientation": orientation, "noise": noise}


def _fills(bits: np.ndarray, family: Family) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Colour and texture of the objects from their draws (N, M, 32)."""
    hue = choices(bits[..., 5], len(_HUES))
    texture = choices(bits[..., 6], len(family.textures))
    kind = np.array([TEXTURES.index(name) for name in family.textures])[texture]
    period = between(bits[..., 7], _PERIODS[kind, 0], _PERIODS[kind, 1])
    # Each part is brighter or darker than the ground by itself: a template over the whole object then finds nothing.
    signs = 1.0 - 2.0 * ((choices(bits[..., 11], 8)[..., None] >> np.arange(3)) & 1)
    contrast = signs * between(bits[..., 12], *CONTRAST)[..., None]
    fills = np.empty((*hue.shape, 7))
    fills[..., :3] = between(bits[..., 13], *SATURATION)[..., None] * _HUES[hue]
    fills[..., 3] = period
    fills[..., 4] = period * between(bits[..., 8], 0.0, 1.0)
    fills[..., 5] = period * between(bits[..., 9], 0.0, 1.0)
    fills[..., 6] = between(bits[..., 10], *AMPLITUDE)
    return fills, kind, {"hue": hue, "texture": texture, "contrast": contrast, "period": period}


def _bodies(
    bits: np.ndarray, labels: np.ndarray, family: Family, unit: float
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray], np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Where the parts lie about an object's centre, and how they are turned, from its draws (N, M, 32)."""
    mirrored = choices(bits[..., 0], 2)
    mirror = 1.0 - 2.0 * mirrored
    scale = between(bits[..., 2], *SCALE)
    tangent = between(bits[..., 1], -TURN, TURN)
    cosine, sine = _turn(tangent)
    own = bits[..., 14:23].reshape(*labels.shape, 3, 3)
    slots = np.array([LAYOUTS[layout] for layout, _ in family.arrangements])[labels]  # (N, M) -> (N, M, 3, 2)
    spacing = (scale * (SPACING * unit))[..., None]
    across = mirror[..., None] * slots[..., 0] * spacing + between(own[..., 0], -JITTER * unit, JITTER * unit)
    down = slots[..., 1] * spacing + between(own[..., 1], -JITTER * unit, JITTER * unit)
    offsets = np.empty((*labels.shape, 3, 2))
    offsets[..., 0] = across * cosine[..., None] - down * sine[..., None]
    offsets[..., 1] = across * sine[..., None] + down * cosine[..., None]
    part_cosine, part_sine = _turn(between(own[..., 2], -PART_TURN, PART_TURN))
    turns = (
        part_cosine * cosine[..., None] - part_sine * sine[..., None],
        part_sine * cosine[..., None] + part_cosine * sine[..., None],
    )
    layout = np.array([family.layouts.index(name) for name, _ in family.arrangements])[labels]
    parts = np.array([[family.parts.index(part) for part in parts] for _, parts in family.arrangements])[labels]
    factors = {"layout": layout, "parts": parts, "mirrored": mirrored, "scale": scale, "turn": sine}
    return offsets, turns, mirror, scale * (RADIUS * unit), factors


def _turn(tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of a turn, from the tangent of half of it: no trigonometric function, whose last bit may vary."""
    square = tangent * tangent
    return (1.0 - square) / (1.0 + square), 2.0 * tangent / (1.0 + square)


def _places(
    bits: np.ndarray, offsets: np.ndarray, reach: np.ndarray, size: int, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres (N, M) of the objects, anywhere they fit whole and free of those before them, and how many found a place.

    `reach` (N, M) is how far a part stretches from its centre.
    """
    n, m = reach.shape
    low = reach[..., None] - offsets.min(axis=2)  # the least centre that keeps every part inside: (N, M, 2)
    high = size - reach[..., None] - offsets.max(axis=2)
    middle, room = (low + high) / 2.0, np.maximum((high - low) / 2.0, 0.0)
    centre = np.zeros((n, m, 2))
    placed = np.zeros((n, m), bool)
    for k in range(m):
        possible = wanted > k if k == 0 else (wanted > k) & placed[:, k - 1]
        for place in _PLACES:
            fraction = between(bits[:, k, place : place + 2], -1.0, 1.0)
            candidate = middle[:, k] + fraction * room[:, k]
            free = np.ones(n, bool)
            for other in range(k):
                apart_before = candidate + offsets[:, k].max(axis=1) + reach[:, k, None] <= (
                    centre[:, other] + offsets[:, other].min(axis=1) - reach[:, other, None]
                )
                apart_after = candidate + offsets[:, k].min(axis=1) - reach[:, k, None] >= (
                    centre[:, other] + offsets[:, other].max(axis=1) + reach[:, other, None]
                )
                free &= (apart_before | apart_after).any(axis=1)
            take = possible & free & ~placed[:, k]
            centre[take, k] = candidate[take]
            placed[:, k] |= take
    return centre[..., 0], centre[..., 1], placed.sum(axis=1)
