"""What the README says is done as it says it."""

import re
from pathlib import Path

import pytest

from minicnn.cli.main import COMMANDS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_run(capsys):
    """On fewer pictures and for one epoch; the numbers are replaced, and nothing else."""
    code = re.search(r"```python\n(import minicnn\n.*?)```", README, re.DOTALL).group(1)
    small = code.replace('"train", 4000', '"train", 200').replace("epochs=8", "epochs=1")
    assert small.count("200") == 1
    assert "epochs=1)" in small
    exec(compile(small, "README.md", "exec"), {})
    assert "'accuracy': " in capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_mentioned(command):
    assert f"minicnn {command}" in README


def test_the_files_that_it_names_are_there():
    root = Path(__file__).parents[1]
    named = re.findall(r"`(minicnn/[\w/.]+)`", README) + re.findall(r"\]\((docs/[\w.]+)\)", README)
    assert len(named) >= 3
    assert [name for name in named if not (root / name).exists()] == []
