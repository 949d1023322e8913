"""PyTorch's files give the arrays that PyTorch saved, and a hostile or damaged one gives an error that says why."""

import contextlib
import hashlib
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from minicnn.weights import WeightsInformation, files, load, open_weights
from tests.weights.pytorch_writer import FORMS, View, global_name, legacy_form, text, whole, zip_form

ARRAYS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "conv.bias": np.array([0.5, -1.0], np.float32),
    "precise": np.array([[1 / 3]], np.float64),
    "count": np.array(7, np.int64),
    "mask": np.array([True, False, True]),
    "nothing": np.empty((0, 3), np.float32),
}

forms = pytest.mark.parametrize("form", FORMS)


def written(folder, content, name="a.pth"):
    (folder / name).write_bytes(content)
    return folder / name


def assert_same(loaded, expected):
    assert list(loaded) == list(expected)
    for name, array in expected.items():
        assert loaded[name].dtype == array.dtype, name
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].flags.c_contiguous
        assert loaded[name].flags.writeable


@forms
def test_every_array_comes_back(form, tmp_path):
    assert_same(load(written(tmp_path, FORMS[form](*whole(ARRAYS)))), ARRAYS)


@forms
def test_views_of_one_storage_come_back_as_arrays_of_their_own(form, tmp_path):
    base = np.arange(60, dtype=np.float32)
    cube = base.reshape(3, 4, 5)
    views = {
        "whole": (View("0", (3, 4, 5), (20, 5, 1)), cube),
        "turned": (View("0", (5, 3, 4), (1, 20, 5)), cube.transpose(2, 0, 1)),
        "part": (View("0", (2, 2, 5), (20, 10, 1), 20), cube[1:, ::2]),
        "last": (View("0", (), (), 59), base[59]),
        "repeated": (View("0", (2, 3), (0, 1)), np.stack([base[:3], base[:3]])),
    }
    tensors = {name: view for name, (view, _) in views.items()}
    loaded = load(written(tmp_path, FORMS[form](tensors, {"0": base})))
    assert_same(loaded, {name: np.asarray(array) for name, (_, array) in views.items()})
    loaded["whole"][...] = -1
    assert loaded["part"][0, 0, 0] == 20


def test_the_oldest_files_have_views_of_storages(tmp_path):
    base = np.arange(60, dtype=np.float32)
    tensors = {"a": View("0", (2, 3), (3, 1), 4, part=(10, 20)), "b": View("0", (5,), (1,), part=(55, 5))}
    loaded = load(written(tmp_path, legacy_form(tensors, {"0": base})))
    assert_same(loaded, {"a": np.arange(14, 20, dtype=np.float32).reshape(2, 3), "b": base[55:]})
    for part in [(55, 6), (-1, 3), (0, 1 << 62)]:
        content = legacy_form({"a": View("0", (1,), (1,), part=part)}, {"0": base})
        with pytest.raises(ValueError, match=r"reaches beyond|whole number"):
            load(written(tmp_path, content))


@forms
def test_a_storage_is_read_once_however_many_views_it_has(form, tmp_path, monkeypatch):
    from minicnn.weights import stored

    reads = []
    for kind in (stored.FileStorage, stored.ZipStorage):
        pieces = kind.pieces
        monkeypatch.setattr(kind, "pieces", lambda self, pieces=pieces: reads.append(self) or pieces(self))
    tensors = {str(n): View("0", (5,), (1,), n) for n in range(20)}
    load(written(tmp_path, FORMS[form](tensors, {"0": np.arange(30, dtype=np.float32)})))
    assert len(reads) == 1


@forms
def test_storages_longer_than_one_piece_come_back(form, tmp_path, monkeypatch):
    from minicnn.weights import stored

    monkeypatch.setattr(stored, "PIECE", 64)
    arrays = {"long": np.arange(100, dtype=np.float32).reshape(4, 25), "other": np.arange(33, dtype=np.int64)}
    assert_same(load(written(tmp_path, FORMS[form](*whole(arrays)))), arrays)


