"""The record of a run as JSON lines: one epoch a line, written when the epoch ends.

A line is appended in one write, so a process that dies leaves whole lines and at most one torn one at the end. A
resumed run first takes the file back to the lines of its checkpoint; so no epoch ever stands in it twice.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minicnn.files.atomic import write_atomically


def append_record(path: str | os.PathLike, record: dict[str, Any]) -> None:
    """Add one line to the file, and see it onto the disk. Raises OSError if the file cannot be written."""
    with open(path, "ab") as file:
        file.write(_line(record))
        file.flush()
        os.fsync(file.fileno())


def start_history(path: str | os.PathLike, records: Sequence[dict[str, Any]]) -> None:
    """Make the file hold exactly these records: none for a new run, those of the checkpoint for a resumed one."""
    write_atomically(path, b"".join(map(_line, records)))


def read_history(path: str | os.PathLike) -> list[dict[str, Any]]:
    """The records in the file, one an epoch. A torn last line, as a killed process leaves it, is left out.

    Raises FileNotFoundError if there is no such file and ValueError, with the line's number, for a line that is no
    JSON.
    """
    lines = Path(path).read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last line's end is empty, or torn
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise ValueError(f"line {number} of {path} is no JSON ({error}); remove it, or the file") from error
    return records


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
