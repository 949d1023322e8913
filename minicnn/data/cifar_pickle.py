"""Reading CIFAR's batches, which are Python 2 pickles of NumPy arrays, without running anything from the file."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.files import safe_pickle


class _Type(safe_pickle.Buildable):
    """The stand-in for `numpy.dtype("u1", False, True)`. Only numbers are let through."""

    def __init__(self, code: Any, *options: Any):
        code = code.decode() if isinstance(code, bytes) else code
        if code not in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
            raise ValueError(f"an array has numbers of the type {code!r}")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """The second of the state is the byte order."""
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(order)


class _Array(safe_pickle.Buildable):
    """The stand-in for an array: an empty one, until BUILD hands over (version, shape, dtype, order, bytes)."""

    def __init__(self, kind: Any, shape: Any, code: Any):
        self.values = np.empty(0, np.uint8)

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran_order, content = state
        if not isinstance(dtype, _Type):
            raise ValueError("an array of the batch has no type")
        self.values = np.frombuffer(content, dtype.dtype).reshape(shape, order="F" if fortran_order else "C")


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """An array in the form of protocol 5: its bytes at once, and no BUILD."""
    array = _Array(None, None, None)
    array.build((1, shape, dtype, order == "F", content))
    return array


class _Encoder:
    """The call that Python 3 writes for bytes in protocol 2: `_codecs.encode(text, "latin1")`.

    A pickle may ask for the same text again and again, so all of them together have a limit: the size of the file.
    """

    def __init__(self, limit: int):
        self.left = limit

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if not isinstance(text, str) or encoding != "latin1":
            raise ValueError("bytes of the batch are not encoded in latin1")
        self.left -= len(text)
        if self.left < 0:
            raise ValueError("more bytes than the file has are made of its text")
        return text.encode("latin1")


ALLOWED = {
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy.core.multiarray", "_reconstruct"): _Array,  # as NumPy 1 named it when the batches were made
    ("numpy._core.multiarray", "_reconstruct"): _Array,  # as NumPy 2 names it
    ("numpy", "ndarray"): "ndarray",  # only ever the first argument of _reconstruct
    ("numpy", "dtype"): _Type,
}


def read_batch(path: Path) -> dict[str, Any]:
    """The dictionary in the pickle at `path`, with its byte-string keys as text; arrays and lists as values.

    Raises ValueError if the pickle asks for anything but NumPy arrays (named, and not run), is damaged or cut short, or
    is not a dictionary.
    """
    content = path.read_bytes()
    try:
        allowed = {**ALLOWED, ("_codecs", "encode"): _Encoder(len(content))}
        contents = safe_pickle.load(io.BytesIO(content), allowed, strings="bytes")
    except safe_pickle.RefusedError as error:
        raise ValueError(f"{path} was refused: {error}, and a batch of pictures needs only NumPy arrays") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"{path} is damaged or cut short ({type(error).__name__}: {error}); fetch it again") from error
    if not isinstance(contents, dict):
        raise ValueError(f"{path} should hold a dictionary, but holds a {type(contents).__name__}")
    return {
        key.decode() if isinstance(key, bytes) else key: value.values if isinstance(value, _Array) else value
        for key, value in contents.items()
    }
