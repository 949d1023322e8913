"""What is saved is what is loaded, in either format; and whatever else lies in a file gives an error that says so."""

import contextlib
import functools
import io
import json
import os
import pickle
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minicnn import Tensor
from minicnn.files import json_text
from minicnn.kernels import layout
from minicnn.weights import (
    load,
    load_metadata,
    load_with_metadata,
    open_weights,
    safetensors_format,
    save,
    shipped_path,
)
from minicnn.weights.pytorch_names import names_asked_for

SUFFIXES = [".safetensors", ".npz"]
DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]

arrays_of_any_kind = st.sampled_from([*DTYPES, ">f4", ">i8"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\:"), min_size=1, max_size=20).filter(
    lambda name: name != "__metadata__"
)


def equal_bits(a, b):
    return a.shape == b.shape and a.dtype == b.dtype and np.ascontiguousarray(a).tobytes() == b.tobytes()


@pytest.fixture(params=SUFFIXES)
def path(request, tmp_path):
    return tmp_path / ("weights" + request.param)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(deadline=None, max_examples=40)
@given(st.dictionaries(names, arrays_of_any_kind, max_size=4), st.data())
def test_arrays_of_every_type_shape_and_memory_order_come_back(tmp_path_factory, suffix, arrays, data):
    for name, array in arrays.items():
        order = data.draw(st.permutations(range(array.ndim)))
        arrays[name] = array.transpose(order)[..., ::-1] if array.ndim else array
    path = tmp_path_factory.mktemp("files") / ("a" + suffix)
    save(arrays, path)
    loaded = load(path)
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        native = array.astype(array.dtype.newbyteorder("="))
        assert equal_bits(native, loaded[name].astype(loaded[name].dtype.newbyteorder("=")))
        assert loaded[name].flags.c_contiguous
        assert loaded[name].flags.writeable


def test_channels_last_memory_is_not_scrambled(path):
    array = layout.empty((2, 3, 4, 5))
    array[...] = np.arange(120).reshape(2, 3, 4, 5)
    assert not array.flags.c_contiguous
    save({"images": array}, path)
    np.testing.assert_array_equal(load(path)["images"], np.arange(120).reshape(2, 3, 4, 5))


def test_tensors_single_arrays_and_whatever_has_a_state_dict_can_be_saved(path):
    class Model:
        def state_dict(self):
            return {"weight": Tensor([1.0, 2.0], requires_grad=True), "count": np.int64(3)}

    save(Model(), path)
    loaded = load(path)
    assert loaded["weight"].tolist() == [1.0, 2.0]
    assert loaded["count"].shape == ()
    assert loaded["count"] == 3
    save(Tensor([5.0]), path)
    assert load(path)["tensor"].tolist() == [5.0]


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
            max_leaves=6,
        ),
        max_size=4,
    ),
    st.sampled_from(SUFFIXES),
)
def test_metadata_comes_back(tmp_path_factory, metadata, suffix):
    path = tmp_path_factory.mktemp("files") / ("m" + suffix)
    save({"a": np.zeros(2)}, path, metadata=metadata)
    assert load_metadata(path) == metadata


def test_other_programs_read_what_is_saved_and_theirs_is_read(tmp_path):
    from safetensors.numpy import load_file, save_file

    array = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    save({"a": array}, tmp_path / "ours.safetensors", metadata={"classes": ["cat", "dog"]})
    np.testing.assert_array_equal(load_file(tmp_path / "ours.safetensors")["a"], array)
    save_file({"b": np.arange(3)}, tmp_path / "theirs.safetensors", metadata={"format": "pt", "note": "1"})
    assert load(tmp_path / "theirs.safetensors")["b"].tolist() == [0, 1, 2]
    assert load_metadata(tmp_path / "theirs.safetensors") == {"note": "1"}
    save({"a": array}, tmp_path / "ours.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "ours.npz")["a"], array)
    np.savez_compressed(tmp_path / "theirs.npz", b=np.arange(3))
    assert load(tmp_path / "theirs.npz")["b"].tolist() == [0, 1, 2]


def test_bfloat16_is_read_as_float32(tmp_path):
    torch = pytest.importorskip("torch")
    torch_files = pytest.importorskip("safetensors.torch")
    values = torch.randn(3, 5).to(torch.bfloat16)
    torch_files.save_file({"w": values}, tmp_path / "half.safetensors")
    loaded = load(tmp_path / "half.safetensors")["w"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, values.float().numpy())


def test_the_same_content_gives_the_same_bytes(path):
    arrays = {"a": np.arange(5.0), "b": np.ones((2, 2))}
    save(arrays, path, metadata={"seed": 1})
    first = path.read_bytes()
    save(arrays, path, metadata={"seed": 1})
    assert path.read_bytes() == first


# What must not be saved


def test_two_endings_are_written(tmp_path):
    for name in ["weights.pth", "weights", "weights.h5"]:
        with pytest.raises(ValueError, match=r"must end in \.safetensors or \.npz, which"):
            save({}, tmp_path / name)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize("name", ["weights", "weights.h5", "net.model", "net.pkl"])
def test_a_file_of_another_ending_is_read_by_its_content(suffix, name, tmp_path):
    save({"a": np.arange(3.0)}, tmp_path / f"a{suffix}", {"epoch": 1})
    (tmp_path / f"a{suffix}").rename(tmp_path / name)
    arrays, metadata = load_with_metadata(tmp_path / name)
    np.testing.assert_array_equal(arrays["a"], np.arange(3.0))
    assert metadata == {"epoch": 1}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "it is an HDF5 file, as Keras writes"),
        (b"\x1f\x8b\x08" + bytes(20), "packed by gzip"),
        (b"\x93NUMPY\x01\x00", "a single array of NumPy"),
        (b"hello", "of another format, or damaged; safetensors, .npz and PyTorch's .pth can be read"),
        (b"", "it is empty"),
    ],
)
@pytest.mark.parametrize("name", ["weights", "weights.h5"])
def test_a_file_of_another_ending_and_unknown_content_is_refused_with_what_it_is(content, what, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(what)):
        load(tmp_path / name)


