"""Arrays in a file that are read later.

To open a file means to read its table of contents: every array's name, type, shape, and its storage, a run of bytes in
the file. Several arrays may be views of one storage, as in PyTorch. To read the values means to read each storage once,
piece by piece, straight into the target array. Loading a network therefore takes the memory of its parameters only,
however large the file is.
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

PIECE = 1 << 20  # bytes read at a time: they are checked, widened and moved while they are in the cache
MOST_AXES = 64  # NumPy's own limit
LARGEST = 1 << 62  # of a size or a number of elements: a larger number means damage or malice

# A few bytes can describe an enormous array: by compression, or by a stride of 0. Real files stay far below this limit.
MOST_TIMES_FILE = 8
MOST_BESIDES = 64 << 20  # bytes

_one_reader = threading.Lock()  # guards the position in an open file: a checksum is computed during the reading

# The errors that damaged bytes may cause.
DAMAGE = (ValueError, EOFError, NotImplementedError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error)


class Storage:
    """A run of `size` bytes in a file, returned in pieces of PIECE bytes (the last piece may be shorter)."""

    size: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the first to the last. Raises ValueError if bytes are missing or damaged."""
        raise NotImplementedError(f"{type(self).__name__} does not define pieces()")


class FileStorage(Storage):
    """`size` bytes of an open file from position `start`."""

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
            if stream.read(1):  # no byte is left, but only this read compares an empty member's checksum
                raise ValueError(f"{self.member.filename} is longer than it says")


@dataclass(frozen=True)
class StoredArray:
    """The place of an array in a file: a view of its storage, as in as_strided, with offset and strides in elements.

    kind    the name of the type of the numbers in the file: "float32", "bfloat16", ...
    code    NumPy's code of this type, "<f4"; for bfloat16, which NumPy does not have, the code of the bits, "<u2"
    dtype   the type after reading
    """

    storage: Storage
    kind: str
    code: str
    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    negated: bool = False  # the array is the negative of its numbers in the file

    def __post_init__(self) -> None:
        numbers = (*self.shape, *self.strides, self.offset, self.storage.size)
        if not all(type(number) is int and 0 <= number <= LARGEST for number in numbers):
            raise ValueError("sizes, strides and places must be whole numbers from 0, and not enormous")
        if len(self.shape) != len(self.strides) or len(self.shape) > MOST_AXES:
            raise ValueError(f"{len(self.shape)} axes and {len(self.strides)} strides")
        if math.prod(self.shape) > LARGEST:
            raise ValueError(f"an array has {math.prod(self.shape):,} elements")
        if self.storage.size % np.dtype(self.code).itemsize:
            raise ValueError(
                f"its storage has {self.storage.size} bytes, which are not whole numbers of type {self.kind}"
            )
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        here = self.storage.size // np.dtype(self.code).itemsize
        if 0 not in self.shape and last >= here:
            raise ValueError(f"its element {last} lies outside of its storage, which has {here}")

    @property
    def nbytes(self) -> int:
        """The memory of the array after reading, in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_whole_storage(self) -> bool:
        """True if the array is its whole storage, in C order."""
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
    """An open file of weights: names, types and shapes of its arrays, whose values are read later.

    `open_weights` makes a WeightFile, a context manager that closes the file. `Module.load_state_dict` accepts one.

    form      the format, in words
    entries   name -> place of the array; or an array in memory that was changed to fit
    metadata  the metadata that were saved with the arrays
    ignored   name -> type of the other values in a file of PyTorch, such as an epoch
    check     raises ValueError if a checksum of the whole file does not fit; None without a checksum
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
        """The same open file with other entries, or with other names for them."""
        return replace(self, entries=dict(entries))

    def read(self, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """The arrays of these names (None: all), by name; writable, C-ordered, without shared memory.

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

        Raises ValueError if the file is damaged; some of the targets may then be filled.
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
            raise ValueError(f"{self.source} is damaged: {plain(error)}; get or save the file again") from error


@contextlib.contextmanager
def _beside(check: Callable[[], None] | None) -> Iterator[None]:
    """Compute a checksum on another core while the block reads; raises the error of `check` after both have ended."""
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
        if entry.negated:
            np.negative(target, out=target)
        return
    content, place = np.empty(entry.storage.size, np.uint8), 0
    for piece in entry.storage.pieces():
        content[place : place + len(piece)] = np.frombuffer(piece, np.uint8)
        place += len(piece)
    for entry, target in views:
        if target.size:
            target[...] = _widened(_view(content.view(entry.code), entry), entry.kind)
            if entry.negated:
                np.negative(target, out=target)


def _view(numbers: np.ndarray, entry: StoredArray) -> np.ndarray:
    strides = tuple(stride * numbers.itemsize for stride in entry.strides)
    return np.lib.stride_tricks.as_strided(numbers[entry.offset :], entry.shape, strides, writeable=False)


def _widened(numbers: np.ndarray, kind: str) -> np.ndarray:
    """float32 from bfloat16, its upper half; NumPy converts other types at their assignment."""
    return (numbers.astype(np.uint32) << 16).view(np.float32) if kind == "bfloat16" else numbers
