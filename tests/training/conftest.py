"""Every test begins with the same random streams, and leaves none of its own to the next."""

import pytest


@pytest.fixture(autouse=True)
def _same_streams(own_random_streams):
    """Here for all tests, without asking."""
