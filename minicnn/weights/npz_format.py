""".npz, in and out: a zip archive with one .npy file an array, as NumPy writes it, and one JSON file with the metadata.

For people who want to open their weights with `numpy.load` and nothing else. The archive has a checksum for every
member. Object arrays, which are pickles inside, are neither written nor read.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np

_METADATA_MEMBER = "__metadata__.json"
_FIXED_DATE = (1980, 1, 1, 0, 0, 0)  # the same arrays give the same bytes, whenever they are saved


def encode(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> bytes:
    """The bytes of an .npz file with these arrays and this metadata (anything that JSON can hold)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # First, and with all names: a damaged table of contents loses the last members without a word.
        index = json.dumps({"arrays": list(arrays), "metadata": metadata})
        archive.writestr(zipfile.ZipInfo(_METADATA_MEMBER, _FIXED_DATE), index)
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(name + ".npy", _FIXED_DATE), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
    return buffer.getvalue()


def decode(content: bytes, source: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata in the bytes of an .npz file, one of ours or one that `numpy.savez` wrote.

    Raises ValueError, naming `source`, if the bytes are no .npz file, are cut short, were altered, or hold a pickle.
    """
    arrays: dict[str, np.ndarray] = {}
    index: dict[str, Any] = {}  # stays empty for a file that numpy.savez wrote
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                if member == _METADATA_MEMBER:
                    index = json.loads(archive.read(member))
                elif member.endswith(".npy"):
                    stored = io.BytesIO(archive.read(member))
                    arrays[member[: -len(".npy")]] = np.lib.format.read_array(stored, allow_pickle=False)
                else:
                    raise ValueError(f"it holds {member!r}, which is no array: is it PyTorch's?")
    except (
        Exception
    ) as error:  # damaged bytes make zipfile raise whatever they happen to hit, RuntimeError and OSError too
        raise ValueError(f"{source} is no .npz file of plain arrays, or is damaged or cut short: {error}") from error
    if list(arrays) != index.get("arrays", list(arrays)):
        raise ValueError(f"{source} is damaged: it should hold {index['arrays']}, but holds {list(arrays)}")
    return arrays, index.get("metadata", {})
