"""ImageFolder: a data set from folders of picture files, one folder a class; and Imagenette, which comes so."""

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minicnn.data.dataset import Dataset, check_index, collate, handed_out
from minicnn.data.download import RemoteFile, data_folders, find, obtain
from minicnn.data.folder_scan import EXTENSIONS, endings, folders_in, labels_beside, pictures_and_others
from minicnn.data.image_set import check_split
from minicnn.data.split import stratified_split
from minicnn.files.archive import extract

# The folders of a split, by their names in lower case: capitals don't matter.
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
# Folders of sets for detection and segmentation, such as Oxford-IIIT Pets' images/ and annotations/; in lower case.
_KINDS_OF_FILES = {
    *("images", "image", "imgs", "pictures", "photos", "jpegimages", "annotations", "annotation", "annots", "labels"),
    *("masks", "mask", "segmentationclass", "segmentationobject", "trimaps", "imagesets", "bounding_boxes", "xmls"),
}
_SPLIT_WORDS = {word for words in SPLIT_FOLDERS.values() for word in words}


class ImageFolder(Dataset):
    """The pictures of `root/CLASS/**/*.jpg` (and other formats) as (image float32 (3, H, W) in [0, 1], label).

    size    None keeps the size of each picture; an int or (H, W) fits each picture at its first use: the shorter side
            is resized to fill the size (bilinear, antialiased), then the centre is cut out. A batch needs one size.
    split   None takes all of `root`. With folders `root/train` (and `root/val`, `root/test`) a split is its folder;
            `Training`, `valid`, `TEST` and the like are understood. Without such a folder, "val" is a fixed share of
            the pictures of every class, and "train" the rest.
    held_out  that share

    Classes are the folder names in alphabetical order. Grey, palette and transparent pictures become RGB, and photos
    are turned as their camera says. A picture is read when it is first asked for and kept as uint8: later epochs are
    fast.

    Files in a class folder that are not pictures are passed over, and one warning counts them. A single class is warned
    of, too: nothing can be learned, and `root` may be one folder too high.

    Raises FileNotFoundError if `root` or the target of a link is missing; ValueError if `root` has no classes, a class
    has no pictures, the classes have names of splits or of kinds of files (images, annotations), the labels are in a
    table beside a single folder, or, at its first use, a picture is broken. Each error names the path.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str | None = None,
        size: int | tuple[int, int] | None = None,
        held_out: float = 0.2,
    ):
        self.root = Path(root).expanduser()
        self.split = split
        self.size = _size_pair(size)
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"the folder {self.root} does not exist; there should be one folder of pictures per class"
            )
        if not 0 < held_out < 1:
            raise ValueError(f"held_out is a share of the pictures between 0 and 1, but is {held_out}")
        self.classes, self.paths, self._labels = _of_split(self.root, split, held_out)
        self._kept: list[np.ndarray | None] = [None] * len(self.paths)

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        index = check_index(index, len(self))
        return handed_out(self._pixels(index)).transpose(2, 0, 1), int(self._labels[index])  # (H, W, 3) -> (3, H, W)

    def batch(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, ...]:
        if self.size is None:
            return collate([self[int(index)] for index in indices], indices)
        pixels = np.stack([self._pixels(int(index)) for index in indices])  # B x (H, W, 3) -> (B, H, W, 3)
        return handed_out(pixels).transpose(0, 3, 1, 2), self._labels[np.asarray(indices, dtype=np.int64)]

    def _pixels(self, index: int) -> np.ndarray:
        """uint8 (H, W, 3), from memory after the first time."""
        pixels = self._kept[index]
        if pixels is None:
            pixels = self._kept[index] = read_image(self.paths[index], self.size)
        return pixels

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({str(self.root)!r}, split={self.split!r}: {len(self)} pictures, "
            f"{len(self.classes)} classes, size={self.size})"
        )


class Imagenette(ImageFolder):
    """Ten easily told classes of ImageNet photographs: 9,469 to train (1,000 of them "val") and 3,925 for the test.

    `size` is that of the pictures handed out; the files have a shorter side of 160. Splits are those of
    `minicnn.data.image_set`; "test" is the folder val of the archive. Looked for in the subfolder `imagenette2-160`, as
    the archive `imagenette2-160.tgz`, or fetched. `mean` and `std` are ImageNet's. github.com/fastai/imagenette.
    """

    subfolder: ClassVar[str] = "imagenette2-160"
    archive: ClassVar[tuple[str, str]] = ("imagenette2-160.tgz", "e793b78cc4c9e9a4ccc0c1155377a412")  # name, md5
    sources: ClassVar[tuple[str, ...]] = ("https://s3.amazonaws.com/fast-ai-imageclas/",)
    held_out_count: ClassVar[int] = 1000
    counts: ClassVar[dict[str, int]] = {"train": 9469, "test": 3925}  # pictures in the folders "train" and "val"
    class_names: ClassVar[dict[str, str]] = {  # by WordNet id, the names of the folders
        "n01440764": "tench",
        "n02102040": "English springer",
        "n02979186": "cassette player",
        "n03000684": "chain saw",
        "n03028079": "church",
        "n03394916": "French horn",
        "n03417042": "garbage truck",
        "n03425413": "gas pump",
        "n03445777": "golf ball",
        "n03888257": "parachute",
    }
    words = class_names  # the earlier name
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    def __init__(
        self,
        split: str = "train",
        size: int | tuple[int, int] = 128,
        root: str | os.PathLike[str] | None = None,
        download: bool = True,
        sources: Sequence[str] | None = None,
    ):
        check_split(split, type(self).__name__)
        folder = self._folder(split, root, download, tuple(self.sources if sources is None else sources))
        super().__init__(folder / ("val" if split == "test" else "train"), size=size)
        self.split = split
        self.classes = tuple(self.class_names.get(name, name) for name in self.classes)
        if split in ("train", "val"):
            counts = [self.held_out_count, len(self) - self.held_out_count]
            val, train = stratified_split(self._labels, counts, seed=0)
            chosen = val if split == "val" else train
            self.paths = [self.paths[index] for index in chosen]
            self._labels = self._labels[chosen]
            self._kept = [None] * len(self.paths)

    def _folder(
        self, split: str, root: str | os.PathLike[str] | None, download: bool, sources: tuple[str, ...]
    ) -> Path:
        folders = data_folders(root)
        found = find([self.subfolder], folders)
        if found is not None:
            return found
        name, md5 = self.archive
        here = find([name], folders)
        purpose = f"{type(self).__name__} (split {split!r}) needs the folder {self.subfolder} or {name}"
        archive = here or obtain(RemoteFile(name, md5, sources), folders, purpose, download)
        folder = extract(archive, folders[-1], self.subfolder)
        if here is None:
            archive.unlink()  # its contents lie beside it now
        return folder


def read_image(path: str | os.PathLike[str], size: int | tuple[int, int] | None = None) -> np.ndarray:
    """uint8 (H, W, 3) of the picture file at `path`, fitted to `size` as in ImageFolder.

    Raises ValueError, naming the path, if the file is broken, cut short or no picture.
    """
    from PIL import Image, ImageOps

    picture = open_image(path)
    pair = _size_pair(size)
    if pair is not None:
        height, width = pair
        picture = ImageOps.fit(picture, (width, height), method=Image.Resampling.BILINEAR)
    return np.asarray(picture)


def open_image(path: str | os.PathLike[str]) -> Any:
    """The picture at `path` as an object of Pillow, in RGB and turned as the camera says; 4 bytes a pixel of memory.

    Raises as `read_image` does.
    """
    from PIL import Image, ImageOps, features

    try:
        with Image.open(path) as file:
            ImageOps.exif_transpose(file, in_place=True)
            picture = _eight_bit(file, file.format)
            if picture.mode != "RGB":  # else convert() would make a copy
                return picture.convert("RGB")
            picture.load()
            return picture
    except (FileNotFoundError, IsADirectoryError, PermissionError):  # which say themselves what is wrong
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if str(path).lower().endswith((".avif", ".avifs")) and not features.check("avif"):
            raise ValueError(f"{path}: this Pillow does not read AVIF; install Pillow 11.3 or newer") from error
        raise ValueError(f"{path} is a broken picture, or none ({error}); repair or remove it") from error


def _eight_bit(picture: Any, format: str | None) -> Any:
    """A grey Pillow picture of 16 bits (a scan, a microscope's) brought to 8; Pillow alone would cut it off at 255.

    Raises ValueError for 32 bits and for floats: nothing says which of their values is white.
    """
    from PIL import Image

    if picture.mode.startswith("I;16") or (picture.mode == "I" and format in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(picture).astype(np.uint32) >> 8).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise ValueError(f"its pixels have mode {picture.mode!r}, whose white is not known; save it with 8 or 16 bits")
    return picture


def _size_pair(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, (int, np.integer)) else size
    if height < 1 or width < 1:
        raise ValueError(f"size must be 1 or more pixels, or (height, width), but is {size}")
    return int(height), int(width)


def _of_split(root: Path, split: str | None, held_out: float) -> tuple[tuple[str, ...], list[Path], np.ndarray]:
    """Class names, paths and labels of the pictures of a split."""
    if split is None:
        return _scan(root)
    check_split(split, f"the folder {root}", tuple(SPLIT_FOLDERS))
    folders = {name: split_folder(root, name) for name in SPLIT_FOLDERS}
    train, own = folders["train"], folders[split]
    if split == "test" and (own is None or train is None):
        raise ValueError(f"split 'test' needs folders {root / 'train'} and {root / 'test'}; ask for 'train' or 'val'")
    if train is not None and own is not None and (split != "train" or folders["val"] is not None):
        _check_same_classes(_class_names(own), own, train)
        return _scan(own)
    classes, paths, labels = _scan(root if train is None else train)
    val, rest = stratified_split(labels, [held_out, 1.0 - held_out], seed=0)
    chosen = val if split == "val" else rest
    if len(chosen) == 0:
        raise ValueError(f"split {split!r} of {root} would be empty: {len(labels)} pictures, held_out {held_out}")
    return classes, [paths[index] for index in chosen], labels[chosen]


def split_folder(root: Path, split: str) -> Path | None:
    """The folder of a split in `root`, or None if there is not one.

    A folder `train` without folders in it is a class: trains, in pictures.
    """
    if not root.is_dir():
        return None
    names = SPLIT_FOLDERS[split]
    found = sorted((path for path in folders_in(root) if path.name.lower() in names), key=lambda path: path.name)
    found.sort(key=lambda path: names.index(path.name.lower()))
    return next((path for path in found if split != "train" or folders_in(path)), None)


def _check_same_classes(classes: tuple[str, ...], own: Path, train: Path) -> None:
    expected = _class_names(train)
    if classes != expected:
        raise ValueError(
            f"the classes {list(classes)} in {own} differ from those in {train}, {list(expected)}{labels_beside(own)}"
        )


def _class_names(root: Path) -> tuple[str, ...]:
    names = tuple(path.name for path in folders_in(root))
    if not names:
        above = [root.parent] if root.name.lower() in _SPLIT_WORDS | _KINDS_OF_FILES else []
        raise ValueError(
            f"{root} holds no folders: pictures must lie in one folder per class, {root}/CLASS/PICTURE"
            f"{labels_beside(root, *above)}"
        )
    if len(names) > 1 and all(name.lower() in _KINDS_OF_FILES for name in names):
        raise ValueError(
            f"the folders {', '.join(names)} in {root} have names of kinds of files, not of classes: pictures must lie "
            f"in one folder per class, {root}/CLASS/PICTURE{labels_beside(root)}"
        )
    if all(_SPLIT_WORDS & set(re.split(r"[^a-z]+", name.lower())) for name in names):
        raise ValueError(
            f"the folders {', '.join(names)} in {root} have names of splits, not of classes: give a split "
            "(split='train' reads the folder 'train'), name the folders train, val and test, or give the path of one"
            f"{labels_beside(root)}"
        )
    return names


def _scan(root: Path) -> tuple[tuple[str, ...], list[Path], np.ndarray]:
    classes = _class_names(root)
    paths: list[Path] = []
    labels: list[int] = []
    others: list[Path] = []
    for label, name in enumerate(classes):
        pictures, rest = pictures_and_others(root / name)
        if not pictures:
            there = f", but {endings(rest)}; pictures end in {', '.join(EXTENSIONS)}" if rest else ""
            raise ValueError(
                f"class folder {root / name} holds no pictures{there}; remove it or fill it{labels_beside(root)}"
            )
        paths += pictures
        labels += [label] * len(pictures)
        others += rest
    if len(classes) == 1:
        _refuse_or_warn_of_one_class(root / classes[0])
    if others:
        warnings.warn(
            f"{len(others)} files in the class folders of {root} are not pictures and were passed over "
            f"({endings(others)}), such as {others[0]}",
            stacklevel=5,
        )
    return classes, paths, np.array(labels, dtype=np.int64)


def _refuse_or_warn_of_one_class(folder: Path) -> None:
    inner = [path.name for path in folders_in(folder)]
    advice = f"if {', '.join(inner[:3])} in it are the classes, give {folder}" if inner else "give a folder per class"
    table = labels_beside(folder.parent)
    if table and not inner:
        raise ValueError(f"{folder.parent} holds one folder of pictures only, {folder.name!r}{table}")
    warnings.warn(
        f"{folder.parent} holds one class only, {folder.name!r}: every answer will be right, and nothing is learned; "
        f"{advice}",
        stacklevel=6,
    )
