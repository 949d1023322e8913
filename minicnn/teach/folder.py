"""Where the lessons are: a folder at hand, the one of a checkout, or the one inside an installed package."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import minicnn
from minicnn.files.suggestions import did_you_mean

_FILES = "[0-9][0-9]_*.py"
TO_COME = {  # lessons that are planned, by number
    6: "Look inside",
    7: "Make depth trainable",
    11: "Transfer on a small set",
    12: "Ask why",
    13: "Say where: boxes",
    14: "Say where: masks",
}
_PACKAGE = Path(minicnn.__file__).parent
INSTALLED = _PACKAGE / "lessons"  # where a wheel puts them


@dataclass(frozen=True)
class LessonFile:
    """One lesson as described in its own text."""

    path: Path
    title: str
    question: str
    minutes: int  # of a reader's time, exercises included

    @property
    def name(self) -> str:
        """As in "01_see_an_edge"."""
        return self.path.stem

    @property
    def number(self) -> int:
        """As in 1."""
        return int(self.name[:2])

    @property
    def recorded(self) -> Path:
        """The file of numbers that its text quotes."""
        return self.path.parent / "recorded" / f"{self.name}.json"


def lessons_folder() -> Path:
    """The folder of the lessons: ./lessons or ., if lessons are there, else the checkout's or the package's own.

    So whoever copies the lessons and edits the exercises works on the copy. Raises FileNotFoundError without any.
    """
    places = [Path.cwd() / "lessons", Path.cwd(), _PACKAGE.parent / "lessons", INSTALLED]
    for place in places:
        if any("teach.begin(" in path.read_text(encoding="utf-8", errors="replace") for path in place.glob(_FILES)):
            return place
    raise FileNotFoundError(f"lessons were looked for, and not found, in {', '.join(map(str, places))}")


def answers_folder() -> Path:
    """The folder of the reader's own files, answers and predictions: MINICNN_ANSWERS, or ./answers without it.

    An editor may run cells in the folder of the lessons; the result is then ../answers, as from one folder higher.
    """
    named = os.environ.get("MINICNN_ANSWERS")
    if named:
        return Path(named)
    here = Path.cwd()
    return (here.parent if any(here.glob(_FILES)) and (here / "exercises").is_dir() else here) / "answers"


def copy_lessons(target: Path) -> None:
    """Copy the lessons and their exercises to the folder `target`. Raises FileExistsError if `target` exists."""
    if target.exists():
        raise FileExistsError(f"{target} exists: move it away, or copy to another folder with --to")
    shutil.copytree(lessons_folder(), target, ignore=shutil.ignore_patterns("__pycache__", "runs"))


def all_lessons() -> list[LessonFile]:
    """The lessons in the order of their numbers."""
    return [_described(path) for path in sorted(lessons_folder().glob(_FILES))]


def find_lesson(name: str) -> LessonFile:
    """The lesson of a number, "1" or "01", or of a name, "01_see_an_edge".

    Raises ValueError for any other name, with those that are close or else all of them.
    """
    folder, lessons = lessons_folder(), all_lessons()
    for lesson in lessons:
        if name == lesson.name or (name.isdecimal() and int(name) == lesson.number):
            return lesson
    if name.isdecimal() and int(name) in TO_COME:
        raise ValueError(f"lesson {int(name)} ({TO_COME[int(name)]}) is still to come; `minicnn lesson list` shows all")
    there = ", ".join(f"{lesson.number} ({lesson.title})" for lesson in lessons)
    close = did_you_mean(name, [lesson.name for lesson in lessons])
    known = close if close.startswith("did") else f"there are {there}"
    raise ValueError(f"lesson {name!r} does not exist in {folder}; {known}")


def _described(path: Path) -> LessonFile:
    """The lesson in `path`: title, question and a reader's minutes, each from its place in the first cell."""
    text = path.read_text(encoding="utf-8")
    title = re.search(r"^# # \d+\. (.+)$", text, re.MULTILINE)
    question = re.search(r"^# \*\*Question\.\*\* (.+?)\n#?\n", text, re.MULTILINE | re.DOTALL)
    minutes = re.search(r"^# \*\*Your time\.\*\* ([0-9]+) minutes", text, re.MULTILINE)
    if title is None or question is None or minutes is None:
        raise ValueError(
            f'{path}: a lesson begins with "# # 1. Title", "# **Question.** ..." and "# **Your time.** 30 minutes" '
            "in a markdown cell"
        )
    return LessonFile(path, title[1], question[1].replace("\n# ", " "), int(minutes[1]))