def test_a_key_is_for_files_with_several_states(tmp_path):
    save({"a": np.arange(3.0)}, tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"key='ema' is for files of PyTorch with several states, but .*a\.npz"):
        load(tmp_path / "a.npz", key="ema")


def test_arguments_in_the_other_order_are_told_so():
    for call in (lambda: save("weights.npz", {"a": np.zeros(2)}), lambda: load({"a": np.zeros(2)})):
        with pytest.raises(TypeError, match=r"path must be a str or a path, but is dict; as in save\(object, path\)"):
            call()


@pytest.mark.parametrize(
    ("object", "complaint"),
    [
        ({"a": np.array([{}], dtype=object)}, "'a' has dtype object"),
        ({"a": np.array(["text"])}, "'a' has dtype <U4"),
        ({"a": np.array([1j])}, "'a' has dtype complex128"),
        ({1: np.zeros(2)}, "one key is 1"),
        ([np.zeros(2)], "got list"),
    ],
)
def test_what_is_no_array_is_refused(path, object, complaint):
    with pytest.raises(TypeError, match=complaint):
        save(object, path)
    assert not path.exists()


def test_metadata_that_json_cannot_hold_is_refused(path):
    with pytest.raises(TypeError, match="what JSON can hold"):
        save({}, path, metadata={"when": object()})
    with pytest.raises(TypeError, match="keys of metadata"):
        save({}, path, metadata={1: 2})


def test_a_header_beyond_the_limit_of_the_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(safetensors_format, "_HEADER_LIMIT", 1000)
    save({}, tmp_path / "a.safetensors", metadata={"text": "x" * 900})
    with pytest.raises(ValueError, match="header holds at most 1,000"):
        save({}, tmp_path / "a.safetensors", metadata={"text": "x" * 1001})
    with pytest.raises(ValueError, match="header holds at most 1,000"):
        save({f"array {number}": np.zeros(1) for number in range(10)}, tmp_path / "a.safetensors")


# What may lie in a file


def test_a_missing_file_and_a_folder_are_named(path):
    with pytest.raises(FileNotFoundError, match=path.name):
        load(path)
    with pytest.raises(FileNotFoundError, match=path.name):
        load_metadata(path)
    path.mkdir()
    with pytest.raises(IsADirectoryError, match="this is a folder"):
        load(path)


def test_a_file_cut_anywhere_is_noticed(path):
    save({"a": np.arange(7.0), "b": np.arange(3)}, path, metadata={"seed": 1})
    whole = path.read_bytes()
    for length in {*range(0, len(whole), 7), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=path.name):
            load(path)


@settings(deadline=None, max_examples=150)
@given(st.data(), st.sampled_from(SUFFIXES))
def test_a_changed_byte_is_noticed_or_harmless(tmp_path_factory, data, suffix):
    path = tmp_path_factory.mktemp("files") / ("altered" + suffix)
    arrays, metadata = {"a": np.arange(7.0), "b": np.arange(3)}, {"seed": 1}
    save(arrays, path, metadata=metadata)
    content = bytearray(path.read_bytes())
    # Without the name of our entry of the header, the file reads as one of another program, which has no checksum.
    name = range(content.find(b'"minicnn":'), content.find(b'"minicnn":') + len(b'"minicnn"'))
    place = data.draw(st.integers(0, len(content) - 1).filter(lambda place: place not in name))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(ValueError):
        loaded, loaded_metadata = load(path), load_metadata(path)
        # Some bytes of a zip archive say nothing, such as dates. Then all must be as it was.
        assert loaded_metadata == metadata
        assert loaded.keys() == arrays.keys()
        assert all(equal_bits(arrays[name], loaded[name]) for name in arrays)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200), st.sampled_from(SUFFIXES))
