"""The places where a lesson can be stopped: two each, listed for VS Code, and reached before anything slow."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py"))
CONFIGURATIONS = json.loads((ROOT / ".vscode" / "launch.json").read_text())["configurations"]


def stops(lesson):
    return re.findall(r'lesson\.stop\("(\w+)"\)', lesson.read_text(encoding="utf-8"))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_vs_code_offers_the_two_stops_of_a_lesson(lesson):
    mine = [one for one in CONFIGURATIONS if one["program"] == f"${{workspaceFolder}}/lessons/{lesson.name}"]
    assert [one["env"]["MINICNN_STOP"] for one in mine] == [f"{lesson.stem}:{stop}" for stop in stops(lesson)]
    assert len(mine) == 2
    for one in mine:
        assert one["name"].startswith(f"Lesson {int(lesson.stem[:2])}: ")
        assert one["env"]["NUMBA_DISABLE_JIT"] == "1"
        assert one["env"]["MINICNN_FAST"] == "1"
        assert one["justMyCode"] is False


def lesson_that_asks_for(stop, tmp_path, **settings):
    """Lesson 1, run with this MINICNN_STOP and ended by its first breakpoint."""
    environment = {**os.environ, "MINICNN_FAST": "1", "MINICNN_OUT": str(tmp_path), "PYTHONBREAKPOINT": "sys.exit"}
    environment |= {"MINICNN_STOP": stop, **settings}
    command = [sys.executable, str(LESSONS[0])]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("stop", "complaint"),
    [
        ("01_see_an_edge:one_windw", "has no place 'one_windw'; it has conv2d, one_window"),
        ("one_window", "must be LESSON:PLACE, such as 01_see_an_edge:one_window, but is 'one_window'"),
    ],
)
def test_a_wrong_place_is_refused_before_anything_is_computed(stop, complaint, tmp_path):
    done = lesson_that_asks_for(stop, tmp_path)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert not [*tmp_path.glob("*.png"), *tmp_path.glob("*.json")]
    assert "PREDICT" not in done.stdout


def test_a_stop_says_when_compiled_kernels_would_be_passed_by(tmp_path):
    told = "set NUMBA_DISABLE_JIT=1 as well"
    assert told in lesson_that_asks_for("01_see_an_edge:one_window", tmp_path, NUMBA_DISABLE_JIT="0").stdout
    assert told not in lesson_that_asks_for("01_see_an_edge:one_window", tmp_path, NUMBA_DISABLE_JIT="1").stdout


def test_the_stop_of_another_lesson_is_told(tmp_path):
    done = lesson_that_asks_for("02_learn_the_edge:sgd_step", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "MINICNN_STOP names lesson 02_learn_the_edge; this is 01_see_an_edge, which will not stop." in done.stdout


def test_every_entry_belongs_to_a_lesson_and_no_name_is_used_twice():
    programs = {f"${{workspaceFolder}}/lessons/{lesson.name}" for lesson in LESSONS}
    assert {one["program"] for one in CONFIGURATIONS} == programs
    names = [one["name"] for one in CONFIGURATIONS]
    assert len(set(names)) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lesson", "stop"),
    [(lesson, stop) for lesson in LESSONS for stop in stops(lesson)],
    ids=lambda one: getattr(one, "stem", one),
)
def test_a_stop_is_reached_as_plain_python(lesson, stop, tmp_path):
    """As launch.json starts it; in place of a debugger, breakpoint() ends the process there and then."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "MINICNN_FAST": "1", "MINICNN_OUT": str(tmp_path)}
    environment |= {"MINICNN_STOP": f"{lesson.stem}:{stop}", "PYTHONBREAKPOINT": "sys.exit"}
    done = subprocess.run(
        [sys.executable, str(lesson)], env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / f"{lesson.stem}.json").exists(), "it ran to its end"
