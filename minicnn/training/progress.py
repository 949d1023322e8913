"""The progress bar of an epoch: on a terminal only, and only if it is wanted."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(description: str, total: int, done: int = 0, shown: bool = True) -> Any:
    """A tqdm bar of `total` steps, `done` of which lie behind; silent if not `shown` or if stderr is no terminal."""
    hidden = not shown or not sys.stderr.isatty()
    return tqdm(total=total, initial=done, desc=description, unit="batch", leave=False, disable=hidden)
