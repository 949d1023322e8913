"""The tools of checks: call the reader's function, compare its result, and say how wrong the result is.

Checks are kind about form: lists, tuples, Tensors and NumPy numbers count as arrays, and axes of length 1 may be
missing or extra. They are strict about values: NaN, another shape or another number is wrong, and the message says so.
"""

from __future__ import annotations

import copy
import inspect
import math
import reprlib
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from minicnn.teach.limits import SECONDS, TimeLimit

Answer: TypeAlias = Callable[..., Any]

_LONGEST_ERROR = 500  # characters of an error's text
_LONGEST_ARGUMENT = 100  # characters; of a longer one only the beginning is written
_MOST_SHOWN = 36  # numbers of an array in a message; of larger ones only the place of the largest difference


class WrongAnswer(ValueError):
    """A wrong answer: the text says where and how the answer is wrong, and `hint` says how to go on."""

    def __init__(self, message: str, hint: str = ""):
        super().__init__(message)
        self.hint = hint


def call(answer: Answer, *arguments: Any, hint: str, seconds: float = SECONDS) -> Any:
    """The result of the reader's function for copies of `arguments`.

    Raises WrongAnswer if `answer` is not a function, is not written yet, raises, takes more than `seconds`, changes an
    argument or returns None.
    """
    if not callable(answer):
        raise WrongAnswer(f"pass the function itself, without calling it; got {type(answer).__name__}: {answer!r}")
    shown = describe_call(answer, *arguments)
    copies = [_copy(argument) for argument in arguments]
    result = attempt(lambda: answer(*copies), answer, shown, hint, seconds)
    for number, (before, after) in enumerate(zip(arguments, copies, strict=True)):
        if not _same(before, after):
            raise WrongAnswer(
                f"{shown} changed its argument {_parameter(answer, number)}, which belongs to the caller",
                "work on a copy, as array.copy() or list(values), and write a = a + b in place of a += b",
            )
    if result is None:
        raise WrongAnswer(f"{shown} gave None: does every way through the function end in `return`?")
    return result


def attempt(action: Callable[[], Any], answer: Answer, shown: str, hint: str, seconds: float = SECONDS) -> Any:
    """The result of `action`, in which code of the reader's `answer` runs; `shown` is the call as messages write it.

    Raises WrongAnswer, with the line, if the code is not written yet, raises, or takes more than `seconds`.
    """
    limit = TimeLimit(seconds)
    try:
        with limit:
            return action()
    except NotImplementedError as error:
        raise WrongAnswer(f"{_name(answer)} is not written yet: replace its last line, the `raise`.") from error
    except KeyboardInterrupt as error:
        if not limit.passed:
            raise
        raise WrongAnswer(
            f"{shown} was still running after {seconds:g} s{_place(answer, error)}",
            f"does every loop end, and is nothing done more often than it must be? {hint}",
        ) from None
    except SystemExit as error:
        raise WrongAnswer(
            f"{shown} ended Python (exit){_place(answer, error)}", "use `return` to end a function"
        ) from None
    except BaseException as error:
        text = str(error) if len(str(error)) <= _LONGEST_ERROR else f"{str(error)[:_LONGEST_ERROR]} ..."
        raise WrongAnswer(f"{shown} raised {type(error).__name__}: {text}{_place(answer, error)}", hint) from error


def compare(yours: Any, expected: Any, what: str, hint: str, tolerance: float = 1e-5) -> None:
    """Raise WrongAnswer, naming `what`, unless `yours` equals `expected` within `tolerance` of its largest number."""
    right = np.asarray(expected, dtype=np.float64)
    numbers = _as_numbers(yours, what, hint)
    if numbers.shape != right.shape:
        numbers = _reshaped(numbers, right, what, hint)
    difference = np.where(np.isfinite(numbers), np.abs(numbers - right), np.inf)
    allowed = tolerance * max(1.0, float(np.abs(right).max(initial=0.0)))
    if difference.max(initial=0.0) <= allowed:
        return
    raise WrongAnswer(
        f"{what}\n{_yours_and_expected(numbers, right)}\n{_largest(difference, numbers, right)}"
        f"{_relation(numbers, right, allowed)}",
        hint,
    )


