"""The names that a pickle in a PyTorch file may use, with their meaning here: tensors, and nothing that runs.

A tensor is pickled as a call: _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), in elements. The
storage is a persistent id, ("storage", torch.FloatStorage, key, location, number of elements); its bytes are elsewhere
in the file. Here the call returns a StoredArray, which holds the position of its bytes in the file; nothing is read.
"""

import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from minicnn.files import safe_pickle
from minicnn.files.plain_text import plain
from minicnn.weights.pytorch_others import BY_FUNCTION, COMPLEX, FLOAT8, QUANTISED, Unreadable, placeholder_for
from minicnn.weights.stored import Storage, StoredArray

WRAPPERS = (
    "state_dict",
    "model",
    "model_state_dict",
    "net",
    "model_state",
)  # keys under which training scripts store a state
_MOST_WRAPPERS = 8
_MOST_NAMED = 10  # in an error


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
    "UntypedStorage": Kind("bytes", "u1"),  # the type is the tensor's
    "ComplexFloatStorage": Kind("complex64", "c8"),
    "ComplexDoubleStorage": Kind("complex128", "c16"),
    "QInt8Storage": Kind("qint8", "i1"),
    "QUInt8Storage": Kind("quint8", "u1"),
    "QInt32Storage": Kind("qint32", "i4"),
}
DTYPES = {
    **{kind.name: kind for kind in KINDS.values() if kind.name != "bytes"},
    **{name: Kind(name, code) for name, code in (("uint16", "u2"), ("uint32", "u4"), ("uint64", "u8"))},
    **{
        f"float8_{form}": Kind(f"float8_{form}", "u1") for form in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz", "e8m0fnu")
    },
}
_UNREADABLE = {"q": QUANTISED, "c": COMPLEX, "float8": FLOAT8}  # by the beginning of the name of a type
_WIDENED = ("float16", "bfloat16")  # to float32, which holds both exactly


class StorageOfKind(NamedTuple):
    """The meaning of a persistent id: bytes in the file, the type of their numbers, and their order ("<" or ">")."""

    storage: Storage
    kind: Kind
    order: str
    first: int = 0  # the first element: older files have views of storages


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, hooks: Any = None, about: Any = None
) -> StoredArray | Unreadable:
    """`about` says whether the tensor is the negative of its numbers."""
    if not isinstance(storage, StorageOfKind):
        raise ValueError(f"a tensor lies in a {type(storage).__name__}, which is not a storage")
    return _stored(storage, storage.kind, offset, size, stride, about)


def _tensor_of_dtype(
    storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, dtype: Any, about: Any = None
) -> StoredArray | Unreadable:
    """A tensor in a storage of bytes, of a type that has no storage of its own."""
    if not isinstance(storage, StorageOfKind) or not isinstance(dtype, Kind) or storage.first:
        raise ValueError(f"a tensor of {type(dtype).__name__} lies in a {type(storage).__name__}")
    return _stored(storage, dtype, offset, size, stride, about)


def _stored(
    storage: StorageOfKind, kind: Kind, offset: Any, size: Any, stride: Any, about: Any
) -> StoredArray | Unreadable:
    for beginning, unreadable in _UNREADABLE.items():
        if kind.name.startswith(beginning):
            return unreadable
    return StoredArray(
        storage.storage,
        kind.name,
        storage.order + kind.code,
        np.dtype(np.float32 if kind.name in _WIDENED else kind.code),
        tuple(size),
        tuple(stride),
        storage.first + offset,
        isinstance(about, dict) and about.get("neg") is True,
    )


def _parameter(data: Any, *about: Any) -> Any:
    return data


def _tensor_of_class(function: Any, kind: Any, arguments: Any, attributes: Any) -> Any:
    """A tensor with attributes, or of a class of its own: the plain tensor, if it is one."""
    if function not in _TENSORS:
        return BY_FUNCTION["_rebuild_wrapper_subclass"]
    return function(*arguments)


_TENSORS = (_tensor, _tensor_of_dtype, _parameter)


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    if isinstance(pairs, dict):
        return dict(pairs)
    return {safe_pickle.plain_key(key): value for key, value in pairs}


def _default_dict(factory: Any = None, pairs: Any = ()) -> dict[Any, Any]:
    return _ordered_dict(pairs)


def _never_read(unreadable: Unreadable) -> Callable[..., Unreadable]:
    return lambda *arguments: unreadable


def _size(sizes: Any) -> tuple[Any, ...]:
    return tuple(sizes)


