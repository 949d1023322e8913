"""The reader's files: what is loaded from them, and what is said of files that can't be."""

import pytest

from minicnn.teach import WrongAnswer, check
from minicnn.teach.exercises import answer_files, exercise_files, load_answer, start_exercises
from minicnn.teach.limits import TimeLimit


@pytest.fixture
def answer_in(tmp_path):
    def write(source, name="01a_twice.py"):
        path = tmp_path / name
        path.write_text(source)
        return path

    return write


def test_the_function_named_like_the_file_is_loaded(answer_in):
    path = answer_in("import math\n\n\ndef helper(x):\n    return x\n\n\ndef twice(x):\n    return helper(x) * 2\n")
    assert load_answer(path)(4) == 8


def test_a_file_is_read_anew_each_time(answer_in):
    path = answer_in("def twice(x):\n    return x * 2\n")
    assert load_answer(path)(4) == 8
    answer_in("def twice(x):\n    return x * 3\n")
    assert load_answer(path)(4) == 12


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def twice(x):\n    return x *\n", "line 2: invalid syntax: return x *"),
        ("def twice(x):\nreturn x\n", "line 2: expected an indented block"),
        ("import nothing_of_this_name\n", "line 1: import nothing_of_this_name: ModuleNotFoundError"),
        ("def f(x):\n    return 1 / x\n\n\nf(0)\n", "line 2: return 1 / x: ZeroDivisionError"),
        ("def double(x):\n    return 2 * x\n", "has no function `twice`; its name must stay as it was"),
        ("x = 'a\0b'\n", "null bytes"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained_with_its_line(source, said, answer_in):
    path = answer_in(source)
    with pytest.raises(WrongAnswer) as wrong:
        load_answer(path)
    assert str(wrong.value).startswith(str(path))
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("while True:\n    pass\n", "still running after 0.3 s"),
        ("import sys\nsys.exit(3)\n", "line 2: sys.exit(3): SystemExit: 3"),
        ("raise BaseException('no')\n", "line 1: raise BaseException('no'): BaseException: no"),
    ],
)
def test_a_file_that_ends_python_or_does_not_end_is_explained(source, said, answer_in, monkeypatch):
    monkeypatch.setattr("minicnn.teach.exercises.TimeLimit", lambda: TimeLimit(0.3))
    with pytest.raises(WrongAnswer) as wrong:
        load_answer(answer_in(source))
    assert said in str(wrong.value)


def test_a_hint_is_given_to_those_who_ask_for_it(capsys):
    def convolve(picture, kernel):
        return picture

    with pytest.raises(WrongAnswer) as wrong:
        check("01a", convolve)
    assert str(wrong.value).startswith("exercise 01a: convolve(picture of (3, 3)")
    assert str(wrong.value).endswith('\n  for a hint: teach.check("01a", convolve, hint=True)')
    with pytest.raises(WrongAnswer, match=r"\n  hint: at row i and column j: the sum over a and b"):
        check("01a", convolve, hint=True)
    assert capsys.readouterr().out == ""


def test_an_answer_that_uses_the_functions_of_its_check_is_refused():
    def widest_middle(in_channels, out_channels):
        from minicnn.teach.checks.lesson_08 import _widest_pair

        return _widest_pair(in_channels, out_channels)

    with pytest.raises(WrongAnswer, match="widest_middle uses the functions that check it"):
        check("08b", widest_middle)


def test_started_exercises_are_the_readers_and_are_left_as_they_are(answer_in, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_ANSWERS", str(tmp_path / "mine"))
    first, second = answer_in("1", "01a_a.py"), answer_in("2", "01b_b.py")
    assert answer_files(tmp_path, "01") == [first, second]
    mine = tmp_path / "mine" / "01a_a.py"
    assert start_exercises(tmp_path, "01a") == {mine: True}
    mine.write_text("3")
    assert start_exercises(tmp_path, "01") == {mine: False, tmp_path / "mine" / "01b_b.py": True}
    assert mine.read_text() == "3"
    assert answer_files(tmp_path, "01a") == [mine]
    for function in (start_exercises, answer_files):
        with pytest.raises(FileNotFoundError, match="no exercise is named 02 in "):
            function(tmp_path, "02")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the file .*01a_twice\.py does not exist"):
        load_answer(tmp_path / "01a_twice.py")


def test_files_are_those_of_the_lesson_or_of_one_exercise(answer_in, tmp_path):
    for name in ("01b_b.py", "01a_a.py", "10a_a.py", "01_lesson.py"):
        answer_in("", name)
    assert [path.name for path in exercise_files(tmp_path, "01")] == ["01a_a.py", "01b_b.py"]
    assert [path.name for path in exercise_files(tmp_path, "01b")] == ["01b_b.py"]


def test_an_unknown_exercise_is_named_with_those_that_there_are():
    with pytest.raises(ValueError, match="'1a' is not an exercise; the exercises are 01a, 01b"):
        check("1a", abs)
