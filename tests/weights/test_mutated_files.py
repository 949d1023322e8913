"""Damaged at random, a file of weights still loads or is refused: no crash, no hang, nothing run, no bomb."""

import argparse
import functools
import io
import json
import pickle
import struct
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minicnn.weights import load, open_weights, save
from tests.weights.pytorch_writer import (
    View,
    global_name,
    legacy_form,
    program,
    tar_form,
    tar_pickle,
    text,
    without_checksums,
    zip_form,
)

pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence")  # of text in damaged pickles

LONGEST = 5.0  # seconds for one file
MOST_MEMORY = 1 << 29  # bytes beyond what was there before

# What a file might make the process do. Auditing (PEP 578) tells of it even where it fails.
FORBIDDEN = {
    *(
        "os.system",
        "os.exec",
        "os.fork",
        "os.posix_spawn",
        "os.spawn",
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
    ),
    *("subprocess.Popen", "socket.connect", "exec", "ctypes.dlopen", "pickle.find_class", "shutil.rmtree"),
}


class Watch:
    """What was done that is forbidden, while it is on. An audit hook cannot be taken off again, only ignored."""

    def __init__(self):
        self.on, self.events = False, []
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        importing = event == "exec" and Path(arguments[0].co_filename).exists()  # such as the codec of a text
        if self.on and event in FORBIDDEN and not importing:
            self.events.append((event, arguments))

    def __enter__(self):
        self.on = True

    def __exit__(self, *details):
        self.on = False


@pytest.fixture(scope="module")
def watch():
    return Watch()


# Files before the damage. Each is a function of a mutation, which is applied where it bites: to the bytes of the file,
# or to a pickle or a header inside, around which the rest of the file then fits.

BASE = np.arange(60, dtype=np.float32)
TENSORS = {
    "a.weight": View("0", (3, 4, 5), (20, 5, 1)),
    "a.bias": View("0", (5, 3), (1, 20), 2),
    "b.weight": View("1", (4,), (1,), 0, "LongStorage"),
    "b.bias": View("2", (2, 3), (3, 1), 0, "HalfStorage"),
}
STORAGES = {"0": BASE, "1": np.arange(4), "2": np.arange(6, dtype=np.float16)}
WRAPPED = {"before": b"}(" + text("epoch") + b"K\x05" + text("state_dict"), "after": b"u"}
CALL = global_name("os", "mkdir") + b"(" + text("ran") + b"tR"


def of_zip(mutate):
    return mutate(zip_form(TENSORS, STORAGES, **WRAPPED))


def of_pickle_in_zip(mutate):
    return zip_form(TENSORS, STORAGES, pickle=mutate(program(TENSORS, STORAGES, False, **WRAPPED)))


def of_code_in_zip(mutate):
    hostile = program(TENSORS, STORAGES, False, before=b"}(" + text("state_dict"), after=text("x") + CALL + b"u")
    return zip_form(TENSORS, STORAGES, pickle=mutate(hostile))


def of_newer_pickle_in_zip(mutate):
    return zip_form(TENSORS, STORAGES, pickle=mutate(pickle.dumps({"a": [1, (2.5, None)], "b": {"c": b"d"}}, 4)))


def of_legacy(mutate):
    return mutate(legacy_form(TENSORS, STORAGES))


def of_zip_without_checksums(mutate):
    return mutate(without_checksums(zip_form(TENSORS, STORAGES, **WRAPPED)))


def of_settings_in_zip(mutate):
    beside = {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.9), "names": {"a"}, "pairs": {(0, 1): "x"}}
    before = b"}(" + text("beside") + pickle.dumps(beside, 2)[2:-1] + text("state_dict")
    return zip_form(TENSORS, STORAGES, pickle=mutate(program(TENSORS, STORAGES, False, before=before, after=b"u")))


def of_tar(mutate):
    return mutate(tar_form(TENSORS, STORAGES))


def of_pickle_in_tar(mutate):
    return tar_form(TENSORS, STORAGES, pickle=mutate(tar_pickle(TENSORS)))


def of_pickle_in_legacy(mutate):
    return legacy_form(TENSORS, STORAGES, pickle=mutate(program(TENSORS, STORAGES, True, before=CALL + b"0")))


def of_safetensors(mutate):
    return mutate(_saved(".safetensors"))


def of_header(mutate):
    entry = {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}
    header = {"__metadata__": {"note": "1"}, "a": entry, "b": {"dtype": "I64", "shape": [], "data_offsets": [48, 56]}}
    content = mutate(json.dumps(header).encode())
    return struct.pack("<Q", len(content)) + content + bytes(56)


def of_npz(mutate):
    return mutate(_saved(".npz"))


def of_compressed_npz(mutate):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=BASE, b=np.asfortranarray(BASE.reshape(5, 12)))
    return mutate(buffer.getvalue())


def of_array_in_npz(mutate):
    array, buffer = io.BytesIO(), io.BytesIO()
    np.save(array, BASE)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", mutate(array.getvalue()))
    return buffer.getvalue()