ALLOWED: safe_pickle.Allowed = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("collections", "defaultdict"): _default_dict,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_dtype,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _tensor_of_class,
    **{("torch._utils", name): _never_read(unreadable) for name, unreadable in BY_FUNCTION.items()},
    ("torch", "Size"): _size,
    ("torch.storage", "UntypedStorage"): KINDS["UntypedStorage"],
    **{("torch", name): kind for name, kind in (KINDS | DTYPES).items()},
}


def load_objects(
    file: BinaryIO, source: str, allowed: safe_pickle.Allowed, find: Callable[[Any], Any] | None = None
) -> Any:
    """The objects of the pickle at the present position of `file`; `find` returns the storage of a persistent id.

    Settings beside the tensors become placeholders (pytorch_others). Raises ValueError if the pickle is damaged, or if
    it names what no file of weights needs; the error contains the name.
    """
    try:
        return safe_pickle.load(file, allowed, persistent=find, others=placeholder_for)
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


def state_of(
    objects: Any, source: str, key: str | None = None
) -> tuple[dict[str, StoredArray | np.ndarray], dict[str, str]]:
    """The arrays by name, and name -> type of the other values in the file.

    `key` chooses one of several states, such as "state_dict_ema"; the usual wrappers (WRAPPERS) are removed. Raises
    ValueError if the file has no arrays under names, or has a tensor in the state that NumPy cannot hold.
    """
    ignored: dict[str, str] = {}
    if key is not None:
        if not isinstance(objects, Mapping) or key not in objects:
            keys = list(map(brief, objects)) if isinstance(objects, Mapping) else []
            raise ValueError(f"{source} has no key {key!r}; its keys are {plain(keys[:_MOST_NAMED])}")
        ignored = {brief(name): _kind_of(value) for name, value in objects.items() if name != key}
        objects = objects[key]
    for _ in range(_MOST_WRAPPERS):
        inner = next((name for name in WRAPPERS if _is_wrapper(objects, name)), None)
        if inner is None:
            break
        ignored |= {brief(name): _kind_of(value) for name, value in objects.items() if name != inner}
        objects = objects[inner]
    if isinstance(objects, StoredArray):
        objects = {"tensor": objects}
    if isinstance(objects, safe_pickle.Placeholder):
        raise ValueError(
            f"{source} holds an object of class {plain(objects.name)}, perhaps a whole model, and none of it was run; "
            "save model.state_dict() alone with PyTorch instead"
        )
    if not isinstance(objects, Mapping):
        raise ValueError(f"{source} holds a {_kind_of(objects)}, but a state is a dictionary of tensors")
    entries: dict[str, StoredArray | np.ndarray] = {}
    for name, value in objects.items():
        if isinstance(value, Unreadable):
            raise ValueError(
                f"{source}: tensor {brief(name)} is {value.kind}, which cannot be read without PyTorch; save "
                f"{value.call} in its place with PyTorch"
            )
        if not isinstance(value, StoredArray):
            ignored[brief(name)] = _kind_of(value)
        elif not isinstance(name, str):
            raise ValueError(f"{source}: a tensor is called {brief(name)}, which is not text")
        else:
            entries[name] = value
    if not entries and objects:
        few = ", ".join(f"{name} ({kind})" for name, kind in list(ignored.items())[:_MOST_NAMED])
        states = [name for name, value in objects.items() if isinstance(name, str) and _has_tensors(value)]
        advice = f"; give key={plain(states[0])!r} for that state" if states else ""
        raise ValueError(
            f"{source} holds no tensors by name, but {few}; of wrappers, {', '.join(WRAPPERS)} are known{advice}"
        )
    return entries, ignored


def _kind_of(value: Any) -> str:
    if isinstance(value, (StoredArray, Unreadable)):
        return "tensor"
    if isinstance(value, safe_pickle.Placeholder):
        return plain(value.name)
    if isinstance(value, Kind):
        return f"torch.{value.name}"
    return "dict with tensors" if _has_tensors(value) else type(value).__name__


def _has_tensors(value: Any) -> bool:
    """True if a tensor is among the first values of a dictionary; a pickle can hold one long dictionary many times."""
    first = itertools.islice(value.values(), _MOST_NAMED) if isinstance(value, Mapping) else ()
    return any(isinstance(each, StoredArray) for each in first)


def _is_wrapper(objects: Any, name: str) -> bool:
    return isinstance(objects, Mapping) and isinstance(objects.get(name), Mapping)


def brief(value: Any) -> str:
    """`value` in a few words: a value from a file may be too long, or too deeply nested, for a message."""
    if isinstance(value, str):
        return plain(value)
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 1 << 64):
        return repr(value)
    return f"of type {value.kind if isinstance(value, safe_pickle.OtherKey) else type(value).__name__}"


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
