"""Arrays that lie in a file, and are read when they are wanted.

A file is opened by reading its table of contents only: that gives every array's name, type, shape, and its storage, a
run of bytes in the file. Several arrays may be views of one storage, as PyTorch's are. When the values are wanted, each
storage is read once, piece by piece, straight to where its numbers shall be: loading a network takes the memory of its
parameters and no more, however large the file.
"""

import contextlib
import math
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import numpy as np

from minicnn.files.plain_text import plain

PIECE = 1 << 20  # bytes read at a time: they are checked, widened and moved while they still lie in the cache
MOST_AXES = 64  # NumPy's own limit
LARGEST = 1 << 62  # of a size or a number of elements: more is damage or malice

# A few bytes can describe an enormous array: by compression, or by a stride of 0. Honest files stay far below this.
MOST_TIMES_FILE = 8
MOST_BESIDES = 64 << 20  # bytes

_one_reader = threading.Lock()  # of the place in an open file: a checksum is computed beside the reading

# What reading damaged bytes may raise.
DAMAGE = (ValueError, EOFError, NotImplementedError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)


class Storage:
    """A run of bytes in a file: `size` of them, handed out in pieces of PIECE bytes (the last one may be shorter)."""

    size: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the first to the last. Raises ValueError if there are fewer, or if they are damaged."""
        raise NotImplementedError(f"{type(self).__name__} does not define pieces()")


class FileStorage(Storage):
    """`size` bytes of an open file from the place `start`."""

    def __init__(self, file: BinaryIO, start: int, size: int):
        self.file, self.start, self.size = file, start, size

    def pieces(self) -> Iterator[bytes]:
        for place in range(0, self.size, PIECE):
            with _one_reader:
                self.file.seek(self.start + place)
                piece = self.file.read(min(PIECE, self.size - place))
            if len(piece) < min(PIECE, self.size - place):
                raise ValueError("it is cut short")
            yield piece


class ZipStorage(Storage):
    """A member of a zip archive without its first `skip` bytes. The archive's checksum is compared at its end."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo, skip: int = 0):
        self.archive, self.member, self.skip = archive, member, skip
        self.size = member.file_size - skip

    def pieces(self) -> Iterator[bytes]:
        with self.archive.open(self.member) as stream:
            stream.read(self.skip)
            left = self.size
            while left:
                piece = stream.read(min(PIECE, left))
                left -= len(piece)
                if not piece:
                    raise ValueError(f"{self.member.filename} is cut short")
                yield piece
            if stream.read(1):  # there is none, but only now does the archive compare an empty member's checksum
                raise ValueError(f"{self.member.filename} is longer than it says")


@dataclass(frozen=True)
class StoredArray:
    """Where in a file an array lies; as_strided's view (offset and strides in elements) of its storage.

    kind    the type of its numbers by name, as it is in the file: "float32", "bfloat16", ...
    code    NumPy's code of what lies in the file, "<f4"; for bfloat16, which NumPy has not, that of its bits, "<u2"
    dtype   what it is read as
    """

    storage: Storage
    kind: str
    code: str
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    def __post_init__(self) -> None:
        numbers = (*self.shape, *self.strides, self.offset, self.storage.size)
        if not all(type(number) is int and 0 <= number <= LARGEST for number in numbers):
            raise ValueError("sizes, strides and places must be whole numbers from 0, and not enormous")
        if len(self.shape) != len(self.strides) or len(self.shape) > MOST_AXES:
            raise ValueError(f"{len(self.shape)} axes and {len(self.strides)} strides")
        if math.prod(self.shape) > LARGEST:
            raise ValueError(f"it has {math.prod(self.shape):,} elements")
        if self.storage.size % np.dtype(self.code).itemsize:
            raise ValueError(f"its storage has {self.storage.size} bytes, which are no numbers of type {self.kind}")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        here = self.storage.size // np.dtype(self.code).itemsize
        if 0 not in self.shape and last >= here:
            raise ValueError(f"its element {last} lies outside of its storage, which has {here}")

    @property
    def nbytes(self) -> int:
        """The memory that it takes once it is read."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_whole_storage(self) -> bool:
        """Whether it is all of its storage, in C order."""
        whole = math.prod(self.shape) * np.dtype(self.code).itemsize == self.storage.size
        return whole and self.offset == 0 and self.strides == c_strides(self.shape)


def c_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides, in elements, of a C-ordered array."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def kind_of(entry: StoredArray | np.ndarray) -> str:
    """The type of an entry's numbers, by name."""
    return entry.kind if isinstance(entry, StoredArray) else entry.dtype.name


