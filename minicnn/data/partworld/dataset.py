"""PartWorld as a data set: pictures with everything that is true of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.data.dataset import TensorDataset
from minicnn.data.partworld.composition import FAMILIES, HUES, ORIENTATIONS, SPLITS, family_named
from minicnn.data.partworld.drawing import STROKE, draw_pictures_compiled
from minicnn.data.partworld.parameters import PictureParameters, draws_needed, picture_parameters
from minicnn.data.partworld.random_bits import noise_draws, noise_samples, random_bits
from minicnn.kernels import layout

SMALLEST = 24  # px; below it a part of the smallest scale has a radius under 2.5 px
STRIPED = ("stripes", "zigzag")  # textures that look different at each of the four orientations
CHUNK = 1024  # pictures drawn at a time, which bounds the memory for their noise; the bytes do not depend on it


@dataclass(frozen=True)
class PartTruth:
    """The ground truth of B pictures, at each level and at each pixel. In the maps, -1 is "nothing of the kind here".

    The maps of texture and colour tell of the object; `orientation` is that of strokes and of striped fills, and -1 on
    other fills, whose direction repeats every quarter turn.
    """

    labels: np.ndarray  # (B,) int64
    parts: np.ndarray  # (B, 3) int64: which part is in slots 0, 1, 2 (index into PartWorld.parts)
    part_masks: np.ndarray  # (B, 3, H, W) bool
    object_mask: np.ndarray  # (B, H, W) bool
    boxes: np.ndarray  # (B, 4) int64: left, top, right, bottom of the object, px; right and bottom are outside
    orientation: np.ndarray  # (B, H, W) int8: index into PartWorld.orientations
    colour: np.ndarray  # (B, H, W) int8: index into PartWorld.hues
    texture: np.ndarray  # (B, H, W) int8: index into PartWorld.textures
    part: np.ndarray  # (B, H, W) int8: index into PartWorld.parts
    object: np.ndarray  # (B, H, W) int8: label


class PartWorld(TensorDataset):
    """`size` generated pictures of one object each, whose class is the arrangement of its three parts.

    split: "train", "val" or "test", drawn from streams of their own. family: "base", or at growing distance from base
    "near" (new arrangements), "mid" (new parts) and "far" (new parts, textures and layouts): minicnn.data.partworld has
    the table. image_size: H = W, at least 24. Picture i is of class i % 10, so any 10*k pictures on end have k of each
    class; it depends on seed, family, split, image_size and i only, so a smaller set is the beginning of a larger one.

    images (N, 3, H, W) uint8, labels (N,) int64; classes, parts, textures, layouts, hues, orientations: names; factors:
    a dictionary of arrays (N, ...). int64 indices: parts (N, 3), texture, hue, orientation, layout, mirrored. float64:
    scale, turn (its sine), contrast (N, 3) of the parts (above 0: brighter than the ground), period of the texture
    (px), noise (standard deviation), centre (N, 2) of the object (x, y, px). `truth(indices)` adds masks, boxes, maps.

    Raises ValueError for a family or split that does not exist, for size < 1, image_size < 24 or a seed outside
    0..2**64-1, TypeError where a whole number is needed.
    """

    def __init__(
        self, split: str = "train", size: int = 10_000, family: str = "base", image_size: int = 32, seed: int = 0
    ):
        self.split, self.family, self.image_size, self.seed = split, family, image_size, seed
        composition = family_named(family)
        check_request(size, image_size, seed)
        stream = stream_number(family, split, scenes=False)
        self.parts, self.textures, self.layouts = composition.parts, composition.textures, composition.layouts
        self.hues, self.orientations = HUES, ORIENTATIONS
        pixels = np.empty((size, image_size, image_size, 3), np.uint8)
        self._covers = np.empty((size, image_size, image_size), np.uint8)
        labels = np.arange(size) % len(composition.classes)
        factors = []
        for start in range(0, size, CHUNK):
            indices = np.arange(start, min(start + CHUNK, size))
            bits = random_bits(seed, stream, indices, draws_needed(1) + noise_draws(image_size))
            one = np.ones(len(indices), np.int64)
            parameters, drawn = picture_parameters(
                bits, labels[indices, None], composition, image_size, image_size, one
            )
            draw(parameters, bits, pixels[indices[0] : indices[-1] + 1], self._covers[indices[0] : indices[-1] + 1])
            factors.append(drawn)
        # The parameters have room for M objects in a picture; here M is 1 and goes: (N, 1, ...) -> (N, ...)
        of_picture = ("orientation", "noise")
        self.factors = {
            name: np.concatenate([drawn[name] if name in of_picture else drawn[name][:, 0] for drawn in factors])
            for name in factors[0]
        }
        images = layout.from_kernel(pixels)  # (N, H, W, 3) -> (N, 3, H, W)
        super().__init__(images, labels, classes=composition.classes)

    def masks(self, index: int) -> np.ndarray:
        """Where the parts in slots 0, 1, 2 of one picture are: (3, H, W) bool."""
        result: np.ndarray = self.truth([index]).part_masks[0]
        return result

    def truth(self, indices: Sequence[int] | np.ndarray) -> PartTruth:
        """Everything true of the pictures at `indices` (B,), made from one stored byte a pixel and the factors."""
        indices = np.asarray(indices, dtype=np.int64)
        covers = self._covers[indices]
        slot = covers.astype(np.int8) - 1  # STROKE wraps to -2, ground is -1
        on_object = slot >= 0
        row = np.arange(len(indices))[:, None, None]
        parts, texture = self.factors["parts"][indices], self.factors["texture"][indices]

        def on_its_object(values: np.ndarray) -> np.ndarray:
            return np.where(on_object, values[:, None, None], -1).astype(np.int8)

        striped = on_object & np.isin(np.array(self.textures)[texture], STRIPED)[:, None, None]
        orientation = self.factors["orientation"][indices][:, None, None]
        return PartTruth(
            labels=self.labels[indices],
            parts=parts,
            part_masks=slot[:, None] == np.arange(3)[:, None, None],  # (B, 1, H, W) -> (B, 3, H, W)
            object_mask=on_object,
            boxes=mask_boxes(on_object),
            orientation=np.where(striped | (covers == STROKE), orientation, -1).astype(np.int8),
            colour=on_its_object(self.factors["hue"][indices]),
            texture=on_its_object(texture),
            part=np.where(on_object, parts[row, np.maximum(slot, 0)], -1).astype(np.int8),
            object=on_its_object(self.labels[indices]),
        )

    def __repr__(self) -> str:
        return (
            f"PartWorld(split={self.split!r}, size={len(self)}, family={self.family!r}, "
            f"image_size={self.image_size}, seed={self.seed})"
        )


def draw(parameters: PictureParameters, bits: np.ndarray, pixels: np.ndarray, covers: np.ndarray) -> None:
    """Draw the pictures into pixels (N, H, W, 3) uint8, and the cover of each pixel into covers (N, H, W) uint8."""
    size = pixels.shape[1]
    noise = noise_samples(bits[:, -noise_draws(size) :], size)
    draw_pictures_compiled(
        pixels, covers, parameters.ground, parameters.strokes, parameters.directions,
        parameters.objects, parameters.parts, parameters.kinds, parameters.counts, noise,
    )  # fmt: skip


def mask_boxes(masks: np.ndarray) -> np.ndarray:
    """Smallest boxes about the true pixels of (B, H, W) masks: (B, 4) int64 left, top, right, bottom; ends outside."""
    columns, rows = np.any(masks, axis=1), np.any(masks, axis=2)
    width, height = columns.shape[1], rows.shape[1]
    left, top = columns.argmax(axis=1), rows.argmax(axis=1)
    right, bottom = width - columns[:, ::-1].argmax(axis=1), height - rows[:, ::-1].argmax(axis=1)
    return np.stack([left, top, right, bottom], axis=1)


def stream_number(family: str, split: str, scenes: bool) -> int:
    """The number of the random stream of a family, a split and a kind of picture: no two share one."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not a PartWorld split; choose one of {', '.join(SPLITS)}")
    return (list(FAMILIES).index(family_named(family).name) * 16 + SPLITS.index(split)) * 2 + int(scenes)


def check_request(size: int, image_size: int, seed: int, smallest: int = SMALLEST) -> None:
    """Raises TypeError or ValueError, naming the argument, unless pictures can be drawn so."""
    check_whole(size=size, image_size=image_size, seed=seed)
    if size < 1:
        raise ValueError(f"size={size}: ask for at least 1 picture")
    if image_size < smallest:
        raise ValueError(f"image_size={image_size}: parts need at least {smallest} pixels a side to be told apart")
    if not 0 <= seed < 2**64:
        raise ValueError(f"seed={seed}: must be within 0..2**64-1")


def check_whole(**arguments: object) -> None:
    """Raises TypeError, naming the argument, if one is not a whole number."""
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} must be a whole number, got {value!r}")
