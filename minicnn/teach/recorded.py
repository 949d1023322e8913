"""The numbers of a recorded run in the text of its lesson: written by `render`, never by hand.

In a Markdown cell a recorded number stands between backticks, and a comment of Markdown's at the end of the cell names
the numbers in their order, each with its format. Neither notebooks nor pages show such a comment:

    # At 45 degrees `0.707` of the largest output is left, at 90 degrees `1`.
    #
    # [//]: # (share_at_45:.3f largest:.0f)

A new number begins as `?`. The names are those of the record's numbers, and "seconds".
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

NAMES = re.compile(r"^(?:# )?\[//\]: # \((.*)\)$", re.MULTILINE)  # in a lesson's file, and in a cell of a notebook
_NUMBER = re.compile(r"`(?:\?|-?[0-9][0-9.,e+-]*%?)`")
_CELL = re.compile(r"^(?=# %%)", re.MULTILINE)


def read_record(path: Path) -> dict[str, Any]:
    """The record in a JSON file. Raises FileNotFoundError, saying how to make the record, if `path` does not exist."""
    if not path.exists():
        raise FileNotFoundError(f"the recorded run {path} does not exist; `minicnn lesson record {path.stem}` makes it")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def render(text: str, record: dict[str, Any]) -> str:
    """`text` with every recorded number as in `record`.

    Raises ValueError for a name that `record` does not have, and for a cell with more or fewer numbers than names.
    """
    values = {name: number["value"] for name, number in record["numbers"].items()}
    values["seconds"] = record["seconds"]
    return "".join(_rendered(cell, values) for cell in _CELL.split(text))


def quoted(cell: str) -> list[tuple[str, str]]:
    """(name, format) of each recorded number in the text of a cell, in their order."""
    names = " ".join(NAMES.findall(cell)).split()
    return [(name, form) for name, _, form in (each.partition(":") for each in names)]


def without_names(cell: str) -> str:
    """The text of a cell of a notebook without the comment that names its numbers."""
    return NAMES.sub("", cell).rstrip()


def _rendered(cell: str, values: dict[str, float]) -> str:
    names = quoted(cell)
    numbers = _NUMBER.findall(cell) if cell.startswith("# %% [markdown]") else []
    if len(names) != len(numbers):
        begin = cell.strip().partition("\n")[2][:60]
        raise ValueError(
            f"the cell {begin!r} has {len(numbers)} numbers between backticks ({', '.join(numbers)}), but names "
            f"{len(names)} ({', '.join(name for name, _ in names)}); each needs its `name:format` in [//]: # (...)"
        )
    for name, _ in names:
        if name not in values:
            raise ValueError(f"the text quotes {name!r}, but recorded are only {', '.join(values)}")
    written = iter(_written(values[name], form) for name, form in names)
    return _NUMBER.sub(lambda _: f"`{next(written)}`", cell) if names else cell


def _written(value: float, form: str) -> str:
    return format(int(value) if form.endswith("d") else value, form)
