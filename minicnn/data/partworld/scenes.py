"""PartWorld's scenes: several objects in one picture, for detection and segmentation."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.data.dataset import Dataset, check_index, handed_out
from minicnn.data.partworld.composition import HUES, ORIENTATIONS, family_named
from minicnn.data.partworld.dataset import CHUNK, check_request, check_whole, draw, mask_boxes, stream_number
from minicnn.data.partworld.drawing import STROKE
from minicnn.data.partworld.parameters import draws_needed, picture_parameters
from minicnn.data.partworld.random_bits import choices, noise_draws, random_bits
from minicnn.kernels import layout

SMALLEST = 48  # px, for one object as large as in a picture of 32 and room beside it
OBJECT_PIXELS = 32  # the picture that one object of a scene would fill


class PartWorldScenes(Dataset):
    """`size` generated pictures with 1 to `max_objects` objects of independent class, colour and texture; none overlap.

    An object is as large as in PartWorld at 32 x 32, whatever the size of the scene; an object that finds no free place
    in five draws is left out, and so are those after it, so crowded little scenes hold fewer. split, family and seed
    are as in PartWorld; image_size: H = W, at least 48.

    Item i is (image float32 (3, H, W) in [0, 1], target), where the target is a dictionary of the n objects:
      boxes     (n, 4) float32: left, top, right, bottom, px; right and bottom are outside
      labels    (n,) int64: 0 ... 9, an index into `classes`; the ground does not have a class
      masks     (n, H, W) bool
      semantic  (H, W) int64: 0 on the ground, 1 + label on an object
    images (N, 3, H, W) uint8 and counts (N,) int64 hold the pictures and their numbers of objects.

    Raises the errors of PartWorld, and ValueError unless 1 <= max_objects <= 8.
    """

    def __init__(
        self,
        split: str = "train",
        size: int = 1_000,
        family: str = "base",
        image_size: int = 64,
        max_objects: int = 3,
        seed: int = 0,
    ):
        self.split, self.family, self.image_size, self.seed = split, family, image_size, seed
        self.max_objects = max_objects
        composition = family_named(family)
        check_request(size, image_size, seed, SMALLEST)
        check_whole(max_objects=max_objects)
        if not 1 <= max_objects <= 8:
            raise ValueError(f"max_objects={max_objects}: a scene holds 1 to 8 objects")
        stream = stream_number(family, split, scenes=True)
        self.classes, self.parts, self.textures = composition.classes, composition.parts, composition.textures
        self.hues, self.orientations = HUES, ORIENTATIONS
        pixels = np.empty((size, image_size, image_size, 3), np.uint8)
        self._covers = np.empty((size, image_size, image_size), np.uint8)
        self._object_labels = np.empty((size, max_objects), np.int64)
        self.counts = np.empty(size, np.int64)
        described = draws_needed(max_objects)
        for start in range(0, size, CHUNK):
            chunk = slice(start, min(start + CHUNK, size))
            indices = np.arange(chunk.start, chunk.stop)
            bits = random_bits(seed, stream, indices, described + max_objects + 1 + noise_draws(image_size))
            own = bits[:, described : described + max_objects + 1]
            labels, wanted = choices(own[:, 1:], len(self.classes)), 1 + choices(own[:, 0], max_objects)
            parameters, _ = picture_parameters(bits, labels, composition, image_size, OBJECT_PIXELS, wanted)
            draw(parameters, bits, pixels[chunk], self._covers[chunk])
            self._object_labels[chunk], self.counts[chunk] = labels, parameters.counts
        self.images = layout.from_kernel(pixels)  # (N, H, W, 3) -> (N, 3, H, W)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        return handed_out(self.images[check_index(index, len(self))]), self.target(index)

    def batch(self, indices: Sequence[int] | np.ndarray) -> tuple[Any, ...]:
        """(images float32 (B, 3, H, W), a list of B targets): the targets differ in length, so they stay a list."""
        indices = np.asarray(indices, dtype=np.int64)
        return handed_out(self.images[indices]), [self.target(int(index)) for index in indices]

    def target(self, index: int) -> dict[str, np.ndarray]:
        """The target dictionary of scene `index`. Raises IndexError outside the data set."""
        index = check_index(index, len(self))
        count, covers = int(self.counts[index]), self._covers[index]
        labels = self._object_labels[index, :count].copy()
        instance = np.where((covers == 0) | (covers == STROKE), -1, (covers.astype(np.int64) - 1) // 3)
        masks = instance == np.arange(count)[:, None, None]  # (H, W) -> (n, H, W)
        semantic = np.where(instance >= 0, 1 + labels[np.maximum(instance, 0)], 0)
        return {
            "boxes": mask_boxes(masks).astype(np.float32),
            "labels": labels,
            "masks": masks,
            "semantic": semantic,
        }

    def __repr__(self) -> str:
        return (
            f"PartWorldScenes(split={self.split!r}, size={len(self)}, family={self.family!r}, "
            f"image_size={self.image_size}, max_objects={self.max_objects}, seed={self.seed})"
        )

    @property
    def labels(self) -> np.ndarray:
        """Not offered: a scene has one label for each object. Raises AttributeError."""
        raise AttributeError("a scene has no single label; target(i)['labels'] holds one for each object")
