"""What stands beside the weights in a file of PyTorch is passed over, and tensors that NumPy lacks are named."""

import argparse
import collections
import datetime
import decimal
import enum
import os
import pathlib
import pickle
import uuid
import zipfile

import numpy as np
import pytest

from minicnn.weights import load, open_weights
from minicnn.weights.pytorch_others import placeholder_for
from tests.weights.pytorch_writer import (
    FORMS,
    View,
    global_name,
    integer,
    numbers,
    tar_archive,
    text,
    whole,
    without_checksums,
    zip_form,
)

ARRAYS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.ones(2, np.float32)}


class Settings(dict):
    """As of a package of configurations: its items and attributes come after a call of the class."""


class Colour(enum.Enum):
    RED = 1


BESIDE = {
    "argparse.Namespace": argparse.Namespace(lr=0.1, names=["a"]),
    "numpy._core.multiarray.scalar": np.float64(0.9),
    "numpy._core.multiarray._reconstruct": np.ones(3),
    "dict": collections.defaultdict(list, a=[1]),
    "collections.Counter": collections.Counter("aab"),
    "collections.deque": collections.deque([1]),
    "pathlib.PurePosixPath": pathlib.PurePosixPath("/data"),
    "datetime.datetime": datetime.datetime(2026, 1, 1),
    "decimal.Decimal": decimal.Decimal("0.1"),
    "uuid.UUID": uuid.UUID(int=1),
    f"{__name__}.Settings": Settings(lr=0.1),
    f"{__name__}.Colour": Colour.RED,
    "bytes": b"\xff",
    "slice": slice(1, 2),
    "complex": 1 + 2j,
}


def written(folder, content, name="a.pth"):
    (folder / name).write_bytes(content)
    return folder / name


def with_beside(form, value, protocol):
    """A file in which "state_dict" holds ARRAYS, and "beside" the pickled value."""
    content = pickle.dumps(value, protocol)
    content = content[2:-1] if protocol < 4 else content[2:-1].replace(content[2:11], b"", 1)  # without its frame
    before = b"}(" + text("beside") + content + text("state_dict")
    return FORMS[form](*whole(ARRAYS), before=before, after=b"u")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("kind", BESIDE)
def test_settings_beside_the_state_are_passed_over(form, protocol, kind, tmp_path):
    with open_weights(written(tmp_path, with_beside(form, BESIDE[kind], protocol))) as file:
        if kind not in ("bytes", "slice", "complex"):
            assert file.ignored == {"beside": file.ignored["beside"]}
            assert file.ignored["beside"].replace("numpy.core", "numpy._core").replace("._local", "") == kind
        arrays = file.read()
    np.testing.assert_equal(arrays, ARRAYS)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("value", [{"cat"}, frozenset([1, 2])], ids=["set", "frozenset"])
def test_sets_are_passed_over(protocol, value, tmp_path):
    np.testing.assert_equal(load(written(tmp_path, with_beside("zip", value, protocol))), ARRAYS)


@pytest.mark.parametrize("key", [(0, 1), ((0, 1), 2), frozenset([1]), Colour.RED])
def test_keys_of_every_kind_are_passed_over(key, tmp_path):
    np.testing.assert_equal(load(written(tmp_path, with_beside("zip", {key: 1}, 2))), ARRAYS)


@pytest.mark.parametrize(
    "name",
    ["os.system", "posix.mkdir", "builtins.eval", "__builtin__.exec", "builtins.getattr", "subprocess.Popen",
     "runpy.run_path", "numpy.load", "numpy.testing._private.utils.runstring", "torch.load", "torch.hub.load",
     "torch.nn.modules.linear.Linear", "pathlib.os.system", "argparse.os", "webbrowser.open", "codecs.open"],
)  # fmt: skip
def test_functions_of_known_packages_are_refused(name):
    assert placeholder_for(*name.rpartition(".")[::2]) is None


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_call_inside_the_settings_is_refused_and_not_run(tmp_path):
    settings = argparse.Namespace(hook=Call(os.mkdir, str(tmp_path / "ran")))
    with pytest.raises(ValueError, match=r"was refused: it asks for (posix|nt)\.mkdir"):
        load(written(tmp_path, with_beside("zip", settings, 2)))
    assert not (tmp_path / "ran").exists()


def test_a_whole_model_of_another_program_is_named_and_not_made(tmp_path):
    content = b"\x80\x02" + global_name("my_nets", "Net") + b")\x81}" + text("a") + b"K\x01sb."
    with pytest.raises(ValueError, match=r"an object of class my_nets\.Net, perhaps a whole model.*save model\.state"):
        load(written(tmp_path, zip_form({}, {}, pickle=content)))


