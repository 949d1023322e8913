"""`minicnn lesson` on a folder of small lessons, and its errors."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from minicnn.cli.lesson import Outcome
from minicnn.cli.main import main
from minicnn.teach.folder import TO_COME, all_lessons

LESSON = """# %% [markdown]
# # {number}. Try {number}
#
# **Question.** How many?
#
# **Your time.** 5 minutes, both exercises included.
#
# There are `?`, in `?` s.
#
# [//]: # (count:d seconds:.0f)
# %%
from minicnn import teach

lesson = teach.begin("{name}", budget=5)
lesson.number("count", lesson.either(7, 3), band=({low}, 9), fast_band=(0, 5))
lesson.control("it is none", 0.5, fails_above={limit})
lesson.finish()
"""
EXERCISE = '"""Exercise."""\n\n\ndef convolve(picture, kernel):\n    """Write it."""\n    raise NotImplementedError\n'
NEEDS_NOTEBOOK = ["jupytext", "nbclient", "nbformat", "ipykernel"]


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """Two lessons and an exercise in ./lessons."""
    for name in ("MINICNN_FAST", "MINICNN_OUT", "MINICNN_STOP", "MINICNN_ANSWERS"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "lessons"
    (folder / "exercises").mkdir(parents=True)
    write(folder, 1)
    write(folder, 2)
    (folder / "exercises" / "01a_convolve.py").write_text(EXERCISE)
    monkeypatch.chdir(tmp_path)
    return folder


def write(folder, number, low=6, limit=0):
    name = f"{number:02d}_try"
    path = folder / f"{name}.py"
    path.write_text(LESSON.format(number=number, name=name, low=low, limit=limit))
    return path


def test_the_list_has_titles_questions_times_and_what_is_still_to_come(lessons, capsys, monkeypatch):
    (lessons / "recorded").mkdir()
    (lessons / "recorded" / "02_try.json").write_text('{"seconds": 4.4}')
    (lessons / "02_try.py").write_text((lessons / "02_try.py").read_text() + "# word" * 1000)
    monkeypatch.setattr("minicnn.teach.folder.TO_COME", {2: "Try 2", 7: "Try seven"})
    assert main(["lesson", "list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        " N  lesson     you      machine",
        " 1  Try 1       15 min  not recorded",
        "    How many?",
        " 2  Try 2       10 min      4 s",
        "    How many?",
        " 7  Try seven  still to come",
        f"in {lessons}",
        "you: 100 words a minute, and 15 minutes an exercise",
        "machine: the full form in its recorded run; `run --fast` takes less than 10 s",
    ]


def test_lessons_that_are_still_to_come_are_none_of_those_that_are_there(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert not set(TO_COME) & {lesson.number for lesson in all_lessons()}


def test_all_are_run_and_a_table_ends_it(lessons, tmp_path, capfd):
    assert main(["lesson", "run", "all", "--out", "out"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[-3] == " N  lesson  seconds  budget  within bands  controls that fail"
    for number, line in ((1, lines[-2]), (2, lines[-1])):
        words = line.split()
        assert words[:3] == [str(number), "Try", str(number)]
        assert 0 < float(words[3]) < 60
        assert words[4:] == ["5", "1", "of", "1", "1", "of", "1"]
        assert json.loads((tmp_path / "out" / f"0{number}_try.json").read_text())["numbers"]["count"]["value"] == 7


def test_the_fast_form_is_asked_for(lessons, tmp_path, capfd):
    assert main(["lesson", "run", "2", "--fast", "--out", "out"]) == 0
    written = json.loads((tmp_path / "out" / "02_try.json").read_text())
    assert (written["form"], written["numbers"]["count"]["value"]) == ("fast", 3)
    assert not (tmp_path / "out" / "01_try.json").exists()


@pytest.mark.slow
def test_what_did_not_go_as_it_should_is_in_the_table_and_in_the_exit_code(lessons, capfd):
    write(lessons, 1, low=8)
    write(lessons, 2, limit=1)
    (lessons / "03_try.py").write_text((lessons / "01_try.py").read_text().replace("{", "") + "1 / 0\n")
    assert main(["lesson", "run", "all", "--out", "out"]) == 1
    output = capfd.readouterr()
    assert "count is 7, expected 8 to 9" in output.out
    assert "the control holds, and should not: it is none" in output.out
    assert "did not finish" in output.out.splitlines()[-1]
    assert "ZeroDivisionError" in output.err


@pytest.mark.parametrize(
    ("within", "failed", "passed"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_a_run_passes_within_its_bands_and_with_controls_that_fail(within, failed, passed):
    numbers = {"first": {"within": True}, "second": {"within": within}}
    controls = {"first": {"failed": True}, "second": {"failed": failed}}
    outcome = Outcome(None, 1.0, {"numbers": numbers, "controls": controls})
    assert outcome.passed is passed
    assert outcome.outside == ([] if within else ["second"])
    assert outcome.holding == ([] if failed else ["second"])
    assert not Outcome(None, 1.0, None).passed


def test_an_older_record_does_not_hide_a_failure(lessons, tmp_path, capfd):
    assert main(["lesson", "run", "1", "--out", "out"]) == 0
    (lessons / "01_try.py").write_text((lessons / "01_try.py").read_text().replace("lesson.finish()", "1 / 0"))
    assert main(["lesson", "run", "1", "--out", "out"]) == 1
    assert not (tmp_path / "out" / "01_try.json").exists()


WRITTEN = """from minicnn import functional as F


