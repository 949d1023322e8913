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
_OUR_ENTRY, _DIGEST_ENTRY = "minicnn", "minicnn_sha256"

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
    return save(stored, {"format": "np", _OUR_ENTRY: text, _DIGEST_ENTRY: _digest(stored, text)})


def decode(content: bytes, source: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata in the bytes of a safetensors file; bfloat16 becomes float32, which holds it exactly.

    Raises ValueError, naming `source`, if the bytes are no safetensors file, are cut short, were altered, or hold a
    type of number that NumPy has not.
    """
    from safetensors import SafetensorError, deserialize

    raw_metadata, _ = _parse_header(content, len(content), source)
    try:
        entries = deserialize(content)
    except SafetensorError as error:
        raise ValueError(f"{source} is damaged: {error}; get or save the file anew") from error
    arrays = {name: _array(name, entry, source) for name, entry in entries}
    ours = _OUR_ENTRY in raw_metadata or _DIGEST_ENTRY in raw_metadata
    if ours and raw_metadata.get(_DIGEST_ENTRY) != _digest(arrays, raw_metadata.get(_OUR_ENTRY, "")):
        raise ValueError(
            f"{source} was altered after minicnn wrote it: the checksum does not fit; get or save the file anew"
        )
    return arrays, _public(raw_metadata, source)


def read_metadata(file: BinaryIO, size: int, source: str) -> dict[str, Any]:
    """The metadata alone, from an open file of `size` bytes; the arrays are not read. Raises as `decode` does."""
    start = file.read(8)
    length = min(int.from_bytes(start, "little"), _HEADER_LIMIT, size)
    raw_metadata, _ = _parse_header(start + file.read(length), size, source)
    return _public(raw_metadata, source)


def in_file_order(array: np.ndarray) -> np.ndarray:
    """`array` with the same shape and values, C-ordered and little-endian: a copy where it is not so already."""
    array = np.asarray(array)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _parse_header(content: bytes, size: int, source: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The metadata as it is stored (text to text) and the table of arrays, checked against the file's size."""
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
        table = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source} is damaged: its header is no JSON ({error}); get or save it anew") from error
    metadata = table.pop("__metadata__", {}) if isinstance(table, dict) else None
    if not isinstance(metadata, dict):
        raise ValueError(f"{source} is damaged: its header is no table of arrays; get or save it anew")
    return metadata, table


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


def _public(raw_metadata: dict[str, str], source: str) -> dict[str, Any]:
    """What the writer passed as metadata. Text entries of other programs stay as they are, beside ours."""
    others = {key: value for key, value in raw_metadata.items() if key not in (_OUR_ENTRY, _DIGEST_ENTRY, "format")}
    try:
        return {**others, **json.loads(raw_metadata.get(_OUR_ENTRY, "{}"))}
    except (ValueError, TypeError) as error:
        raise ValueError(f"{source} is damaged: its metadata is no JSON ({error}); get or save it anew") from error
