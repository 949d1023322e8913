"""The names that a pickle in a PyTorch file may use, with their meaning here: tensors, and nothing that runs.

A tensor is pickled as a call: _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), in elements. The
storage is a persistent id, ("storage", torch.FloatStorage, key, location, number of elements); its bytes are elsewhere
in the file. Here the call returns a StoredArray, which holds the position of its bytes in the file; nothing is read.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from minicnn.files import safe_pickle
from minicnn.files.plain_text import plain
from minicnn.weights.stored import Storage, StoredArray

WRAPPERS = ("state_dict", "model", "model_state_dict", "net")  # keys under which training scripts store a state
_MOST_WRAPPERS = 8


class Kind(NamedTuple):
    """A type of storage: its numbers' usual name and NumPy's code of their bits, without the order of their bytes."""

    name: str
    code: str

    @property
    def itemsize(self) -> int:
        """The bytes of one number."""
        return np.dtype(self.code).itemsize


KINDS = {
    "DoubleStorage": Kind("float64", "f8"),
    "FloatStorage": Kind("float32", "f4"),
    "HalfStorage": Kind("float16", "f2"),
    "BFloat16Storage": Kind("bfloat16", "u2"),
    "LongStorage": Kind("int64", "i8"),
    "IntStorage": Kind("int32", "i4"),
    "ShortStorage": Kind("int16", "i2"),
    "CharStorage": Kind("int8", "i1"),
    "ByteStorage": Kind("uint8", "u1"),
    "BoolStorage": Kind("bool", "b1"),
}
_WIDENED = ("float16", "bfloat16")  # to float32, which holds both exactly


class StorageOfKind(NamedTuple):
    """The meaning of a persistent id: bytes in the file, the type of their numbers, and their order ("<" or ">")."""

    storage: Storage
    kind: Kind
    order: str
    first: int = 0  # the first element: older files have views of storages


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *about_gradients: Any) -> StoredArray:
    if not isinstance(storage, StorageOfKind):
        raise ValueError(f"a tensor lies in a {type(storage).__name__}, which is not a storage")
    kind = storage.kind
    return StoredArray(
        storage.storage,
        kind.name,
        storage.order + kind.code,
        np.dtype(np.float32 if kind.name in _WIDENED else kind.code),
        tuple(size),
        tuple(stride),
        storage.first + offset,
    )


def _parameter(data: Any, requires_grad: Any, hooks: Any) -> Any:
    return data


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    return {safe_pickle.checked_key(key): value for key, value in pairs}


def _size(sizes: Any) -> tuple[Any, ...]:
    return tuple(sizes)


ALLOWED: safe_pickle.Allowed = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): _size,
    **{("torch", name): kind for name, kind in KINDS.items()},
}


def load_objects(
    file: BinaryIO, source: str, allowed: safe_pickle.Allowed, find: Callable[[Any], Any] | None = None
) -> Any:
    """The objects of the pickle at the present position of `file`; `find` returns the storage of a persistent id.

    Raises ValueError if the pickle is damaged, or if it names more than tensors in dictionaries, lists and tuples; the
    error contains the name.
    """
    try:
        return safe_pickle.load(file, allowed, persistent=find)
    except safe_pickle.RefusedError as error:
        raise ValueError(
            f"{source} was refused: {error}. Nothing of it was run: a file of weights needs only tensors. If it holds "
            "a whole model, or the settings of its training, save model.state_dict() alone with PyTorch instead"
        ) from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(
            f"{source} is damaged, or is not a file of PyTorch ({type(error).__name__}: {plain(error)}); "
            "get or save it again"
        ) from error


def state_of(objects: Any, source: str) -> tuple[dict[str, StoredArray | np.ndarray], dict[str, str]]:
    """The arrays by name, and name -> type of the other values in the file; wrappers are removed.

    Raises ValueError if the file has no arrays under names.
    """
    ignored: dict[str, str] = {}
    for _ in range(_MOST_WRAPPERS):
        inner = next((name for name in WRAPPERS if _is_wrapper(objects, name)), None)
        if inner is None:
            break
        ignored |= {brief(name): _kind_of(value) for name, value in objects.items() if name != inner}
        objects = objects[inner]
    if isinstance(objects, StoredArray):
        objects = {"tensor": objects}
    if not isinstance(objects, Mapping):
        raise ValueError(f"{source} holds a {type(objects).__name__}, but a state is a dictionary of tensors")
    entries: dict[str, StoredArray | np.ndarray] = {}
    for name, value in objects.items():
        if not isinstance(value, StoredArray):
            ignored[brief(name)] = _kind_of(value)
        elif not isinstance(name, str):
            raise ValueError(f"{source}: a tensor is called {brief(name)}, which is not text")
        else:
            entries[name] = value
    if not entries and objects:
        few = ", ".join(f"{name} ({kind})" for name, kind in list(ignored.items())[:10])
        raise ValueError(f"{source} holds no tensors by name, but {few}; of wrappers, {', '.join(WRAPPERS)} are known")
    return entries, ignored


def _kind_of(value: Any) -> str:
    return "tensor" if isinstance(value, StoredArray) else type(value).__name__


def _is_wrapper(objects: Any, name: str) -> bool:
    return isinstance(objects, Mapping) and isinstance(objects.get(name), Mapping)


def brief(value: Any) -> str:
    """`value` in a few words: a value from a file may be too long, or too deeply nested, for a message."""
    if isinstance(value, str):
        return plain(value)
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 64):
        return repr(value)
    return f"of type {type(value).__name__}"


def whole_number(value: Any, what: str) -> int:
    """`value`, which must be a whole number of 0 or more (ValueError)."""
    if type(value) is not int or value < 0:
        raise ValueError(f"{what} must be a whole number of 0 or more, but is {brief(value)}")
    return value


def storage_id(identity: Any, fields: int) -> tuple[Kind, str, int, Any]:
    """(kind, key, number of elements, view) of the persistent id of a storage. Raises ValueError for anything else."""
    if not isinstance(identity, tuple) or len(identity) != fields or identity[0] != "storage":
        raise ValueError("it refers to something that is not a storage")
    _, kind, key, _, elements = identity[:5]
    if not isinstance(kind, Kind) or not isinstance(key, str) or not re.fullmatch(r"\w{1,40}", key):
        raise ValueError("it describes a storage in a way that PyTorch does not")
    return kind, key, whole_number(elements, "the number of a storage's elements"), identity[5:]
