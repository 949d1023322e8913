"""`save` and `load`: named arrays in a file, with JSON metadata. The name's ending chooses the format.

    .safetensors    the usual one; other programs read it too
    .npz            for numpy.load

Nothing that is written or read here is a pickle, so that loading a stranger's file cannot run code.
"""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.tensor import Tensor
from minicnn.weights import npz_format, safetensors_format
from minicnn.weights.atomic import write_atomically

SUFFIXES = (".safetensors", ".npz")


def save(object: Any, path: str | os.PathLike, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a Module's state_dict, a dict of arrays or Tensors, or one of these (under the name "tensor") to `path`.

    `metadata` is anything that JSON can hold, under text keys. The write is atomic: if it fails, the file that was
    there before is untouched.

    Raises ValueError for another ending than .safetensors or .npz, TypeError for what is neither arrays nor JSON,
    and OSError with the path and the bytes needed and free where the system cannot write.
    """
    suffix = _suffix(path)
    arrays = _named_arrays(object)
    checked = _checked_metadata(metadata or {})
    encode = npz_format.encode if suffix == ".npz" else safetensors_format.encode
    write_atomically(path, encode(arrays, checked))


def load(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays in a file, by name; each is writable and C-ordered. Pass them to `Module.load_state_dict`.

    Raises FileNotFoundError if there is no such file, and ValueError if its name ends otherwise than .safetensors or
    .npz, or if it is of another format, cut short or altered.
    """
    return load_with_metadata(path)[0]


def load_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """The metadata that was saved with the arrays; of a safetensors file, only the header is read. Raises as `load`."""
    if _suffix(path) == ".npz":
        return load_with_metadata(path)[1]
    with open(_existing(path), "rb") as file:
        return safetensors_format.read_metadata(file, os.fstat(file.fileno()).st_size, str(path))


def load_with_metadata(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata of one file, from one reading of it. Raises as `load` does."""
    decode = npz_format.decode if _suffix(path) == ".npz" else safetensors_format.decode
    return decode(_existing(path).read_bytes(), str(path))


def _suffix(path: str | os.PathLike) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"path must end in {' or '.join(SUFFIXES)}, which names the format, but is {str(path)!r}")
    return suffix


def _existing(path: str | os.PathLike) -> Path:
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected a file of weights, but this is a folder", str(path))
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, f"no such file (the working folder is {Path.cwd()})", str(path))
    return path


def _named_arrays(object: Any) -> dict[str, np.ndarray]:
    if hasattr(object, "state_dict"):
        object = object.state_dict()
    if isinstance(object, (Tensor, np.ndarray)):
        object = {"tensor": object}
    if not isinstance(object, Mapping):
        raise TypeError(
            f"save() takes a Module, a dict of arrays or Tensors, or one of these, but got {type(object).__name__}"
        )
    arrays = {}
    for name, value in object.items():
        if not isinstance(name, str):
            raise TypeError(f"arrays are saved under names, but one key is {name!r} ({type(name).__name__})")
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise TypeError(
                f"{name!r} has dtype {array.dtype}; only integers, booleans and floats up to 64 bits can be saved"
            )
        arrays[name] = array
    return arrays


def _checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """`metadata` as JSON gives it back, so that what was saved equals what is loaded."""
    if not all(isinstance(key, str) for key in metadata):
        raise TypeError(f"the keys of metadata must be text, but are {list(metadata)}")
    try:
        return json.loads(json.dumps(dict(metadata)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"metadata must be what JSON can hold (text, numbers, lists, dicts): {error}") from error
