"""The object that a lesson talks to, from `begin` to `finish`.

A lesson is an ordinary file, cut into cells by `# %%`. A lesson is run whole (`python lessons/01_see_an_edge.py`), cell
by cell in an editor, or as a notebook; so nothing here asks where the lesson's file is, waits for input or needs a
display, and a cell may be run again: its new numbers then replace its old ones.

    MINICNN_FAST=1                       the fast form: the same steps with smaller numbers
    MINICNN_OUT=folder                   the folder of figure and numbers; the default is runs/lessons
    MINICNN_ANSWERS=folder               the reader's predictions and answers; the default is answers, beside runs
    MINICNN_STOP=01_see_an_edge:window   stop in the debugger at a named place; set NUMBA_DISABLE_JIT=1 as well, or the
                                         debugger cannot step into kernels
"""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from minicnn.files.atomic import make_folder, write_atomically
from minicnn.random import manual_seed
from minicnn.teach.folder import lessons_folder
from minicnn.teach.predictions import Question, predictions_file, read_predictions
from minicnn.teach.recorded import read_record
from minicnn.versions import recorded_machine, recorded_versions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

OUT = "runs/lessons"
_DIGITS = 6  # of a number in the record; the rest differs between processors
_DOTS_PER_INCH = 160

Value = TypeVar("Value")


def begin(name: str, budget: float, seed: int = 0) -> Lesson:
    """The Lesson `name`, such as "01_see_an_edge", after setting all random streams to `seed`.

    `budget` is how many seconds the full form may take on two cores with compiled kernels; the fast form has ten.
    Raises ValueError for a name of another form, whose two digits are the lesson's number, and if MINICNN_STOP asks for
    a place that this lesson does not have.
    """
    if re.fullmatch(r"[0-9]{2}_\w+", name) is None:
        raise ValueError(f'a lesson is named like "01_see_an_edge", two digits first, but this is {name!r}')
    _check_stop(name, Path(sys._getframe(1).f_code.co_filename))
    return Lesson(name, budget, seed)


def _check_stop(name: str, source: Path) -> None:
    """Refuse a wrong MINICNN_STOP before anything is computed, and say if compiled kernels will hide the loops.

    The places of a lesson are read from `source`, the file that runs. A cell of a notebook has no such file; then
    `Lesson.finish` refuses.
    """
    asked_for = os.environ.get("MINICNN_STOP", "")
    lesson, colon, place = asked_for.partition(":")
    if asked_for and not (lesson and colon and place):
        raise ValueError(f"MINICNN_STOP must be LESSON:PLACE, such as 01_see_an_edge:one_window, but is {asked_for!r}")
    if lesson != name:
        if asked_for:
            print(f"MINICNN_STOP names lesson {lesson}; this is {name}, which will not stop.")
        return
    if source.stem == name and source.is_file():
        places = set(re.findall(r"""\.stop\(["'](\w+)["']\)""", source.read_text(encoding="utf-8")))
        if place not in places:
            raise ValueError(_wrong_place(name, place, places))
    from minicnn.kernels.compiling.compile import config

    if not config.DISABLE_JIT:
        print("MINICNN_STOP: kernels are compiled here, so the debugger passes by their loops and every breakpoint in")
        print("              them; set NUMBA_DISABLE_JIT=1 as well to step through them.")


def _wrong_place(name: str, place: str, places: set[str]) -> str:
    return f"MINICNN_STOP: lesson {name} has no place {place!r}; it has {_listed(sorted(places))}"