@forms
def test_half_becomes_float32(form, tmp_path):
    halves = np.array([1.5, -0.25, 65504.0], np.float16)
    loaded = load(written(tmp_path, FORMS[form](*whole({"h": halves}))))
    assert_same(loaded, {"h": np.array([1.5, -0.25, 65504.0], np.float32)})


@forms
def test_bfloat16_becomes_float32(form, tmp_path):
    upper = np.array([0x3FC0, 0xC000, 0x7F80], np.uint16)  # 1.5, -2, infinity
    content = FORMS[form]({"b": View("0", (3,), (1,), 0, "BFloat16Storage")}, {"0": upper})
    assert_same(load(written(tmp_path, content)), {"b": np.array([1.5, -2, np.inf], np.float32)})


def test_bytes_in_the_other_order_are_turned(tmp_path):
    tensors, storages = whole({"a": np.array([1.5, 2.5], np.float32)})
    turned = {key: array.astype(">f4") for key, array in storages.items()}
    expected = {"a": np.array([1.5, 2.5], np.float32)}
    assert_same(load(written(tmp_path, zip_form(tensors, turned, order=b"big"))), expected)
    assert_same(load(written(tmp_path, legacy_form(tensors, turned, little_endian=False))), expected)
    assert_same(load(written(tmp_path, zip_form(tensors, storages, order=None))), expected)


@forms
@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "net", "model_state"])
def test_wrappers_are_taken_off_and_what_else_they_hold_is_told(form, wrapper, tmp_path):
    before = b"}(" + text("epoch") + b"K\x05" + text(wrapper) + b"}" + text("state_dict")
    content = FORMS[form](*whole(ARRAYS), before=before, after=b"su")
    with open_weights(written(tmp_path, content)) as file:
        assert file.ignored == {"epoch": "int"}
        assert_same(file.read(), ARRAYS)


def test_what_is_no_tensor_in_a_state_is_told(tmp_path):
    tensors, storages = whole(ARRAYS)
    content = zip_form(tensors, storages, after=text("version") + b"K\x02s" + text("names") + b"]s")
    with open_weights(written(tmp_path, content)) as file:
        assert file.ignored == {"version": "int", "names": "list"}
        assert list(file.entries) == list(ARRAYS)


@forms
@pytest.mark.parametrize(
    ("inner", "complaint"), [(b"K\x05", "holds a int"), (b"}" + text("a") + b"K\x01s", "no tensors")]
)
def test_a_file_without_tensors_is_refused(form, inner, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        load(written(tmp_path, FORMS[form]({}, {}, pickle=b"\x80\x02" + inner + b".")))


# What must not be run


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@forms
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_carries_code_is_refused_by_name_and_not_run(form, protocol, tmp_path):
    hostile = pickle.dumps({"a": Call(os.mkdir, str(tmp_path / "ran"))}, protocol=protocol)
    path = written(tmp_path, FORMS[form]({}, {}, pickle=hostile))
    with pytest.raises(ValueError, match=r"a\.pth was refused: it asks for (posix|nt)\.mkdir\. Nothing of it was run"):
        load(path)
    assert not (tmp_path / "ran").exists()


def test_code_in_any_pickle_of_the_legacy_form_is_refused(tmp_path):
    hostile = pickle.dumps(Call(os.mkdir, str(tmp_path / "ran")), protocol=2)
    good = legacy_form(*whole(ARRAYS))
    stops = [place + 1 for place in range(len(good)) if good[place : place + 1] == b"."]
    for place in [0, *stops[:3]]:
        with pytest.raises(ValueError, match=r"asks for (posix|nt)\.mkdir|is damaged|not a file of PyTorch"):
            load(written(tmp_path, good[:place] + hostile + good[place:]))
    with pytest.raises(ValueError, match=r"asks for (posix|nt)\.mkdir"):
        load(written(tmp_path, hostile))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "asked",
    [
        global_name("torch", "load"),
        global_name("torch", "FloatStorage.__init__"),
        global_name("torch.nn.modules.linear", "Linear"),
        global_name("builtins", "getattr"),
    ],
)
def test_only_what_tensors_need_is_allowed(asked, tmp_path):
    with pytest.raises(ValueError, match="was refused: it asks for"):
        load(written(tmp_path, zip_form({}, {}, pickle=b"\x80\x02" + asked + b".")))


