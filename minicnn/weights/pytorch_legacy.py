"""PyTorch's .pth before version 1.6, in which several of torchvision's files still are: pickles, one behind the other.

    pickle     a magic number
    pickle     the version, 1001
    pickle     {"little_endian": True, ...}
    pickle     the objects, in which every storage is a persistent id (pytorch_objects) that ends in what it is a view of
    pickle     the keys of the storages, in the order in which their bytes follow
    each       the number of elements (8 bytes), and the bytes

The form has no checksums.
"""

import mmap
from typing import Any, BinaryIO

from minicnn.weights.pytorch_objects import (
    ALLOWED,
    StorageOfKind,
    brief,
    load_objects,
    state_of,
    storage_id,
    whole_number,
)
from minicnn.weights.safetensors_format import what_it_may_be
from minicnn.weights.stored import FileStorage, WeightFile

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001


def open_file(file: BinaryIO, size: int, source: str) -> WeightFile:
    """The legacy form of .pth in `file`, which has `size` bytes; arrays are read when they are wanted.

    Raises ValueError, naming `source`, if this is no such file, is damaged or cut short, or asks for more than tensors.
    """
    beginning = file.read(9)
    if beginning[:1] != b"\x80":
        raise ValueError(f"{source} is no file of PyTorch: {what_it_may_be(beginning)}")
    # Mapped, a read can't ask for more memory than the file has bytes, whatever length a pickle claims.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pickles: Any = mapped
        if load_objects(pickles, source, {}) != MAGIC:
            raise ValueError(f"{source} is a pickle, but not one of PyTorch: it does not begin with PyTorch's number")
        version, system = load_objects(pickles, source, {}), load_objects(pickles, source, {})
        if version != VERSION or not isinstance(system, dict):
            raise ValueError(f"{source} is of version {brief(version)} of PyTorch's older form; only {VERSION} is known")
        find = _Storages(file, "<" if system.get("little_endian", True) else ">")
        objects = load_objects(pickles, source, ALLOWED, find)
        keys = load_objects(pickles, source, {})
        _place(find.found, keys, mapped, source)
    entries, ignored = state_of(objects, source)
    return WeightFile(source, "PyTorch's .pth (legacy)", size, entries, file.close, ignored=ignored)


class _Storages:
    """Called with a persistent id: the storage, the same for the same key; where it begins is told later, by `place`."""

    def __init__(self, file: BinaryIO, order: str):
        self.file, self.order = file, order
        self.found: dict[str, StorageOfKind] = {}

    def __call__(self, identity: Any) -> StorageOfKind:
        kind, key, elements, (view,) = storage_id(identity, 6)
        if key not in self.found:
            self.found[key] = StorageOfKind(FileStorage(self.file, 0, elements * kind.itemsize), kind, self.order)
        found = self.found[key]
        if found.kind != kind or found.storage.size != elements * kind.itemsize:
            raise ValueError(f"storage {key} is described in two ways")
        if view is None:
            return found
        _, offset, length = view
        if whole_number(offset, "a view's offset") + whole_number(length, "a view's length") > elements:
            raise ValueError(f"a view of storage {key} reaches beyond its {elements} elements")
        return found._replace(first=offset)


def _place(found: dict[str, StorageOfKind], keys: Any, mapped: mmap.mmap, source: str) -> None:
    """Tell every storage where in the file it begins."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(found):
        raise ValueError(f"{source} is damaged: its list of storages is not that of its tensors; get or save it anew")
    place = mapped.tell()
    for key in keys:
        storage, kind, order, _ = found[key]
        counted = int.from_bytes(mapped[place : place + 8], "little" if order == "<" else "big") * kind.itemsize
        if place + 8 + storage.size > len(mapped):
            raise ValueError(
                f"{source} is cut short: storage {key} should be the {storage.size:,} bytes from {place + 8:,}, "
                f"but the file has {len(mapped):,}; get or save it anew"
            )
        if counted != storage.size:
            raise ValueError(f"{source} is damaged: storage {key} has {counted:,} bytes, but its tensors say otherwise")
        storage.start = place + 8
        place += 8 + storage.size
