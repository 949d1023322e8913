"""Every check beside answers planted for it: wrong ones, which it rejects with help, and right ones in other styles."""

import importlib.util
from pathlib import Path

import pytest

from minicnn.teach import WrongAnswer
from minicnn.teach.checks import EXERCISES
from minicnn.teach.exercises import check_answer


def planted(table):
    """(exercise, what is planted for it) of all planted_NN.py files beside this one."""
    for path in sorted(Path(__file__).parent.glob("planted_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for exercise, answers in getattr(module, table).items():
            yield from ((exercise, answer) for answer in answers)


def name_of(answer, number):
    return answer.__name__ if answer.__name__ != "<lambda>" else str(number)


WRONG = [
    pytest.param(exercise, answer, words, id=f"{exercise}-{name_of(answer, number)}")
    for number, (exercise, (answer, words)) in enumerate(planted("PLANTED"))
]
RIGHT = [
    pytest.param(exercise, answer, id=f"{exercise}-{name_of(answer, number)}")
    for number, (exercise, answer) in enumerate(planted("RIGHT"))
]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_wrong_answers_are_planted(exercise):
    assert sum(one.values[0] == exercise for one in WRONG) >= 6


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_a_planted_wrong_answer_is_rejected_with_help(exercise, answer, words):
    with pytest.raises(WrongAnswer) as wrong:
        check_answer(exercise, answer)
    message = f"{wrong.value}\n  hint: {wrong.value.hint}"
    assert words in message
    assert "hint: " not in str(wrong.value)
    assert wrong.value.hint or "`return`" in message or "find the answer by itself" in message


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_a_right_answer_of_another_style_passes(exercise, answer):
    assert check_answer(exercise, answer) is None
