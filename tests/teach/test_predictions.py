"""A reader's predictions: asked for, read from texts, and kept in a file of the reader's."""

import json

import pytest

from minicnn.teach.folder import answers_folder
from minicnn.teach.predictions import (
    Question,
    ask_all,
    parse_all,
    predictions_file,
    questions_of,
    read_predictions,
    write_predictions,
)

EDGE = Question("edge", "Which edge?", ("standing", "lying"))
LAYERS = Question("layers", "How many?", (8, 20))
SHARE = Question("share", "What share?")
LESSON = """from minicnn import teach

lesson = teach.begin("01_try", budget=5)
deepest = 20
lesson.predict("edge", "Which edge?", choices=("standing", "lying"))
lesson.predict("layers", f"Are {deepest} better?", choices=(8, deepest))
raise RuntimeError("computes")
"""


@pytest.fixture(autouse=True)
def answers(tmp_path, monkeypatch):
    monkeypatch.delenv("MINICNN_ANSWERS", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "answers"


def test_predictions_are_kept_by_lesson_and_question(answers):
    assert read_predictions("01_try") == {}
    assert write_predictions("01_try", {"edge": "lying", "share": 0.5}) == answers / "predictions.json"
    write_predictions("02_try", {"share": 0.25})
    write_predictions("01_try", {"share": 0.75})
    assert read_predictions("01_try") == {"edge": "lying", "share": 0.75}
    assert json.loads((answers / "predictions.json").read_text())["02_try"] == {"share": 0.25}


@pytest.mark.parametrize(("text", "said"), [("{", "must be JSON"), ("[]", "by lesson"), ('{"01_try": 1}', "by lesson")])
def test_a_file_that_holds_something_else_is_named(text, said, answers):
    answers.mkdir()
    predictions_file().write_text(text)
    with pytest.raises(ValueError, match=said) as raised:
        read_predictions("01_try")
    assert str(predictions_file()) in str(raised.value)


def test_the_folder_is_that_of_the_environment_or_beside_the_lessons(answers, tmp_path, monkeypatch):
    assert answers_folder() == answers
    (tmp_path / "lessons" / "exercises").mkdir(parents=True)
    (tmp_path / "lessons" / "01_try.py").write_text("")
    monkeypatch.chdir(tmp_path / "lessons")
    assert answers_folder() == answers
    monkeypatch.setenv("MINICNN_ANSWERS", str(tmp_path / "mine"))
    assert answers_folder() == tmp_path / "mine"


def test_the_questions_are_those_of_the_lesson_and_nothing_else_is_run(tmp_path, capsys):
    (tmp_path / "01_try.py").write_text(LESSON)
    edge, layers = questions_of(tmp_path / "01_try.py")
    assert edge == EDGE
    assert layers == Question("layers", "Are 20 better?", (8, 20))
    assert capsys.readouterr().out == ""
    (tmp_path / "02_try.py").write_text("raise RuntimeError\n")
    assert questions_of(tmp_path / "02_try.py") == []


@pytest.mark.parametrize(
    ("question", "text", "prediction"),
    [
        (EDGE, " Lying ", "lying"),
        (EDGE, "2", "lying"),
        (LAYERS, "20", 20),
        (LAYERS, "2", 20),
        (SHARE, "0.7", 0.7),
        (SHARE, "70%", 0.7),
        (SHARE, "1e3", 1000.0),
    ],
)
def test_an_answer_is_a_choice_or_its_place_or_a_number(question, text, prediction):
    assert question.parse(text) == prediction
    assert type(question.parse(text)) is type(prediction)


@pytest.mark.parametrize(
    ("question", "text", "said"),
    [
        (EDGE, "3", "edge must be one of standing, lying, but is '3'"),
        (EDGE, "0", "but is '0'"),
        (EDGE, "up", "but is 'up'"),
        (SHARE, "half", "share must be a number, such as 0.7 or 70%, but is 'half'"),
        (SHARE, "%", "but is '%'"),
    ],
)
def test_any_other_answer_is_refused_with_what_is_wanted(question, text, said):
    with pytest.raises(ValueError) as raised:
        question.parse(text)
    assert said in str(raised.value)


def test_predictions_are_read_from_texts():
    assert parse_all([EDGE, SHARE], ["share=0.5", "edge=1"]) == {"share": 0.5, "edge": "standing"}
    for wrong in ("edge", "edges=1"):
        with pytest.raises(ValueError, match="QUESTION one of edge, share"):
            parse_all([EDGE, SHARE], [wrong])


def test_each_question_is_asked_until_its_answer_is_one(capsys):
    answers = iter(["up", "2", "", "0.5"])
    assert ask_all([EDGE, LAYERS, SHARE], {"layers": 8}, lambda prompt: next(answers)) == {
        "edge": "lying",
        "share": 0.5,
    }
    printed = capsys.readouterr().out
    assert "Which edge?\n  1  standing\n  2  lying\n" in printed
    assert "edge must be one of standing, lying, but is 'up'" in printed


def test_the_prompt_names_what_was_predicted_before_and_the_end_of_input_ends_the_questions():
    prompts = []

    def ask(prompt):
        prompts.append(prompt)
        if len(prompts) > 1:
            raise EOFError
        return "0.5"

    assert ask_all([SHARE, LAYERS, EDGE], {"layers": 8}, ask) == {"share": 0.5}
    assert "(a number; Enter for none)" in prompts[0]
    assert "(one of these; Enter for 8)" in prompts[1]
    assert len(prompts) == 2
