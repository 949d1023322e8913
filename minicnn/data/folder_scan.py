"""Listing a folder of pictures as it lies on a disk, with its other files, links and tables of labels.

Pictures may lie at any depth of a class folder; other files (`.txt`, `.mat`) are passed over and counted. Hidden names
(with a dot first, or those of file managers) are passed over without a word. Links are followed; a link whose target is
missing, or a link to a folder that contains the link, is an error.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

# The endings that Pillow reads as pictures; in lower case.
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".avif", ".avifs"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".tga", ".jp2", ".j2k"),
)
# Files and folders of file managers and archives, besides names that begin with a dot; in lower case.
IGNORED = ("thumbs.db", "desktop.ini", "@eadir", "__macosx", "$recycle.bin", "lost+found")
_TABLES = (".csv", ".tsv")
# Words in the name of a text file that gives the classes, such as Tiny-ImageNet's val_annotations.txt.
_LABEL_WORDS = ("label", "annotation", "class", "ground_truth")


def folders_in(root: Path) -> list[Path]:
    """The folders in `root`, in alphabetical order, without hidden ones. Raises FileNotFoundError for a broken link
    that may be a class: its name is without an ending."""
    found = [path for path in root.iterdir() if not _hidden(path)]
    for path in found:
        if not path.suffix:
            _check_link(path)
    return sorted(path for path in found if path.is_dir())


def pictures_and_others(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures in `folder` and below, in alphabetical order, and the other files; hidden ones are in neither.

    Raises FileNotFoundError for a link whose target is missing; ValueError for a link to a folder that contains it.
    """
    files = sorted(_files(folder, (os.path.realpath(folder),)))
    pictures = [path for path in files if path.suffix.lower() in EXTENSIONS]
    return pictures, [path for path in files if path.suffix.lower() not in EXTENSIONS]


def _files(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    """All files in `folder` and below; `above` holds the real paths of this folder and of those that contain it."""
    for path in folder.iterdir():
        if _hidden(path):
            continue
        _check_link(path)
        if path.is_dir():
            real = os.path.realpath(path)
            if any(os.path.commonpath((outer, real)) == real for outer in above if _same_drive(outer, real)):
                raise ValueError(f"{path} is a link to {real}, a folder that contains the link; remove the link")
            yield from _files(path, (*above, real))
        elif path.is_file():
            yield path


def _same_drive(first: str, second: str) -> bool:
    return os.path.splitdrive(first)[0] == os.path.splitdrive(second)[0]


def _check_link(path: Path) -> None:
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path} is a link to {os.readlink(path)}, which does not exist (or cannot be reached); bring the target "
            "back, or remove the link"
        )


def _hidden(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in IGNORED


def endings(paths: Sequence[Path]) -> str:
    """How many of `paths` have which ending: "200 .txt, 1 without an ending", the most frequent first."""
    counts = Counter(path.suffix.lower() or "without an ending" for path in paths)
    return ", ".join(f"{count} {ending}" for ending, count in counts.most_common(5))


def labels_beside(*folders: Path) -> str:
    """Advice if one of `folders` holds a table of labels (`train.csv`, `val_annotations.txt`), else an empty text."""
    for folder in folders:
        for path in sorted(folder.iterdir()):
            name = path.name.lower()
            is_list = path.suffix.lower() == ".txt" and any(word in name for word in _LABEL_WORDS)
            if path.is_file() and not _hidden(path) and (path.suffix.lower() in _TABLES or is_list):
                return (
                    f". The labels may be in {path}{_columns(path)}, which ImageFolder does not read: move each "
                    f"picture into a folder with the name of its class, {folder}/CLASS/PICTURE, or write a Dataset"
                )
    return ""


def _columns(path: Path) -> str:
    """The first row of a table, cut to what fits a message."""
    if path.suffix.lower() not in _TABLES:
        return ""
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        line = file.readline(1000)
    names = next(csv.reader([line], delimiter="\t" if path.suffix.lower() == ".tsv" else ","), [])
    return f" (columns {', '.join(names)[:100]!r})"
