"""The common part of MNIST, CIFAR and similar sets: splits, checks, and pictures kept in memory as uint8.

    "train"     the training pictures without those of "val"
    "val"       a fixed part of the training pictures, the same share of each class: choose and tune on it
    "trainval"  both: all training pictures
    "test"      the test pictures, read only when this split is asked for

"train" and "val" never share a picture, and no seed moves the line between them.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from minicnn.data.dataset import Dataset, TensorDataset, check_labels
from minicnn.data.download import data_folders
from minicnn.data.split import stratified_split

SPLITS = ("train", "val", "trainval", "test")


class ImageSet(TensorDataset):
    """Base of the sets that fit in memory. A subclass describes its contents, and reads the files of a split in `read`.

    root       a folder to search and to download to, instead of MINICNN_DATA and the cache (see minicnn.data.download)
    download   False never touches the network
    sources    addresses of folders that serve the files, tried in order, instead of the known ones

    `images` (N, C, H, W) uint8, `labels` (N,) int64, `classes`; `mean` and `std` are those of a channel over all
    training pictures, as `channel_statistics(TheSet("trainval"))` gives them.

    Raises ValueError for an unknown split or files with other contents than expected; FileNotFoundError if files are
    neither here nor can be downloaded.
    """

    class_names: ClassVar[tuple[str, ...]]
    image_shape: ClassVar[tuple[int, int, int]]  # (C, H, W)
    counts: ClassVar[dict[str, int]]  # pictures in the "train" and the "test" files
    held_out: ClassVar[int] = 5000  # pictures in "val"
    sources: ClassVar[tuple[str, ...]]
    mean: ClassVar[tuple[float, ...]]
    std: ClassVar[tuple[float, ...]]

    def __init__(
        self,
        split: str = "train",
        root: str | os.PathLike[str] | None = None,
        download: bool = True,
        sources: Sequence[str] | None = None,
    ):
        self.split = check_split(split, type(self).__name__)
        self.download = download
        self.active_sources = tuple(self.sources if sources is None else sources)
        files = "test" if split == "test" else "train"
        images, labels = self.read(files, data_folders(root))
        self._check(files, images, labels)
        if split in ("train", "val"):
            val, train = stratified_split(labels, [self.held_out, len(labels) - self.held_out], seed=0)
            chosen = val if split == "val" else train
            images, labels = images[chosen], labels[chosen]
        super().__init__(images, labels, classes=self.class_names)

    def read(self, files: str, folders: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        """images (N, C, H, W) uint8 and labels (N,) of the "train" or the "test" files."""
        raise NotImplementedError(f"{type(self).__name__} must define read")

    def _check(self, files: str, images: np.ndarray, labels: np.ndarray) -> None:
        expected = (self.counts[files], *self.image_shape)
        if images.shape != expected or labels.shape != expected[:1]:
            raise ValueError(
                f"the {files} files of {type(self).__name__} should hold pictures {expected} and "
                f"labels {expected[:1]}, but hold {images.shape} and {labels.shape}; fetch them again"
            )
        check_labels(labels, len(self.class_names))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(split={self.split!r}: {len(self)} pictures {self.images.shape[1:]})"


def check_split(split: str, name: str, splits: Sequence[str] = SPLITS) -> str:
    """`split` if it is one of `splits`. Raises ValueError that names them."""
    if split not in splits:
        raise ValueError(f"split of {name} must be one of {', '.join(map(repr, splits))}, but is {split!r}")
    return split


def channel_statistics(dataset: Dataset, batch_size: int = 1000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, standard deviation) of every channel over all pixels of all pictures, in [0, 1], summed in float64.

    Raises ValueError if the data set is empty, its items are not pictures with pixels, or a pixel is NaN or infinite.
    """
    if len(dataset) == 0:
        raise ValueError("the data set is empty: it has no mean")
    first = dataset.batch([0])[0]
    if first.ndim != 4 or not first.size:
        raise ValueError(f"dataset must hold pictures (C, H, W) with pixels, but its first has {first.shape[1:]}")
    # Sums of differences from about the mean: E[x*x] - E[x]*E[x] of the values themselves would cancel.
    about = first.mean(axis=(0, 2, 3), keepdims=True, dtype=np.float64)  # (1, C, 1, 1)
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for start in range(0, len(dataset), batch_size):
        images = dataset.batch(np.arange(start, min(start + batch_size, len(dataset))))[0]
        broken = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
        if len(broken):
            raise ValueError(f"picture {start + broken[0]} of dataset has a pixel that is NaN or infinite; repair it")
        images = images - about
        count += images.size // images.shape[1]
        total = total + images.sum(axis=(0, 2, 3))  # (B, C, H, W) -> (C,)
        squares = squares + np.square(images).sum(axis=(0, 2, 3))
    variance = np.maximum(squares / count - np.square(total / count), 0)
    mean = about.ravel() + total / count
    return tuple(float(value) for value in mean), tuple(float(value) for value in np.sqrt(variance))
