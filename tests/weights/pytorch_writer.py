"""Files of PyTorch in its three forms, written byte by byte: the reader is tested where torch is not installed, too."""

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
    return _around(
        b"".join(text(n) + tensor(v, storages[v.key].size, legacy) for n, v in tensors.items()), before, after
    )


def _around(items, before=b"", after=b""):
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


FIRST_TENSOR = 100  # the key of the first tensor in the tar form


def tar_pickle(tensors, **around):
    items = (text(name) + text(str(number)) + b"Q" for number, name in enumerate(tensors, FIRST_TENSOR))
    return _around(b"".join(items), **around)


def tar_form(tensors, storages, *, pickle=None, little_endian=True, **around):
    kinds = {key: STORAGE_OF.get(array.dtype.str[1:].replace("b1", "?")) for key, array in storages.items()}
    kinds |= {view.key: view.kind for view in tensors.values()}
    keys = {key: number for number, key in enumerate(storages, 1)}
    numbered = {name: number for number, name in enumerate(tensors, FIRST_TENSOR)}
    system = b"\x80\x02}" + text("little_endian") + (b"\x88" if little_endian else b"\x89") + b"s."
    stored = b"\x80\x02" + integer(len(storages)) + b"."
    for key, array in storages.items():
        stored += b"\x80\x02" + integer(keys[key]) + text("cpu") + global_name("torch", kinds[key]) + b"\x87."
        stored += struct.pack("<q", array.size) + array.tobytes()
    viewed = [(number, view) for number, view in enumerate(tensors.values(), 200) if view.part]
    parts = b"".join(b"(" + b"".join(map(integer, (n, keys[v.key], *v.part))) + b"t" for n, v in viewed)
    stored += b"\x80\x02](" + parts + b"e."
    described = b"\x80\x02" + integer(len(tensors)) + b"."
    for number, (name, view) in enumerate(tensors.items(), 200):
        kind = global_name("torch", view.kind.replace("Storage", "Tensor"))
        of = number if view.part else keys[view.key]
        described += b"\x80\x02" + integer(numbered[name]) + integer(of) + kind + b"\x87."
        described += struct.pack("<ii", len(view.shape), 0)
        described += struct.pack(f"<{2 * len(view.shape) + 1}q", *view.shape, *view.strides, view.offset)
    pickle = tar_pickle(tensors, **around) if pickle is None else pickle
    members = {"sys_info": system, "pickle": pickle, "tensors": described, "storages": stored}
    return tar_archive({"PaxHeader": b"30 mtime=1500000000.1234567\n", **members}, types={"PaxHeader": b"x"})


def tar_archive(members, types=None):
    content = b""
    for name, member in members.items():
        kind = (types or {}).get(name, b"0")
        header = name.encode().ljust(100, b"\0") + b"0000600\0" + b"0000000\0" * 2 + b"%011o\0" % len(member)
        before, after = header + b"0" * 11 + b"\0", kind + bytes(100) + b"ustar\x0000" + bytes(247)
        checksum = b"%06o\0 " % sum(before + b" " * 8 + after)
        content += before + checksum + after + member + bytes(-len(member) % 512)
    return content + bytes(1024)


def without_checksums(content):
    """The zip archive `content` with a checksum of 0 for every member, as PyTorch writes it on request."""
    content = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        found = content.find(mark)
        while found != -1:
            content[found + place : found + place + 4] = bytes(4)
            found = content.find(mark, found + 4)
    return bytes(content)


FORMS = {"zip": zip_form, "legacy": legacy_form, "tar": tar_form}
