"""minicnn lesson: list and run the lessons, check exercises, record the numbers that their texts quote."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minicnn.teach.folder import LessonFile

_WORDS_A_MINUTE = 100  # of text and code together, read with thought
_MINUTES_AN_EXERCISE = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of `minicnn lesson`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the lessons: title, question, your time and the machine's")
    run_parser = actions.add_parser("run", help="run a lesson, or all of them with a table of times")
    run_parser.add_argument("lesson", help="number or name of a lesson, or all")
    run_parser.add_argument("--fast", action="store_true", help="smaller numbers, less than 10 s")
    _add_out(run_parser)
    predict_parser = actions.add_parser("predict", help="write down your predictions before you run a lesson")
    predict_parser.add_argument("lesson", help="number or name of a lesson")
    predict_parser.add_argument(
        "predictions", nargs="*", metavar="QUESTION=ANSWER", help="without any, each question is asked"
    )
    start_parser = actions.add_parser("start", help="copy a lesson's exercises to the folder answers, to write them")
    start_parser.add_argument("lesson", help="a lesson, as 1, or one exercise, as 01a")
    check_parser = actions.add_parser("check", help="check your answers to a lesson's exercises")
    check_parser.add_argument("lesson", help="a lesson, as 1, or one exercise, as 01a")
    check_parser.add_argument("--hint", action="store_true", help="say how to go on, too, not only what is wrong")
    check_parser.add_argument(
        "--debug",
        action="store_true",
        help="check in this process, so that breakpoint() in an answer stops",
    )
    notebook_parser = actions.add_parser("notebook", help="run a lesson and write it as a notebook with its output")
    notebook_parser.add_argument("lesson", help="number or name of a lesson")
    notebook_parser.add_argument(
        "--fast", action="store_true", help="the same steps with smaller numbers, less than 10 s"
    )
    _add_out(notebook_parser)
    copy_parser = actions.add_parser("copy", help="copy the lessons and exercises to a folder, to read and to edit")
    copy_parser.add_argument("--to", type=Path, default=Path("lessons"), metavar="DIR", help="folder for the copy")
    record_parser = actions.add_parser("record", help="run a lesson in full and write its numbers into its text")
    record_parser.add_argument("lesson", help="number or name of a lesson")
    record_parser.add_argument(
        "--text-only", action="store_true", help="write the numbers of the last recorded run into the text"
    )


def _add_out(parser: argparse.ArgumentParser) -> None:
    from minicnn.teach.lesson import OUT

    default = os.environ.get("MINICNN_OUT") or OUT
    parser.add_argument("--out", type=Path, default=Path(default), metavar="DIR", help="folder for figures and numbers")


def run(arguments: argparse.Namespace) -> int:
    """Run the action; 0 on success, 1 if a lesson or an answer does not pass."""
    actions = {
        "list": _list,
        "predict": _predict,
        "run": _run,
        "start": _start,
        "check": _check,
        "notebook": _notebook,
        "copy": _copy,
        "record": _record,
    }
    return actions[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    import textwrap

    from minicnn.teach.folder import TO_COME, all_lessons, lessons_folder

    there = {lesson.number: lesson for lesson in all_lessons()}
    coming = {number: title for number, title in TO_COME.items() if number not in there}
    titles = {number: lesson.title for number, lesson in there.items()} | coming
    width = max(map(len, titles.values()), default=0)
    print(f" N  {'lesson':<{width}}  you      machine")
    for number in sorted(titles):
        if number in coming:
            print(f"{number:2d}  {titles[number]:<{width}}  still to come")
            continue
        print(f"{number:2d}  {titles[number]:<{width}}  {_minutes(there[number]):3d} min  {_seconds(there[number])}")
        print(textwrap.fill(there[number].question, 100, initial_indent="    ", subsequent_indent="    "))
    print(f"in {lessons_folder()}")
    print(f"you: {_WORDS_A_MINUTE} words a minute, and {_MINUTES_AN_EXERCISE} minutes an exercise")
    print("machine: the full form in its recorded run; `run --fast` takes less than 10 s")
    return 0


def _minutes(lesson: LessonFile) -> int:
    """How long a reader takes for a lesson and the exercises, by the number of words; in steps of 5 minutes."""
    from minicnn.teach.exercises import exercise_files

    exercises = exercise_files(lesson.path.parent / "exercises", lesson.name[:2])
    words = len(lesson.path.read_text(encoding="utf-8").split())
    return 5 * round((words / _WORDS_A_MINUTE + _MINUTES_AN_EXERCISE * len(exercises)) / 5)


def _seconds(lesson: LessonFile) -> str:
    from minicnn.teach.recorded import read_record

    return f"{read_record(lesson.recorded)['seconds']:5.0f} s" if lesson.recorded.exists() else "not recorded"


@dataclass(frozen=True)
class Outcome:
    """How one run of a lesson ended: `record` is the JSON file of the run, None if the run did not finish."""

    lesson: LessonFile
    seconds: float
    record: dict[str, Any] | None

    @property
    def passed(self) -> bool:
        """True if the run finished, all numbers are within their bands and all controls fail."""
        return self.record is not None and not self.outside and not self.holding

    @property
    def outside(self) -> list[str]:
        """The names of the numbers that are not within their bands."""
        numbers = self.record["numbers"] if self.record else {}
        return [name for name, number in numbers.items() if not number["within"]]

    @property
    def holding(self) -> list[str]:
        """The controls that should fail, and hold."""
        controls = self.record["controls"] if self.record else {}
        return [claim for claim, control in controls.items() if not control["failed"]]


def _run(arguments: argparse.Namespace) -> int:
    from minicnn.files.atomic import make_folder
    from minicnn.teach.folder import all_lessons, find_lesson

    lessons = all_lessons() if arguments.lesson == "all" else [find_lesson(arguments.lesson)]
    out = make_folder(arguments.out)
    outcomes: list[Outcome] = []
    try:
        for lesson in lessons:
            outcomes.append(run_lesson(lesson, out, arguments.fast))
            print(flush=True)
    finally:  # after Ctrl-C too, of those that ran
        if outcomes:
            _print_table(outcomes)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def run_lesson(lesson: LessonFile, out: Path, fast: bool) -> Outcome:
    """Run a lesson's file as `python` would, in a process of its own, so that no lesson depends on another."""
    from minicnn.teach.recorded import read_record

    environment = {**os.environ, "MINICNN_OUT": str(out.resolve()), "MINICNN_FAST": str(int(fast))}
    record = out / f"{lesson.name}.json"
    record.unlink(missing_ok=True)  # what a lesson that fails leaves must not be an older run's
    sys.stdout.flush()
    started = time.perf_counter()
    done = subprocess.run([sys.executable, str(lesson.path)], env=environment, check=False)
    seconds = time.perf_counter() - started
    return Outcome(lesson, seconds, read_record(record) if done.returncode == 0 else None)


