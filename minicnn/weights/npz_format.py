""".npz, in and out: a zip archive with one .npy file an array, as NumPy writes it, and one JSON file with the metadata.

For users who open their weights with `numpy.load`. The archive has a checksum for every member, and the metadata have
one of their own: an editor of archives writes the first anew. Object arrays, which are pickles inside, are neither
written nor read.
"""

import hashlib
import io
import json
import re
import zipfile
from typing import Any, BinaryIO

import numpy as np

from minicnn.files import json_text, zip_archive
from minicnn.files.plain_text import plain
from minicnn.weights.stored import DAMAGE, StoredArray, WeightFile, ZipStorage, c_strides

_METADATA_MEMBER = "__metadata__.json"
# NumPy's header of an array of numbers. NumPy's own reader would run Python's parser over the text of the file.
_HEADER = re.compile(
    r"\{'descr': '([<>|][biuf][1248])', 'fortran_order': (True|False), 'shape': \(((?:\d{1,19},? ?)*)\), \}\s*"
)
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4}  # of the header's length, by the version of the format
_LONGEST_HEADER = 10_000
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)  # the same arrays give the same bytes, whenever they are saved


def encode(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """The bytes of an .npz file with these arrays and this metadata (any value that JSON can hold)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # First, and with all names: a damaged table of contents loses the last members silently.
        index = {"arrays": list(arrays), "metadata": metadata}
        signed = json.dumps({**index, "sha256": _digest(index)})
        archive.writestr(zipfile.ZipInfo(_METADATA_MEMBER, _FIXED_DATE), signed)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy", _FIXED_DATE), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def open_file(file: BinaryIO, size: int, source: str) -> WeightFile:
    """The .npz file `file` of `size` bytes, by minicnn or by `numpy.savez`; arrays are read later.

    Raises ValueError, naming `source`, if the file is of another kind, cut short or altered (also its metadata, by a
    checksum), or holds a pickle.
    Checksums of the arrays are compared when the arrays are read.
    """
    index: dict[str, Any] = {}  # stays empty for a file that numpy.savez wrote
    entries: dict[str, StoredArray | np.ndarray] = {}
    try:
        archive = zip_archive.open_archive(file, size, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        for member in archive.infolist():
            if member.filename == _METADATA_MEMBER:
                index = json_text.read(zip_archive.read_small(archive, member))
                if index.pop("sha256", None) not in (None, _digest(index)):
                    raise ValueError("its metadata were altered after minicnn wrote them: the checksum does not fit")
            elif member.filename.endswith(".npy"):
                entries[member.filename[: -len(".npy")]] = _entry(archive, member)
            else:
                raise ValueError(f"it holds {member.filename!r}, which is not an array: is it PyTorch's?")
        named = list(index.get("arrays", entries))
        metadata = dict(index.get("metadata", {}))
    except (*DAMAGE, TypeError, AttributeError, RecursionError) as error:
        what = "is not an .npz file of plain arrays, or is damaged or cut short"
        raise ValueError(f"{source} {what}: {plain(error)}") from error
    if list(entries) != named:
        raise ValueError(f"{source} is damaged: it should hold {plain(named)}, but holds {plain(list(entries))}")
    return WeightFile(source, ".npz", size, entries, file.close, metadata)


def _digest(index: dict[str, Any]) -> str:
    """The SHA-256 of names and metadata, in the text that json.dumps makes of them."""
    return hashlib.sha256(json.dumps(index).encode()).hexdigest()


def _entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> StoredArray:
    """The place of the array of one .npy file."""
    with archive.open(member) as stream:
        magic, version = stream.read(6), tuple(stream.read(2))
        if magic != b"\x93NUMPY" or version not in _LENGTH_BYTES:
            raise ValueError(f"{member.filename!r} is not an array in NumPy's format, version 1 or 2")
        length = int.from_bytes(stream.read(_LENGTH_BYTES[version]), "little")
        header = stream.read(min(length, _LONGEST_HEADER)).decode("latin-1")
    parts = _HEADER.fullmatch(header)
    if parts is None:
        raise ValueError(f"{member.filename!r} holds no plain numbers, but {header!r}")
    dtype, fortran_order = np.dtype(parts[1]), parts[2] == "True"
    shape = tuple(int(size) for size in parts[3].replace(",", " ").split())
    strides = c_strides(shape[::-1])[::-1] if fortran_order else c_strides(shape)
    storage = ZipStorage(archive, member, 8 + _LENGTH_BYTES[version] + length)
    entry = StoredArray(storage, dtype.name, dtype.str, dtype.newbyteorder("="), shape, strides)
    if entry.nbytes != storage.size:
        raise ValueError(f"{member.filename!r} has {storage.size} bytes for an array of {entry.nbytes}")
    return entry
