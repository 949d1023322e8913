"""A transfer task: the few labelled pictures that a trained backbone is adapted to, and the many that judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TransferTask:
    """Pictures as the backbone was trained on them (normalised, float32, (N, C, H, W)) and their labels (N,) int64.

    Raises ValueError, at construction, if pictures and labels don't match in number or a label is out of range.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    num_classes: int

    def __post_init__(self) -> None:
        pairs = {"train": (self.train_images, self.train_labels), "test": (self.test_images, self.test_labels)}
        for split, (images, labels) in pairs.items():
            if len(images) != len(labels) or not len(images):
                raise ValueError(
                    f"{self.name}: {len(images)} {split} images and {len(labels)} {split} labels; there must be "
                    "as many, and at least one"
                )
            if labels.min() < 0 or labels.max() >= self.num_classes:
                raise ValueError(
                    f"{self.name}: {split} labels reach from {labels.min()} to {labels.max()}, but must lie in "
                    f"0..{self.num_classes - 1} (num_classes = {self.num_classes})"
                )


Target = TransferTask  # the earlier name
