"""Says at the end of a run how many of PyTorch's samples were compared, refused and left out, and by which rule."""

from collections import Counter

import pytest

TALLY = pytest.StashKey[Counter]()


def pytest_configure(config):
    config.stash[TALLY] = Counter()


@pytest.fixture
def tally(request):
    """A Counter over the whole run: what became of each sample."""
    return request.config.stash[TALLY]


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash.get(TALLY, None)
    if tally:
        terminalreporter.section("PyTorch's own samples")
        for what, count in sorted(tally.items(), key=lambda item: -item[1]):
            terminalreporter.line(f"{count:5d}  {what}")
