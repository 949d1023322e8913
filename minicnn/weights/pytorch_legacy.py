"""PyTorch's .pth before version 1.6, still the form of several files of torchvision: pickles, one after the other.

    pickle     a magic number
    pickle     the version, 1001
    pickle     {"little_endian": True, ...}
    pickle     the objects, in which every storage is a persistent id (pytorch_objects), which ends in a view or None
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


def open_file(file: BinaryIO, size: int, source: str, key: str | None = None) -> WeightFile:
    """The legacy form of .pth in `file`, which has `size` bytes; arrays are read later. `key` is as in state_of.

    Raises ValueError, naming `source`, if the file has another form, is damaged or cut short, or names more than
    tensors.
    """
    beginning = file.read(9)
    if beginning[:1] != b"\x80":
        raise ValueError(f"{source} is not a file of PyTorch: {what_it_may_be(beginning)}")
    # In mapped memory a read cannot take more bytes than the file has, whatever length a pickle claims.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pickles: Any = mapped
        if load_objects(pickles, source, {}) != MAGIC:
            raise ValueError(f"{source} is a pickle, but not one of PyTorch: it does not begin with PyTorch's number")
        version, system = load_objects(pickles, source, {}), load_objects(pickles, source, {})
        if version != VERSION or not isinstance(system, dict):
            raise ValueError(
                f"{source} is of version {brief(version)} of PyTorch's older form; only {VERSION} is known"
            )
        find = _Storages(file, "<" if system.get("little_endian", True) else ">")
        objects = load_objects(pickles, source, ALLOWED, find)
        keys = load_objects(pickles, source, {})
        find.place(keys, mapped, source)
    entries, ignored = state_of(objects, source, key)
    return WeightFile(source, "PyTorch's .pth (legacy)", size, entries, file.close, ignored=ignored)


class _Storages:
    """Called with a persistent id, returns its storage, one for each key. `place` sets their positions later."""

    def __init__(self, file: BinaryIO, order: str):
        self.file, self.order = file, order
        self.found: dict[str, StorageOfKind] = {}
        self.places: dict[str, FileStorage] = {}

    def __call__(self, identity: Any) -> StorageOfKind:
        kind, key, elements, (view,) = storage_id(identity, 6)
        if key not in self.found:
            self.places[key] = FileStorage(self.file, 0, elements * kind.itemsize)
            self.found[key] = StorageOfKind(self.places[key], kind, self.order)
        found = self.found[key]
        if found.kind != kind or found.storage.size != elements * kind.itemsize:
            raise ValueError(f"storage {key} is described in two ways")
        if view is None:
            return found
        _, offset, length = view
        if whole_number(offset, "a view's offset") + whole_number(length, "a view's length") > elements:
            raise ValueError(f"a view of storage {key} reaches beyond its {elements} elements")
        return found._replace(first=offset)

    def place(self, keys: Any, mapped: mmap.mmap, source: str) -> None:
        """Set the position of every storage in the file: they follow each other, in the order of `keys`."""
        texts = isinstance(keys, list) and all(isinstance(key, str) for key in keys)
        if not texts or sorted(keys) != sorted(self.places):
            raise ValueError(f"{source} is damaged: its list of storages is not that of its tensors; get it again")
        here = mapped.tell()
        for key in keys:
            storage, itemsize = self.places[key], self.found[key].kind.itemsize
            if here + 8 + storage.size > len(mapped):
                raise ValueError(
                    f"{source} is cut short: storage {key} should be the {storage.size:,} bytes from {here + 8:,}, "
                    f"but the file has {len(mapped):,}; get or save it again"
                )
            counted = int.from_bytes(mapped[here : here + 8], "little" if self.order == "<" else "big")
            if counted * itemsize != storage.size:
                raise ValueError(
                    f"{source} is damaged: storage {key} has {counted:,} elements, but its tensors speak of "
                    f"{storage.size // itemsize:,}; get or save it again"
                )
            storage.start = here + 8
            here += 8 + storage.size
