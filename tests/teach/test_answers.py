"""Comparing answers: kind about form, strict about values, and helpful about the difference."""

import contextlib
import signal
import time

import numpy as np
import pytest

from minicnn import Tensor
from minicnn import functional as F
from minicnn.teach.answers import WrongAnswer, agree, call, compare, describe_call, need, pair

RIGHT = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def message(yours, expected, **options):
    with pytest.raises(WrongAnswer) as wrong:
        compare(yours, expected, "f(x)", "look again", **options)
    assert str(wrong.value).startswith("f(x)\n")
    assert "look again" not in str(wrong.value)
    assert wrong.value.hint == "look again"
    return str(wrong.value)


@pytest.mark.parametrize(
    "yours",
    [
        RIGHT,
        RIGHT.tolist(),
        tuple(map(tuple, RIGHT)),
        RIGHT.astype(np.float32),
        RIGHT.astype(int),
        Tensor(RIGHT),
        list(map(Tensor, RIGHT)),
    ],
    ids=["array", "list", "tuple", "float32", "int", "Tensor", "Tensors"],
)
def test_anything_that_holds_the_numbers_is_taken(yours):
    assert compare(yours, RIGHT, "f(x)", "look again") is None


@pytest.mark.parametrize("shape", [(3, 1), (1, 3), (1, 3, 1)])
def test_axes_of_length_one_may_be_extra_or_missing(shape):
    assert compare(np.arange(3.0).reshape(shape), np.arange(3.0), "f(x)", "look again") is None
    assert compare(np.arange(3.0), np.arange(3.0).reshape(shape), "f(x)", "look again") is None
    assert compare([[7.0]], 7.0, "f(x)", "look again") is None


def test_the_largest_difference_is_shown_with_its_place():
    yours = RIGHT.copy()
    yours[0, 1] += 0.25
    yours[1, 2] -= 0.5
    text = message(yours, RIGHT)
    assert "largest difference 0.5 at [1, 2]: yours 5.5, expected 6" in text
    assert "yours     [[1.  , 2.25, 3.  ]" in text
    assert "expected  [[1., 2., 3.]" in text


def test_one_number_is_shown_as_one():
    assert "yours     3.5\n  expected  3\n  largest difference 0.5" in message(3.5, 3)


def test_large_arrays_are_not_written_out():
    yours = np.zeros((20, 30))
    yours[3, 4] = 1
    text = message(yours, np.zeros((20, 30)))
    assert len(text) < 300
    assert "largest difference 1 at [3, 4]" in text


def test_tolerance_is_a_share_of_the_largest_number():
    compare(RIGHT + 5e-5, RIGHT, "f(x)", "look again")
    message(RIGHT + 7e-5, RIGHT)
    compare(RIGHT + 7e-5, RIGHT, "f(x)", "look again", tolerance=1e-4)
    message(1e-4, 0.0)


@pytest.mark.parametrize(
    ("yours", "said"),
    [
        (-RIGHT, "yours is -1 times what was expected, everywhere"),
        (RIGHT / 6, "yours is 0.166667 times what was expected, everywhere"),
        (RIGHT.T, "the same lengths in another order: are two axes exchanged?"),
        (RIGHT.ravel(), "as many numbers in another shape"),
        (RIGHT[:1], "yours     has shape (1, 3)\n  expected  shape (2, 3)"),
        (np.where(RIGHT > 5, np.nan, RIGHT), "yours is not finite everywhere"),
        ("six numbers", "yours     'six numbers'\n  expected  numbers"),
        ([[1, 2], [3]], "expected  numbers in rows of one length"),
        ([["1", "2", "3"], ["4", "5", "6"]], "expected  numbers"),
        (RIGHT + 0j, "expected  numbers"),
        (RIGHT > 0, "expected  numbers"),
    ],
)
def test_what_is_wrong_is_named(yours, said):
    assert said in message(yours, RIGHT)


def test_a_square_transpose_and_a_wrong_sign_are_named():
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert "yours is the transpose of what was expected" in message(square.T, square)
    assert "yours has the other sign" in message(-2.0, 2.0)


def test_whole_numbers_in_place_of_fractions_are_named():
    assert "yours has whole numbers only" in message(RIGHT, RIGHT + 0.25)
    assert "whole numbers" not in message(RIGHT + 0.5, RIGHT + 0.25)
    assert "whole numbers" not in message(RIGHT, RIGHT + 1)


def test_one_number_that_is_wrong_is_no_multiple_of_all():
    assert "times what was expected" not in message([0.0, 3.0], [0.0, 2.0])


def test_infinity_is_not_near_anything():
    message(np.inf, 1.0)
    assert "largest difference inf at [1]: yours nan, expected 2" in message([1.0, np.nan], [1.0, 2.0])


def test_the_function_gets_copies():
    given = np.ones(3)

    def spoil(array, values):
        array[:] = 0
        return array

    with pytest.raises(
        WrongAnswer, match=r"spoil\(.*\) changed its argument `array`, which belongs to the caller"
    ) as wrong:
        call(spoil, given, [1, 2], hint="look again")
    assert given.sum() == 3
    assert "work on a copy" in wrong.value.hint


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ([3, 1, 2], lambda values: values.sort() or 1),
        ({"a": ["b"]}, lambda table: table["a"].pop()),
        ({"a": np.ones(2)}, lambda table: table.pop("a")),
        ({"a": np.ones(2)}, lambda table: table["a"].fill(0) or 1),
    ],
)
def test_lists_and_tables_must_not_be_changed_either(argument, change):
    before = repr(argument)
    with pytest.raises(WrongAnswer, match="changed its argument"):
        call(change, argument, hint="look again")
    assert repr(argument) == before


