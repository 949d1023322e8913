"""A reader's predictions, kept in a file of the reader's: answers/predictions.json, by lesson and question.

The lessons themselves stay as they are, so that `git pull` and the tests know nothing of who did them.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn.files.atomic import make_folder, write_atomically
from minicnn.teach.folder import answers_folder

_FILE = "predictions.json"


@dataclass(frozen=True)
class Question:
    """One question of a lesson; without `choices`, the answer is a number."""

    key: str
    text: str
    choices: tuple[Any, ...] | None = None

    @property
    def wanted(self) -> str:
        """The possible answers in words."""
        return "a number" if self.choices is None else f"one of {', '.join(map(str, self.choices))}"

    def parse(self, answer: str) -> Any:
        """The prediction that `answer` names: a choice, the number of a choice from 1 on, or a number (0.7 or 70%).

        Raises ValueError for any other text.
        """
        answer = answer.strip()
        if self.choices is None:
            try:
                return float(answer.removesuffix("%")) / 100 if answer.endswith("%") else float(answer)
            except ValueError:
                raise ValueError(f"{self.key} must be a number, such as 0.7 or 70%, but is {answer!r}") from None
        for choice in self.choices:
            if answer.casefold() == str(choice).casefold():
                return choice
        if answer.isdecimal() and 1 <= int(answer) <= len(self.choices):
            return self.choices[int(answer) - 1]
        raise ValueError(f"{self.key} must be {self.wanted}, but is {answer!r}")


def predictions_file() -> Path:
    """The file in which predictions are kept, which may not be there yet."""
    return answers_folder() / _FILE


def read_predictions(lesson: str) -> dict[str, Any]:
    """The predictions of the lesson named, such as "01_see_an_edge", by question; {} without any.

    Raises ValueError if the file is not a JSON table of tables.
    """
    return _read_all().get(lesson, {})


def write_predictions(lesson: str, predictions: Mapping[str, Any]) -> Path:
    """The file, after adding `predictions` to those of the lesson; an earlier one of the same question is replaced."""
    every = _read_all()
    every[lesson] = {**every.get(lesson, {}), **predictions}
    path = predictions_file()
    make_folder(path.parent)
    write_atomically(path, (json.dumps(every, indent=1, sort_keys=True) + "\n").encode())
    return path


def questions_of(path: Path) -> list[Question]:
    """The questions of the lesson in `path`: the file is run up to the last question, without output.

    A lesson asks before computing anything, so only imports and settings are run.
    """
    body = ast.parse(path.read_text(encoding="utf-8"), str(path)).body
    asking = [number for number, statement in enumerate(body) if _asks(statement)]
    if not asking:
        return []
    names: dict[str, Any] = {"__name__": path.stem}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(ast.Module(body[: asking[-1] + 1], []), str(path), "exec"), names)
    return list(names["lesson"].questions)


def parse_all(questions: Sequence[Question], given: Iterable[str]) -> dict[str, Any]:
    """The predictions in texts such as "diagonal=0.7".

    Raises ValueError for a text without "=", a question that is not asked, or an answer of another kind.
    """
    by_key = {question.key: question for question in questions}
    predictions = {}
    for text in given:
        key, equals, answer = text.partition("=")
        if not equals or key not in by_key:
            raise ValueError(
                f"a prediction must be QUESTION=ANSWER, and QUESTION one of {', '.join(by_key)}, not {text!r}"
            )
        predictions[key] = by_key[key].parse(answer)
    return predictions


def ask_all(
    questions: Sequence[Question], before: Mapping[str, Any], ask: Callable[[str], str] = input
) -> dict[str, Any]:
    """The answers to `questions`, asked one by one; an empty line keeps the answer of `before`, if there is one.

    An answer of another kind is asked for again. The end of the input ends the questions.
    """
    predictions = {}
    with contextlib.suppress(EOFError):
        for question in questions:
            print(question.text)
            for number, choice in enumerate(question.choices or (), 1):
                print(f"  {number}  {choice}")
            answer = _ask(question, before.get(question.key), ask)
            if answer is not None:
                predictions[question.key] = answer
    return predictions


def _ask(question: Question, before: Any, ask: Callable[[str], str]) -> Any:
    skip = "Enter for none" if before is None else f"Enter for {before}"
    while True:
        answer = ask(f"  you predict ({'a number' if question.choices is None else 'one of these'}; {skip}): ")
        if not answer.strip():
            return None
        try:
            return question.parse(answer)
        except ValueError as error:
            print(f"  {error}")


def _asks(statement: ast.stmt) -> bool:
    """True for `lesson.predict(...)`."""
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return False
    return ast.unparse(statement.value.func) == "lesson.predict"


def _read_all() -> dict[str, dict[str, Any]]:
    path = predictions_file()
    if not path.is_file():
        return {}
    try:
        every = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, but cannot be read: {error}; mend it, or delete it") from error
    if not isinstance(every, dict) or not all(isinstance(one, dict) for one in every.values()):
        raise ValueError(f'{path} must hold predictions by lesson, as in {{"01_see_an_edge": {{"diagonal": 0.7}}}}')
    return every
