"""The checks of the exercises, one file a lesson: `CHECKS` maps an exercise's name to the function that checks it.

What is right is computed here from plain NumPy or by other functions of the library, never by what the reader writes.
"""

from collections.abc import Callable

from minicnn.teach.checks import (
    lesson_01,
    lesson_02,
    lesson_03,
    lesson_04,
    lesson_05,
    lesson_08,
    lesson_09,
    lesson_10,
    lesson_15,
)

CHECKS: dict[str, Callable[[Callable], None]] = {
    **lesson_01.CHECKS,
    **lesson_02.CHECKS,
    **lesson_03.CHECKS,
    **lesson_04.CHECKS,
    **lesson_05.CHECKS,
    **lesson_08.CHECKS,
    **lesson_09.CHECKS,
    **lesson_10.CHECKS,
    **lesson_15.CHECKS,
}