def test_arguments_may_be_read_and_returned():
    given = np.array([1.0, np.nan])
    assert call(lambda array: array, given, hint="look again") is not given
    assert call(lambda values: values[0], [5, 6], hint="look again") == 5


def endless():
    while True:
        pass


def swallows_all(seconds=1.5):
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        with contextlib.suppress(BaseException):
            while True:
                pass
    return 1


def test_a_call_ends_in_time_and_says_where_it_was():
    with pytest.raises(
        WrongAnswer, match=r"endless\(\) was still running after 0.2 s\n  at line \d+: (pass|while True:)"
    ) as wrong:
        call(endless, hint="look again", seconds=0.2)
    assert "does every loop end" in wrong.value.hint
    assert call(swallows_all, hint="look again", seconds=0.2) == 1


def test_a_call_ends_in_time_where_ctrl_c_is_ignored_as_in_a_background_job():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(WrongAnswer, match=r"was still running after 0\.2 s"):
            call(endless, hint="look again", seconds=0.2)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_of_the_reader_is_left_to_python():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(interrupted, hint="look again")


def deep(n=0):
    return deep(n + 1)


def raises(error):
    def answer():
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (raises(SystemExit(3)), "ended Python (exit)"),
        (raises(BaseException("no")), "raised BaseException: no"),
        (raises(GeneratorExit()), "raised GeneratorExit"),
        (raises(ValueError("x" * 100_000)), "x ..."),
        (deep, "raised RecursionError"),
    ],
)
def test_whatever_is_raised_is_a_wrong_answer(answer, said):
    with pytest.raises(WrongAnswer) as wrong:
        call(answer, hint="look again")
    assert said in str(wrong.value)
    assert "at line" in str(wrong.value)
    assert len(str(wrong.value)) < 1000


def test_all_cases_must_agree_and_once_more_with_others_in_between():
    cases = [(np.array([1.0, 2.0]),), (np.array([3.0, 5.0]),)]
    assert agree(lambda array: array.sum(), cases, np.sum, "add up") is None
    with pytest.raises(WrongAnswer, match=r"array\(\[3\., 5\.\]\)") as wrong:
        agree(lambda array: 3.0, cases, np.sum, "add up")
    assert wrong.value.hint == "add up"
    shared = np.zeros(1)

    def returns_one_array_always(array):
        shared[0] = array.sum()
        return shared

    total = []

    def remembers(array):
        total.append(1)
        return array.sum() + (len(total) > 3)

    for answer in (returns_one_array_always, remembers):
        with pytest.raises(WrongAnswer, match="asked once more, with other calls in between") as wrong:
            agree(answer, cases, np.sum, "add up")
        assert "keep nothing outside" in wrong.value.hint


def test_calls_that_give_nothing_are_explained():
    def unwritten(x):
        raise NotImplementedError

    def divides(x):
        return x / [0, 1]

    with pytest.raises(WrongAnswer, match="unwritten is not written yet"):
        call(unwritten, 1, hint="look again")
    with pytest.raises(WrongAnswer, match=r"print\(1\) gave None: does every way .* `return`"):
        call(print, 1, hint="look again")
    with pytest.raises(WrongAnswer, match="pass the function itself, without calling it; got int: 3"):
        call(3, hint="look again")
    with pytest.raises(WrongAnswer) as wrong:
        call(divides, 2, hint="look again")
    assert "divides(2) raised TypeError: unsupported operand" in str(wrong.value)
    assert "return x / [0, 1]" in str(wrong.value)
    assert wrong.value.hint == "look again"


def test_an_error_of_the_library_is_shown_at_the_readers_line():
    def multiplies(x):
        return F.conv2d(x, np.ones((1, 2, 3, 3)))  # one channel too many

    with pytest.raises(WrongAnswer, match="conv2d: input has 1 channels") as wrong:
        call(multiplies, np.ones((1, 1, 3, 3)), hint="look again")
    assert "return F.conv2d(x, np.ones((1, 2, 3, 3)))  # one channel too many" in str(wrong.value)


def test_two_results_are_told_from_one_and_three():
    for two in ((1, 2), [1, 2], np.ones(2)):
        assert pair(two, "both", "sum and product", "give both") is two
    for other, said in ((5, "int"), ((1, 2, 3), "3 results"), (np.ones(3), "ndarray")):
        with pytest.raises(WrongAnswer) as wrong:
            pair(other, "both", "sum and product", "give both")
        expected = f"both\n  yours     {said}\n  expected  two: sum and product"
        assert (str(wrong.value), wrong.value.hint) == (expected, "give both")


def test_a_property_that_is_missing_is_shown():
    assert need(True, "the sum", 0, "0", "add them up") is None
    with pytest.raises(WrongAnswer) as wrong:
        need(False, "the sum", 3, "0", "add them up")
    assert (str(wrong.value), wrong.value.hint) == ("the sum\n  yours     3\n  expected  0", "add them up")


def test_calls_are_described_with_shapes_and_without_endless_arguments():
    graph = {f"n{i}": [f"n{i - 1}"] for i in range(1, 3000)}
    shown = describe_call(len, np.ones((2, 3)), Tensor(np.ones((5, 1))), np.ones(2), 0.5, graph)
    assert shown.startswith("len(array of shape (2, 3), Tensor of shape (5, 1), array([1., 1.]), 0.5, {'n1': ['n0'], ")
    assert len(shown) < 200


def test_a_table_of_arrays_is_described_by_their_shapes():
    assert describe_call(len, {"a": np.ones((1, 1)), "b": np.ones(9)}) == "len({'a': (1, 1), 'b': (9,)})"
