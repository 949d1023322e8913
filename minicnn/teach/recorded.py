"""The numbers of a recorded run in the text of its lesson: written by `render`, never by hand.

In the text a number is followed by a comment that says which it is and how it is written, and which no notebook shows:

    # The edge answers 0.987<!-- contrast:.3f --> times as strongly.

A new one is begun as `?<!-- contrast:.3f -->`. The names are those of the record's numbers, and "seconds".
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_PLACE = re.compile(r"(?:\?|-?[0-9][0-9.,e+-]*%?)<!-- (\w+):([^ ]+) -->")


def read_record(path: Path) -> dict[str, Any]:
    """The record in a JSON file. Raises FileNotFoundError, saying how one is made, if there is none."""
    if not path.exists():
        raise FileNotFoundError(f"there is no recorded run {path}; `minicnn lesson record {path.stem}` makes one")
    return json.loads(path.read_text(encoding="utf-8"))


def render(text: str, record: dict[str, Any]) -> str:
    """`text` with every quoted number as `record` has it. Raises ValueError for a number that the record has not."""
    values = {name: number["value"] for name, number in record["numbers"].items()}
    values["seconds"] = record["seconds"]

    def written(place: re.Match[str]) -> str:
        name, form = place[1], place[2]
        if name not in values:
            raise ValueError(f"the text quotes {name!r}, but recorded are only {', '.join(values)}")
        value = values[name]
        return f"{int(value) if form.endswith('d') else value:{form}}<!-- {name}:{form} -->"

    rendered = _PLACE.sub(written, text)
    if rendered.count("<!--") != len(_PLACE.findall(rendered)):
        raise ValueError("the text has a comment <!-- ... --> that does not follow a number, as in ?<!-- name:.3f -->")
    return rendered
