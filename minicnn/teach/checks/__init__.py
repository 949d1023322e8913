"""The checks of the exercises, one file a lesson: CHECKS in each maps an exercise's name to a function.

Expected results are computed here from plain NumPy or by other functions of the library, never by the reader's code,
and after the reader's call. In each check some cases are drawn at random each time, so that no answer can know them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

EXERCISES = tuple(
    f"{lesson}{letter}" for lesson in ("01", "02", "03", "04", "05", "08", "09", "10", "15") for letter in "ab"
)


def find_check(name: str) -> Callable[[Callable[..., Any]], None]:
    """The function that checks the exercise `name`, such as "01a"; only the file of its lesson is imported.

    Raises ValueError if `name` is not an exercise.
    """
    if name not in EXERCISES:
        raise ValueError(f"{name!r} is not an exercise; the exercises are {', '.join(EXERCISES)}")
    module = importlib.import_module(f"minicnn.teach.checks.lesson_{name[:2]}")
    check: Callable[[Callable[..., Any]], None] = module.CHECKS[name]
    return check
