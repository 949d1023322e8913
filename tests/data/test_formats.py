"""idx files and CIFAR's pickles: read exactly, and refused with a reason when they are not what they should be."""

import gzip
import os
import pickle
import struct

import numpy as np
import pytest

from minicnn.data.cifar_pickle import read_batch
from minicnn.data.idx import read_idx


def idx_bytes(array):
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (4, 5, 7), dtype=np.uint8)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_gives_back_what_was_written(tmp_path, zipped):
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(idx_bytes(IMAGES)) if zipped else idx_bytes(IMAGES))
    np.testing.assert_array_equal(read_idx(path, axes=3), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x00\x00\x08\x01" + idx_bytes(IMAGES)[4:], "should begin with 00 00 08 03, but begins with 00 00 08 01"),
        (b"\x00\x00\x0d\x03" + idx_bytes(IMAGES)[4:], "begins with 00 00 0d 03"),
        (b"<html>not found</html>", "begins with 3c 68 74 6d"),
        (idx_bytes(IMAGES)[:-1], r"should hold 4 \* 5 \* 7 = 140 values, but holds 139"),
        (idx_bytes(IMAGES) + b"x", "but holds 141"),
        (idx_bytes(IMAGES)[:10], "should begin with"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "but holds 0"),
    ],
)
def test_an_idx_file_that_is_not_one_is_refused(tmp_path, content, message):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path, axes=3)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:-3], lambda b: b[:30] + b"xx" + b[32:]])
def test_a_damaged_gzip_is_refused(tmp_path, damage):
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(idx_bytes(IMAGES))))
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_idx(path, axes=3)


@pytest.mark.parametrize("order", ["<i8", ">i8"])
def test_labels_written_as_int64_under_the_code_of_uint8_are_read_and_warned_of(tmp_path, order):
    labels = np.arange(10, 30)
    header = bytes((0, 0, 8, 1)) + struct.pack(">I", 20)
    (tmp_path / "labels").write_bytes(header + labels.astype(order).tobytes())
    with pytest.warns(UserWarning, match="labels says uint8, but has 8 bytes for each value"):
        np.testing.assert_array_equal(read_idx(tmp_path / "labels", axes=1), labels)
    (tmp_path / "labels").write_bytes(header + (labels + 300).astype(order).tobytes())
    with pytest.raises(ValueError, match="should hold 20 = 20 values, but holds 160"):
        read_idx(tmp_path / "labels", axes=1)


@pytest.mark.parametrize("name", ["images", "images.gz", "images.GZ"])
def test_an_idx_file_is_told_by_its_contents_whatever_its_name(tmp_path, name):
    for contents in (idx_bytes(IMAGES), gzip.compress(idx_bytes(IMAGES))):
        (tmp_path / name).write_bytes(contents)
        np.testing.assert_array_equal(read_idx(tmp_path / name, axes=3), IMAGES)


def test_what_is_not_gzip_is_refused(tmp_path):
    (tmp_path / "images.gz").write_bytes(b"<html>403</html>")
    with pytest.raises(ValueError, match="not an idx file"):
        read_idx(tmp_path / "images.gz", axes=3)


def python_2_batch(data, labels):
    """The bytes that Python 2 with NumPy 1 wrote for {"data": uint8 array, "labels": list} (protocol 2, no memo)."""

    def text(value):
        return b"U" + bytes([len(value)]) + value  # SHORT_BINSTRING: Python 2's str

    def long_text(value):
        return b"T" + struct.pack("<I", len(value)) + value

    def integer(value):
        return b"J" + struct.pack("<i", value)

    shape = b"(" + b"".join(integer(size) for size in data.shape) + b"t"
    dtype = b"cnumpy\ndtype\n(" + text(b"u1") + integer(0) + integer(1) + b"tR"
    dtype += b"(" + integer(3) + text(b"|") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + integer(0) + b"t" + text(b"b") + b"tR"
    array += b"(" + integer(1) + shape + dtype + b"\x89" + long_text(data.tobytes()) + b"tb"
    listed = b"](" + b"".join(integer(label) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + listed + b"u."


def test_a_python_2_batch_is_read(tmp_path):
    data = IMAGES.reshape(4, 35)
    (tmp_path / "batch").write_bytes(python_2_batch(data, [3, 1, 2, 0]))
    contents = read_batch(tmp_path / "batch")
    np.testing.assert_array_equal(contents["data"], data)
    assert contents["labels"] == [3, 1, 2, 0]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_batch_saved_again_by_a_newer_python_is_read(tmp_path, protocol, order):
    data = np.array(IMAGES.reshape(4, 35), order=order)
    (tmp_path / "batch").write_bytes(pickle.dumps({"data": data, "labels": np.arange(4)}, protocol=protocol))
    contents = read_batch(tmp_path / "batch")
    np.testing.assert_array_equal(contents["data"], data)
    assert contents["labels"].tolist() == [0, 1, 2, 3]


def test_text_that_is_encoded_again_and_again_is_refused(tmp_path):
    text = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\x00"
    encoded = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    (tmp_path / "batch").write_bytes(b"\x80\x02" + text + encoded * 60 + b".")
    with pytest.raises(ValueError, match="more bytes than the file has"):
        read_batch(tmp_path / "batch")


class Hostile:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.mkdir, ("{}/ran",), r"(posix|nt)\.mkdir"),
        (eval, ("1",), r"(builtins|__builtin__)\.eval"),
        (np.load, ("x",), "load"),
    ],
)
def test_a_hostile_pickle_is_refused_by_name_and_not_run(tmp_path, protocol, function, arguments, name):
    arguments = [argument.format(tmp_path) for argument in arguments]
    content = {"data": Hostile(function, *arguments), "labels": []}
    (tmp_path / "batch").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=f"batch was refused: it asks for .*{name}"):
        read_batch(tmp_path / "batch")
    assert not (tmp_path / "ran").exists()


def test_an_attribute_of_an_allowed_name_is_refused_too(tmp_path):
    (tmp_path / "batch").write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.tofile_\x93.")
    with pytest.raises(ValueError, match=r"refused: it asks for numpy\.ndarray\.tofile_"):
        read_batch(tmp_path / "batch")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02}(U", b"\x80\x02K\x01.", pickle.dumps([1])])
def test_a_damaged_pickle_and_one_of_something_else_are_refused(tmp_path, content):
    (tmp_path / "batch").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged or cut short|should hold a dictionary"):
        read_batch(tmp_path / "batch")


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99])
def test_a_truncated_batch_is_refused(tmp_path, keep):
    whole = python_2_batch(IMAGES.reshape(4, 35), [3, 1, 2, 0])
    (tmp_path / "batch").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ValueError, match="damaged or cut short"):
        read_batch(tmp_path / "batch")
