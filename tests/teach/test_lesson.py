"""The object that a lesson talks to: what it prints and writes, and that cells may be run again."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import minicnn
from minicnn import random, teach
from minicnn.figures.style import new_figure
from minicnn.teach.lesson import find_source
from minicnn.teach.predictions import write_predictions


@pytest.fixture
def out(tmp_path, monkeypatch):
    for name in ("MINICNN_FAST", "MINICNN_STOP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINICNN_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("MINICNN_ANSWERS", str(tmp_path / "answers"))
    return tmp_path / "out"


def record(out, name="01_try"):
    return json.loads((out / f"{name}.json").read_text())


def test_the_form_is_full_unless_asked_otherwise(out, monkeypatch, capsys):
    lesson = teach.begin("01_try", budget=20)
    assert (lesson.fast, lesson.either(5, 1), lesson.budget) == (False, 5, 20)
    monkeypatch.setenv("MINICNN_FAST", "1")
    lesson = teach.begin("01_try", budget=20)
    assert (lesson.fast, lesson.either(5, 1), lesson.budget) == (True, 1, 10)
    monkeypatch.setenv("MINICNN_FAST", "0")
    assert not teach.begin("01_try", budget=20).fast
    assert "fast form, seed 0; about to take less than 10 s" in capsys.readouterr().out


def test_it_begins_with_a_seed(out):
    teach.begin("01_try", budget=20)
    first = random.next_stream("test").random()
    random.next_stream("test").random()
    teach.begin("01_try", budget=20)
    assert random.next_stream("test").random() == first
    teach.begin("01_try", budget=20, seed=1)
    assert random.next_stream("test").random() != first


def test_files_go_below_the_working_folder_by_default(tmp_path, monkeypatch):
    monkeypatch.delenv("MINICNN_OUT", raising=False)
    monkeypatch.chdir(tmp_path)
    teach.begin("01_try", budget=20).finish()
    assert (tmp_path / "runs" / "lessons" / "01_try.json").exists()


@pytest.mark.parametrize("name", ["try", "1_try", "01", "01_../try", ""])
def test_a_name_without_a_number_is_refused(name, out):
    with pytest.raises(ValueError, match="two digits first"):
        teach.begin(name, budget=20)


@pytest.mark.parametrize(
    ("yours", "said"),
    [
        ("standing", "You predicted standing, and so it is."),
        ("lying", "You predicted lying. What did you assume"),
        (None, "You made no prediction: `minicnn lesson predict 1` asks for yours"),
    ],
)
def test_a_prediction_is_compared_with_its_outcome(yours, said, out, capsys):
    lesson = teach.begin("01_try", budget=20)
    lesson.predict("edge", "Which edge?", choices=("standing", "lying"), yours=yours)
    lesson.outcome("edge", "standing")
    printed = capsys.readouterr().out
    assert "choose from standing, lying" in printed
    assert "OUTCOME  Which edge?  standing" in printed
    assert said in printed


def test_a_prediction_is_taken_from_the_readers_file_unless_the_lesson_holds_one(out, capsys):
    write_predictions("01_try", {"edge": "lying", "share": 0.5})
    lesson = teach.begin("01_try", budget=20)
    lesson.predict("edge", "Which edge?", choices=("standing", "lying"))
    lesson.predict("share", "What share?", yours=0.25)
    lesson.predict("other", "And else?")
    lesson.finish()
    assert {key: one["yours"] for key, one in record(out)["predictions"].items()} == {
        "edge": "lying",
        "share": 0.25,
        "other": None,
    }
    assert capsys.readouterr().out.count("you predict: ") == 2


def test_a_prediction_in_the_readers_file_that_is_no_choice_is_named_with_the_file(out, tmp_path):
    write_predictions("01_try", {"edge": "upright"})
    with pytest.raises(ValueError, match=r"edge is 'upright' in .*predictions\.json, which is not among the choices"):
        teach.begin("01_try", budget=20).predict("edge", "Which edge?", choices=("standing", "lying"))


@pytest.mark.parametrize("yours", ["standing", "lying", None])
def test_a_run_that_cannot_decide_does_not_judge(yours, out, monkeypatch, tmp_path, capsys):
    """It shows the outcome of the recorded run, if the lessons are at hand."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lessons" / "recorded").mkdir(parents=True)
    (tmp_path / "lessons" / "01_try.py").write_text("teach.begin(")
    for recorded in (True, False):
        lesson = teach.begin("01_try", budget=20)
        lesson.predict("edge", "Which edge?", choices=("standing", "lying"), yours=yours)
        lesson.outcome("edge", "standing")
        lesson.finish()
        (out / "01_try.json").replace(tmp_path / "lessons" / "recorded" / "01_try.json")
        if not recorded:
            (tmp_path / "lessons" / "recorded" / "01_try.json").unlink()
        capsys.readouterr()
        lesson.outcome("edge", "lying", undecided="two pictures are too few")
        printed = capsys.readouterr().out
        assert "This run cannot decide: two pictures are too few." in printed
        assert ("The recorded run (minicnn lesson run 1, " in printed) is recorded
        assert ("gave: standing" in printed) is recorded
        assert ("You predicted" in printed) is (yours is not None)
        assert "and so it is" not in printed
        assert "What did you assume" not in printed


