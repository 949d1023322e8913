"""Files of PyTorch in both forms, written byte by byte: the reader is tested where torch is not installed, too."""

import io
import struct
import zipfile
from dataclasses import dataclass

import numpy as np

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
STORAGE_OF = {"f4": "FloatStorage", "f8": "DoubleStorage", "f2": "HalfStorage", "i8": "LongStorage", "?": "BoolStorage"}


@dataclass
class View:
    """A tensor that is a view of a storage: offset and strides in elements."""

    key: str
    shape: tuple
    strides: tuple
    offset: int = 0
    kind: str = "FloatStorage"
    elements: int | None = None  # what its persistent id claims; None: the truth
    part: tuple | None = None  # of the legacy form: (first element, elements) of the storage that it calls its own


def text(value):
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def integer(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def global_name(module, name):
    return f"c{module}\n{name}\n".encode()


def numbers(values):
    return b"(" + b"".join(map(integer, values)) + b"t"


def tensor(view, elements, legacy):
    claimed = elements if view.elements is None else view.elements
    identity = b"(" + text("storage") + global_name("torch", view.kind) + text(view.key) + text("cpu")
    identity += integer(claimed) + (_part(view) if legacy else b"") + b"tQ"
    hooks = global_name("collections", "OrderedDict") + b")R"
    arguments = b"(" + identity + integer(view.offset) + numbers(view.shape) + numbers(view.strides) + b"\x89" + hooks
    return global_name("torch._utils", "_rebuild_tensor_v2") + arguments + b"tR"


def _part(view):
    return b"N" if view.part is None else b"(" + text("any") + b"".join(map(integer, view.part)) + b"t"


def program(tensors, storages, legacy, before=b"", after=b""):
    """The pickle of an OrderedDict of tensors; `before` and `after` stand around it, as a wrapper's pickle does."""
    items = b"".join(text(n) + tensor(v, storages[v.key].size, legacy) for n, v in tensors.items())
    state = global_name("collections", "OrderedDict") + b")R(" + items + b"u"
    return b"\x80\x02" + before + state + after + b"."


def whole(arrays):
    """(tensors, storages) where each array is all of a storage of its own."""
    tensors, storages = {}, {}
    for number, (name, array) in enumerate(arrays.items()):
        strides = tuple(stride // array.itemsize for stride in np.empty(array.shape, array.dtype).strides)
        tensors[name] = View(str(number), array.shape, strides, 0, STORAGE_OF[array.dtype.str[1:].replace("b1", "?")])
        storages[str(number)] = np.ascontiguousarray(array).reshape(-1)
    return tensors, storages


def zip_form(tensors, storages, *, pickle=None, compression=zipfile.ZIP_STORED, order=b"little", **around):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", program(tensors, storages, False, **around) if pickle is None else pickle)
        if order is not None:
            archive.writestr("archive/byteorder", order)
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


def long_integer(value):
    content = value.to_bytes(11, "little", signed=True)
    return b"\x8a" + bytes([len(content)]) + content


def legacy_form(tensors, storages, *, pickle=None, little_endian=True, **around):
    keys = sorted(storages)
    content = b"\x80\x02" + long_integer(MAGIC) + b"." + b"\x80\x02" + integer(VERSION) + b"."
    content += b"\x80\x02}" + text("little_endian") + (b"\x88" if little_endian else b"\x89") + b"s."
    content += program(tensors, storages, True, **around) if pickle is None else pickle
    content += b"\x80\x02](" + b"".join(map(text, keys)) + b"e."
    for key in keys:
        content += struct.pack("<q" if little_endian else ">q", storages[key].size) + storages[key].tobytes()
    return content


FORMS = {"zip": zip_form, "legacy": legacy_form}
