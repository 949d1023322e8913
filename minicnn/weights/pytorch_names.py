"""The names in the pickles of a PyTorch file, to describe a refused file. Nothing is imported or run."""

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from minicnn.files import safe_pickle, zip_archive
from minicnn.weights import pytorch_tar
from minicnn.weights.files import SUFFIXES
from minicnn.weights.pytorch_objects import ALLOWED
from minicnn.weights.pytorch_others import placeholder_for
from minicnn.weights.stored import DAMAGE

_PICKLES = 5  # of the legacy form
_MOST_NAMES = 100


def names_asked_for(path: str | os.PathLike[str]) -> list[tuple[str, bool]]:
    """(name, True if not refused) of every name in the pickles of a file; empty if the file cannot be understood."""
    if Path(path).suffix.lower() in SUFFIXES or not Path(path).is_file():
        return []
    asked: dict[str, None] = {}
    with open(path, "rb") as file:
        for content in _pickles(file, os.fstat(file.fileno()).st_size):
            for name in safe_pickle.names(content):
                asked[name] = None
                if len(asked) == _MOST_NAMES:
                    break
    allowed = {".".join(name) for name in ALLOWED}
    return [(name, name in allowed or placeholder_for(*name.rpartition(".")[::2]) is not None) for name in asked]


def _beginning(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(512)


def _pickles(file: BinaryIO, size: int) -> Iterator[BinaryIO]:
    """Open files whose present position is the beginning of a pickle."""
    if file.read(2) == b"PK":
        try:
            archive = zip_archive.open_archive(file, size, (zipfile.ZIP_STORED,))
            for member in archive.infolist():
                if member.filename.endswith(".pkl"):
                    yield io.BytesIO(zip_archive.read_small(archive, member))
        except DAMAGE:
            return
    elif pytorch_tar.is_tar(_beginning(file)):
        try:
            places = [member for member in pytorch_tar.members_of(file, size) if member.name == "pickle"]
        except DAMAGE:
            return
        for place in places:
            file.seek(place.start)
            yield io.BytesIO(file.read(min(place.size, zip_archive.MOST_SMALL)))
    else:
        file.seek(0)
        content = io.BytesIO(file.read(zip_archive.MOST_SMALL))
        if bytes(content.getbuffer()[:1]) != b"\x80":  # every pickle of the legacy form begins so
            return
        for _ in range(_PICKLES):
            yield content