class Lesson:
    """One run of one lesson: its predictions, numbers, controls and figure. `begin` makes it."""

    def __init__(self, name: str, budget: float, seed: int = 0):
        self.name = name
        self.fast = os.environ.get("MINICNN_FAST", "") not in ("", "0")
        self.budget = self.either(budget, 10)
        self.out = make_folder(os.environ.get("MINICNN_OUT") or OUT)
        self._seed = seed
        self.questions: list[Question] = []
        self._predictions: dict[str, dict[str, Any]] = {}
        self._numbers: dict[str, dict[str, Any]] = {}
        self._controls: dict[str, dict[str, Any]] = {}
        self._stops: set[str] = set()
        self._figure: str | None = None
        manual_seed(seed)
        self._begun = time.perf_counter()
        form = "fast" if self.fast else "full"
        print(f"Lesson {name}, {form} form, seed {seed}; about to take less than {self.budget:g} s.")

    def either(self, full: Value, fast: Value) -> Value:
        """`full` in the full form of the lesson, `fast` in its fast form."""
        return fast if self.fast else full

    def predict(self, key: str, question: str, choices: Sequence[Any] | None = None, yours: Any = None) -> None:
        """Ask before anything is computed. `minicnn lesson predict` puts the reader's answer into the reader's file.

        `yours` is for a copy of the lesson, such as a notebook, and is used instead of the file.
        Raises ValueError if the answer is not one of `choices`.
        """
        given = yours if yours is not None else read_predictions(self.name).get(key)
        if choices is not None and given is not None and given not in choices:
            place = f"yours={given!r}" if yours is not None else f"{key} is {given!r} in {predictions_file()}, which"
            raise ValueError(f"{place} is not among the choices of this prediction: {_listed(choices)}")
        asked = Question(key, question, None if choices is None else tuple(choices))
        self.questions = [one for one in self.questions if one.key != key] + [asked]
        listed = None if choices is None else list(choices)
        self._predictions[key] = {"question": question, "choices": listed, "yours": given}
        print(f"PREDICT  {question}")
        if choices is not None:
            print(f"         choose from {_listed(choices)}")
        print(f"         you predict: {_shown(given)}" if given is not None else f"         ({self._how_to_predict})")

    def outcome(self, key: str, value: Any, within: float = 0.0, undecided: str = "") -> None:
        """Show the outcome `value` beside the prediction `key`, and say whether they agree.

        Numbers agree if they differ by at most the share `within` of the outcome. `undecided` says why this form of
        the lesson, or this run, cannot tell: then nothing is judged, and the outcome of the recorded run stands beside.
        Raises ValueError if `predict` was not called with `key` before.
        """
        if key not in self._predictions:
            raise ValueError(f"{key!r} was not asked; predicted were: {_listed(self._predictions)}")
        prediction = self._predictions[key]
        value = _plain(value)
        prediction |= {"outcome": value, "within": within, "undecided": undecided}
        yours = prediction["yours"]
        print(f"OUTCOME  {prediction['question']}  {_shown(value)}")
        if undecided:
            self._do_not_judge(key, yours, undecided)
        elif yours is None:
            print(f"         You made no prediction: {self._how_to_predict}. It is how surprises are noticed.")
        elif agrees(yours, value, within):
            print(f"         You predicted {_shown(yours)}, and so it is.")
        else:
            print(f"         You predicted {_shown(yours)}. What did you assume that is not so?")

    @property
    def _how_to_predict(self) -> str:
        return f"`minicnn lesson predict {int(self.name[:2])}` asks for yours, best before the lesson runs"

    def _do_not_judge(self, key: str, yours: Any, undecided: str) -> None:
        print(f"         This run cannot decide: {undecided}.")
        record = self._recorded_run()
        if record is not None and key in record["predictions"]:
            command, machine = record["command"], record["machine"]
            outcome = _shown(record["predictions"][key]["outcome"])
            print(f"         The recorded run ({command}, {machine}) gave: {outcome}")
        if yours is not None:
            print(f"         You predicted {_shown(yours)}. It is not judged here.")

    def _recorded_run(self) -> dict[str, Any] | None:
        """The record of this lesson's full form, None if the lessons are not at hand."""
        try:
            path = lessons_folder() / "recorded" / f"{self.name}.json"
        except FileNotFoundError:
            return None
        return read_record(path) if path.is_file() else None

    def read(self, target: str) -> None:
        """Print where `target`, "path:function" or "path:Class.method", stands, and its source.

        Raises FileNotFoundError if minicnn does not have this file, ValueError if the file does not have this function.
        """
        source = find_source(target)
        lines, first = inspect.getsourcelines(source)
        print(f"READ  {target}, lines {first} to {first + len(lines) - 1} of {inspect.getsourcefile(source)}\n")
        width = len(str(first + len(lines)))
        for number, line in enumerate(lines, first):
            print(f"{number:>{width}}  {line}".rstrip())
        print()

    def stop(self, place: str) -> bool:
        """True if MINICNN_STOP asks to stop at this place of this lesson; then the lesson calls breakpoint()."""
        self._stops.add(place)
        return os.environ.get("MINICNN_STOP") == f"{self.name}:{place}"

    def figure(self, figure: Figure, detail: str = "") -> None:
        """Write the lesson's figure as a PNG file, and show it in a notebook; `detail` names a second one beside it."""
        path = self.out / f"{self.name}{detail and '_' + detail}.png"
        figure.savefig(path, dpi=_DOTS_PER_INCH)
        if not detail:
            self._figure = path.name
        print(f"FIGURE  {path}")
        _show_in_notebook(path, figure.get_size_inches()[0])

    def number(
        self,
        name: str,
        value: float,
        band: tuple[float, float] | None,
        fast_band: tuple[float, float] | None = None,
        unit: str = "",
    ) -> None:
        """Record a number, and the band, from lowest to highest, of its expected values.

        `band` is None for a number that depends on the machine. The fast form uses `fast_band` if one is given.
        Raises ValueError for a number that is not finite or a band that is upside down.
        """
        value = float(value)
        if not math.isfinite(value):
            raise ValueError(
                f"the number {name!r} of lesson {self.name} is {value}, where a finite number was expected"
            )
        band = fast_band if self.fast and fast_band is not None else band
        if band is not None and band[0] > band[1]:
            raise ValueError(f"the band of {name!r} must be (lowest, highest), but is {band}")
        self._numbers[name] = {
            "value": _rounded(value),
            "unit": unit,
            "band": None if band is None else [float(band[0]), float(band[1])],
            "within": band is None or bool(band[0] <= value <= band[1]),
        }

    def control(
        self, claim: str, value: float, fails_below: float | None = None, fails_above: float | None = None
    ) -> None:
        """Record a control: a claim that must not hold, and the number that shows so, below or above a limit.

        If the claim does hold, the lesson's own conclusion is unfounded, and a message says so.
        Raises ValueError unless exactly one limit is given.
        """
        value = float(value)
        if fails_below is not None and fails_above is None:
            failed, limit, limits = value < fails_below, f"below {fails_below:g}", {"fails_below": fails_below}
        elif fails_above is not None and fails_below is None:
            failed, limit, limits = value > fails_above, f"above {fails_above:g}", {"fails_above": fails_above}
        else:
            raise ValueError("a control needs exactly one of fails_below and fails_above")
        self._controls[claim] = {"value": _rounded(value), **limits, "failed": failed}
        print(f'CONTROL  "{claim}"')
        if failed:
            print(f"         fails, as it should: {value:.3g}, {limit}.")
        else:
            print(f"         HOLDS, and should not: {value:.3g} is not {limit}.")
            print("         Until this fails, the lesson's conclusion is not to be trusted.")

    def finish(self) -> None:
        """Write the numbers as JSON, and print them beside their bands.

        Raises ValueError if a place where MINICNN_STOP asks to stop does not belong to this lesson.
        """
        seconds = time.perf_counter() - self._begun
        record = {
            "lesson": self.name,
            "form": self.either("full", "fast"),
            "seed": self._seed,
            "command": f"minicnn lesson run {int(self.name[:2])}{self.either('', ' --fast')}",
            "versions": recorded_versions(),
            "machine": recorded_machine(),
            "seconds": round(seconds, 2),
            "budget": self.budget,
            "numbers": self._numbers,
            "predictions": self._predictions,
            "controls": self._controls,
            "figure": self._figure,
        }
        path = self.out / f"{self.name}.json"
        write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())
        self._print_numbers()
        print(f"{seconds:.1f} s; numbers in {path}")
        asked_for, _, place = os.environ.get("MINICNN_STOP", "").partition(":")
        if asked_for == self.name and place not in self._stops:
            raise ValueError(_wrong_place(self.name, place, self._stops))

    def _print_numbers(self) -> None:
        width = max((len(name) for name in self._numbers), default=0)
        for name, number in self._numbers.items():
            band = number["band"]
            expected = "depends on the machine" if band is None else f"expected {band[0]:g} to {band[1]:g}"
            note = "" if number["within"] else "   OUTSIDE"
            print(f"NUMBER  {name:<{width}}  {number['value']:>10.5g} {number['unit']:<8} {expected}{note}")


