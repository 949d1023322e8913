"""MNIST, Fashion-MNIST and KMNIST: 28x28 grey pictures of ten classes, in idx files of one layout."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from minicnn.data.download import RemoteFile, find, obtain
from minicnn.data.idx import read_idx
from minicnn.data.image_set import ImageSet

IMAGES = {"train": "train-images-idx3-ubyte.gz", "test": "t10k-images-idx3-ubyte.gz"}
LABELS = {"train": "train-labels-idx1-ubyte.gz", "test": "t10k-labels-idx1-ubyte.gz"}


class MNIST(ImageSet):
    """Handwritten digits: 60,000 training pictures (5,000 of them "val") and 10,000 for the test, (1, 28, 28).

    Arguments, attributes, splits and errors are those of `ImageSet`; files are looked for in the subfolders `mnist` and
    `MNIST/raw` (torchvision's), packed or not, with a dot for the first hyphen before idx (Kaggle's, 7-Zip's); and as
    `mnist.npz` with x_train, y_train, x_test, y_test (Keras's).
    LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition".
    """

    subfolder: ClassVar[str] = "mnist"
    torchvision_name: ClassVar[str] = "MNIST"
    class_names: ClassVar[tuple[str, ...]] = tuple("0123456789")
    image_shape = (1, 28, 28)
    counts: ClassVar[dict[str, int]] = {"train": 60_000, "test": 10_000}
    mean: ClassVar[tuple[float, ...]] = (0.1307,)
    std: ClassVar[tuple[float, ...]] = (0.3081,)
    sources: ClassVar[tuple[str, ...]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def read(self, files: str, folders: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        keras = self._keras_file(folders)
        if keras is not None and self._found(IMAGES[files], folders) is None:
            images = _read_npz(keras, f"x_{files}", axes=3)
            return images[:, np.newaxis], _read_npz(keras, f"y_{files}", axes=1)  # (N, H, W) -> (N, 1, H, W)
        images = read_idx(self._path(IMAGES[files], folders), axes=3)
        labels = read_idx(self._path(LABELS[files], folders), axes=1)
        return images[:, np.newaxis], labels  # (N, H, W) -> (N, 1, H, W)

    def _keras_file(self, folders: Sequence[Path]) -> Path | None:
        """`mnist.npz` (or the like, named after the subfolder) in the subfolder or beside it."""
        name = f"{self.subfolder}.npz"
        return find([name], [place for folder in folders for place in (folder / self.subfolder, folder)])

    def _found(self, name: str, folders: Sequence[Path]) -> Path | None:
        """The idx file under one of its names: packed or not, with a dot, or in a folder of its own name."""
        unpacked = name.removesuffix(".gz")
        dotted = unpacked.replace("-idx", ".idx")  # as some programs unpack it
        names = [unpacked, dotted, name, f"{dotted}.gz"]
        places = [folder / inner for folder in folders for inner in (self.subfolder, f"{self.torchvision_name}/raw")]
        nested = [f"{each}/{each}" for each in names]  # as Kaggle packs them
        return next((place / each for place in places for each in names + nested if (place / each).is_file()), None)

    def _path(self, name: str, folders: Sequence[Path]) -> Path:
        found = self._found(name, folders)
        if found is not None:
            return found
        file = RemoteFile(name, self.md5[name], self.active_sources, self.subfolder)
        return obtain(file, folders, f"{type(self).__name__} (split {self.split!r}) needs {name}", self.download)


class FashionMNIST(MNIST):
    """Articles of clothing, made to replace MNIST where it is too easy: counts and shapes are MNIST's.

    Files are looked for in the subfolder `fashion-mnist`. Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747. MIT licence.
    """

    subfolder = "fashion-mnist"
    torchvision_name = "FashionMNIST"
    class_names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    )  # fmt: skip
    mean: ClassVar[tuple[float, ...]] = (0.2860,)
    std: ClassVar[tuple[float, ...]] = (0.3530,)
    sources: ClassVar[tuple[str, ...]] = (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    )
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }


class KMNIST(MNIST):
    """Cursive Japanese characters (Kuzushiji), one class a column of the syllabary: counts and shapes are MNIST's.

    Files are looked for in the subfolder `kmnist`: idx files, or the pair `kmnist-test-imgs.npz`,
    `kmnist-test-labels.npz` (`kmnist-train-...`). Clanuwat et al. 2018, arXiv 1812.01718. CC BY-SA 4.0.
    """

    subfolder = "kmnist"
    torchvision_name = "KMNIST"
    class_names: ClassVar[tuple[str, ...]] = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
    mean: ClassVar[tuple[float, ...]] = (0.1918,)
    std: ClassVar[tuple[float, ...]] = (0.3483,)
    sources: ClassVar[tuple[str, ...]] = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    md5: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    }

    def read(self, files: str, folders: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
        subfolders = [folder / self.subfolder for folder in folders]
        images, labels = (find([f"kmnist-{files}-{part}.npz"], subfolders) for part in ("imgs", "labels"))
        if images is None or labels is None:
            return super().read(files, folders)
        pictures = _read_npz(images, None, axes=3)[:, np.newaxis]
        return pictures, _read_npz(labels, None, axes=1)  # (N, H, W) -> (N, 1, H, W)


def _read_npz(path: Path, name: str | None, axes: int) -> np.ndarray:
    """The uint8 array `name` (None: the only one) of the npz file at `path`. Raises ValueError if that is not there."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if name in (None, key)}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise ValueError(f"{path} is damaged or no npz file ({error}): delete it and fetch it again") from error
    found = list(arrays.values())
    if len(found) != 1 or found[0].ndim != axes or found[0].dtype != np.uint8:
        there = [f"{array.dtype} {array.shape}" for array in found]
        called = "one uint8 array" if name is None else f"a uint8 array {name!r}"
        raise ValueError(f"{path} should hold {called} with {axes} axes, but holds {there}")
    result: np.ndarray = found[0]
    return result
