"""The reader's exercises: `exercises/01a_output_size.py`, named "01a", holds the function `output_size`."""

from __future__ import annotations

import shutil
import traceback
import types
import warnings
from pathlib import Path
from typing import Any

from minicnn.files.atomic import make_folder
from minicnn.teach.answers import Answer, WrongAnswer
from minicnn.teach.checks import find_check
from minicnn.teach.folder import answers_folder
from minicnn.teach.limits import TimeLimit


def check(name: str, answer: Answer, hint: bool = False) -> None:
    """Check the answer to an exercise, as in `check("01a", output_size)`, and print one line if the answer is right.

    Raises WrongAnswer, which shows yours, the expected result and the largest difference; with `hint` the error
    also says how to go on. Raises ValueError if `name` is not an exercise.
    """
    try:
        check_answer(name, answer)
    except WrongAnswer as wrong:
        more = f"hint: {wrong.hint}" if hint else f'for a hint: teach.check("{name}", {_name_of(answer)}, hint=True)'
        text = f"exercise {name}: {wrong}" + (f"\n  {more}" if wrong.hint else "")
        raise WrongAnswer(text, wrong.hint) from wrong.__cause__
    print(f"exercise {name}: every case agrees.")


def check_answer(name: str, answer: Answer) -> None:
    """Raise WrongAnswer unless `answer` is right, and ValueError if `name` is not an exercise."""
    check_one = find_check(name)
    if _asks_the_checker(answer):
        raise WrongAnswer(f"{_name_of(answer)} uses the functions that check it: it must find the answer by itself")
    with warnings.catch_warnings():  # NumPy's would come before the message, and say less
        warnings.simplefilter("ignore", RuntimeWarning)
        check_one(answer)


def _name_of(answer: Answer) -> str:
    return getattr(answer, "__name__", "your_function")


def _asks_the_checker(answer: Answer) -> bool:
    """True if the function, or a function inside, names a module of the checks or uses an import from such a module."""
    waiting = [getattr(answer, "__code__", None)]
    used = getattr(answer, "__globals__", {})
    while waiting:
        code = waiting.pop()
        if code is None:
            continue
        waiting += [one for one in code.co_consts if isinstance(one, types.CodeType)]
        for name in code.co_names:
            value = used.get(name)
            home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
            if any(str(one).startswith("minicnn.teach.checks") for one in (name, home)):
                return True
    return False


def exercise_files(folder: Path, name: str) -> list[Path]:
    """The files in `folder` of one exercise, "01a", or of all exercises of a lesson, "01", in their order."""
    return [path for path in sorted(folder.glob("[0-9][0-9][a-z]_*.py")) if path.name.startswith(name)]


def start_exercises(exercises: Path, name: str) -> dict[Path, bool]:
    """The reader's copies of the exercises in the folder `exercises`; True beside those that are new.

    An existing copy is not changed. Raises FileNotFoundError if no exercise is named so.
    """
    answers = answers_folder()
    copies = {}
    for path in _existing(exercises, name):
        copy = make_folder(answers) / path.name
        copies[copy] = not copy.exists()
        if copies[copy]:
            shutil.copyfile(path, copy)
    return copies


def answer_files(exercises: Path, name: str) -> list[Path]:
    """For each exercise the reader's copy, or the file in the folder `exercises` before the start.

    Raises FileNotFoundError if no exercise is named so.
    """
    copies = ((answers_folder() / path.name, path) for path in _existing(exercises, name))
    return [copy if copy.is_file() else path for copy, path in copies]


def _existing(exercises: Path, name: str) -> list[Path]:
    files = exercise_files(exercises, name)
    if not files:
        raise FileNotFoundError(f"no exercise is named {name} in {exercises}")
    return files


def load_answer(path: Path) -> Any:
    """The function in an exercise's file: 01a_output_size.py holds `output_size`.

    Raises FileNotFoundError without the file. Raises WrongAnswer, with the line, if Python cannot read or run the file,
    or if the file does not hold the function.
    """
    if not path.is_file():
        raise FileNotFoundError(f"the file {path} does not exist")
    function = path.stem.partition("_")[2]
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    limit = TimeLimit()
    try:
        code = compile(path.read_text(encoding="utf-8"), str(path), "exec")
        with limit:
            exec(code, names)
    except SyntaxError as error:
        raise WrongAnswer(f"{path}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from error
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not limit.passed:
            raise
        here = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        place = f", line {here[-1].lineno}: {here[-1].line}" if here else ""
        said = f"still running after {limit.seconds:g} s" if limit.passed else f"{type(error).__name__}: {error}"
        raise WrongAnswer(f"{path}{place}: {said}") from error
    if function not in names:
        raise WrongAnswer(f"{path} has no function `{function}`; its name must stay as it was")
    return names[function]