def agree(
    answer: Answer,
    cases: Sequence[tuple[Any, ...]],
    right: Callable[..., Any],
    hint: str,
    name: Callable[..., str] | None = None,
    tolerance: float = 1e-5,
    judge: Callable[[Any, Any, str, str], None] | None = None,
) -> None:
    """Raise WrongAnswer unless `answer` gives for each of `cases` the numbers that `right` gives.

    All cases are asked once more afterwards, in the opposite order, and only then compared: an answer that remembers
    other calls, or returns the same array each time, is found. `name` describes a case; without it the call is shown.
    `judge(yours, expected, what, hint)` compares in place of `compare`.
    """

    def what(case: tuple[Any, ...]) -> str:
        return name(*case) if name is not None else describe_call(answer, *case)

    def judged(yours: Any, case: tuple[Any, ...], what: str, hint: str) -> None:
        if judge is not None:
            judge(yours, right(*case), what, hint)
        else:
            compare(yours, right(*case), what, hint, tolerance)

    for case in cases:
        judged(call(answer, *case, hint=hint), case, what(case), hint)
    again = [(case, call(answer, *case, hint=hint)) for case in reversed(cases)]
    own = "each call begins from its arguments alone, and returns an array of its own: keep nothing outside of it"
    for case, yours in again:
        judged(yours, case, f"{what(case)}, asked once more, with other calls in between", own)


def need(condition: bool, what: str, yours: Any, expected: str, hint: str) -> None:
    """Raise WrongAnswer unless `condition`: for answers that are right by a property, not by equalling one value."""
    if not condition:
        raise WrongAnswer(f"{what}\n  yours     {yours}\n  expected  {expected}", hint)


def pair(yours: Any, what: str, names: str, hint: str) -> Any:
    """`yours`, which must be a tuple, a list or an array of length 2; `names` are the names of the two."""
    if not isinstance(yours, tuple | list | np.ndarray) or getattr(yours, "ndim", 1) == 0 or len(yours) != 2:
        count = f"{len(yours)} results" if isinstance(yours, tuple | list) else type(yours).__name__
        raise WrongAnswer(f"{what}\n  yours     {count}\n  expected  two: {names}", hint)
    return yours


def _place(answer: Answer, error: BaseException) -> str:
    """The line at which `error` left the reader's file, though a function called from there may have raised."""
    lines = traceback.extract_tb(error.__traceback__)
    file = getattr(getattr(answer, "__code__", None), "co_filename", None)
    place = next((line for line in reversed(lines) if line.filename == file), None)
    return "" if place is None else f"\n  at line {place.lineno}: {place.line}"


def _copy(argument: Any) -> Any:
    """A copy that the reader's function may be given, lists and tables with all that is in them."""
    if isinstance(argument, np.ndarray):
        return argument.copy()
    return copy.deepcopy(argument) if isinstance(argument, list | dict) else argument


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, np.ndarray):
        return before.shape == after.shape and np.array_equal(before, after, equal_nan=before.dtype.kind == "f")
    if isinstance(before, dict):
        return list(before) == list(after) and all(_same(before[key], after[key]) for key in before)
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after) if isinstance(before, int | float | str | tuple) else True


def _parameter(answer: Answer, number: int) -> str:
    """The name of a parameter, or its number where the function does not tell."""
    try:
        return f"`{list(inspect.signature(answer).parameters)[number]}`"
    except (IndexError, TypeError, ValueError):
        return f"number {number + 1}"


def describe_call(answer: Answer, *arguments: Any) -> str:
    """The call as it would be written, with shapes in place of arrays."""
    return f"{_name(answer)}({', '.join(map(_argument, arguments))})"


