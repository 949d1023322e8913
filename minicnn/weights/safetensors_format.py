"""safetensors, in and out: named arrays and JSON metadata as bytes. Nothing in such a file can run code.

    8 bytes     length of the header, little-endian
    header      JSON: {"__metadata__": {...}, "conv1.weight": {"dtype": "F32", "shape": [...], "data_offsets": [...]}}
    the rest    the arrays, C order, one after the other

The `safetensors` package writes the format. The package writes an array's memory in its present order and ignores the
strides, so that a channels-last array would be scrambled silently. Every array is therefore brought into C order here.

The format has no checksum. Files of minicnn have two in their metadata: of the metadata alone, compared when the file
is opened, and of everything, compared when arrays are read. Files of other programs are read without a checksum.
"""

import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from minicnn.files import json_text
from minicnn.files.plain_text import plain
from minicnn.weights.stored import FileStorage, StoredArray, WeightFile, c_strides

_HEADER_LIMIT = 100_000_000  # bytes; the limit that the format itself sets
_OUR_ENTRY = "minicnn"  # in the header's metadata: JSON with the user's metadata, and the checksum

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_UNREADABLE = (
    "F8_E4M3",
    "F8_E5M2",
    "F8_E8M0",
    "F6_E2M3",
    "F6_E3M2",
    "F4",
    "C64",
)  # types of the format without NumPy's


