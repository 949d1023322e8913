"""Mixup and CutMix: pictures mixed in pairs, and their labels with them.

Both return soft labels (N, num_classes), rows that add to 1, which `functional.cross_entropy` takes as a target.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minicnn import random
from minicnn.data.dataset import as_array, channels_last, check_labels


def mixup(
    images: ArrayLike,
    labels: ArrayLike,
    num_classes: int,
    alpha: float = 0.2,
    generator: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, C, H, W), soft labels (N, num_classes)): each picture a blend with another one of the batch.

    The share of the first is drawn once a batch from Beta(alpha, alpha). Raises ValueError if alpha is not above 0,
    the batch is empty, the lengths differ or a label is outside the classes; TypeError unless labels are integers.
    Zhang et al. 2017, "mixup: Beyond empirical risk minimization".
    """
    images, labels, generator = _checked(images, labels, num_classes, alpha, generator)
    share = np.float32(generator.beta(alpha, alpha))
    partners = generator.permutation(len(images))
    mixed = share * images + (1 - share) * images[partners]
    return mixed, _mixed_labels(labels, partners, num_classes, share)


def cutmix(
    images: ArrayLike,
    labels: ArrayLike,
    num_classes: int,
    alpha: float = 1.0,
    generator: np.random.Generator | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(images (N, C, H, W), soft labels (N, num_classes)): a rectangle of each picture replaced by another picture's.

    The area left of the first is drawn once a batch from Beta(alpha, alpha), the centre of the rectangle evenly; labels
    are mixed by the area that was in fact left, after the rectangle is cut off at the border. Raises as `mixup` does.
    Yun et al. 2019, "CutMix: Regularization strategy to train strong classifiers with localizable features".
    """
    images, labels, generator = _checked(images, labels, num_classes, alpha, generator)
    height, width = images.shape[2:]
    side = np.sqrt(1 - generator.beta(alpha, alpha))  # of the rectangle, as a share of the picture's
    top, bottom = _span(height, side, generator)
    left, right = _span(width, side, generator)
    partners = generator.permutation(len(images))
    mixed = images.copy(order="K")
    mixed[:, :, top:bottom, left:right] = images[partners, :, top:bottom, left:right]
    share = np.float32(1 - (bottom - top) * (right - left) / (height * width))
    return mixed, _mixed_labels(labels, partners, num_classes, share)


def _checked(
    images: Any, labels: Any, num_classes: int, alpha: float, generator: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    images, labels = as_array("images", images), as_array("labels", labels)
    if images.ndim != 4 or images.dtype.kind != "f" or not images.size:
        raise ValueError(f"images must be a batch of floats (N, C, H, W), but are {images.dtype} {images.shape}")
    if labels.shape != (len(images),):
        raise ValueError(f"labels must be {(len(images),)}, one for each picture, but are {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, but are {labels.dtype}")
    if not 0 < alpha < np.inf:
        raise ValueError(f"alpha must be above 0, and finite, but is {alpha}")
    check_labels(labels, num_classes)
    return channels_last(images, np.float32), labels, random.next_stream("mix", generator)


def _span(length: int, share: float, generator: Any) -> tuple[int, int]:
    """From and to of a stretch of length * share around a random pixel, cut off at the ends."""
    centre, half = int(generator.integers(0, length)), int(length * share) // 2
    return max(centre - half, 0), min(centre + half, length)


def _mixed_labels(labels: np.ndarray, partners: np.ndarray, num_classes: int, share: np.float32) -> np.ndarray:
    rows = np.arange(len(labels))
    soft = np.zeros((len(labels), num_classes), np.float32)
    soft[rows, labels] += share
    soft[rows, labels[partners]] += 1 - share
    return soft
