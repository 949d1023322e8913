"""Every check beside answers planted for it: wrong ones, which it rejects with help, and right ones in other styles.

planted_NN.py has the slips of each exercise. SLIPS are those that can be made in any: they spoil the solution.
"""

import importlib.util
import inspect
from pathlib import Path

import numpy as np
import pytest

from minicnn.teach import WrongAnswer
from minicnn.teach.checks import EXERCISES, find_check
from minicnn.teach.exercises import check_answer, exercise_files, load_answer

SOLUTIONS = Path(__file__).parents[2] / "lessons" / "solutions"


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


def prints_the_result(right):
    return lambda *arguments: print(right(*arguments))


def gives_text(right):
    return lambda *arguments: str(right(*arguments))


def gives_a_table(right):
    return lambda *arguments: {"result": right(*arguments)}


def yields_the_result(right):
    def answer(*arguments):
        yield right(*arguments)

    return answer


def gives_a_function(right):
    return lambda *arguments: lambda: right(*arguments)


def ends_python(right):
    def answer(*arguments):
        raise SystemExit(right(*arguments))

    return answer


def stops_with_an_assertion(right):
    def answer(*arguments):
        raise AssertionError(right(*arguments))

    return answer


def takes_one_argument_more(right):
    return lambda *arguments, mode: right(*arguments)


def gives_zeros(right):
    def zero(value):
        if isinstance(value, tuple | list) and not np.isscalar(value):
            return type(value)(map(zero, value))
        return 0 if np.isscalar(value) else np.zeros(np.shape(value))

    return lambda *arguments: zero(right(*arguments))


def says_that_it_equals_everything(right):
    class Everything:
        def __eq__(self, other):
            return True

        def __len__(self):
            return 2

        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("no array")

    return lambda *arguments: Everything()


SLIPS = [
    prints_the_result,
    gives_text,
    gives_a_table,
    yields_the_result,
    gives_a_function,
    ends_python,
    stops_with_an_assertion,
    takes_one_argument_more,
    gives_zeros,
    says_that_it_equals_everything,
]


def solution(exercise):
    return load_answer(exercise_files(SOLUTIONS, exercise)[0])


def key(arguments):
    return repr([(one.dtype, one.tolist()) if isinstance(one, np.ndarray) else one for one in arguments])


@pytest.mark.parametrize("exercise", EXERCISES)
def test_ten_wrong_answers_beside_those_in_any_exercise_and_four_right_ones_are_planted(exercise):
    assert sum(one.values[0] == exercise for one in WRONG) >= 20 - len(SLIPS)
    assert sum(one.values[0] == exercise for one in RIGHT) >= 4


@pytest.mark.parametrize(("exercise", "answer", "words"), WRONG)
def test_a_planted_wrong_answer_is_rejected_with_help(exercise, answer, words):
    with pytest.raises(WrongAnswer) as wrong:
        check_answer(exercise, answer)
    message = f"{wrong.value}\n  hint: {wrong.value.hint}"
    assert words in message
    assert "hint: " not in str(wrong.value)
    assert wrong.value.hint or "`return`" in message


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_a_right_answer_of_another_style_passes(exercise, answer):
    assert check_answer(exercise, answer) is None


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.__name__)
@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_slip_that_can_be_made_in_any_exercise_is_rejected(exercise, slip, capsys):
    with pytest.raises(WrongAnswer) as wrong:
        check_answer(exercise, slip(solution(exercise)))
    assert len(str(wrong.value)) < 1500


WITH_ARGUMENTS = [name for name in EXERCISES if inspect.signature(solution(name)).parameters]


# 03a takes Tensors, and is judged by its backward: constants would not help.
@pytest.mark.parametrize("exercise", [name for name in WITH_ARGUMENTS if name != "03a"])
def test_an_answer_that_knows_all_cases_of_an_earlier_check_is_rejected(exercise):
    """Some cases of a check are drawn at random each time, so that constants for those that were shown do not pass."""
    right, known = solution(exercise), {}

    def remembers(*arguments):
        known[key(arguments)] = right(*arguments)
        return known[key(arguments)]

    def knows(*arguments):
        return known[key(arguments)]

    with pytest.MonkeyPatch.context() as patch:
        if exercise == "15b":  # only the calls, without the watch over turns, which gives no arrays
            patch.setattr("minicnn.teach.checks.lesson_15._need_turns_of_their_own", lambda *arguments: None)
            patch.setattr("minicnn.teach.checks.lesson_15._need_any_order", lambda *arguments: None)
            patch.setattr("minicnn.teach.checks.lesson_15._need_the_same_bits_on_all_threads", lambda *arguments: None)
        assert find_check(exercise)(remembers) is None
        with pytest.raises(WrongAnswer, match="KeyError"):
            find_check(exercise)(knows)


@pytest.mark.parametrize("exercise", [name for name in WITH_ARGUMENTS if name != "15b"])
def test_an_answer_that_is_right_at_first_only_is_rejected(exercise):
    right, calls = solution(exercise), []

    def forgets(*arguments):
        calls.append(1)
        return right(*arguments) if len(calls) < 5 else None

    with pytest.raises(WrongAnswer, match="gave None"):
        check_answer(exercise, forgets)
