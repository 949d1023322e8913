"""safetensors, in and out: named arrays and JSON metadata as bytes. Nothing in such a file can run code.

    8 bytes     length of the header, little-endian
    header      JSON: {"__metadata__": {...}, "conv1.weight": {"dtype": "F32", "shape": [...], "data_offsets": [...]}}
    the rest    the arrays, C order, one after the other

The `safetensors` package writes and checks the format. It takes an array's memory as it lies there, whatever the
strides say, so that a channels-last array would come back scrambled without a word: every array is brought into C
order here.

The format has no checksum. Files that minicnn writes carry one in their metadata, so that an altered file is noticed;
files of other programs, which have none, are read without.
"""

import hashlib
import json
import struct
from typing import Any, BinaryIO

import numpy as np

_HEADER_LIMIT = 100_000_000  # bytes; the limit that the format itself sets
_OUR_ENTRY = "minicnn"  # in the header's metadata: JSON with what the user passed, and the checksum

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


def encode(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """The bytes of a safetensors file with these arrays and this metadata (anything that JSON can hold).

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
    # One entry, for the package writes several in random order: the same content should give the same bytes.
    return save(stored, {_OUR_ENTRY: json.dumps({"metadata": text, "sha256": _digest(stored, text)})})


def decode(content: bytes, source: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata in the bytes of a safetensors file; bfloat16 becomes float32, which holds it exactly.

    Raises ValueError, naming `source`, if the bytes are no safetensors file, are cut short, were altered, or hold a
    type of number that NumPy has not.
    """
    from safetensors import SafetensorError, deserialize

    metadata, ours = _parse_header(content, len(content), source)
    try:
        entries = deserialize(content)
    except SafetensorError as error:
        raise ValueError(f"{source} is damaged: {error}; get or save the file anew") from error
    arrays = {name: _array(name, entry, source) for name, entry in entries}
    if ours is not None and ours["sha256"] != _digest(arrays, ours["metadata"]):
        raise ValueError(
            f"{source} was altered after minicnn wrote it: the checksum does not fit; get or save the file anew"
        )
    return arrays, metadata


def read_metadata(file: BinaryIO, size: int, source: str) -> dict[str, Any]:
    """The metadata alone, from an open file of `size` bytes; the arrays are not read. Raises as `decode` does."""
    start = file.read(8)
    length = min(int.from_bytes(start, "little"), _HEADER_LIMIT, size)
    return _parse_header(start + file.read(length), size, source)[0]


def in_file_order(array: np.ndarray) -> np.ndarray:
    """`array` with the same shape and values, C-ordered and little-endian: a copy where it is not so already."""
    array = np.asarray(array)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _parse_header(content: bytes, size: int, source: str) -> tuple[dict[str, Any], dict[str, str] | None]:
    """The metadata as a user sees it, and our own entry of it (None in a file of another program)."""
    if size < 8:
        raise ValueError(f"{source} is no safetensors file: it has only {size} bytes; {_hint(content)}")
    (length,) = struct.unpack("<Q", content[:8])
    if length > _HEADER_LIMIT or content[8:9] not in (b"{", b""):
        raise ValueError(f"{source} is no safetensors file: {_hint(content)}")
    if 8 + length > size:
        raise ValueError(
            f"{source} is cut short: its header has 8 + {length} bytes, but the file only {size}; get or save it anew"
        )
    try:
        raw = json.loads(content[8 : 8 + length]).get("__metadata__", {})
        if _OUR_ENTRY not in raw:
            return {key: value for key, value in raw.items() if key != "format"}, None
        ours = json.loads(raw[_OUR_ENTRY])
        return json.loads(ours["metadata"]), {"metadata": ours["metadata"], "sha256": ours["sha256"]}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{source} is damaged: its header cannot be understood ({type(error).__name__}: {error}); "
            "get or save it anew"
        ) from error


def _hint(content: bytes) -> str:
    if content[:4] == b"PK\x03\x04":
        return "it is a zip archive, as .npz and PyTorch's .pth are"
    if content[:1] == b"\x80":
        return "it is a pickle, which could run any code; minicnn does not open pickles"
    if content[:1] == b"<":
        return "it looks like a web page: a download went wrong"
    return "it may be of another format, or damaged"


def _array(name: str, entry: dict[str, Any], source: str) -> np.ndarray:
    shape = tuple(entry["shape"])
    if entry["dtype"] == "BF16":  # the upper half of a float32
        upper = np.frombuffer(entry["data"], "<u2").astype(np.uint32)
        return (upper << 16).view(np.float32).reshape(shape)
    if entry["dtype"] not in _DTYPES:
        raise ValueError(
            f"{source}: array {name!r} has numbers of type {entry['dtype']}, which NumPy has not; "
            f"readable are BF16, {', '.join(_DTYPES)}"
        )
    # Copied, for the bytes of the file are read-only.
    return np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(shape).copy()


def _digest(arrays: dict[str, np.ndarray], metadata: str) -> str:
    """SHA-256 over names, types, shapes and bytes of C-ordered arrays, and the metadata."""
    digest = hashlib.sha256(metadata.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        digest.update(array.reshape(-1).data if array.size else b"")
    return digest.hexdigest()
