"""The reader's files: what is loaded from them, and what is said of files that can't be."""

import pytest

from minicnn.teach import WrongAnswer, check
from minicnn.teach.exercises import exercise_files, load_answer


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


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*01a_twice\.py"):
        load_answer(tmp_path / "01a_twice.py")


def test_files_are_those_of_the_lesson_or_of_one_exercise(answer_in, tmp_path):
    for name in ("01b_b.py", "01a_a.py", "10a_a.py", "01_lesson.py"):
        answer_in("", name)
    assert [path.name for path in exercise_files(tmp_path, "01")] == ["01a_a.py", "01b_b.py"]
    assert [path.name for path in exercise_files(tmp_path, "01b")] == ["01b_b.py"]


def test_an_unknown_exercise_is_named_with_those_that_there_are():
    with pytest.raises(ValueError, match="there is no exercise '1a'; there are 01a, 01b"):
        check("1a", abs)