@pytest.mark.parametrize(("yours", "agrees"), [(0.7, True), (0.74, True), (0.64, False), (0.76, False), ("0.7", False)])
def test_a_predicted_number_may_be_near(yours, agrees, out, capsys):
    lesson = teach.begin("01_try", budget=20)
    lesson.predict("share", "What share?", yours=yours)
    lesson.outcome("share", 0.7, within=0.08)
    assert ("and so it is" in capsys.readouterr().out) is agrees


def test_a_prediction_is_one_of_the_choices_and_an_outcome_was_predicted(out):
    lesson = teach.begin("01_try", budget=20)
    with pytest.raises(
        ValueError, match="yours='upright' is not among the choices of this prediction: standing, lying"
    ):
        lesson.predict("edge", "Which edge?", choices=("standing", "lying"), yours="upright")
    lesson.predict("edge", "Which edge?")
    with pytest.raises(ValueError, match="'edges' was not asked; predicted were: edge"):
        lesson.outcome("edges", "lying")


def test_a_cell_may_be_run_again(out):
    """A prediction put in after the outcome was seen, a number and a control that come out differently."""
    lesson = teach.begin("01_try", budget=20)
    for yours, value in ((None, 1.0), (3.0, 2.0)):
        lesson.predict("share", "What share?", yours=yours)
        lesson.outcome("share", value)
        lesson.number("share", value, band=(0, 3))
        lesson.control("it holds for anything", value, fails_below=1.5)
    lesson.finish()
    lesson.finish()
    written = record(out)
    assert written["numbers"]["share"]["value"] == 2.0
    assert written["predictions"]["share"]["yours"] == 3.0
    assert written["controls"]["it holds for anything"] == {"value": 2.0, "fails_below": 1.5, "failed": False}


def test_numbers_are_recorded_with_their_bands(out, monkeypatch, capsys):
    lesson = teach.begin("01_try", budget=20, seed=3)
    lesson.number("inside", 0.5, band=(0, 1), unit="px")
    lesson.number("above", 1.5, band=(0, 1), fast_band=(0, 2))
    lesson.number("free", 7, band=None)
    lesson.finish()
    written = record(out)
    assert written["numbers"]["inside"] == {"value": 0.5, "unit": "px", "band": [0, 1], "within": True}
    assert written["numbers"]["above"]["within"] is False
    assert written["numbers"]["free"] == {"value": 7, "unit": "", "band": None, "within": True}
    assert (written["form"], written["seed"], written["command"]) == ("full", 3, "minicnn lesson run 1")
    assert {"python", "minicnn", "numpy", "numba"} <= set(written["versions"])
    assert 0 <= written["seconds"] < 10
    assert "expected 0 to 1   OUTSIDE" in capsys.readouterr().out
    monkeypatch.setenv("MINICNN_FAST", "1")
    lesson = teach.begin("01_try", budget=20)
    lesson.number("above", 1.5, band=(0, 1), fast_band=(0, 2))
    lesson.finish()
    assert record(out)["numbers"]["above"] == {"value": 1.5, "unit": "", "band": [0, 2], "within": True}
    assert record(out)["command"] == "minicnn lesson run 1 --fast"


def test_a_number_is_finite_and_a_band_has_its_lower_end_first(out):
    lesson = teach.begin("01_try", budget=20)
    with pytest.raises(ValueError, match="the number 'loss' of lesson 01_try is nan"):
        lesson.number("loss", float("nan"), band=(0, 1))
    with pytest.raises(ValueError, match="the band of 'loss' must be"):
        lesson.number("loss", 0.5, band=(1, 0))