# One of several states


@pytest.mark.parametrize("key", ["state_dict_ema", "ema", "teacher", "model_ema"])
def test_a_state_under_another_key_is_named_and_chosen(key, tmp_path):
    before = b"}(" + text("epoch") + b"K\x05" + text(key)
    path = written(tmp_path, zip_form(*whole(ARRAYS), before=before, after=b"u"))
    with pytest.raises(ValueError, match=rf"epoch \(int\), {key} \(dict with tensors\).*give key='{key}' for that"):
        load(path)
    np.testing.assert_equal(load(path, key=key), ARRAYS)
    with open_weights(path, key=key) as file:
        assert file.ignored == {"epoch": "int"}
    with pytest.raises(ValueError, match=rf"has no key 'nothing'; its keys are \['epoch', '{key}'\]"):
        load(path, key="nothing")


# Tensors that NumPy does not have


def called(function, *kinds):
    """A pickle of {"layer.weight": function(of a storage of six floats, ...)}."""
    storage = (
        b"(" + text("storage") + global_name("torch", "FloatStorage") + text("0") + text("cpu") + integer(6) + b"tQ"
    )
    arguments = b"(" + storage + integer(0) + numbers((6,)) + numbers((1,)) + b"".join(kinds) + b"t"
    return b"\x80\x02}" + text("layer.weight") + global_name("torch._utils", function) + arguments + b"Rs."


@pytest.mark.parametrize(
    ("function", "what"),
    [
        ("_rebuild_qtensor", r"quantised.*save tensor\.dequantize\(\) in its place"),
        ("_rebuild_sparse_tensor", r"sparse.*tensor\.to_dense\(\)"),
        ("_rebuild_nested_tensor", r"nested.*tensor\.to_padded_tensor"),
        ("_rebuild_meta_tensor_no_storage", "without values"),
    ],
)
def test_a_tensor_of_another_kind_is_named_with_the_call_that_makes_it_plain(function, what, tmp_path):
    content = zip_form({}, {"0": np.zeros(6, np.float32)}, pickle=called(function))
    with pytest.raises(ValueError, match=rf"tensor layer\.weight is {what}"):
        load(written(tmp_path, content))


@pytest.mark.parametrize(
    ("kind", "array", "what"),
    [
        ("ComplexFloatStorage", np.zeros(3, np.complex64), r"of complex numbers.*torch\.view_as_real"),
        ("QInt8Storage", np.zeros(3, np.int8), "quantised"),
    ],
)
def test_numbers_of_another_kind_are_named(kind, array, what, tmp_path):
    content = zip_form({"a": View("0", (3,), (1,), 0, kind)}, {"0": array})
    with pytest.raises(ValueError, match=f"tensor a is {what}"):
        load(written(tmp_path, content))


@pytest.mark.parametrize(("negative", "factor"), [(b"\x88", -1), (b"\x89", 1)])
@pytest.mark.parametrize("size", [6, 4])
def test_a_negated_view_is_read_with_its_sign(negative, factor, size, tmp_path):
    hooks = global_name("collections", "OrderedDict") + b")R"
    storage = (
        b"(" + text("storage") + global_name("torch", "FloatStorage") + text("0") + text("cpu") + integer(6) + b"tQ"
    )
    arguments = b"(" + storage + integer(0) + numbers((size,)) + numbers((1,)) + b"\x89" + hooks
    arguments += b"}" + text("neg") + negative + b"st"
    content = b"\x80\x02}" + text("a") + global_name("torch._utils", "_rebuild_tensor_v2") + arguments + b"Rs."
    values = np.arange(6, dtype=np.float32)
    loaded = load(written(tmp_path, zip_form({}, {"0": values}, pickle=content)))
    np.testing.assert_array_equal(loaded["a"], factor * values[:size])


# Archives


@pytest.mark.parametrize("name", ["model.pt", "model"])
def test_a_program_of_torchscript_is_named(name, tmp_path):
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02c__torch__.Net\nNet\nq\x00)\x81.")
        archive.writestr("model/code/__torch__.py", "class Net(Module):\n  pass\n" * 20, zipfile.ZIP_DEFLATED)
        archive.writestr("model/constants.pkl", b"\x80\x02).")
    with pytest.raises(ValueError, match=r"is a TorchScript archive .*a program.*save its state_dict\(\)"):
        load(tmp_path / name)


def test_an_archive_without_checksums_is_read(tmp_path):
    content = without_checksums(zip_form(*whole(ARRAYS)))
    np.testing.assert_equal(load(written(tmp_path, content)), ARRAYS)
    for length in range(0, len(content), 29):
        with pytest.raises(ValueError, match=r"a\.pth"):
            load(written(tmp_path, content[:length]))


