"""`minicnn inspect` shows what is in a file of weights, and survives anything that may have been put there."""

import os
import pickle
import random

import numpy as np
import pytest

from minicnn import backbones
from minicnn.cli.main import main
from minicnn.weights import pretrained, save
from tests.weights.pytorch_writer import FORMS, View, whole, zip_form

STATE = {"conv.weight": np.ones((4, 3, 3, 3), np.float32), "count": np.array(7, np.int64)}


def shown(capsys, *arguments):
    code = main(["inspect", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", *FORMS])
def test_names_types_shapes_and_counts_are_shown(tmp_path, capsys, name):
    path = tmp_path / (name if "." in name else "a.pth")
    if name in FORMS:
        path.write_bytes(FORMS[name](*whole(STATE)))
    else:
        save(STATE, path, {"epoch": 3})
    code, out, _ = shown(capsys, path, "--check")
    assert code == 0
    assert f"{path.stat().st_size:,} bytes" in out
    assert "2 arrays, 109 numbers" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["conv.weight", "float32", "(4,", "3,", "3,", "3)", "108"] in rows
    assert ["count", "int64", "()", "1"] in rows
    assert ("metadata epoch: 3" in out) == (name not in FORMS)
    assert ("its checksums fit" if name not in ("legacy", "tar") else "the file has no checksums") in out


def test_what_is_known_of_the_weights_is_shown(tmp_path, capsys):
    save(STATE, tmp_path / "a.npz", pretrained("resnet50").as_metadata())
    out = shown(capsys, tmp_path / "a.npz")[1]
    assert "resize 256, crop 224, bilinear, mean (0.485, 0.456, 0.406)" in out
    assert "ImageNet acc@1: 76.13" in out
    assert "1000 classes, from 'tench'" in out
    (tmp_path / "vgg16_features-amdegroot-88682ab5.pth").write_bytes(zip_form(*whole(STATE)))
    assert "no values for: classifier." in shown(capsys, tmp_path / "vgg16_features-amdegroot-88682ab5.pth")[1]


def test_the_backbone_that_has_such_names_is_told(tmp_path, capsys):
    state = backbones.create("resnet18", width=2, num_classes=3).state_dict()
    save({f"module.{name}": array for name, array in state.items()}, tmp_path / "a.npz")
    assert "numbers, with the names of resnet18\n" in shown(capsys, tmp_path / "a.npz")[1]
    save(STATE, tmp_path / "b.npz")
    assert "with the names" not in shown(capsys, tmp_path / "b.npz")[1]


def test_only_as_many_arrays_are_shown_as_asked_for(tmp_path, capsys):
    save({f"array {n}": np.zeros(1) for n in range(9)}, tmp_path / "a.npz")
    out = shown(capsys, tmp_path / "a.npz", "--most", 3)[1]
    assert "array 2" in out
    assert "array 3" not in out
    assert "... and 6 more" in out


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("form", [*FORMS, "plain"])
def test_a_file_that_carries_code_is_told_of_and_not_run(tmp_path, capsys, form):
    hostile = pickle.dumps({"a": Call(os.mkdir, str(tmp_path / "ran")), "b": Call(os.rmdir, "x")}, protocol=2)
    content = hostile if form == "plain" else FORMS[form]({}, {}, pickle=hostile)
    (tmp_path / "a.pth").write_bytes(content)
    code, out, err = shown(capsys, tmp_path / "a.pth")
    assert code == 2
    assert "mkdir   <- refused" in out
    assert "rmdir   <- refused" in out
    assert "was refused: it asks for" in err
    assert not (tmp_path / "ran").exists()


def test_names_cannot_drive_the_terminal(tmp_path, capsys):
    (tmp_path / "a.pth").write_bytes(zip_form(*whole({"a\x1b[2J\r\n": np.zeros(2, np.float32)})))
    out = shown(capsys, tmp_path / "a.pth")[1]
    assert r"a\x1b[2J\r\n" in out
    assert "\x1b" not in out


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "a.pth")
    assert "is a pipe or a device" in shown(capsys, tmp_path / "a.pth")[2]


def test_a_bomb_is_described_but_not_read(tmp_path, capsys):
    content = zip_form({"a": View("0", (1 << 20, 1 << 20), (0, 0))}, {"0": np.zeros(1, np.float32)})
    (tmp_path / "a.pth").write_bytes(content)
    code, out, _ = shown(capsys, tmp_path / "a.pth")
    assert code == 0
    assert "1,099,511,627,776" in out
    code, _, err = shown(capsys, tmp_path / "a.pth", "--check")
    assert code == 2
    assert "was refused: its" in err


def test_a_damaged_array_is_found_by_check_only(tmp_path, capsys):
    content = zip_form(*whole(STATE))
    place = content.index(STATE["conv.weight"].tobytes())
    (tmp_path / "a.pth").write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    assert shown(capsys, tmp_path / "a.pth")[0] == 0
    code, _, err = shown(capsys, tmp_path / "a.pth", "--check")
    assert code == 2
    assert "Bad CRC-32" in err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80", b"<html>", random.Random(1).randbytes(100)])
@pytest.mark.parametrize("name", ["a.pth", "a.npz", "a.safetensors", "a.txt"])
def test_any_file_gives_a_table_or_one_line_of_error(tmp_path, capsys, name, content):
    (tmp_path / name).write_bytes(content)
    code, _, err = shown(capsys, tmp_path / name)
    assert code == 2
    assert err.startswith("minicnn: error: ")
    assert err.count("\n") == 1


def test_a_set_that_comes_along_is_inspected_by_its_name(capsys):
    assert main(["inspect", "--weights", "resnet20.PARTWORLD_V1"]) == 0
    by_option = capsys.readouterr().out
    assert "names of resnet20" in by_option
    assert main(["inspect", "resnet20.PARTWORLD_V1"]) == 0
    assert capsys.readouterr().out == by_option
    assert main(["inspect"]) == 2
    assert "which file of weights?" in capsys.readouterr().err