def _argument(value: Any) -> str:
    if hasattr(value, "shape") and math.prod(value.shape) > 4:
        return f"{'array' if isinstance(value, np.ndarray) else type(value).__name__} of shape {value.shape}"
    if isinstance(value, dict) and all(isinstance(one, np.ndarray) for one in value.values()):
        return f"{{{', '.join(f'{name!r}: {one.shape}' for name, one in value.items())}}}"
    return repr(value) if len(repr(value)) <= _LONGEST_ARGUMENT else reprlib.repr(value)


def _name(answer: Any) -> str:
    return getattr(answer, "__name__", "the answer")


def _as_numbers(yours: Any, what: str, hint: str) -> np.ndarray:
    try:
        plain = np.asarray(_plain(yours))
        if plain.dtype.kind not in "iufO":  # text, complex numbers, True and False
            raise TypeError
        return np.asarray(plain, dtype=np.float64)
    except Exception as error:  # whatever an object of the reader's raises
        shown = repr(yours) if len(repr(yours)) < 200 else type(yours).__name__
        message = f"{what}\n  yours     {shown}\n  expected  numbers in rows of one length"
        raise WrongAnswer(message, hint) from error


def _plain(yours: Any) -> Any:
    """Arrays in place of Tensors, in lists too."""
    if isinstance(yours, list | tuple):
        return [_plain(one) for one in yours]
    return getattr(yours, "data", yours) if type(yours).__name__ == "Tensor" else yours


def _reshaped(numbers: np.ndarray, right: np.ndarray, what: str, hint: str) -> np.ndarray:
    """`numbers` in the shape of `right`, if only axes of length 1 differ."""
    without_ones = [tuple(n for n in array.shape if n != 1) for array in (numbers, right)]
    if without_ones[0] == without_ones[1]:
        return numbers.reshape(right.shape)
    note = ""
    if sorted(numbers.shape) == sorted(right.shape):
        note = "\n  the same lengths in another order: are two axes exchanged?"
    elif numbers.size == right.size:
        note = "\n  as many numbers in another shape"
    raise WrongAnswer(f"{what}\n  yours     has shape {numbers.shape}\n  expected  shape {right.shape}{note}", hint)


def _yours_and_expected(numbers: np.ndarray, right: np.ndarray) -> str:
    if numbers.size > _MOST_SHOWN:
        return f"  yours     an array of shape {numbers.shape}\n  expected  the same shape, other values"
    return f"  yours     {_written(numbers)}\n  expected  {_written(right)}"


def _largest(difference: np.ndarray, numbers: np.ndarray, right: np.ndarray) -> str:
    if difference.ndim == 0:
        return f"  largest difference {float(difference):.6g}"
    place = np.unravel_index(int(difference.argmax()), difference.shape)
    index = ", ".join(map(str, place))
    return (
        f"  largest difference {float(difference[place]):.6g} at [{index}]: yours {float(numbers[place]):.6g}, "
        f"expected {float(right[place]):.6g}"
    )


def _relation(numbers: np.ndarray, right: np.ndarray, allowed: float) -> str:
    """A line on how yours differs: by its sign, by a factor or as the transpose; "" for any other difference."""
    if not np.isfinite(numbers).all():
        return "\n  yours is not finite everywhere"
    if numbers.size > 1 and (numbers == np.round(numbers)).all() and (right != np.round(right)).any():
        return "\n  yours has whole numbers only: does an array of integers cut off the fractions?"
    if np.abs(right).max(initial=0.0) > 0:
        factor = float((numbers * right).sum() / (right * right).sum())
        if factor != 0 and np.count_nonzero(right) > 1 and np.abs(numbers - factor * right).max() <= 10 * allowed:
            return f"\n  yours is {factor:.6g} times what was expected, everywhere"
        if factor == -1:
            return "\n  yours has the other sign"
    if right.ndim == 2 and right.shape[0] == right.shape[1] and np.abs(numbers.T - right).max() <= allowed:
        return "\n  yours is the transpose of what was expected"
    return ""


def _written(array: np.ndarray) -> str:
    if array.ndim == 0:
        return f"{float(array):.6g}"
    text = np.array2string(array, precision=5, suppress_small=True, separator=", ")
    return text.replace("\n", "\n            ")
