"""PyTorch's .pth before version 0.1.10: a tar archive. torchvision's ResNets had this form until 2021.

    sys_info    a pickle: {"little_endian": True, ...}
    storages    the number of storages; each: a pickle (key, location, torch.FloatStorage), the number of elements
                (8 bytes), and the bytes; at the end a pickle of views: (key, key of a storage, first element, elements)
    tensors     the number of tensors; each: a pickle (key, key of the storage, torch.FloatTensor), the number of axes
                (4 bytes, and 4 unused), sizes, strides and the first element (8 bytes each)
    pickle      the objects, in which every tensor is a persistent id: its key as text

The form has no checksums. Source: torch.serialization._legacy_load.
"""

import mmap
import re
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from minicnn.files.plain_text import plain
from minicnn.files.safe_pickle import Placeholder
from minicnn.weights.pytorch_objects import ALLOWED, KINDS, Kind, StorageOfKind, load_objects, state_of, whole_number
from minicnn.weights.stored import DAMAGE, MOST_AXES, FileStorage, WeightFile

_BLOCK = 512  # bytes; headers and members begin at multiples
_MEMBERS = ("sys_info", "storages", "tensors", "pickle")
_TYPES = {("torch", f"{name.removesuffix('Storage')}Tensor"): Placeholder(name) for name in KINDS}
_ON_GPU = {("torch.cuda", name): kind for name, kind in KINDS.items()}
_ALLOWED = {**ALLOWED, **_TYPES, **{("torch.cuda", name): kind for (_, name), kind in _TYPES.items()}, **_ON_GPU}


class Member(NamedTuple):
    """The place of a member's bytes in the file."""

    name: str
    start: int
    size: int


def is_tar(beginning: bytes) -> bool:
    """True if a file that begins with these 512 bytes is a tar archive."""
    return beginning[257:262] == b"ustar"


def members_of(file: BinaryIO | mmap.mmap, size: int) -> Iterator[Member]:
    """The files in the tar archive `file`, which has `size` bytes. Raises ValueError where it is damaged."""
    place = 0
    while place + _BLOCK <= size:
        file.seek(place)
        header = file.read(_BLOCK)
        if not header.strip(b"\0"):  # two empty blocks end the archive
            if file.read(_BLOCK) != bytes(_BLOCK):
                break
            return
        digits = header[124:136].strip(b" \0")
        if not is_tar(header) or not re.fullmatch(rb"[0-7]{1,12}", digits):
            raise ValueError(f"the member at byte {place:,} is not described as in a tar archive")
        length = int(digits, 8)
        if place + _BLOCK + length > size:
            raise ValueError(f"it is cut short: a member has {length:,} bytes from byte {place + _BLOCK:,}")
        if header[156:157] in (b"0", b"\0"):
            yield Member(header[:100].rstrip(b"\0").decode("latin-1"), place + _BLOCK, length)
        place += _BLOCK + -(-length // _BLOCK) * _BLOCK
    raise ValueError("it is cut short: the end of the tar archive is missing")


def open_file(file: BinaryIO, size: int, source: str, key: str | None = None) -> WeightFile:
    """The tar form of .pth in `file`, which has `size` bytes; arrays are read later. `key` is as in state_of.

    Raises ValueError, naming `source`, if the file is another archive, is damaged or cut short, or names more than
    tensors.
    """
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        try:
            members = {member.name: member for member in members_of(mapped, size)}
            if not members.keys() >= set(_MEMBERS):
                raise ValueError(f"it is a tar archive of {plain(list(members)[:10])}, not of {', '.join(_MEMBERS)}")
            reader = _Reader(file, mapped, members, source)
            reader.check_system()
            reader.read_storages()
            reader.read_tensors()
        except (*DAMAGE, KeyError, TypeError) as error:
            text = str(error)
            if text.startswith(source):
                raise
            raise ValueError(f"{source} is not a file of PyTorch, or is damaged: {plain(text)}") from error
        mapped.seek(members["pickle"].start)
        objects = load_objects(mapped, source, ALLOWED, reader.find)  # type: ignore[arg-type]
    entries, ignored = state_of(objects, source, key)
    return WeightFile(source, "PyTorch's .pth (tar)", size, entries, file.close, ignored=ignored)


class _Reader:
    """Storages and tensors by key, from the members of the archive."""

    def __init__(self, file: BinaryIO, mapped: mmap.mmap, members: dict[str, Member], source: str):
        self.file, self.mapped, self.members, self.source = file, mapped, members, source
        self.storages: dict[int, StorageOfKind] = {}
        self.tensors: dict[int, Any] = {}

    def _objects(self) -> Any:
        return load_objects(self.mapped, self.source, _ALLOWED)  # type: ignore[arg-type]

    def _numbers(self, code: str) -> tuple[int, ...]:
        return struct.unpack(code, self.mapped.read(struct.calcsize(code)))

    def _begin(self, name: str) -> int:
        """The number of parts of a member, whose first part comes next."""
        self.mapped.seek(self.members[name].start)
        return whole_number(self._objects(), f"the number of {name}")

    def check_system(self) -> None:
        """Raise ValueError if the numbers are not little-endian."""
        self.mapped.seek(self.members["sys_info"].start)
        system = self._objects()
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise ValueError("its numbers are not little-endian")

    def read_storages(self) -> None:
        """Find the bytes of every storage."""
        end = self.members["storages"].start + self.members["storages"].size
        for _ in range(self._begin("storages")):
            key, kind = self._described()
            if not isinstance(kind, Kind):
                raise ValueError("it describes a storage in a way that PyTorch does not")
            (elements,) = self._numbers("<q")
            start, length = self.mapped.tell(), whole_number(elements, "the number of elements") * kind.itemsize
            if start + length > end:
                raise ValueError(f"a storage should be the {length:,} bytes from {start:,}, beyond its member's end")
            self.storages[key] = StorageOfKind(FileStorage(self.file, start, length), kind, "<")
            self.mapped.seek(start + length)
        for view in self._objects():
            key, whole, first, _ = view
            storage = self.storages[whole_number(whole, "the key of a storage")]
            first = storage.first + whole_number(first, "a view's offset")
            self.storages[whole_number(key, "the key of a view")] = storage._replace(first=first)

    def read_tensors(self) -> None:
        """Read the shape of every tensor."""
        for _ in range(self._begin("tensors")):
            key, _, storage = self._described(of_tensor=True)
            axes, _ = self._numbers("<ii")
            if not 0 <= axes <= MOST_AXES:
                raise ValueError(f"a tensor has {axes} axes")
            numbers = self._numbers(f"<{2 * axes + 1}q")
            make = ALLOWED["torch._utils", "_rebuild_tensor_v2"]
            self.tensors[key] = make(self.storages[storage], numbers[-1], numbers[:axes], numbers[axes:-1])

    def _described(self, of_tensor: bool = False) -> Any:
        """(key, type) of a storage; (key, type, key of its storage) of a tensor."""
        described = self._objects()
        if not isinstance(described, tuple) or len(described) != 3:
            raise ValueError("it describes a storage or a tensor in a way that PyTorch does not")
        key, second, kind = described
        key = whole_number(key, "a key")
        return (key, kind, whole_number(second, "the key of a storage")) if of_tensor else (key, kind)

    def find(self, identity: Any) -> Any:
        """The tensor or the storage of a persistent id."""
        if not isinstance(identity, str) or not re.fullmatch(r"\d{1,30}", identity):
            raise ValueError("it refers to something that is not a tensor")
        key = int(identity)
        return self.tensors[key] if key in self.tensors else self.storages[key]