def _print_table(outcomes: list[Outcome]) -> None:
    width = max(len(outcome.lesson.title) for outcome in outcomes)
    print(f" N  {'lesson':<{width}}  seconds  budget  within bands  controls that fail")
    for outcome in outcomes:
        line = f"{outcome.lesson.number:2d}  {outcome.lesson.title:<{width}}  {outcome.seconds:7.1f}"
        record = outcome.record
        if record is None:
            print(f"{line}  did not finish")
            continue
        numbers, controls = len(record["numbers"]), len(record["controls"])
        within = f"{numbers - len(outcome.outside)} of {numbers}"
        failing = f"{controls - len(outcome.holding)} of {controls}"
        late = "" if outcome.seconds <= record["budget"] else "  over its budget"
        print(f"{line}  {record['budget']:6g}  {within:>12}  {failing:>18}{late}")
        for name in outcome.outside:
            number = record["numbers"][name]
            print(f"    {name} is {number['value']:.5g}, expected {number['band'][0]:g} to {number['band'][1]:g}")
        for claim in outcome.holding:
            print(f"    the control holds, and should not: {claim}")


def _predict(arguments: argparse.Namespace) -> int:
    from minicnn.teach.folder import find_lesson
    from minicnn.teach.predictions import ask_all, parse_all, questions_of, read_predictions, write_predictions

    lesson = find_lesson(arguments.lesson)
    questions = questions_of(lesson.path)
    before = read_predictions(lesson.name)
    if arguments.predictions:
        predictions = parse_all(questions, arguments.predictions)
    else:
        predictions = ask_all(questions, before)
    for question in questions:
        print(f"{question.key:14s} {({**before, **predictions}).get(question.key, 'no prediction')}")
    if predictions:
        path = write_predictions(lesson.name, predictions)
        print(f"kept in {path}; now `minicnn lesson run {lesson.number}`")
    return 0


