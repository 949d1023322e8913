"""JSON from a file that is not trusted: its size in memory is limited before the text is read."""

import json
from typing import Any

# Values in one text. Read, one takes up to a hundred bytes of memory, and may be two bytes of the file. A network has
# some ten for each of its arrays.
MOST_VALUES = 2_000_000


def read(text: str | bytes, most: int = MOST_VALUES, **options: Any) -> Any:
    """The values in the JSON `text`; `options` are json.loads's.

    Raises ValueError if `text` is not JSON, has more than `most` values, or has values that are nested too deeply.
    """
    if isinstance(text, str):
        values = sum(text.count(mark) for mark in ",[{")
    else:
        values = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    if values > most:
        raise ValueError(f"it has about {values:,} values; at most {most:,} are read")
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None