def find_source(target: str) -> Any:
    """The function or class that `target` names, as in "minicnn/kernels/convolution/reference.py:forward_loops"."""
    path, _, name = target.partition(":")
    module_name = path.removesuffix(".py").replace("/", ".")
    if not path.startswith("minicnn/") or not path.endswith(".py") or not name:
        raise ValueError(f'source to read is named like "minicnn/tensor.py:Tensor.backward", but this is {target!r}')
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise FileNotFoundError(f"minicnn does not have the file {path}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(f"{path} does not have {name}")
        found = getattr(found, part)
    return inspect.unwrap(found)


def agrees(yours: Any, value: Any, within: float) -> bool:
    """True if the prediction `yours` is the outcome `value`, or differs from `value` by at most the share `within`."""
    if isinstance(yours, int | float) and isinstance(value, int | float):
        return abs(yours - value) <= within * abs(value)
    return yours == value


def _plain(value: Any) -> Any:
    """A NumPy number as Python's, which JSON can hold."""
    return value.item() if hasattr(value, "item") else value


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _listed(values: Any) -> str:
    return ", ".join(map(str, values)) or "none"


def _show_in_notebook(path: Path, inches: float) -> None:
    """Display the file if this is a notebook; in a notebook, IPython is imported already."""
    interactive = sys.modules.get("IPython")
    if interactive is not None and interactive.get_ipython() is not None:
        from IPython.display import Image, display

        display(Image(filename=str(path), width=round(110 * inches)))