def _start(arguments: argparse.Namespace) -> int:
    from minicnn.teach.exercises import start_exercises

    lesson, name = _lesson_and_exercise(arguments.lesson)
    for path, new in start_exercises(lesson.path.parent / "exercises", name).items():
        print(path if new else f"{path} is there already, and is left as it is")
    print(f"These files are yours. Write your answers into them, then `minicnn lesson check {arguments.lesson}`.")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from minicnn.teach.exercises import answer_files

    lesson, name = _lesson_and_exercise(arguments.lesson)
    exercises = lesson.path.parent / "exercises"
    files = answer_files(exercises, name)
    results = [_check_one(path, arguments) for path in files]
    if not all(results) and any(path.parent == exercises for path in files):
        print(f"`minicnn lesson start {arguments.lesson}` copies exercises to files of your own.")
    return 0 if all(results) else 1


def _check_one(path: Path, arguments: argparse.Namespace) -> bool:
    """True if the answer in the file is right; prints the verdict."""
    import textwrap

    from minicnn.teach.checker_process import check_file, check_here

    name = path.name.partition("_")[0]
    verdict = check_here(name, path) if arguments.debug else check_file(name, path)
    if verdict.right:
        print(f"exercise {name}: every case agrees.")
        return True
    print(f"exercise {name}: {verdict.message}")
    if verdict.hint:
        how = f"hint: {verdict.hint}" if arguments.hint else f"for a hint: minicnn lesson check {name} --hint"
        print(textwrap.fill(how, 100, initial_indent="  ", subsequent_indent="        "))
    print(f"  your file: {path}")
    return False


def _lesson_and_exercise(name: str) -> tuple[LessonFile, str]:
    """The lesson, and how the names of the files begin that are meant: "1" gives "01" and "1a" gives "01a"."""
    import re

    from minicnn.teach.folder import find_lesson

    named = re.fullmatch(r"0?([0-9]+)([a-z]?)", name)
    number, letter = named.groups() if named else (name, "")
    lesson = find_lesson(number)
    return lesson, f"{lesson.number:02d}{letter}"


def _notebook(arguments: argparse.Namespace) -> int:
    from minicnn.files.atomic import make_folder
    from minicnn.teach.folder import find_lesson
    from minicnn.teach.notebook import write_notebook

    lesson = find_lesson(arguments.lesson)
    print(write_notebook(lesson, make_folder(arguments.out), arguments.fast))
    return 0


def _copy(arguments: argparse.Namespace) -> int:
    from minicnn.teach.folder import copy_lessons

    copy_lessons(arguments.to)
    print(f"lessons copied to {arguments.to}, to read and to change; `minicnn lesson start 1` begins the exercises")
    if arguments.to != Path("lessons"):
        print(f"`minicnn lesson` finds them when called in {arguments.to}, or beside a folder named lessons")
    return 0


def _record(arguments: argparse.Namespace) -> int:
    from minicnn.files.atomic import make_folder, write_atomically
    from minicnn.teach.folder import find_lesson
    from minicnn.teach.recorded import read_record, render

    lesson = find_lesson(arguments.lesson)
    if not arguments.text_only:
        with tempfile.TemporaryDirectory() as folder:
            outcome = run_lesson(lesson, Path(folder), fast=False)
            _print_table([outcome])
            if not outcome.passed:
                raise ValueError(f"lesson {lesson.name} did not run as it should: nothing was recorded")
            # The reader waits for Python and its imports too, of which the lesson itself knows nothing.
            record = (outcome.record or {}) | {"seconds": round(outcome.seconds, 2)}
            make_folder(lesson.recorded.parent)
            write_atomically(lesson.recorded, (json.dumps(record, indent=1) + "\n").encode())
    text = lesson.path.read_text(encoding="utf-8")
    write_atomically(lesson.path, render(text, read_record(lesson.recorded)).encode())
    print(f"numbers of {lesson.recorded} written into {lesson.path}")
    return 0