def test_any_bytes_at_all_give_a_clear_error(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("files") / ("bytes" + suffix)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name):
        load(path)


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (b"not json", "not a safetensors file"),
        (b"{broken  ", "cannot be understood"),
        (b"{" * 5000, "cannot be understood"),
        (b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', "damaged"),
        (b'{"__metadata__":[1]}', "cannot be understood"),
        (b'{"__metadata__":{"minicnn":"{"}}', "cannot be understood"),
    ],
)
def test_a_wrong_header_is_named(tmp_path, header, complaint):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ValueError, match=complaint):
        load(path)


def entry(begin, end, shape=None, dtype="F32"):
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "entries",
    [
        {"a": entry(0, 8), "b": entry(0, 8)},  # in one place
        {"a": entry(0, 8), "b": entry(4, 12)},  # overlapping
        {"a": entry(0, 4), "b": entry(12, 16)},  # a hole
        {"a": entry(4, 16)},  # a hole in front
        {"a": entry(0, 12)},  # bytes left over
        {"a": entry(0, 20)},  # beyond the end
        {"a": entry(8, 0, [2]), "b": entry(0, 16)},
        {"a": entry(0, 16, [3])},
        {"a": entry(0, 16, [-4])},
        {"a": entry(0, 16, [2, -1, -2])},
        {"a": entry(0, 16, [True, 4])},
        {"a": entry(0, 16, [4.0])},
        {"a": entry(0, 16, "4")},
        {"a": entry(0, 16, [1] * 70 + [4])},
        {"a": entry(0, 16, [1 << 63, 4])},
        {"a": entry(0.0, 16.0, [4])},
        {"a": entry(0, 16) | {"data_offsets": [0]}},
        {"a": entry(0, 16) | {"dtype": ["F32"]}},
        {"a": {"dtype": "F32"}},
        {"a": 7},
        [],
        {"__metadata__": {"note": "1"}},
    ],
)
def test_a_header_that_contradicts_itself_or_the_file_is_refused(tmp_path, entries):
    from safetensors import SafetensorError, deserialize

    header = json.dumps(entries).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(16)
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.safetensors (is damaged|is not a safetensors)"):
        load_metadata(tmp_path / "a.safetensors")
    if len(json.dumps(entries)) < 200:  # the package allows more than 64 axes, NumPy does not
        with pytest.raises(SafetensorError):
            deserialize(content)


def test_a_name_that_stands_in_a_header_twice_is_refused(tmp_path):
    one = b'"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    header = b"{" + one + b"," + one.replace(b"0,8", b"8,16") + b"}"
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(ValueError, match="stands in it twice"):
        load(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (__import__('os').getpid(),), }",
        "(" * 5000,
    ],
)
def test_a_header_of_numpys_that_describes_something_else_is_refused(tmp_path, header):
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(16)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(ValueError, match=r"holds no plain numbers|has 16 bytes for an array of 12"):
        load(tmp_path / "a.npz")


