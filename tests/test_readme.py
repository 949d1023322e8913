"""What the README says is done as it says it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from minicnn.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SNIPPETS = [text for language, text in BLOCKS if language == "python"]


def snippet(word):
    """The one Python block of the README that contains `word`."""
    (found,) = [text for text in SNIPPETS if word in text]
    return found


def run(code, folder):
    """What a program of this source prints, run in `folder`; it must succeed."""
    path = folder / "snippet.py"
    path.write_text(code, encoding="utf-8")
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, path.name], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_every_snippet_is_run_by_a_test_below():
    words = ("training.evaluate", "breakpoint()", "trace_window", "make_result", "lr_find")
    assert sorted(SNIPPETS) == sorted(snippet(word) for word in words)


def test_the_ten_lines_run(tmp_path):
    """On fewer pictures and for one epoch; the numbers are replaced, and nothing else."""
    code = snippet("training.evaluate")
    small = re.sub(r'"train", \d+', '"train", 200', re.sub(r"epochs=\d+", "epochs=1", code))
    assert small.count("200") == 1
    assert small.count("epochs=1") == 1
    assert "'accuracy': " in run(small, tmp_path)


def test_the_debugger_stops_in_the_loops_of_all_three_passes(tmp_path):
    """With the README's commands on its input: forward, then both gradients, whichever is computed first."""
    (commands,) = [text for language, text in BLOCKS if text.startswith("break ")]
    (tmp_path / "step.py").write_text(snippet("breakpoint()"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "step.py"],
        cwd=tmp_path,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONBREAKPOINT": "pdb.set_trace"},
        input=commands + "p c_out\ncontinue\ncontinue\nclear 1 2 3\ncontinue\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    visited = re.findall(r"reference\.py\(\d+\)(\w+)\(", done.stdout)
    assert visited[0] == "forward_loops"
    assert sorted(visited[1:]) == ["input_gradient_loops", "weight_gradient_loops"]


def test_a_window_is_written_out_and_drawn(tmp_path):
    assert "=" in run(snippet("trace_window"), tmp_path)
    assert (tmp_path / "window.png").read_bytes().startswith(b"\x89PNG")


def test_an_operation_of_ones_own_has_a_right_gradient(tmp_path):
    assert run(snippet("make_result"), tmp_path).strip() == "True"
    wrong = snippet("make_result").replace("(1 - sigmoid)", "sigmoid")
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run(wrong, tmp_path)
    assert "gradcheck" in raised.value.stderr


def test_the_tools_that_look_at_a_network_run(tmp_path):
    code = snippet("lr_find").replace('"train", 2000', '"train", 400').replace("steps=40", "steps=8")
    assert code.count("400") == 1
    assert code.count("steps=8") == 1
    *table, suggestion = run(code, tmp_path).strip().splitlines()
    assert any("Conv2d" in line for line in table)
    assert 0 < float(suggestion) < 10
    assert {path.name for path in tmp_path.glob("*.png")} == {"graph.png", "filters.png"}


def test_both_commands_stand_for_both_kinds_of_system():
    """.ci/run takes the first two lines from here; Windows' differ from them in the separator and in Python's name."""
    (both,) = [text for language, text in BLOCKS if language == "bat"]
    unix = [line for line in README.splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert len(unix) == 2
    windows = [
        line.replace("py -m", "python3 -m").replace(".venv\\Scripts\\", ".venv/bin/") for line in both.splitlines()
    ]
    assert windows == unix


def test_every_installation_is_editable():
    """A copy in place of the clone would be what runs, and edits and breakpoints would do nothing."""
    for text in [README, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")]:
        for line in re.findall(r".*pip install .*", text):
            local = [each for each in re.findall(r"pip install ([^&`)]*)", line) if "." in each]
            assert all(each.startswith("-e ") for each in local), line


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_mentioned(command):
    assert f"minicnn {command}" in README


def test_the_files_that_it_names_are_there():
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md")}
    named = re.findall(r"`(minicnn/[\w/.]+)`", README)
    named += [name for text in pages.values() for name in re.findall(r"\]\(((?!http)[\w./]+)\)", text)]
    assert len(named) >= 6
    assert [name for name in named if not (ROOT / name).exists()] == []
