"""Every lesson in its fast form, every quoted number, every exercise: a new lesson is covered by adding its file."""

import ast
import functools
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from matplotlib.image import imread

from minicnn.teach import WrongAnswer, begin, check
from minicnn.teach.checks import EXERCISES as NAMES
from minicnn.teach.exercises import load_answer
from minicnn.teach.folder import find_lesson
from minicnn.teach.lesson import find_source
from minicnn.teach.notebook import write_notebook
from minicnn.teach.predictions import questions_of
from minicnn.teach.recorded import read_record, render

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py"))
EXERCISES = sorted((ROOT / "lessons" / "exercises").glob("*.py"))
FAST_SECONDS = (
    20  # the fast form says ten: one of double has lost its way, one of half as much again ran on a slower machine
)


def exercise_name(path):
    return path.name.partition("_")[0]


def of_each_lesson(function):
    return pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)(function)


@pytest.fixture(scope="module")
def run_fast(tmp_path_factory):
    """Runs a lesson once, as a file given to Python in another folder and without a display: (folder, its seconds).

    The seconds are those on the clock, or those of processor time if these are fewer: then the machine was busy with
    other programs, which are not the lesson's.
    """

    @functools.cache
    def run(lesson):
        folder = tmp_path_factory.mktemp(lesson.stem)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MINICNN_")}
        environment = {**kept, "MPLBACKEND": "Agg", "MINICNN_FAST": "1", "MINICNN_OUT": "out"}
        for _ in range(2):  # the first run may have to compile kernels
            before, started = os.times(), time.perf_counter()
            done = subprocess.run(
                [sys.executable, str(lesson)], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            after, seconds = os.times(), time.perf_counter() - started
            used = after.children_user - before.children_user + after.children_system - before.children_system
            seconds = min(seconds, used or seconds)  # Windows counts none
            assert done.returncode == 0, done.stderr
            if seconds < FAST_SECONDS:
                break
        return folder / "out", seconds

    return run


def test_there_are_lessons():
    assert LESSONS[0].stem == "01_see_an_edge"


@pytest.mark.slow
@of_each_lesson
def test_the_fast_form_is_within_its_budget(lesson, run_fast):
    assert run_fast(lesson)[1] < FAST_SECONDS


@pytest.mark.slow
@of_each_lesson
def test_a_figure_is_made(lesson, run_fast):
    pixels = imread(run_fast(lesson)[0] / f"{lesson.stem}.png")
    assert min(pixels.shape[:2]) > 300
    assert pixels[..., :3].std() > 0.02


@pytest.mark.slow
@of_each_lesson
def test_the_numbers_are_within_their_bands(lesson, run_fast):
    record = json.loads((run_fast(lesson)[0] / f"{lesson.stem}.json").read_text())
    assert record["lesson"] == lesson.stem
    assert record["form"] == "fast"
    assert record["numbers"]
    for name, number in record["numbers"].items():
        low, high = number["band"] or (-float("inf"), float("inf"))
        assert low <= number["value"] <= high, name
        assert number["within"] is True, name


@pytest.mark.slow
@of_each_lesson
def test_the_control_fails(lesson, run_fast):
    record = json.loads((run_fast(lesson)[0] / f"{lesson.stem}.json").read_text())
    assert record["controls"]
    for claim, control in record["controls"].items():
        below, above = control.get("fails_below"), control.get("fails_above")
        assert control["value"] < below if below is not None else control["value"] > above, claim
        assert control["failed"] is True, claim


@pytest.mark.slow
@of_each_lesson
def test_each_prediction_meets_its_outcome(lesson, run_fast):
    record = json.loads((run_fast(lesson)[0] / f"{lesson.stem}.json").read_text())
    assert record["predictions"]
    for key, prediction in record["predictions"].items():
        assert "outcome" in prediction, key
        assert prediction["yours"] is None, f"{key}: a lesson leaves the prediction to its reader"


def right_predictions(recorded, choices, within):
    """The outcome of the recorded full run, and for a number the ends of the range that counts as right."""
    if choices is not None or isinstance(recorded, str):
        return [recorded]
    return [recorded, recorded * (1 - 0.99 * within), recorded * (1 + 0.99 * within)]


def tolerances(lesson):
    """key -> the `within` of lesson.outcome in the full form, 0 by default."""
    calls = [node for node in ast.walk(ast.parse(lesson.read_text())) if isinstance(node, ast.Call)]
    outcomes = [call for call in calls if ast.unparse(call.func) == "lesson.outcome"]
    found = {}
    for call in outcomes:
        value = next((one.value for one in call.keywords if one.arg == "within"), ast.Constant(0))
        found[call.args[0].value] = ast.literal_eval(value.args[0] if isinstance(value, ast.Call) else value)
    return found


@of_each_lesson
def test_the_fast_form_judges_no_right_prediction_wrong(lesson, run_fast, tmp_path, monkeypatch, capsys):
    """Right is what the recorded full run gave; every legal choice is taken without an error."""
    recorded = read_record(ROOT / "lessons" / "recorded" / f"{lesson.stem}.json")["predictions"]
    fast = json.loads((run_fast(lesson)[0] / f"{lesson.stem}.json").read_text())["predictions"]
    monkeypatch.setenv("MINICNN_FAST", "1")
    monkeypatch.setenv("MINICNN_OUT", str(tmp_path))
    for key, one in fast.items():
        assert one["question"] == recorded[key]["question"]
        rights = right_predictions(recorded[key]["outcome"], one["choices"], tolerances(lesson)[key])
        for yours in [*rights, *(one["choices"] or [])]:
            capsys.readouterr()
            again = begin(lesson.stem, budget=10)
            again.predict(key, one["question"], one["choices"], yours)
            again.outcome(key, one["outcome"], one["within"], one["undecided"])
            printed = capsys.readouterr().out
            if one["undecided"]:
                assert f"gave: {shown(recorded[key]['outcome'])}" in printed
                assert "It is not judged here." in printed
            judged_wrong = "What did you assume" in printed
            judged_right = "and so it is" in printed
            assert judged_wrong + judged_right == (not one["undecided"])
            assert not (judged_wrong and yours in rights), (key, yours)


def shown(outcome):
    return f"{outcome:.4g}" if isinstance(outcome, float) else str(outcome)


@of_each_lesson
def test_both_forms_offer_the_same_choices(lesson):
    """They are written out in the lesson: none depends on the form."""
    calls = [node for node in ast.walk(ast.parse(lesson.read_text())) if isinstance(node, ast.Call)]
    asked = [call for call in calls if ast.unparse(call.func) == "lesson.predict"]
    assert asked
    for call in asked:
        for argument in [*call.args, *(one.value for one in call.keywords)]:
            ast.literal_eval(argument)


@of_each_lesson
def test_the_questions_are_found_without_running_the_lesson(lesson):
    record = read_record(ROOT / "lessons" / "recorded" / f"{lesson.stem}.json")
    assert [question.key for question in questions_of(lesson)] == list(record["predictions"])


@of_each_lesson
def test_numbers_in_the_text_are_the_recorded_ones(lesson):
    text = lesson.read_text(encoding="utf-8")
    assert "[//]: # (" in text
    assert render(text, read_record(ROOT / "lessons" / "recorded" / f"{lesson.stem}.json")) == text


@pytest.mark.slow
@of_each_lesson
def test_the_recorded_run_is_a_full_one_of_this_lesson(lesson, run_fast):
    record = read_record(ROOT / "lessons" / "recorded" / f"{lesson.stem}.json")
    fast = json.loads((run_fast(lesson)[0] / f"{lesson.stem}.json").read_text())
    assert (record["lesson"], record["form"]) == (lesson.stem, "full")
    assert record["seconds"] <= record["budget"] <= (20 if record["lesson"] < "05" else 120)
    assert list(record["numbers"]) == list(fast["numbers"])
    assert list(record["controls"]) == list(fast["controls"])
    assert all(number["within"] for number in record["numbers"].values())
    assert all(control["failed"] for control in record["controls"].values())


@of_each_lesson
def test_the_source_to_read_is_there(lesson):
    named = re.findall(r"(minicnn/[\w/]+\.py:[\w.]*\w)", lesson.read_text(encoding="utf-8"))
    assert named
    for target in named:
        assert callable(find_source(target)), target


@of_each_lesson
def test_it_has_the_form_of_a_lesson(lesson):
    """In the order that all lessons have, with cells that an editor finds, and without asking where its file is."""
    text = lesson.read_text(encoding="utf-8")
    parts = [
        "# # ",
        "**Question.**",
        "**What you need to know.**",
        "**Your time.**",
        "**Machine time.**",
        "lesson.predict(",
        "lesson.read(",
    ]
    parts += ["lesson.outcome(", "# ## Exercise", "# ## Change one line", "lesson.finish()"]
    places = [text.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    assert text.startswith("# %% [markdown]\n")
    for called in ("lesson.figure(", "lesson.number(", "lesson.control("):
        assert called in text
    assert "__file__" not in text
    assert "input(" not in text
    stops = re.findall(r'if lesson\.stop\("(\w+)"\):\n +breakpoint\(\)', text)
    assert len(set(stops)) == 2
    assert len(stops) == text.count("lesson.stop(") == text.count("breakpoint()")


@of_each_lesson
def test_its_exercises_are_named_in_its_text(lesson):
    mine = [path for path in EXERCISES if path.name.startswith(lesson.stem[:2])]
    assert mine
    for path in mine:
        assert f"lessons/exercises/{path.name}" in lesson.read_text(encoding="utf-8")


def test_every_exercise_has_a_solution_and_a_check():
    solutions = sorted(path.name for path in (ROOT / "lessons" / "solutions").glob("*.py"))
    assert [path.name for path in EXERCISES] == solutions
    assert [exercise_name(path) for path in EXERCISES] == sorted(NAMES)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda path: path.stem)
def test_an_exercise_is_a_function_to_be_written(exercise):
    """It takes what its solution takes, and says that it is not written yet."""

    def arguments(path):
        name = path.stem.partition("_")[2]
        functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        return next(ast.unparse(one.args) for one in functions if one.name == name)

    assert arguments(exercise) == arguments(ROOT / "lessons" / "solutions" / exercise.name)
    with pytest.raises(WrongAnswer, match="not written yet"):
        check(exercise_name(exercise), load_answer(exercise))


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda path: path.stem)
def test_the_solution_passes(exercise, capsys):
    check(exercise_name(exercise), load_answer(ROOT / "lessons" / "solutions" / exercise.name))
    assert capsys.readouterr().out == f"exercise {exercise_name(exercise)}: every case agrees.\n"


