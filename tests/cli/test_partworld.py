import json

import pytest
from matplotlib.image import imread

from minicnn.cli.main import main


def test_a_sheet_is_drawn(tmp_path, capsys):
    assert main(["partworld", "--family", "far", "--out", str(tmp_path / "far.png")]) == 0
    assert imread(tmp_path / "far.png").std() > 0.05
    assert "far.png" in capsys.readouterr().out


def test_an_unknown_family_is_an_error_that_names_those_there_are(tmp_path, capsys):
    assert main(["partworld", "--family", "middle", "--out", str(tmp_path / "x.png")]) == 2
    assert "near" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_measurement_is_recorded_seed_by_seed(tmp_path, capsys, monkeypatch):
    from minicnn.features import separation

    def measure(seed):
        if seed == 2:
            raise KeyboardInterrupt
        return {model: {"test": seed / 10} for model in separation.MODELS}

    monkeypatch.setattr(separation, "measure_separation", measure)
    out = tmp_path / "record.json"
    assert main(["partworld", "--measure", "--seeds", "0", "1", "--out", str(out)]) == 0
    record = json.loads(out.read_text())
    assert record["seeds"]["1"]["cnn"]["test"] == 0.1
    assert record["command"] == "minicnn partworld --measure --seeds 0 1"
    assert "resnet20  0.000 to 0.100" in capsys.readouterr().out

    out.unlink()
    assert main(["partworld", "--measure", "--seeds", "1", "2", "--out", str(out)]) == 130
    assert list(json.loads(out.read_text())["seeds"]) == ["1"]


def test_a_record_that_cannot_be_written_is_found_out_before_the_measuring(tmp_path, capsys, monkeypatch):
    from minicnn.features import separation

    monkeypatch.setattr(separation, "measure_separation", lambda seed: pytest.fail("measured"))
    assert main(["partworld", "--measure", "--out", str(tmp_path / "absent" / "record.json")]) == 2
    assert "the folder does not exist: create it first" in capsys.readouterr().err