# What is damaged


@forms
def test_a_file_cut_anywhere_is_noticed(form, tmp_path):
    whole_file = FORMS[form](*whole(ARRAYS))
    for length in {*range(0, len(whole_file), 13), len(whole_file) - 1}:
        with pytest.raises(ValueError, match=r"a\.pth"):
            load(written(tmp_path, whole_file[:length]))


def test_a_changed_byte_of_a_zip_is_noticed_or_harmless(tmp_path):
    good = zip_form(*whole(ARRAYS))
    for place in range(0, len(good), 3):
        changed = bytearray(good)
        changed[place] ^= 0x11
        with contextlib.suppress(ValueError):
            assert_same(load(written(tmp_path, bytes(changed))), ARRAYS)


def test_a_changed_number_is_noticed_by_the_checksum_of_the_zip(tmp_path):
    good = zip_form(*whole(ARRAYS))
    place = good.index(ARRAYS["conv.weight"].tobytes())
    changed = good[: place + 5] + bytes([good[place + 5] ^ 1]) + good[place + 6 :]
    with pytest.raises(ValueError, match=r"a\.pth is damaged: Bad CRC-32 for file 'archive/data/0'"):
        load(written(tmp_path, changed))


def test_a_changed_number_of_the_legacy_form_is_noticed_where_the_name_has_a_known_hash(tmp_path, monkeypatch):
    """torchvision's VGGs are of this form, which has no checksums; their names hold the hash of the whole file."""
    good = legacy_form(*whole(ARRAYS))
    place = good.index(ARRAYS["conv.weight"].tobytes())
    changed = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
    assert load(written(tmp_path, changed))  # nothing in the file says what it should be
    head = hashlib.sha256(good).hexdigest()[:8]
    known = WeightsInformation(sha256=head)
    monkeypatch.setattr(files, "known_by_file_name", lambda name: known if name == f"vgg16-{head}.pth" else None)
    assert_same(load(written(tmp_path, good, f"vgg16-{head}.pth")), ARRAYS)
    with pytest.raises(ValueError, match=f"SHA-256 should begin with {head}, as its name says"):
        load(written(tmp_path, changed, f"vgg16-{head}.pth"))


@pytest.mark.parametrize(
    ("view", "complaint"),
    [
        (View("0", (7,), (1,)), "element 6 lies outside of its storage, which has 6"),
        (View("0", (2, 3), (4, 1)), "element 6 lies outside"),
        (View("0", (2,), (1,), 5), "element 6 lies outside"),
        (View("0", (2,), (-1,), 1), "whole numbers from 0"),
        (View("0", (-2,), (1,)), "whole numbers from 0"),
        (View("0", (2,), (1, 1)), "1 axes and 2 strides"),
        (View("0", (1,) * 65, (1,) * 65), "65 axes"),
        (View("0", (1 << 62, 1 << 62), (0, 0)), "elements"),
        (View("0", (6,), (1,), 0, "DoubleStorage"), "should have 6 elements float64 of 8 bytes, but has 24"),
        (View("0", (6,), (1,), 0, elements=5), "should have 5 elements"),
    ],
)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(view, complaint, tmp_path):
    content = zip_form({"a": view}, {"0": np.arange(6, dtype=np.float32)})
    with pytest.raises(ValueError, match=complaint):
        load(written(tmp_path, content))


@pytest.mark.parametrize("elements", [5, 7, 1 << 40])
def test_a_count_of_the_legacy_form_that_does_not_fit_is_refused(elements, tmp_path):
    content = legacy_form({"a": View("0", (5,), (1,), elements=elements)}, {"0": np.arange(6, dtype=np.float32)})
    with pytest.raises(ValueError, match=r"tensors speak of|cut short"):
        load(written(tmp_path, content))


