"""PyTorch's .pth since version 1.6: a zip archive, uncompressed.

    NAME/data.pkl      a pickle of the objects, in which every storage is a persistent id (pytorch_objects)
    NAME/byteorder     "little" or "big"; missing in older files, which are little-endian
    NAME/data/0 ...    the storages' bytes, one member each
    NAME/version       of this layout; not needed here

The archive has a checksum for every member.
"""

import io
import zipfile
from typing import Any, BinaryIO

from minicnn.files import zip_archive
from minicnn.files.plain_text import plain
from minicnn.weights.pytorch_objects import ALLOWED, StorageOfKind, load_objects, state_of, storage_id
from minicnn.weights.stored import DAMAGE, WeightFile, ZipStorage

_PICKLE = "/data.pkl"


def open_file(file: BinaryIO, size: int, source: str) -> WeightFile:
    """The zip form of .pth in `file`, which has `size` bytes; arrays are read later.

    Raises ValueError, naming `source`, if the file has another form, is damaged, or names more than tensors. Checksums
    of storages are compared when the storages are read.
    """
    try:
        archive = zip_archive.open_archive(file, size, (zipfile.ZIP_STORED,))
        pickles = [name for name in archive.namelist() if name.endswith(_PICKLE) and name.count("/") == 1]
        if len(pickles) != 1:
            raise ValueError(f"it should have one member NAME{_PICKLE}, but has {len(pickles)}: is it an .npz?")
        folder = pickles[0].removesuffix(_PICKLE)
        content = zip_archive.read_small(archive, archive.getinfo(pickles[0]))
        order = _byte_order(archive, folder)
    except DAMAGE as error:
        raise ValueError(f"{source} is not a file of PyTorch, or is damaged or cut short: {plain(error)}") from error
    find = _Storages(archive, folder, order)
    entries, ignored = state_of(load_objects(io.BytesIO(content), source, ALLOWED, find), source)
    return WeightFile(source, "PyTorch's .pth (zip)", size, entries, file.close, ignored=ignored)


def _byte_order(archive: zipfile.ZipFile, folder: str) -> str:
    if f"{folder}/byteorder" not in archive.namelist():
        return "<"
    name = zip_archive.read_small(archive, archive.getinfo(f"{folder}/byteorder"))
    if name not in (b"little", b"big"):
        raise ValueError(f"the order of its bytes is {name[:20]!r}, neither little nor big")
    return "<" if name == b"little" else ">"


class _Storages:
    """Called with a persistent id, returns the member that holds the storage, one for each key."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, order: str):
        self.archive, self.folder, self.order = archive, folder, order
        self.found: dict[str, StorageOfKind] = {}

    def __call__(self, identity: Any) -> StorageOfKind:
        kind, key, elements, _ = storage_id(identity, 5)
        if key not in self.found:
            storage = ZipStorage(self.archive, self.archive.getinfo(f"{self.folder}/data/{key}"))
            self.found[key] = StorageOfKind(storage, kind, self.order)
        found = self.found[key]
        if found.kind != kind or found.storage.size != elements * kind.itemsize:
            raise ValueError(
                f"storage {key} should have {elements} elements {kind.name} of {kind.itemsize} bytes, "
                f"but has {found.storage.size} bytes of {found.kind.name}"
            )
        return found
