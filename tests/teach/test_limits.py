"""The time limit of the reader's code: which code it interrupts, and what it leaves as it was."""

import signal
import threading
import time

import pytest

from minicnn.teach.limits import TimeLimit


def wait(seconds):
    """In steps, so that an interrupt comes through."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(0.01)


def test_code_is_interrupted_after_its_time_and_not_before():
    limit = TimeLimit(0.1)
    with pytest.raises(KeyboardInterrupt), limit:
        wait(20)
    assert limit.passed
    with TimeLimit(20) as limit:
        wait(0.01)
    assert not limit.passed


def test_nothing_is_interrupted_after_the_block():
    with TimeLimit(0.1):
        pass
    wait(0.3)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_code_that_a_debugger_holds_is_not_interrupted():
    names = {"__name__": "pdb", "wait": wait}
    exec("def stopped():\n    wait(0.5)\n", names)
    with TimeLimit(0.1) as limit:
        names["stopped"]()
    assert not limit.passed


def test_another_thread_has_no_limit_and_does_not_interrupt_this_one():
    passed = []

    def work():
        with TimeLimit(0.05) as limit:
            wait(0.3)
        passed.append(limit.passed)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed == [False]