# What is malicious


def traced(path):
    """The error that loading gives, and the memory that it took at most."""
    tracemalloc.start()
    with pytest.raises(ValueError, match=path.name) as caught:
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return str(caught.value), peak


@forms
def test_strides_of_zero_are_no_bomb(form, tmp_path):
    content = FORMS[form]({"a": View("0", (1 << 20, 1 << 20), (0, 0))}, {"0": np.zeros(1, np.float32)})
    message, peak = traced(written(tmp_path, content))
    assert "describe arrays of 4,398,046,511,104 bytes" in message
    assert peak < 1e7


def test_a_compressed_member_is_refused_before_it_is_unpacked(tmp_path):
    content = zip_form(*whole({"a": np.zeros(30_000_000, np.float32)}), compression=zipfile.ZIP_DEFLATED)
    assert len(content) < 200_000
    message, peak = traced(written(tmp_path, content))
    assert "it is compressed, which an honest file of this kind is not" in message
    assert peak < 1e7


def test_a_compressed_npz_that_unpacks_to_far_more_than_itself_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(20_000_000, np.float32))
    message, peak = traced(tmp_path / "a.npz")
    assert "describe arrays of 80,000,000 bytes" in message
    assert peak < 1e7


def test_members_that_overlap_are_refused(tmp_path):
    """Every entry of the table of contents made to point at the first, largest member."""
    content = bytearray(zip_form(*whole({str(n): np.zeros(2000, np.float32) for n in range(4)})))
    largest = max(member.file_size for member in zipfile.ZipFile(written(tmp_path, bytes(content))).infolist())
    place = content.find(b"PK\x01\x02")
    while place != -1:
        struct.pack_into("<II", content, place + 20, largest, largest)
        place = content.find(b"PK\x01\x02", place + 1)
    with pytest.raises(ValueError, match="its members overlap"):
        load(written(tmp_path, bytes(content)))


def test_a_member_that_says_it_is_larger_than_its_bytes_is_refused(tmp_path):
    """Else a view of two elements would have four gigabytes made ready for its storage."""
    claimed = 0xFFFFFFF0
    tensors = {"a": View("0", (2,), (1,), elements=claimed // 4)}
    content = bytearray(zip_form(tensors, {"0": np.zeros(4, np.float32)}))
    entry = content.rfind(b"PK\x01\x02", 0, content.rfind(b"archive/data/0"))
    struct.pack_into("<I", content, entry + 24, claimed)
    message, peak = traced(written(tmp_path, bytes(content)))
    assert "has 16 bytes, but says that they are 4,294,967,280" in message
    assert peak < 1e7


@pytest.mark.parametrize("name", [("torch", "Size"), ("collections", "OrderedDict")])
def test_a_long_list_that_is_copied_again_and_again_is_refused(name, tmp_path):
    pairs = b"](" + b"".join(b"(J" + struct.pack("<i", n) + b"Nt" for n in range(100_000)) + b"eq\x00"
    again = b"h\x01h\x00\x85R"
    hostile = b"\x80\x02" + pairs + global_name(*name) + b"q\x01" + again * 10_000 + b"."
    began = time.monotonic()
    message, peak = traced(written(tmp_path, zip_form({}, {}, pickle=hostile)))
    assert "makes copies without end" in message
    assert peak < 4e8
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "0/../0", "", "a" * 50])
def test_a_key_that_is_a_path_reaches_nothing(key, tmp_path):
    pickled = zip_form({"a": View(key, (1,), (1,))}, {key: np.zeros(1, np.float32)})
    with pytest.raises(ValueError, match="in a way that PyTorch does not"):
        load(written(tmp_path, pickled))


def test_two_members_of_one_name_are_refused(tmp_path):
    path = written(tmp_path, zip_form(*whole(ARRAYS)))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("archive/data/0", b"other")
    with pytest.raises(ValueError, match="two members of the name 'archive/data/0'"):
        load(path)