@functools.cache
def _saved(suffix):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a" + suffix)
        save({"a": BASE.reshape(3, 4, 5), "b": np.arange(4), "c": np.array(True)}, path, {"epoch": 3})
        return path.read_bytes()


SUBJECTS = {
    of_zip: ".pth",
    of_pickle_in_zip: ".pth",
    of_code_in_zip: ".pth",
    of_newer_pickle_in_zip: ".pth",
    of_zip_without_checksums: ".pth",
    of_settings_in_zip: ".pth",
    of_tar: ".pth",
    of_pickle_in_tar: ".pth",
    of_legacy: ".pth",
    of_pickle_in_legacy: ".pth",
    of_safetensors: ".safetensors",
    of_header: ".safetensors",
    of_npz: ".npz",
    of_compressed_npz: ".npz",
    of_array_in_npz: ".npz",
}
NUMBERS = [struct.pack(code, value) for code in ("<H", "<I", "<Q") for value in (0, 1, 255, 0x7FFF)]
NUMBERS += [b"\xff" * size for size in (2, 4, 8)] + [b"\xff\xff\xff\x7f", b"\xff" * 7 + b"\x7f", b"\x00\x00\x00\x40"]
WORDS = [
    b"9999999999",
    b"-1",
    b"1e400",
    b"null",
    b"[]",
    b"{}",
    b'"a"',
    b"0",
    b"(",
    b"t",
    b"R",
    b"b",
    b".",
    b"2",
    b"Q",
    b"]",
]


def damaged(content, generator):
    """`content` with one to four changes of one of seven kinds."""
    content = bytearray(content)
    for _ in range(int(generator.integers(1, 5))):
        if not content:
            break
        place = int(generator.integers(len(content)))
        kind = int(generator.integers(7))
        if kind == 0:
            content[place] ^= 1 << int(generator.integers(8))
        elif kind == 1:
            content[place] = int(generator.integers(256))
        elif kind == 2:
            number = NUMBERS[generator.integers(len(NUMBERS))]
            content[place : place + len(number)] = number
        elif kind == 3:
            content[place:place] = WORDS[generator.integers(len(WORDS))]
        elif kind == 4:
            del content[place : place + int(generator.integers(1, 40))]
        elif kind == 5:
            other = int(generator.integers(len(content)))
            content[place:place] = content[other : other + int(generator.integers(1, 60))]
        elif generator.integers(4) == 0:
            del content[place:]
    return bytes(content)


def outcome(path):
    """ "loaded" or "refused"; anything but a clear error is an error here."""
    try:
        arrays = load(path)
    except ValueError as error:
        clear = str(path) in str(error) and str(error).isprintable() and "MemoryError" not in str(error)
        return "refused" if clear else f"unclear: {error!r}"
    return "loaded" if all(isinstance(array, np.ndarray) for array in arrays.values()) else "odd"


def run(numbers, folder, watch):
    """What became of the damaged files of these numbers, counted; fails on the first that misbehaves."""
    counts, slowest = Counter(), 0.0
    subjects = list(SUBJECTS.items())
    for number in numbers:
        generator = np.random.default_rng(number)
        subject, suffix = subjects[number % len(subjects)]
        path = folder / f"a{suffix}"
        path.write_bytes(subject(lambda content, generator=generator: damaged(content, generator)))
        began = time.monotonic()
        with watch:
            became = outcome(path)
        assert became in ("loaded", "refused"), f"file {number} ({subject.__name__}): {became}"
        counts[became] += 1
        seconds = time.monotonic() - began
        path.unlink()  # some file systems wait for the disk where a file is overwritten
        slowest = max(slowest, seconds)
        assert seconds < LONGEST, f"file {number} ({subject.__name__}) took {seconds:.1f} s"
    return counts, slowest


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.__name__)
def test_undamaged_each_is_what_it_should_be(subject, tmp_path):
    path = tmp_path / f"a{SUBJECTS[subject]}"
    path.write_bytes(subject(lambda content: content))
    if subject in (of_code_in_zip, of_pickle_in_legacy):
        with pytest.raises(ValueError, match=r"asks for os\.mkdir"):
            open_weights(path)
    elif subject is of_newer_pickle_in_zip:
        with pytest.raises(ValueError, match="no tensors by name"):
            open_weights(path)
    else:
        assert load(path)


def test_two_thousand_damaged_files_load_or_are_refused(watch, tmp_path):
    counts, _ = run(range(2200), tmp_path, watch)
    assert watch.events == []
    assert counts["refused"] > 1000
    assert counts["loaded"] > 60
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_hundred_thousand_damaged_files_load_or_are_refused_in_bounded_memory(watch, tmp_path, capsys):
    resource = pytest.importorskip("resource")  # Linux and macOS
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        here = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + MOST_MEMORY, before[1]))
    try:
        counts, slowest = run(range(100_000), tmp_path, watch)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert watch.events == []
    with capsys.disabled():
        print(f"\n{counts['loaded']:,} loaded, {counts['refused']:,} refused, the slowest in {slowest:.3f} s")
