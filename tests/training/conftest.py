"""Every test begins with the same random streams, and leaves none of its own to the next."""

import pytest

from minicnn import random


@pytest.fixture(autouse=True)
def _own_random_streams():
    state = random.get_state()
    random.manual_seed(0)
    yield
    random.set_state(state)