def code_cells(lesson):
    """The source of each code cell, as an editor cuts the file."""
    cells = re.split(r"^# %%(.*)\n", lesson.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [source for kind, source in zip(cells[::2], cells[1::2], strict=True) if "[markdown]" not in kind]


def run_each_cell_twice(lesson, folder, monkeypatch):
    """As in an editor: one namespace, no file, and every cell run again before the next one."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MINICNN_FAST", "1")
    monkeypatch.delenv("MINICNN_OUT", raising=False)
    monkeypatch.delenv("MINICNN_ANSWERS", raising=False)
    names = {"__name__": "__main__"}
    for source in code_cells(lesson):
        for _ in range(2):
            exec(compile(source, "cell", "exec"), names)
    return json.loads((folder / "runs" / "lessons" / f"{lesson.stem}.json").read_text())


@pytest.mark.slow
def test_cells_of_the_first_lesson_may_be_run_again(run_fast, tmp_path, monkeypatch):
    record = run_each_cell_twice(LESSONS[0], tmp_path, monkeypatch)
    once = json.loads((run_fast(LESSONS[0])[0] / f"{LESSONS[0].stem}.json").read_text())
    assert record["numbers"] == once["numbers"]
    assert record["controls"] == once["controls"]


@pytest.mark.long
@pytest.mark.parametrize("lesson", LESSONS[1:], ids=lambda path: path.stem)
def test_cells_of_any_lesson_may_be_run_again(lesson, tmp_path, monkeypatch):
    record = run_each_cell_twice(lesson, tmp_path, monkeypatch)
    assert all(number["within"] for number in record["numbers"].values())
    assert all(control["failed"] for control in record["controls"].values())


@pytest.mark.long
@of_each_lesson
def test_it_runs_as_a_notebook_with_its_figures_inside(lesson, tmp_path):
    for package in ("jupytext", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    path = write_notebook(find_lesson(lesson.stem), tmp_path, fast=True)
    outputs = [one for cell in json.loads(path.read_text())["cells"] for one in cell.get("outputs", [])]
    figures = lesson.read_text(encoding="utf-8").count("lesson.figure(")
    assert sum("image/png" in one.get("data", {}) for one in outputs) == figures
    assert not [one for one in outputs if one["output_type"] == "error"]
