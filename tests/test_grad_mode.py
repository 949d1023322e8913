"""no_grad() and enable_grad() as blocks, decorators of functions and decorators of generators."""

import threading

import numpy as np
import pytest

from minicnn import Tensor, enable_grad, is_grad_enabled, no_grad


def test_one_block_can_be_entered_again_and_inside_itself():
    quiet = no_grad()
    for _ in range(2):
        with quiet:
            with enable_grad(), quiet:
                assert not is_grad_enabled()
            assert not is_grad_enabled()
        assert is_grad_enabled()


def test_an_error_restores_what_held_before():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_a_decorated_function_records_nothing_and_keeps_its_name():
    @no_grad()
    def doubled(x):
        """Twice x."""
        return x * 2, is_grad_enabled()

    result, enabled = doubled(Tensor(np.ones(1), requires_grad=True))
    assert (result.requires_grad, enabled, doubled.__name__, doubled.__doc__) == (False, False, "doubled", "Twice x.")


def test_the_body_of_a_generator_is_inside_and_its_caller_outside():
    modes = []

    @no_grad()
    def body():
        while True:
            modes.append(is_grad_enabled())
            received = yield (Tensor(np.ones(1), requires_grad=True) * 2).requires_grad
            if received == "end":
                return "returned"

    generator = body()
    assert [next(generator), is_grad_enabled(), generator.send("more")] == [False, True, False]
    with pytest.raises(StopIteration, match="returned"):
        generator.send("end")
    assert modes == [False, False]
    assert is_grad_enabled()


def test_a_generator_hears_what_is_thrown_and_that_it_is_closed():
    heard = []

    @no_grad()
    def body():
        try:
            try:
                yield 1
            except KeyError:
                heard.append(("thrown", is_grad_enabled()))
                yield 2
        finally:
            heard.append(("closed", is_grad_enabled()))

    generator = body()
    next(generator)
    assert generator.throw(KeyError()) == 2
    generator.close()
    assert heard == [("thrown", False), ("closed", False)]
    assert is_grad_enabled()


def test_a_block_shared_by_threads_restores_each_threads_own():
    quiet, inside, after = no_grad(), threading.Barrier(2), []

    def work():
        with quiet:
            inside.wait()
        after.append(is_grad_enabled())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert after == [True, True]


def test_what_cannot_be_decorated_is_named():
    async def coroutine():
        pass

    for wrong in (coroutine, Tensor, 3):
        with pytest.raises(TypeError, match=r"@no_grad\(\) is for functions and generators"):
            no_grad()(wrong)
