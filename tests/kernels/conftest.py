"""What the tests of several kernels share."""

import numba
import pytest


@pytest.fixture
def on_one_thread_and_on_all():
    """Gives a function that calls another one on one thread and on all, and returns both results."""
    threads = numba.get_num_threads()

    def both(run):
        if threads == 1:
            pytest.skip("one thread only on this machine")
        results = []
        for count in (1, threads):
            numba.set_num_threads(count)
            results.append(run())
        return results

    yield both
    numba.set_num_threads(threads)
