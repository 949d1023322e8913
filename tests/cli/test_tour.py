import json

import pytest

from minicnn.cli.main import main
from minicnn.report import tour


@pytest.mark.slow
def test_the_command_writes_the_page_and_says_where(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tour, "QUICK", tour.Size("resnet8", 8, 100, 1, 100, 50, 1, 1))
    assert main(["tour", "--quick", "--out", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    told = capsys.readouterr().out
    assert f"test accuracy {results['test_accuracy']:.3f}" in told
    assert f"fine-tuned {results['transfer']['far']['fine-tuned']:.2f}" in told
    assert str(tmp_path / "out" / "index.html") in told
    assert (tmp_path / "out" / "index.html").stat().st_size > 50_000


def test_a_folder_that_cannot_be_written_is_one_line_and_code_2(tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["tour", "--quick", "--out", str(tmp_path / "file")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("minicnn: error:")
    assert "file" in error
    assert error.count("\n") == 1
