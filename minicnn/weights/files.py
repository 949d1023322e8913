"""`save` and `load`: named arrays in a file, with JSON metadata. The name's ending chooses the format.

    .safetensors               the usual format, which other programs read too
    .npz                       for numpy.load
    .pth .pt .ckpt .bin .tar   PyTorch's own, read but not written
    any other, or none         read by its content: public weights end in .th, .pkl, .model or nothing

Loading a file cannot run code. Of these formats only PyTorch's are pickles, which can name any function: a reader that
knows only tensors reads them (files/safe_pickle.py).
"""

import errno
import functools
import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minicnn.files import json_text
from minicnn.files.atomic import write_atomically
from minicnn.tensor import Tensor
from minicnn.weights import npz_format, pytorch_legacy, pytorch_tar, pytorch_zip, safetensors_format
from minicnn.weights.stored import DAMAGE, PIECE, WeightFile
from minicnn.weights.torchvision_files import known_by_file_name

SUFFIXES = (".safetensors", ".npz")
OF_PYTORCH = (".pth", ".pt", ".ckpt", ".bin", ".tar")  # .tar, for many scripts write "checkpoint.pth.tar"

LFS_POINTER = b"version https://git-lfs"  # a clone without git-lfs holds such a text in place of a large file


def save(object: Any, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
    """Write a Module's state_dict, a dict of arrays or Tensors, or one of these (under the name "tensor") to `path`.

    `metadata` is any value that JSON can hold, under text keys. The write is atomic: after a failure an earlier file
    of this name is unchanged.

    Raises ValueError for another ending than .safetensors or .npz, TypeError for objects that are not arrays and
    metadata that is not JSON, and OSError, with the path and the bytes needed and free, if the system cannot write.
    """
    suffix = check_ending(path)
    arrays = _named_arrays(object)
    checked = _checked_metadata(metadata or {})
    encode = npz_format.encode if suffix == ".npz" else safetensors_format.encode
    write_atomically(path, encode(arrays, checked))


def open_weights(path: str | os.PathLike[str], *, key: str | None = None) -> WeightFile:
    """The file at `path`, with its table of contents read and checked; arrays are read later.

        with open_weights("resnet50.pth") as file:
            model.load_state_dict(file)

    In PyTorch's files half and bfloat16 become float32, and the wrappers of training scripts around a state
    ("state_dict", "model", ...) are removed; `key` chooses another state in such a file, such as "state_dict_ema". The
    other values in the file, such as an epoch, are listed in `ignored`.

    Raises FileNotFoundError if the file does not exist. Raises ValueError if the file has another format than its
    ending says, or no known format; if it is cut short or altered; if it asks for functions; if `key` is not in it; and
    if a tensor has numbers that NumPy does not have.
    """
    path = _existing(path)
    suffix = path.suffix.lower()
    file = open(path, "rb")  # noqa: SIM115 - the WeightFile closes the file
    try:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise ValueError(
                f"{path} is a Git LFS pointer: a text of a few lines in place of the weights; install git-lfs and run "
                "`git lfs pull` in the clone, or download the file from the repository's page"
            )
        if suffix not in SUFFIXES + OF_PYTORCH:
            suffix = _ending_for_content(file, path)
        file.seek(0)
        if suffix in SUFFIXES:
            if key is not None:
                raise ValueError(f"key={key!r} is for files of PyTorch with several states, but {path} has one state")
            of_format = safetensors_format if suffix == ".safetensors" else npz_format
            return of_format.open_file(file, size, str(path))
        beginning = file.read(512)
        file.seek(0)
        if beginning.startswith(b"PK\x03\x04"):
            return pytorch_zip.open_file(file, size, str(path), key)
        of_form = pytorch_tar if pytorch_tar.is_tar(beginning) else pytorch_legacy
        opened = of_form.open_file(file, size, str(path), key)
        known = known_by_file_name(path.name)
        if known is not None:  # these forms have no checksums, but these file names contain one
            opened.check = functools.cache(lambda: _compare_hash(path, known.sha256))
        return opened
    except BaseException:
        file.close()
        raise


def _ending_for_content(file: BinaryIO, path: Path) -> str:
    """The usual ending of files that begin as `file` does. Raises ValueError if its format is not known."""
    file.seek(0)
    beginning = file.read(512)
    if beginning.startswith(b"PK\x03\x04"):
        try:
            names = zipfile.ZipFile(file).namelist()
        except DAMAGE:
            return ".pth"  # whose reader tells of the damage
        return ".npz" if any(name.endswith(".npy") for name in names) else ".pth"
    if beginning[:1] == b"\x80" or pytorch_tar.is_tar(beginning):
        return ".pth"
    if beginning[8:9] == b"{":
        return ".safetensors"
    raise ValueError(
        f"{path} is not a file of weights: {safetensors_format.what_it_may_be(beginning)}; safetensors, .npz and "
        "PyTorch's .pth can be read"
    )


def _compare_hash(path: Path, sha256: str) -> None:
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(PIECE):
            digest.update(piece)
    if not digest.hexdigest().startswith(sha256):
        raise ValueError(f"its SHA-256 should begin with {sha256}, as its name says, but is {digest.hexdigest()}")


def load(path: str | os.PathLike[str], *, key: str | None = None) -> dict[str, np.ndarray]:
    """The arrays in a file, by name; each is writable and C-ordered. Pass them to `Module.load_state_dict`.

    `key` chooses one of several states in a file of PyTorch, such as "state_dict_ema". Raises the errors of
    `open_weights`, and ValueError if an array is damaged or far too large for the file.
    """
    with open_weights(path, key=key) as file:
        return file.read()


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The metadata that was saved with the arrays, which are not read. Raises the errors of `open_weights`."""
    with open_weights(path) as file:
        return file.metadata


def load_with_metadata(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata of one file, in one pass. Raises the errors of `load`."""
    with open_weights(path) as file:
        return file.read(), file.metadata


def check_ending(path: str | os.PathLike[str]) -> str:
    """The ending of the `path` of a file to write, in small letters.

    Raises TypeError if `path` is not a path, ValueError if the ending is not one of SUFFIXES.
    """
    suffix = _checked_path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"path must end in {' or '.join(SUFFIXES)}, which names the format, but is {str(path)!r}")
    return suffix


def _checked_path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(
            f"path must be a str or a path, but is {type(path).__name__}; as in save(object, path), load(path)"
        )
    return Path(path)


def _existing(path: str | os.PathLike[str]) -> Path:
    path = _checked_path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected a file of weights, but this is a folder", str(path))
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, f"no such file (the working folder is {Path.cwd()})", str(path))
    if not path.is_file():  # reading a pipe or a device might never end
        raise ValueError(
            f"{path} is a pipe or a device, but must be a file of weights; write the weights to the disk first"
        )
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
    """`metadata` after a pass through JSON, so that the saved and the loaded values are equal."""
    if not all(isinstance(key, str) for key in metadata):
        raise TypeError(f"the keys of metadata must be text, but are {list(metadata)}")
    try:
        checked: dict[str, Any] = json_text.read(json.dumps(dict(metadata)), most=json_text.MOST_VALUES // 2)
        return checked
    except (TypeError, ValueError) as error:
        raise TypeError(f"metadata must be what JSON can hold (text, numbers, lists, dicts): {error}") from error
