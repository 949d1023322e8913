"""`minicnn list`: every name that a command takes, with its facts."""

import pytest

from minicnn import backbones, data, weights
from minicnn.cli.main import main


def rows(kind, capsys):
    """{first word of a line: the line} of the table."""
    assert main(["list", kind]) == 0
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}


def test_models_are_listed_with_their_parameters_and_input_size(capsys):
    table = rows("models", capsys)
    assert set(backbones.list()) <= set(table)
    resnet50 = table["resnet50"].split()
    assert resnet50[1] == "25,557,032"  # He et al. 2016, as torchvision counts them
    assert " ".join(resnet50[2:7]) == "3 x 224 x 224"
    assert table["lenet5"].split()[1] == "61,706"


def test_data_sets_are_listed_with_classes_sizes_and_place(capsys, tmp_path, monkeypatch):
    (tmp_path / "mnist").mkdir()
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    monkeypatch.setattr("minicnn.data.download.cache_folder", lambda: tmp_path / "cache")
    table = rows("data", capsys)
    assert set(data.list()) <= set(table)
    assert table["mnist"].endswith(f"{tmp_path / 'mnist'} (without the train and the test files)")
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").touch()
    assert rows("data", capsys)["mnist"].endswith(f"{tmp_path / 'mnist'} (without the test files)")
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte").touch()
    assert rows("data", capsys)["mnist"].endswith(f"{tmp_path / 'mnist'}")
    assert "60,000 + 10,000" in table["mnist"]
    assert table["cifar100"].endswith("downloaded when asked for")
    assert table["cifar100"].split()[1] == "100"
    assert "9,469 + 3,925" in table["imagenette"]


def test_weights_are_listed_with_size_accuracy_and_place(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    monkeypatch.setattr("minicnn.data.download.cache_folder", lambda: tmp_path / "cache")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet18-f37072fd.pth").write_bytes(b"x" * 2_500_000)
    table = rows("weights", capsys)
    assert {*weights.shipped(), *weights.downloadable()} <= set(table)
    assert "0.986" in table["resnet20.PARTWORLD_V1"]
    assert table["resnet20.PARTWORLD_V1"].endswith("comes with minicnn")
    assert "acc@1 76.13" in table["resnet50.IMAGENET1K_V1"]
    assert table["resnet50.IMAGENET1K_V1"].endswith("downloaded when asked for")
    assert " 2.5 MB " in table["resnet18.IMAGENET1K_V1"]
    assert table["resnet18.IMAGENET1K_V1"].endswith("resnet18-f37072fd.pth")


@pytest.mark.parametrize("name", ["resnet20.PARTWORLD_V1"])
def test_a_listed_name_is_one_that_weights_takes(name, capsys):
    assert main(["evaluate", "--weights", name, "--data", "no-folder"]) == 2
    assert "no-folder" in capsys.readouterr().err