def test_one_checksum_of_zero_is_compared(tmp_path):
    content = bytearray(zip_form(*whole(ARRAYS)))
    with zipfile.ZipFile(written(tmp_path, bytes(content))) as archive:
        place = archive.getinfo("archive/data/0").header_offset
    entry = content.rfind(b"PK\x01\x02", 0, content.rfind(b"archive/data/0"))
    content[place + 14 : place + 18] = content[entry + 16 : entry + 20] = bytes(4)
    with pytest.raises(ValueError, match="Bad CRC-32"):
        load(written(tmp_path, bytes(content)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["resnet20.th", "net.pkl", "net.model", "net"])
def test_a_file_of_another_ending_is_read_by_its_content(form, name, tmp_path):
    np.testing.assert_equal(load(written(tmp_path, FORMS[form](*whole(ARRAYS)), name)), ARRAYS)


def test_another_tar_archive_is_told_from_pytorchs(tmp_path):
    content = tar_archive({"n01440764/a.JPEG": b"picture"})
    with pytest.raises(ValueError, match=r"a tar archive of \['n01440764/a.JPEG'\], not of sys_info"):
        load(written(tmp_path, content, "train.tar"))


@pytest.mark.parametrize(("axes", "complaint"), [(65, "has 65 axes"), (-1, "has -1 axes")])
def test_a_count_of_axes_in_a_tar_is_limited(axes, complaint, tmp_path):
    content = FORMS["tar"](*whole({"a": np.arange(3, dtype=np.float32)}))
    before = global_name("torch", "FloatTensor") + b"\x87."
    place = content.index(before) + len(before)
    content = content[:place] + axes.to_bytes(4, "little", signed=True) + content[place + 4 :]
    with pytest.raises(ValueError, match=complaint):
        load(written(tmp_path, content))


def test_a_storage_in_a_tar_that_reaches_beyond_its_member_is_refused(tmp_path):
    content = FORMS["tar"](*whole({"a": np.arange(3, dtype=np.float32)}))
    place = content.index(np.arange(3, dtype=np.float32).tobytes()) - 8
    for count in (1 << 40, -1):
        claimed = count.to_bytes(8, "little", signed=True)
        with pytest.raises(ValueError, match=r"beyond its member's end|whole number of 0 or more"):
            load(written(tmp_path, content[:place] + claimed + content[place + 8 :]))


# What PyTorch itself writes


def test_what_torch_saves_beside_a_state_is_passed_over(tmp_path):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
    tagged = torch.nn.Parameter(torch.arange(3.0))
    tagged.tag = "a tag"
    state = {"tagged": tagged, "buffer": torch.nn.Buffer(torch.ones(2)), "count": torch.tensor([7], dtype=torch.uint16)}
    beside = {
        "device": torch.device("cpu"),
        "dtype": torch.float32,
        "optimizer": optimizer,
        "rng": torch.get_rng_state(),
    }
    for legacy in (False, True):
        torch.save({"model": state, **beside}, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
        with open_weights(tmp_path / "a.pth") as file:
            assert file.ignored == {
                "device": "torch.device",
                "dtype": "torch.float32",
                "optimizer": "torch.optim.sgd.SGD",
                "rng": "tensor",
            }
            arrays = file.read()
        np.testing.assert_array_equal(arrays["tagged"], np.arange(3, dtype=np.float32))
        np.testing.assert_array_equal(arrays["buffer"], np.ones(2, np.float32))
        assert arrays["count"].tolist() == [7]
        assert arrays["count"].dtype == np.uint16


def test_tensors_of_torch_that_numpy_lacks_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    kinds = {
        "sparse": torch.eye(3).to_sparse(),
        "of complex numbers": torch.ones(3, dtype=torch.complex64),
        "of 8-bit floats": torch.ones(3).to(torch.float8_e4m3fn),
        "without values": torch.ones(3, device="meta"),
    }
    for what, tensor in kinds.items():
        torch.save({"a": tensor}, tmp_path / "a.pth")
        with pytest.raises(ValueError, match=f"tensor a is {what}"):
            load(tmp_path / "a.pth")
        torch.save({"state_dict": {"b": torch.ones(2)}, "beside": tensor}, tmp_path / "a.pth")
        assert list(load(tmp_path / "a.pth")) == ["b"]
    view = torch.complex(torch.zeros(3), torch.arange(3.0)).conj().imag
    assert view.is_neg()
    torch.save({"a": view}, tmp_path / "a.pth")
    np.testing.assert_array_equal(load(tmp_path / "a.pth")["a"], view.resolve_neg().numpy())
