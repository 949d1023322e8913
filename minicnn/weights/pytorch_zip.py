"""PyTorch's .pth since version 1.6: a zip archive, uncompressed.

    NAME/data.pkl      a pickle of the objects, in which every storage is a persistent id (pytorch_objects)
    NAME/byteorder     "little" or "big"; missing in older files, which are little-endian
    NAME/data/0 ...    the storages' bytes, one member each
    NAME/version       of this layout; not needed here

The archive has a checksum for every member, unless PyTorch was told to leave them out: all are 0 then.
"""

import io
import zipfile
from typing import Any, BinaryIO

from minicnn.files import zip_archive
from minicnn.files.plain_text import plain
from minicnn.weights.pytorch_objects import ALLOWED, StorageOfKind, load_objects, state_of, storage_id
from minicnn.weights.stored import DAMAGE, FileStorage, Storage, WeightFile, ZipStorage

_PICKLE = "/data.pkl"


def open_file(file: BinaryIO, size: int, source: str, key: str | None = None) -> WeightFile:
    """The zip form of .pth in `file`, which has `size` bytes; arrays are read later. `key` is as in state_of.

    Raises ValueError, naming `source`, if the file has another form, is damaged, or names more than tensors. Checksums
    of storages are compared when the storages are read.
    """
    try:
        program = _program(zipfile.ZipFile(file).namelist())
        if program:
            raise _ProgramError(
                f"{source} is {program}: a program, not only weights; load it with PyTorch and save its state_dict() "
                "with torch.save"
            )
        archive = zip_archive.open_archive(file, size, (zipfile.ZIP_STORED,))
        pickles = [name for name in archive.namelist() if name.endswith(_PICKLE) and name.count("/") == 1]
        if len(pickles) != 1:
            raise ValueError(f"it should have one member NAME{_PICKLE}, but has {len(pickles)}: is it an .npz?")
        folder = pickles[0].removesuffix(_PICKLE)
        members = _Members(archive, file, size)
        content = members.read(pickles[0])
        order = _byte_order(members, folder)
    except _ProgramError as error:
        raise ValueError(str(error)) from None
    except DAMAGE as error:
        raise ValueError(f"{source} is not a file of PyTorch, or is damaged or cut short: {plain(error)}") from error
    find = _Storages(members, folder, order)
    entries, ignored = state_of(load_objects(io.BytesIO(content), source, ALLOWED, find), source, key)
    return WeightFile(source, "PyTorch's .pth (zip)", size, entries, file.close, ignored=ignored)


class _ProgramError(Exception):
    """The archive is whole, but holds a program."""


def _program(names: list[str]) -> str:
    """What an archive of other programs of PyTorch is called, by the names of its members; empty for a plain state."""
    inside = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inside or any(name.startswith("code/") for name in inside):
        return "a TorchScript archive (torch.jit.save)"
    if "archive_format" in inside or "models/model.json" in inside or "serialized_exported_program.json" in names:
        return "an exported program (torch.export.save)"
    return ""


class _Members:
    """The members of an archive; read with their checksums, if there are any."""

    def __init__(self, archive: zipfile.ZipFile, file: BinaryIO, size: int):
        self.archive, self.file, self.size = archive, file, size
        self.names = frozenset(archive.namelist())
        self.checked = zip_archive.has_checksums(archive)

    def storage(self, name: str) -> Storage:
        member = self.archive.getinfo(name)
        if self.checked:
            return ZipStorage(self.archive, member)
        return FileStorage(self.file, zip_archive.first_byte(self.file, self.size, member), member.file_size)

    def read(self, name: str) -> bytes:
        member = self.archive.getinfo(name)
        if self.checked:
            return zip_archive.read_small(self.archive, member)
        if member.file_size > zip_archive.MOST_SMALL:
            raise ValueError(f"{name!r} has {member.file_size:,} bytes; at most {zip_archive.MOST_SMALL:,} are read")
        return b"".join(self.storage(name).pieces())


def _byte_order(members: _Members, folder: str) -> str:
    if f"{folder}/byteorder" not in members.names:
        return "<"
    name = members.read(f"{folder}/byteorder")
    if name not in (b"little", b"big"):
        raise ValueError(f"the order of its bytes is {name[:20]!r}, neither little nor big")
    return "<" if name == b"little" else ">"


class _Storages:
    """Called with a persistent id, returns the member that holds the storage, one for each key."""

    def __init__(self, members: _Members, folder: str, order: str):
        self.members, self.folder, self.order = members, folder, order
        self.found: dict[str, StorageOfKind] = {}

    def __call__(self, identity: Any) -> StorageOfKind:
        kind, key, elements, _ = storage_id(identity, 5)
        if key not in self.found:
            storage = self.members.storage(f"{self.folder}/data/{key}")
            self.found[key] = StorageOfKind(storage, kind, self.order)
        found = self.found[key]
        if found.kind != kind or found.storage.size != elements * kind.itemsize:
            raise ValueError(
                f"storage {key} should have {elements} elements {kind.name} of {kind.itemsize} bytes, "
                f"but has {found.storage.size} bytes of {found.kind.name}"
            )
        return found
