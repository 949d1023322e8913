import json

import pytest
from matplotlib.image import imread

from minicnn.cli.main import main


def test_a_sheet_is_drawn(tmp_path, capsys):
    assert main(["partworld", "--family", "far", "--out", str(tmp_path / "far")]) == 0
    assert imread(tmp_path / "far" / "partworld.png").std() > 0.05
    assert str(tmp_path / "far" / "partworld.png") in capsys.readouterr().out


def test_an_unknown_family_is_an_error_that_names_those_there_are(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["partworld", "--family", "middle", "--out", str(tmp_path / "x")])
    assert "there is no 'middle'; did you mean 'mid'?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_measurement_is_recorded_seed_by_seed(tmp_path, capsys, monkeypatch):
    from minicnn.features import separation

    def measure(seed):
        if seed == 2:
            raise KeyboardInterrupt
        return {model: {"test": seed / 10} for model in separation.MODELS}

    monkeypatch.setattr(separation, "measure_separation", measure)
    out = tmp_path / "separation.json"
    assert main(["partworld", "--measure", "--seeds", "0", "1", "--out", str(tmp_path)]) == 0
    record = json.loads(out.read_text())
    assert record["seeds"]["1"]["cnn"]["test"] == 0.1
    assert record["command"] == "minicnn partworld --measure --seeds 0 1"
    assert "resnet20  0.000 to 0.100" in capsys.readouterr().out

    out.unlink()
    assert main(["partworld", "--measure", "--seeds", "1", "2", "--out", str(tmp_path)]) == 130
    assert list(json.loads(out.read_text())["seeds"]) == ["1"]


def test_a_record_that_cannot_be_written_is_found_out_before_the_measuring(tmp_path, capsys, monkeypatch):
    from minicnn.features import separation

    monkeypatch.setattr(separation, "measure_separation", lambda seed: pytest.fail("measured"))
    (tmp_path / "file").write_text("in the way")
    assert main(["partworld", "--measure", "--out", str(tmp_path / "file")]) == 2
    assert "cannot make this folder" in capsys.readouterr().err