def convolve(picture, kernel):
    print("called")
    return F.conv2d(picture[None, None].astype(float), kernel[None, None].astype(float))[0, 0]
"""


def test_exercises_are_started_and_checked_in_the_readers_folder(lessons, tmp_path, capsys):
    assert main(["lesson", "check", "1"]) == 1
    printed = capsys.readouterr().out
    assert "exercise 01a: convolve is not written yet" in printed
    assert f"your file: {lessons / 'exercises' / '01a_convolve.py'}" in printed
    assert "`minicnn lesson start 1` copies" in printed
    assert main(["lesson", "start", "1"]) == 0
    path = tmp_path / "answers" / "01a_convolve.py"
    assert capsys.readouterr().out.startswith(f"{path}\n")
    assert path.read_text() == EXERCISE
    path.write_text("def convolve(picture, kernel):\n    return picture +\n")
    assert main(["lesson", "start", "01a"]) == 0
    assert f"{path} is there already" in capsys.readouterr().out
    assert main(["lesson", "check", "01a"]) == 1
    printed = capsys.readouterr().out
    assert "line 2: invalid syntax" in printed
    assert f"your file: {path}" in printed
    assert "lesson start" not in printed
    path.write_text(WRITTEN)
    for name in ("1", "01", "1a", "01a", "01_try"):
        assert main(["lesson", "check", name, "--debug"]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "exercise 01a: every case agrees."
    assert main(["lesson", "check", "1"]) == 0
    called, *more = capsys.readouterr().out.splitlines()
    assert (called, more[-1]) == ("called", "exercise 01a: every case agrees.")
    assert (lessons / "exercises" / "01a_convolve.py").read_text() == EXERCISE


def test_a_hint_comes_second(lessons, capsys):
    path = lessons / "exercises" / "01a_convolve.py"
    path.write_text("def convolve(picture, kernel):\n    return picture\n")
    assert main(["lesson", "check", "1"]) == 1
    printed = capsys.readouterr().out
    assert "expected  shape (1, 1)\n  for a hint: minicnn lesson check 01a --hint\n  your file: " in printed
    assert "the sum over a and b" not in printed
    assert main(["lesson", "check", "1", "--hint"]) == 1
    assert "\n  hint: at row i and column j: the sum over a and b of " in capsys.readouterr().out


def test_predictions_are_asked_for_and_kept(lessons, tmp_path, monkeypatch, capsys):
    path = lessons / "01_try.py"
    ask = 'lesson.predict("share", "What share?")\nlesson.number('
    path.write_text(path.read_text().replace("lesson.number(", ask))
    monkeypatch.setattr("sys.stdin", io.StringIO("0.5\n"))
    assert main(["lesson", "predict", "1"]) == 0
    kept = tmp_path / "answers" / "predictions.json"
    assert json.loads(kept.read_text()) == {"01_try": {"share": 0.5}}
    assert "What share?" in capsys.readouterr().out
    assert main(["lesson", "predict", "1", "share=0.25"]) == 0
    assert json.loads(kept.read_text()) == {"01_try": {"share": 0.25}}
    printed = capsys.readouterr().out
    assert printed == f"share          0.25\nkept in {kept}; now `minicnn lesson run 1`\n"
    assert main(["lesson", "predict", "1", "shares=0.25"]) == 2
    assert "QUESTION one of share" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "7"], "lesson 7 (Make depth trainable) is still to come; `minicnn lesson list` shows all"),
        (["run", "99"], "lesson '99' does not exist in "),
        (["run", "01_tri"], "did you mean '01_try'"),
        (["run", "al"], "lesson 'al' does not exist in "),
        (["check", "all"], "lesson 'all' does not exist in "),
        (["check", "1b"], "no exercise is named 01b in "),
        (["check", "2"], "no exercise is named 02 in "),
        (["notebook", "0"], "lesson '0' does not exist in "),
        (["copy"], "lessons exists: move it away, or copy to another folder with --to"),
        (["record", "1", "--text-only"], "`minicnn lesson record 01_try` makes it"),
    ],
)
def test_what_is_not_there_is_named(arguments, said, lessons, capsys):
    assert main(["lesson", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_copy_can_be_checked_at_once(lessons, tmp_path, monkeypatch, capsys):
    assert main(["lesson", "copy", "--to", "other/lessons"]) == 0
    assert (tmp_path / "other" / "lessons" / "01_try.py").exists()
    monkeypatch.chdir(tmp_path / "other")
    assert main(["lesson", "list"]) == 0
    assert f"in {tmp_path / 'other' / 'lessons'}" in capsys.readouterr().out


def test_recording_writes_the_numbers_and_the_text(lessons, capfd):
    assert main(["lesson", "record", "1"]) == 0
    record = json.loads((lessons / "recorded" / "01_try.json").read_text())
    assert (record["form"], record["numbers"]["count"]["value"]) == ("full", 7)
    text = (lessons / "01_try.py").read_text()
    assert record["seconds"] > 0.1  # with the start of Python
    assert f"There are `7`, in `{record['seconds']:.0f}` s." in text
    (lessons / "01_try.py").write_text(text.replace("`7`", "`8`"))
    assert main(["lesson", "record", "1", "--text-only"]) == 0
    assert (lessons / "01_try.py").read_text() == text


def test_a_run_outside_its_bands_is_not_recorded(lessons, capfd):
    path = write(lessons, 1, low=8)
    before = path.read_text()
    assert main(["lesson", "record", "1"]) == 2
    assert "did not run as it should: nothing was recorded" in capfd.readouterr().err
    assert path.read_text() == before
    assert not (lessons / "recorded").exists()


@pytest.mark.slow
def test_ctrl_c_ends_the_lesson_and_the_command_after_a_table_of_what_ran(lessons, tmp_path):
    write(lessons, 3)
    path = lessons / "02_try.py"
    path.write_text(
        path.read_text().replace("lesson.finish()", 'print("now", flush=True)\nimport time\ntime.sleep(60)')
    )
    command = [sys.executable, "-m", "minicnn.cli.main", "lesson", "run", "all", "--out", "out"]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.stdout.readline() != "now\n":
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, errors = process.communicate(timeout=20)
    assert time.perf_counter() - started < 30
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("minicnn: stopped")
    assert not (tmp_path / "out" / "02_try.json").exists()
    header, row = out.splitlines()[-2:]
    assert header.startswith(" N  lesson")
    assert row.split()[:3] == ["1", "Try", "1"]


def test_a_notebook_is_executed_and_holds_the_output(lessons, tmp_path, capfd):
    nbformat = [pytest.importorskip(name) for name in NEEDS_NOTEBOOK][2]
    assert main(["lesson", "notebook", "1", "--fast", "--out", "out"]) == 0
    assert capfd.readouterr().out == "out/01_try.ipynb\n"
    notebook = nbformat.read(tmp_path / "out" / "01_try.ipynb", as_version=4)
    nbformat.validate(notebook)
    text, code = notebook.cells
    assert text.cell_type == "markdown"
    assert text.source.startswith("# 1. Try 1\n\n**Question.** How many?")
    assert code.outputs[0].text.startswith("Lesson 01_try, fast form")
    assert "expected 0 to 5" in code.outputs[0].text
    assert (tmp_path / "out" / "01_try.json").exists()


def test_a_notebook_whose_cell_fails_is_not_written(lessons, tmp_path, capfd):
    for name in NEEDS_NOTEBOOK:
        pytest.importorskip(name)
    write(lessons, 1).write_text((lessons / "01_try.py").read_text() + "# %%\n1 / 0\n")
    assert main(["lesson", "notebook", "1", "--out", "out"]) == 2
    assert "lesson 01_try fails in a cell: ZeroDivisionError: division by zero" in capfd.readouterr().err
    assert not (tmp_path / "out" / "01_try.ipynb").exists()


@pytest.mark.parametrize("missing", ["jupytext", "nbclient", "ipykernel"])
def test_without_the_extra_a_notebook_says_what_to_install(missing, lessons, monkeypatch, capsys):
    for name in NEEDS_NOTEBOOK:  # whatever is installed here
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["lesson", "notebook", "1"]) == 2
    assert (
        f"{missing} is not installed, and notebooks need it: pip install jupytext nbclient ipykernel"
        in capsys.readouterr().err
    )