def test_a_header_that_claims_to_be_huge_is_not_read(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load(path)
    path.write_bytes(struct.pack("<Q", 99_000_000) + b"{}")
    with pytest.raises(ValueError, match="cut short"):
        load_metadata(path)


def archive_of(metadata, size=None, compression=zipfile.ZIP_DEFLATED):
    """An .npz with metadata only, which says that they are `size` bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("__metadata__.json", metadata)
    result = bytearray(buffer.getvalue())
    if size is not None:
        struct.pack_into("<I", result, 22, size)
        struct.pack_into("<I", result, result.rfind(b"PK\x01\x02") + 24, size)
    return bytes(result)


def header_of(content):
    return struct.pack("<Q", len(content)) + content


def lists(count):
    return b'{"a": [' + b"[]," * count + b"[]]}"


BOMBS = {
    "metadata that unpack to far more": (".npz", lambda: archive_of(lists(10_000_000)), "at most [0-9,]+ are read"),
    "metadata that unpack to more than they say": (".npz", lambda: archive_of(b" " * 50_000_000, 10), "Bad CRC-32"),
    "metadata of many values": (
        ".npz",
        lambda: archive_of(lists(100_000), None, zipfile.ZIP_STORED),
        "at most 100,000 are read",
    ),
    "a header of many values": (".safetensors", lambda: header_of(lists(100_000)), "at most 100,000 are read"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_little_text_unfolds_to_is_bounded(tmp_path, monkeypatch, bomb):
    suffix, content, complaint = BOMBS[bomb]
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content())
    monkeypatch.setattr(json_text, "read", functools.partial(json_text.read, most=100_000))
    tracemalloc.start()
    with pytest.raises(ValueError, match=complaint):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_metadata_that_could_not_be_read_back_are_not_saved(path, monkeypatch):
    monkeypatch.setattr(json_text, "MOST_VALUES", 2000)
    save({}, path, {"losses": [0.5] * 900})
    with pytest.raises(TypeError, match="about 1,101 values; at most 1,000"):
        save({}, path, {"losses": [0.5] * 1100})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("suffix", [*SUFFIXES, ".pth"])
def test_a_pipe_or_a_device_is_refused_before_it_is_opened(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")  # opening it would wait for ever
    (tmp_path / f"device{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        with pytest.raises(ValueError, match=f"{name}{suffix} is a pipe or a device"):
            load(tmp_path / f"{name}{suffix}")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pickle_is_never_run(tmp_path, suffix):
    path = tmp_path / ("a" + suffix)
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match=r"pickle|npz"):
        load(path)


def test_a_pickle_inside_an_npz_is_never_run(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.array([Bomb()], dtype=object))
    with pytest.raises(ValueError, match="damaged"):
        load(path)


def test_an_npz_that_lost_members_is_noticed(tmp_path):
    path = tmp_path / "a.npz"
    save({"a": np.zeros(2), "b": np.ones(3)}, path)
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(buffer, "w") as part:
        for member in whole.namelist()[:-1]:
            part.writestr(member, whole.read(member))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=r"should hold \['a', 'b'\], but holds \['a'\]"):
        load(path)


def test_a_pytorch_archive_is_recognised(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(1))
    for suffix, complaint in [(".safetensors", "zip archive"), (".npz", "PyTorch")]:
        path = tmp_path / ("a" + suffix)
        path.write_bytes(buffer.getvalue())
        with pytest.raises(ValueError, match=complaint):
            load(path)


def test_a_type_that_numpy_has_not_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    header = json.dumps({"w": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(ValueError, match=r"a\.safetensors: array w has numbers of type F8_E4M3, .*float\(\)"):
        load(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth", ".bin"])
def test_a_git_lfs_pointer_is_named_with_what_to_do(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a2146' * 8}\nsize 46830571\n")
    with pytest.raises(ValueError, match=r"is a Git LFS pointer.*`git lfs pull`"):
        load(path)
    assert names_asked_for(path) == []


ABOUT = {
    "model": "resnet8",
    "num_classes": 3,
    "rate": 0.1,
    "odd": [None, True, -1.5e300, "é"],
    "classes": ["cat", "dog"],
}


def altered(path, old, new):
    """The bytes of `path` with one text of its metadata replaced by another, in a whole file of its format."""
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(buffer, "w") as target:
            for member in source.infolist():
                content = source.read(member)
                if member.filename.endswith(".json"):
                    assert old in content
                    content = content.replace(old, new, 1)
                target.writestr(member, content)
        return buffer.getvalue()
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length]
    inside = [text.replace(b'"', b'\\\\\\"') for text in (old, new)]  # JSON in JSON in JSON
    assert inside[0] in header
    header = header.replace(*inside, 1)
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"num_classes": 3', b'"num_classes": 4'), (b'"rate": 0.1', b'"rate": 0.2'), (b'"cat", "dog"', b'"dog", "cat"')],
)
def test_altered_metadata_are_noticed_when_the_file_is_opened(suffix, old, new, tmp_path):
    path = tmp_path / f"a{suffix}"
    save({"a": np.arange(3.0)}, path, ABOUT)
    path.write_bytes(altered(path, old, old))
    assert load_with_metadata(path)[1] == ABOUT
    path.write_bytes(altered(path, old, new))
    for read in (load_metadata, load, open_weights):
        with pytest.raises(ValueError, match=rf"a\{suffix} .*altered after minicnn wrote them: the checksum does not"):
            read(path)


def test_files_of_before_the_checksum_of_metadata_are_read(tmp_path):
    assert b"metadata_sha256" not in shipped_path("resnet20", "PARTWORLD_V1").read_bytes()
    assert load_metadata(shipped_path("resnet20", "PARTWORLD_V1"))["model"] == "resnet20"
    path = tmp_path / "a.npz"
    path.write_bytes(archive_of(json.dumps({"arrays": [], "metadata": ABOUT}).encode()))
    assert load_metadata(path) == ABOUT