def test_a_list_of_storages_that_is_exponentially_large_is_refused_at_once(tmp_path):
    good = legacy_form(*whole({"a": np.zeros(1, np.float32)}))
    place = good.rindex(b"\x80\x02](")
    doubled = b"]" + b"".join(b"q" + bytes([n]) + b"]h" + bytes([n]) + b"ah" + bytes([n]) + b"a" for n in range(60))
    began = time.monotonic()
    with pytest.raises(ValueError, match="list of storages"):
        load(written(tmp_path, good[:place] + b"\x80\x02" + doubled + b"." + b"\0" * 12))
    assert time.monotonic() - began < 1


# What is something else


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it is empty"),
        (b"<html>not found</html>", "looks like a web page"),
        (struct.pack("<Q", 2) + b"{}", "may be a safetensors file"),
        (b"hello", "another format, or damaged"),
        (pickle.dumps({"a": 1}), "a pickle, but not one of PyTorch"),
        (b"PK\x03\x04 and no more", "not a file of PyTorch, or is damaged"),
        (b"\x80\x02" + b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + b"\x80\x02M\xe8\x03.", "version 1000"),
    ],
)
def test_a_file_of_another_kind_is_recognised(content, complaint, tmp_path):
    if b"M\xe8\x03" in content:
        content += b"\x80\x02}."
    with pytest.raises(ValueError, match=rf"a\.pth.*{complaint}"):
        load(written(tmp_path, content))


def test_an_npz_called_pth_is_recognised(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.zeros(2))
    (tmp_path / "a.npz").rename(tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"is it an \.npz\?"):
        load(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.ckpt", "a.bin", "a.pth.tar", "A.PTH"])
def test_the_usual_endings_are_known(name, tmp_path):
    assert_same(load(written(tmp_path, zip_form(*whole(ARRAYS)), name)), ARRAYS)


def test_the_file_is_closed_at_the_end_of_the_block(tmp_path):
    path = written(tmp_path, zip_form(*whole(ARRAYS)))
    with open_weights(path) as file:
        storage = next(iter(file.entries.values())).storage
    with pytest.raises(ValueError, match="closed"):
        list(storage.pieces())


# What PyTorch itself writes


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def torch_save(request):
    torch = pytest.importorskip("torch")
    return lambda object, path, **options: torch.save(
        object, path, _use_new_zipfile_serialization=request.param, **options
    )


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_torch_saves_is_read_as_torch_has_it(torch_save, protocol, tmp_path):
    import torch

    base = torch.arange(60.0).reshape(3, 4, 5)
    state = OrderedDict(
        whole=base,
        turned=base.permute(2, 0, 1),
        part=base[1:, ::2],
        parameter=torch.nn.Parameter(torch.randn(3)),
        half=torch.randn(4).half(),
        brain=torch.randn(2, 3).bfloat16(),
        scalar=torch.tensor(7),
        empty=torch.empty(0, 3),
        mask=torch.tensor([True, False]),
        expanded=torch.ones(1).expand(3, 4),
        channels_last=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        small=torch.tensor([1, -2], dtype=torch.int8),
    )
    state._metadata = OrderedDict({"": {"version": 1}})
    torch_save({"state_dict": state, "epoch": 3, "lr": 0.1}, tmp_path / "a.pth", pickle_protocol=protocol)
    expected = {
        name: (value.float() if value.dtype in (torch.half, torch.bfloat16) else value).detach().numpy()
        for name, value in state.items()
    }
    assert_same(load(tmp_path / "a.pth"), expected)


def test_a_networks_state_and_a_training_checkpoint_of_torch_are_read(torch_save, tmp_path):
    import torch

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    checkpoint = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1}
    torch_save(checkpoint, tmp_path / "a.pth")
    assert_same(load(tmp_path / "a.pth"), {name: value.numpy() for name, value in model.state_dict().items()})


def test_a_whole_model_is_refused_with_advice(torch_save, tmp_path):
    import torch

    torch_save(torch.nn.Linear(2, 2), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"asks for torch\.nn\.modules\.linear\.Linear.*save model\.state_dict\(\)"):
        load(tmp_path / "a.pth")
