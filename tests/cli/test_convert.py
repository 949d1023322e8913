"""`minicnn convert` writes the weights of one file in another format, with what is known of them."""

import numpy as np
import pytest

from minicnn.cli.main import main
from minicnn.weights import WeightFile, information_of, load, load_metadata, open_weights, pretrained, save
from tests.weights.pytorch_writer import FORMS, text, whole

STATE = {"conv.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "count": np.array(7, np.int64)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_pytorchs_files_become_ours(tmp_path, capsys, form, suffix):
    (tmp_path / "a.pth").write_bytes(FORMS[form](*whole(STATE)))
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / f"b{suffix}")]) == 0
    np.testing.assert_equal(load(tmp_path / f"b{suffix}"), STATE)
    assert "2 arrays, 7 numbers, from PyTorch's .pth" in capsys.readouterr().out


def test_what_is_left_behind_or_renamed_is_told(tmp_path, capsys):
    wrapped = {f"module.{name}": array for name, array in STATE.items()}
    content = FORMS["zip"](*whole(wrapped), before=b"}(" + text("epoch") + b"K\x05" + text("state_dict"), after=b"u")
    (tmp_path / "a.pth").write_bytes(content)
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "b.npz")]) == 0
    assert load(tmp_path / "b.npz").keys() == STATE.keys()
    out = capsys.readouterr().out
    assert "'module.' was taken off 2 names" in out
    assert "not written, for these are not part of the state: epoch" in out


def test_metadata_go_along(tmp_path):
    save(STATE, tmp_path / "a.npz", {"epoch": 3})
    assert main(["convert", str(tmp_path / "a.npz"), str(tmp_path / "b.safetensors")]) == 0
    assert load_metadata(tmp_path / "b.safetensors") == {"epoch": 3}


def test_what_is_known_by_the_name_of_a_file_goes_along(tmp_path):
    (tmp_path / "resnet50-11ad3fa6.pth").write_bytes(FORMS["zip"](*whole(STATE)))
    assert main(["convert", str(tmp_path / "resnet50-11ad3fa6.pth"), str(tmp_path / "mine.safetensors")]) == 0
    with open_weights(tmp_path / "mine.safetensors") as file:
        assert information_of(file) == pretrained("resnet50", "IMAGENET1K_V2")


def test_an_ending_that_is_not_written_is_refused_before_anything_is_read(tmp_path, capsys, monkeypatch):
    (tmp_path / "a.pth").write_bytes(FORMS["zip"](*whole(STATE)))
    monkeypatch.setattr(WeightFile, "read", lambda *_: pytest.fail("it was read"))
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "b.pth")]) == 2
    assert "path must end in .safetensors or .npz" in capsys.readouterr().err


def test_half_precision_that_was_widened_is_told(tmp_path, capsys):
    halves = {"a": np.array([1.5, 65504.0], np.float16), "b": np.zeros(2, np.float32)}
    (tmp_path / "a.pth").write_bytes(FORMS["zip"](*whole(halves)))
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "b.npz")]) == 0
    assert load(tmp_path / "b.npz")["a"].dtype == np.float32
    assert "1 widened from float16 to float32" in capsys.readouterr().out
    save(halves, tmp_path / "a.npz")
    assert main(["convert", str(tmp_path / "a.npz"), str(tmp_path / "c.safetensors")]) == 0
    assert load(tmp_path / "c.safetensors")["a"].dtype == np.float16
    assert "widened" not in capsys.readouterr().out


@pytest.mark.parametrize("output", ["b.pth", "nowhere/b.npz", "folder.npz"])
def test_a_place_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, capsys, output):
    (tmp_path / "folder.npz").mkdir()
    save(STATE, tmp_path / "a.npz")
    before = sorted(tmp_path.rglob("*"))
    assert main(["convert", str(tmp_path / "a.npz"), str(tmp_path / output)]) == 2
    assert capsys.readouterr().err.startswith("minicnn: error: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_input_leaves_an_older_output_as_it_was(tmp_path):
    save({"old": np.zeros(3)}, tmp_path / "b.npz")
    before = (tmp_path / "b.npz").read_bytes()
    content = FORMS["zip"](*whole(STATE))
    place = content.index(STATE["conv.weight"].tobytes())
    (tmp_path / "a.pth").write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    assert main(["convert", str(tmp_path / "a.pth"), str(tmp_path / "b.npz")]) == 2
    assert (tmp_path / "b.npz").read_bytes() == before