def encode(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """The bytes of a safetensors file with these arrays and this metadata (any value that JSON can hold).

    Raises ValueError if names and metadata are too long for the format's header (100 MB).
    """
    from safetensors.numpy import save

    stored = {name: in_file_order(array) for name, array in arrays.items()}
    text = json.dumps(metadata)
    header_size = len(text) + sum(len(name.encode()) + 100 for name in arrays)
    if header_size > _HEADER_LIMIT:
        raise ValueError(
            f"names and metadata take about {header_size:,} bytes, but a safetensors header holds at most "
            f"{_HEADER_LIMIT:,}; pass large values as arrays, not as metadata"
        )
    # One entry, because the package writes several entries in random order, and equal content should give equal bytes.
    contents = ((name, a.dtype, a.shape, [a.reshape(-1).data] if a.size else []) for name, a in stored.items())
    ours = {"metadata": text, "metadata_sha256": _digest((), text), "sha256": _digest(contents, text)}
    return save(stored, {_OUR_ENTRY: json.dumps(ours)})


def open_file(file: BinaryIO, size: int, source: str) -> WeightFile:
    """The safetensors file `file` of `size` bytes, with its header read and checked; arrays are read later.

    bfloat16 becomes float32 without rounding. Raises ValueError, naming `source`, if the file has another
    format, is cut short, contradicts itself, holds numbers of a type that NumPy does not have, or has metadata
    that were altered after minicnn wrote them. A checksum over the arrays is compared when arrays are read.
    """
    header, start = _read_header(file, size, source)
    entries = _entries(header, file, start, size, source)
    metadata, ours = _metadata(header, source)
    opened = WeightFile(source, "safetensors", size, dict(entries), file.close, metadata)
    if ours is not None:
        text, expected = ours

        @functools.cache  # reads the whole file, once
        def check() -> None:
            contents = ((name, e.dtype, e.shape, e.storage.pieces()) for name, e in entries.items())
            if _digest(contents, text) != expected:
                raise ValueError("it was altered after minicnn wrote it: the checksum does not fit")

        opened.check = check
    return opened


def in_file_order(array: np.ndarray) -> np.ndarray:
    """`array` with the same shape and values, C-ordered and little-endian: a copy, unless the array is so already."""
    array = np.asarray(array)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _read_header(file: BinaryIO, size: int, source: str) -> tuple[dict[str, Any], int]:
    """The header, and the position of the first array in the file."""
    beginning = file.read(9)
    length = int.from_bytes(beginning[:8], "little")
    if size < 8:
        raise ValueError(f"{source} is not a safetensors file: it has only {size} bytes; {what_it_may_be(beginning)}")
    if length > _HEADER_LIMIT or beginning[8:] not in (b"{", b""):
        raise ValueError(f"{source} is not a safetensors file: {what_it_may_be(beginning)}")
    if 8 + length > size:
        raise ValueError(
            f"{source} is cut short: its header has 8 + {length} bytes, but the file only {size}; get or save it again"
        )
    file.seek(8)
    try:
        header = json_text.read(file.read(length), object_pairs_hook=_without_repeats)
        if not isinstance(header, dict):
            raise TypeError("it is not a dictionary")
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(source, "its header cannot be understood", error) from error
    return header, 8 + length


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a name stands in it twice")
    return result


def _entries(header: dict[str, Any], file: BinaryIO, start: int, size: int, source: str) -> dict[str, StoredArray]:
    """The arrays, in the order of their bytes. The arrays follow one another up to the end of the file."""
    entries, place = {}, 0
    for name, entry in header.items():
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        if isinstance(kind, str) and kind in _UNREADABLE:
            raise ValueError(
                f"{source}: array {plain(name)} has numbers of type {kind}, which NumPy does not have; save "
                "the tensor's float() with PyTorch instead"
            )
    try:
        described = [(name, entry) for name, entry in header.items() if name != "__metadata__"]
        for name, entry in sorted(described, key=lambda item: item[1]["data_offsets"]):
            begin, end = entry["data_offsets"]
            kind, code = _type_of(name, entry["dtype"], source)
            shape = tuple(entry["shape"])
            storage = FileStorage(file, start + place, end - begin)
            dtype = np.dtype(np.float32 if kind == "bfloat16" else code)
            entries[name] = StoredArray(storage, kind, code, dtype, shape, c_strides(shape))
            if begin != place or not entries[name].is_whole_storage:
                raise ValueError(f"{name!r}, {kind} {shape}, cannot be the bytes {begin} to {end} after {place}")
            place = end
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise _damaged(source, "its header contradicts itself", error) from error
    if start + place != size:
        raise ValueError(
            f"{source} is damaged or cut short: header and arrays have {start} + {place} = {start + place} bytes, "
            f"but the file {size}; get or save it again"
        )
    return entries


def _type_of(name: str, dtype: str, source: str) -> tuple[str, str]:
    """The type of number's usual name, and NumPy's code of the bits."""
    if dtype == "BF16":
        return "bfloat16", "<u2"
    if dtype not in _DTYPES:
        raise ValueError(
            f"array {name!r} has numbers of type {dtype}, which NumPy does not have; readable are "
            f"BF16, {', '.join(_DTYPES)}"
        )
    return np.dtype(_DTYPES[dtype]).name, _DTYPES[dtype]


def _metadata(header: dict[str, Any], source: str) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """The user's metadata; and the pair (text, checksum), or None in a file of another program."""
    try:
        raw = header.get("__metadata__", {})
        if _OUR_ENTRY not in raw:
            return {key: value for key, value in raw.items() if key != "format"}, None
        ours = json_text.read(raw[_OUR_ENTRY])
        if ours.get("metadata_sha256", _digest((), ours["metadata"])) != _digest((), ours["metadata"]):
            raise ValueError("they were altered after minicnn wrote them: the checksum does not fit")
        return json_text.read(ours["metadata"]), (ours["metadata"], ours["sha256"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _damaged(source, "its metadata cannot be understood", error) from error


def _damaged(source: str, what: str, error: Exception) -> ValueError:
    return ValueError(f"{source} is damaged: {what} ({type(error).__name__}: {plain(error)}); get or save it again")


_OTHER_FORMATS = {
    b"\x89HDF\r\n": "an HDF5 file, as Keras writes .h5",
    b"GGUF": "a GGUF file of a language model",
    b"\x1f\x8b": "packed by gzip",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ": "packed by xz",
    b"7z\xbc\xaf": "packed by 7-Zip",
    b"Rar!": "packed by RAR",
    b"\x93NUMPY": "a single array of NumPy, .npy",
}


def what_it_may_be(beginning: bytes) -> str:
    """A guess, in words, from the first bytes of a file whose format does not match its name."""
    if not beginning:
        return "it is empty: a download or a copy went wrong"
    if beginning[:4] == b"PK\x03\x04":
        return "it is a zip archive, as .npz and PyTorch's .pth are"
    if beginning[:1] == b"\x80":
        return "it is a pickle, as PyTorch's older .pth are"
    if beginning[257:262] == b"ustar":
        return "it is a tar archive, as PyTorch's oldest .pth are"
    for magic, what in _OTHER_FORMATS.items():
        if beginning.startswith(magic):
            return f"it is {what}; convert it with the program that wrote it"
    if beginning[:1] == b"<":
        return "it looks like a web page: a download went wrong"
    if beginning[8:9] == b"{":
        return "it may be a safetensors file"
    return "it may be of another format, or damaged"


def _digest(arrays: Iterable[tuple[str, np.dtype, tuple[int, ...], Iterable[Any]]], metadata: str) -> str:
    """SHA-256 over the metadata, and name, type, shape and bytes of C-ordered arrays, in the order of their names."""
    digest = hashlib.sha256(metadata.encode())
    for name, dtype, shape, pieces in sorted(arrays, key=lambda array: array[0]):
        digest.update(repr((name, dtype.str, shape)).encode())
        for piece in pieces:
            digest.update(piece)
    return digest.hexdigest()
