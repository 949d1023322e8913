"""The record of a run as JSON lines: one epoch a line, written when the epoch ends.

JSON has no NaN and no infinity: such a value is written as null, which `read_history` returns as None.

A line is appended in one write, so a process that dies leaves whole lines and at most one torn one at the end. A
resumed run first takes the file back to the lines of its checkpoint; so each epoch has one line only.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.files import json_text
from minicnn.files.atomic import write_atomically
from minicnn.files.plain_text import plain
from minicnn.tensor import Tensor


def append_record(path: str | os.PathLike[str], record: dict[str, Any]) -> None:
    """Add one line to the file, and wait until the line is on the disk. Raises OSError if the file cannot be
    written."""
    with open(path, "ab") as file:
        file.write(_line(record))
        file.flush()
        os.fsync(file.fileno())


def start_history(path: str | os.PathLike[str], records: Sequence[dict[str, Any]]) -> None:
    """Make the file hold exactly these records: none for a new run, those of the checkpoint for a resumed one."""
    write_atomically(path, b"".join(map(_line, records)))


def read_history(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The records in the file, one an epoch. An incomplete last line, as a killed process leaves one, is left out.

    Raises FileNotFoundError if `path` does not exist; ValueError, with the line's number, for a line that is not a
    dictionary in JSON.
    """
    lines = Path(path).read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last line's end is empty, or torn
        try:
            record = json_text.read(line)
        except ValueError as error:
            raise ValueError(f"line {number} of {path} is not JSON ({error}); remove this line, or the file") from error
        if not isinstance(record, dict):
            raise ValueError(f"line {number} of {path} is {plain(record, 40)}, not an epoch's record; remove this line")
        records.append(record)
    return records


def plain_values(value: Any) -> Any:
    """The same value in Python's own types: numbers, lists and dictionaries; whatever is none of these, as text."""
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return (value.data if isinstance(value, Tensor) else value).tolist()
    if isinstance(value, Mapping):
        return {str(name): plain_values(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_values(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _finite(value: Any) -> Any:
    """A plain value with None for each number that is not finite."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(_finite(plain_values(record)), allow_nan=False).encode() + b"\n"