@dataclass
class WeightFile:
    """An open file of weights: names, types and shapes of its arrays; their values are read when they are wanted.

    Made by `open_weights`; a context manager that closes the file. `Module.load_state_dict` takes it as it is.

    form      the format, in words
    entries   name -> where the array lies; or an array in memory, where one was changed to fit
    metadata  what was saved with the arrays
    ignored   name -> type, of what a file of PyTorch holds beside arrays, such as an epoch
    check     raises ValueError if a checksum of the whole file does not fit; None if there is none
    """

    source: str
    form: str
    size: int  # bytes of the file
    entries: dict[str, StoredArray | np.ndarray]
    close: Callable[[], Any] = lambda: None
    metadata: dict[str, Any] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    check: Callable[[], None] | None = None

    def __enter__(self) -> "WeightFile":
        return self

    def __exit__(self, *details: Any) -> None:
        self.close()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every array, by name."""
        return {name: entry.shape for name, entry in self.entries.items()}

    def with_entries(self, entries: Mapping[str, StoredArray | np.ndarray]) -> "WeightFile":
        """The same open file, of which other entries, or these under other names, are wanted."""
        return replace(self, entries=dict(entries))

    def read(self, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The arrays of these names (None: all), by name; writable, C-ordered, none sharing memory with another.

        Raises ValueError if the file is damaged, or describes arrays far larger than itself.
        """
        entries = self.entries if names is None else {name: self.entries[name] for name in names}
        wanted = sum(entry.nbytes for entry in entries.values())
        most = MOST_TIMES_FILE * self.size + MOST_BESIDES
        if wanted > most:
            raise ValueError(
                f"{self.source} was refused: its {self.size:,} bytes describe arrays of {wanted:,} bytes; no file of "
                f"weights holds more than {MOST_TIMES_FILE} * {self.size:,} + {MOST_BESIDES:,} = {most:,}"
            )
        arrays = {name: np.empty(entry.shape, entry.dtype) for name, entry in entries.items()}
        self.read_into(arrays)
        return arrays

    def read_into(self, targets: Mapping[str, np.ndarray]) -> None:
        """Fill the arrays `targets` with the entries of the same names and shapes, each storage in one pass.

        Raises ValueError if the file is damaged: then some of the targets may have been filled.
        """
        by_storage: dict[int, list[tuple[StoredArray, np.ndarray]]] = {}
        for name, target in targets.items():
            entry = self.entries[name]
            if isinstance(entry, StoredArray):
                by_storage.setdefault(id(entry.storage), []).append((entry, target))
            else:
                target[...] = entry
        try:
            with _beside(self.check):
                for views in by_storage.values():
                    _read_storage(views)
        except DAMAGE as error:
            raise ValueError(f"{self.source} is damaged: {plain(error)}; get or save the file anew") from error


@contextlib.contextmanager
def _beside(check: Callable[[], None] | None) -> Iterator[None]:
    """Compute a checksum on another core while the block reads; raises what `check` raises when both have ended."""
    if check is None:
        yield
        return
    with ThreadPoolExecutor(1) as pool:
        verdict = pool.submit(check)
        yield
        verdict.result()


def _read_storage(views: list[tuple[StoredArray, np.ndarray]]) -> None:
    """Fill the targets with their views of one storage."""
    entry, target = views[0]
    if len(views) == 1 and entry.is_whole_storage and target.flags.c_contiguous:
        flat, place = target.reshape(-1), 0  # a view: (...) -> (elements,)
        for piece in entry.storage.pieces():
            numbers = np.frombuffer(piece, entry.code)
            flat[place : place + len(numbers)] = _widened(numbers, entry.kind)
            place += len(numbers)
        return
    content, place = np.empty(entry.storage.size, np.uint8), 0
    for piece in entry.storage.pieces():
        content[place : place + len(piece)] = np.frombuffer(piece, np.uint8)
        place += len(piece)
    for entry, target in views:
        if target.size:
            target[...] = _widened(_view(content.view(entry.code), entry), entry.kind)


def _view(numbers: np.ndarray, entry: StoredArray) -> np.ndarray:
    strides = tuple(stride * numbers.itemsize for stride in entry.strides)
    return np.lib.stride_tricks.as_strided(numbers[entry.offset :], entry.shape, strides, writeable=False)


def _widened(numbers: np.ndarray, kind: str) -> np.ndarray:
    """bfloat16 is the upper half of a float32; other types NumPy converts where they are assigned."""
    return (numbers.astype(np.uint32) << 16).view(np.float32) if kind == "bfloat16" else numbers