@pytest.mark.parametrize(
    ("value", "limits", "failed"),
    [
        (0.1, {"fails_below": 0.2}, True),
        (0.2, {"fails_below": 0.2}, False),
        (0.3, {"fails_above": 0.2}, True),
        (0.2, {"fails_above": 0.2}, False),
    ],
)
def test_a_control_that_does_not_fail_is_loud(value, limits, failed, out, capsys):
    lesson = teach.begin("01_try", budget=20)
    lesson.control("anything finds the edge", value, **limits)
    printed = capsys.readouterr().out
    assert ("fails, as it should" in printed) is failed
    assert ("HOLDS, and should not" in printed) is not failed
    lesson.finish()
    assert record(out)["controls"]["anything finds the edge"] == {"value": value, **limits, "failed": failed}


@pytest.mark.parametrize("limits", [{}, {"fails_below": 1, "fails_above": 0}])
def test_a_control_has_one_limit(limits, out):
    with pytest.raises(ValueError, match="exactly one of fails_below and fails_above"):
        teach.begin("01_try", budget=20).control("it holds", 1, **limits)


def test_the_figure_is_a_file_and_is_shown_in_a_notebook(out, monkeypatch):
    shown = []
    notebook = SimpleNamespace(get_ipython=lambda: "a notebook", version_info=(9, 0))
    display = SimpleNamespace(Image=lambda **options: options, display=shown.append)
    figure, _ = new_figure(1, 1, (3, 2))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None, version_info=(9, 0)))
    lesson = teach.begin("01_try", budget=20)
    lesson.figure(figure)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert shown == []
    lesson.figure(figure)
    assert shown == [{"filename": str(out / "01_try.png"), "width": 330}]
    lesson.figure(figure, "window")
    for name in ("01_try.png", "01_try_window.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    lesson.finish()
    assert record(out)["figure"] == "01_try.png"


def test_it_stops_where_asked_and_nowhere_else(out, monkeypatch):
    lesson = teach.begin("01_try", budget=20)
    assert not lesson.stop("window")
    monkeypatch.setenv("MINICNN_STOP", "01_try:window")
    assert lesson.stop("window")
    assert not lesson.stop("products")
    lesson.finish()
    monkeypatch.setenv("MINICNN_STOP", "02_other:window")
    assert not lesson.stop("window")
    lesson.finish()


def test_a_misspelt_place_to_stop_is_named_with_those_that_there_are(out, monkeypatch):
    monkeypatch.setenv("MINICNN_STOP", "01_try:windw")
    lesson = teach.begin("01_try", budget=20)
    lesson.stop("window")
    with pytest.raises(ValueError, match="lesson 01_try has no place 'windw'; it has window"):
        lesson.finish()


def test_source_is_shown_with_its_lines(out, capsys):
    path = Path(minicnn.__file__).parent / "kernels" / "shapes.py"
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if line.startswith("def pooling_output_size("))
    last = len(lines)  # it is the last function of its file
    teach.begin("01_try", budget=20).read("minicnn/kernels/shapes.py:pooling_output_size")
    printed = capsys.readouterr().out
    assert f"READ  minicnn/kernels/shapes.py:pooling_output_size, lines {first} to {last} of {path}\n" in printed
    assert f"\n{first}  def pooling_output_size(" in printed
    assert printed.endswith(f"\n{last}      return windows\n\n")


def test_source_is_found_by_file_and_name():
    from minicnn.kernels.convolution.reference import forward_loops
    from minicnn.tensor import Tensor

    assert find_source("minicnn/kernels/convolution/reference.py:forward_loops") is forward_loops
    assert find_source("minicnn/tensor.py:Tensor.backward") is Tensor.backward
    with pytest.raises(ValueError, match=r"minicnn/kernels/convolution/reference\.py does not have forward_lops"):
        find_source("minicnn/kernels/convolution/reference.py:forward_lops")
    with pytest.raises(FileNotFoundError, match=r"does not have the file minicnn/kernels/referenz\.py"):
        find_source("minicnn/kernels/referenz.py:forward_loops")
    for target in ("minicnn/tensor.py", "tensor.py:Tensor", "minicnn.tensor:Tensor"):
        with pytest.raises(ValueError, match="source to read is named like"):
            find_source(target)
