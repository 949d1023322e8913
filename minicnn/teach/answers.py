"""What checks are made of: call the reader's function, compare its result, and say how wrong it is.

A check is kind about form and strict about values: lists, tuples, Tensors and NumPy numbers count as arrays, axes of
length 1 may be missing or extra; but NaN, another shape or another number is wrong, and the message shows all of it.
"""

from __future__ import annotations

import math
import reprlib
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

_LONGEST_ARGUMENT = 100  # characters; of a longer one only the beginning is written
_MOST_SHOWN = 36  # numbers of an array in a message; of larger ones only the place of the largest difference


class WrongAnswer(ValueError):
    """An answer that is not right: what the reader's is, what was expected, where they differ, and one hint."""


def call(answer: Callable, *arguments: Any, hint: str) -> Any:
    """What the reader's function gives for copies of `arguments`.

    Raises WrongAnswer if it is no function, not written yet, raises, or returns nothing.
    """
    if not callable(answer):
        raise WrongAnswer(f"pass the function itself, without calling it; got {type(answer).__name__}: {answer!r}")
    shown = describe_call(answer, *arguments)
    copies = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
    try:
        result = answer(*copies)
    except NotImplementedError as error:
        raise WrongAnswer(f"{_name(answer)} is not written yet: replace its last line, the `raise`.") from error
    except Exception as error:
        place = _last_line_of(answer, error)
        raise WrongAnswer(
            f"{shown} raised {type(error).__name__}: {error}\n  at line {place.lineno}: {place.line}\n  hint: {hint}"
        ) from error
    if result is None:
        raise WrongAnswer(f"{shown} gave None: does every way through the function end in `return`?")
    return result


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
        f"{what}\n{_yours_and_expected(numbers, right)}\n{_largest(difference, numbers, right)}\n"
        f"{_relation(numbers, right, allowed)}  hint: {hint}"
    )


def need(condition: bool, what: str, yours: Any, expected: str, hint: str) -> None:
    """Raise WrongAnswer unless `condition`: for answers that are right by a property, not by equalling one value."""
    if not condition:
        raise WrongAnswer(f"{what}\n  yours     {yours}\n  expected  {expected}\n  hint: {hint}")


def pair(yours: Any, what: str, names: str, hint: str) -> Any:
    """`yours` after a check that it is a pair, which may be a tuple, a list or an array; `names` says of what."""
    if not isinstance(yours, tuple | list | np.ndarray) or len(yours) != 2:
        count = f"{len(yours)} results" if isinstance(yours, tuple | list) else type(yours).__name__
        raise WrongAnswer(f"{what}\n  yours     {count}\n  expected  two: {names}\n  hint: {hint}")
    return yours


def _last_line_of(answer: Callable, error: Exception) -> traceback.FrameSummary:
    """Where `error` left the reader's file, though it may have been raised in a function called from there."""
    lines = traceback.extract_tb(error.__traceback__)
    file = getattr(getattr(answer, "__code__", None), "co_filename", None)
    return next((line for line in reversed(lines) if line.filename == file), lines[-1])


def describe_call(answer: Callable, *arguments: Any) -> str:
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
    plain = getattr(yours, "data", yours) if type(yours).__name__ == "Tensor" else yours
    try:
        return np.asarray(plain, dtype=np.float64)
    except (TypeError, ValueError) as error:
        shown = repr(yours) if len(repr(yours)) < 200 else type(yours).__name__
        raise WrongAnswer(
            f"{what}\n  yours     {shown}\n  expected  numbers in rows of one length\n  hint: {hint}"
        ) from error


def _reshaped(numbers: np.ndarray, right: np.ndarray, what: str, hint: str) -> np.ndarray:
    """`numbers` in the shape of `right`, if only axes of length 1 differ."""
    without_ones = [tuple(n for n in array.shape if n != 1) for array in (numbers, right)]
    if without_ones[0] == without_ones[1]:
        return numbers.reshape(right.shape)
    note = ""
    if sorted(numbers.shape) == sorted(right.shape):
        note = "  the same lengths in another order: are two axes exchanged?\n"
    elif numbers.size == right.size:
        note = "  as many numbers in another shape\n"
    raise WrongAnswer(
        f"{what}\n  yours     has shape {numbers.shape}\n  expected  shape {right.shape}\n{note}  hint: {hint}"
    )


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
    """A line that says so if yours is the negative, a multiple or the transpose of what was expected."""
    if not np.isfinite(numbers).all():
        return "  yours is not finite everywhere\n"
    if np.abs(right).max(initial=0.0) > 0:
        factor = float((numbers * right).sum() / (right * right).sum())
        if factor != 0 and np.count_nonzero(right) > 1 and np.abs(numbers - factor * right).max() <= 10 * allowed:
            return f"  yours is {factor:.6g} times what was expected, everywhere\n"
        if factor == -1:
            return "  yours has the other sign\n"
    if right.ndim == 2 and right.shape[0] == right.shape[1] and np.abs(numbers.T - right).max() <= allowed:
        return "  yours is the transpose of what was expected\n"
    return ""


def _written(array: np.ndarray) -> str:
    if array.ndim == 0:
        return f"{float(array):.6g}"
    text = np.array2string(array, precision=5, suppress_small=True, separator=", ")
    return text.replace("\n", "\n            ")
