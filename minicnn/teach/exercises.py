"""The reader's exercises: `exercises/01a_output_size.py` holds the function `output_size`, and "01a" is its name."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn.files.atomic import make_folder
from minicnn.teach.answers import WrongAnswer
from minicnn.teach.checks import CHECKS
from minicnn.teach.folder import answers_folder


def check(name: str, answer: Callable) -> None:
    """Check the answer to an exercise, as in `check("01a", output_size)`, and print one line if it is right.

    Raises WrongAnswer, which shows yours, what was expected, the largest difference and a hint, if it is not;
    ValueError if there is no exercise of that name.
    """
    if name not in CHECKS:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(CHECKS)}")
    try:
        CHECKS[name](answer)
    except WrongAnswer as wrong:
        raise WrongAnswer(f"exercise {name}: {wrong}") from wrong.__cause__
    print(f"exercise {name}: every case agrees.")


def exercise_files(folder: Path, name: str) -> list[Path]:
    """The files in `folder` of one exercise, "01a", or of all exercises of a lesson, "01", in their order."""
    return [path for path in sorted(folder.glob("[0-9][0-9][a-z]_*.py")) if path.name.startswith(name)]


def start_exercises(exercises: Path, name: str) -> dict[Path, bool]:
    """The reader's copies of the exercises in the folder `exercises`, and for each if it is new.

    A copy that is there already is left as it is. Raises FileNotFoundError if there is no exercise of that name.
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
    """For each exercise of that name the reader's copy, or the file in the folder `exercises` where there is no copy.

    Raises FileNotFoundError if there is no exercise of that name.
    """
    copies = ((answers_folder() / path.name, path) for path in _existing(exercises, name))
    return [copy if copy.is_file() else path for copy, path in copies]


def _existing(exercises: Path, name: str) -> list[Path]:
    files = exercise_files(exercises, name)
    if not files:
        raise FileNotFoundError(f"there is no exercise {name} in {exercises}")
    return files


def load_answer(path: Path) -> Any:
    """The function in an exercise's file: 01a_output_size.py holds `output_size`.

    Raises FileNotFoundError without the file; WrongAnswer, with the line, if it can't be read as Python or fails while
    it is, and if it does not hold the function.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    function = path.stem.partition("_")[2]
    names: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    except SyntaxError as error:
        raise WrongAnswer(f"{path}, line {error.lineno}: {error.msg}: {(error.text or '').strip()}") from error
    except Exception as error:
        here = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        place = f", line {here[-1].lineno}: {here[-1].line}" if here else ""
        raise WrongAnswer(f"{path}{place}: {type(error).__name__}: {error}") from error
    if function not in names:
        raise WrongAnswer(f"{path} has no function `{function}`; its name must stay as it was")
    return names[function]
