"""The pool of memory: nothing alive shares a byte, what has died is used again, and what lies idle is bounded."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.kernels import layout, memory

LARGE = (1000, 100)


@pytest.fixture(autouse=True)
def own_pool(monkeypatch):
    pool = memory._Pool(1 << 30)
    monkeypatch.setattr(memory, "_pool", pool)
    return pool


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_that_died_gives_its_memory_to_the_next_one(own_pool):
    first = memory.empty(LARGE)
    where = address(first)
    del first
    again = memory.empty(LARGE)
    assert address(again) == where
    assert address(memory.empty(LARGE)) != where
    assert again.shape == LARGE
    assert again.dtype == np.float32
    assert again.flags.carray


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[3:5],
        lambda a: a.T,
        lambda a: a.reshape(-1)[7:],
        lambda a: a.view(np.int32),
        lambda a: a.T[1:].T.reshape(-1, order="F")[:0].base,
        lambda a: np.broadcast_to(a[0], (3, 100)),
        lambda a: memoryview(a),
        lambda a: np.frombuffer(a, np.float32)[5:],
        lambda a: layout.from_kernel(a.reshape(10, 10, 10, 100))[:, :, 1:],
    ],
)
def test_a_view_of_any_kind_keeps_the_memory(view):
    array = memory.empty(LARGE)
    array[...] = 5
    kept = view(array)
    before = np.array(kept)
    del array
    others = [memory.zeros(LARGE) for _ in range(3)]
    np.testing.assert_array_equal(np.array(kept), before)
    assert all((other == 0).all() for other in others)


def test_arrays_begin_at_a_cache_line_and_small_ones_are_numpys_own(own_pool):
    for size in (20_000, 54_321, 1 << 20):
        assert address(memory.empty((size,), np.float32)) % 64 == 0
    assert memory.empty((10,)).base is None
    assert len(own_pool.blocks) + len(own_pool.returned) == 3


def test_a_block_that_is_much_too_large_stays_for_others():
    large = memory.empty((1 << 20,), np.uint8)
    where = address(large)
    del large
    assert address(memory.empty((1 << 17,), np.uint8)) != where
    assert address(memory.empty(((1 << 20) - (1 << 16),), np.uint8)) == where


def test_what_lies_unused_is_bounded_and_the_oldest_goes_first(own_pool):
    own_pool.most_unused = 3 << 20
    sizes = [1 << 20, (1 << 20) + (1 << 19), 1 << 19, 1 << 17]
    arrays = [memory.empty((size,), np.uint8) for size in sizes]
    while arrays:
        arrays.pop(0)  # they die in the order in which they stand
    memory.empty((1 << 16,), np.uint8)
    assert own_pool.unused <= 3 << 20
    kept = [size - 64 for size in own_pool.sizes]
    assert sizes[0] not in kept
    assert set(sizes[1:]) <= set(kept)
    assert own_pool.unused == sum(own_pool.sizes)


def test_release_empties_the_pool_and_leaves_the_living_alone(own_pool):
    alive, dead = memory.zeros(LARGE), memory.zeros(LARGE)
    del dead
    assert memory.release() >= 400_000
    assert own_pool.sizes == own_pool.blocks == []
    assert memory.release() == 0
    alive += 1
    assert (alive == 1).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1 << 14, 1 << 16)), min_size=1, max_size=40))
def test_living_arrays_never_overlap(orders):
    """Arrays of many sizes are made and let go in any order; each keeps the number that was written to it."""
    alive = {}
    for number, (slot, size) in enumerate(orders):
        alive[slot] = number, memory.empty((size,), np.float32)
        alive[slot][1][:] = number
        for written, array in alive.values():
            assert (array == written).all()


def test_many_threads_share_the_pool():
    wrong = []

    def work(number):
        for repeat in range(200):
            array = memory.empty((20_000 + 100 * (repeat % 7),))
            array[:] = number
            copy = array.copy()
            if not (array == number).all() or not (copy == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("shape", [(), (3, 5), (1100, 1000), (0, 7)])
def test_mapped_memory_is_zeros_of_its_own(own_pool, shape):
    first, second = memory.mapped(shape), memory.mapped(shape, np.float64)
    assert (first.shape, first.dtype, second.dtype) == (shape, np.float32, np.float64)
    assert first.flags.c_contiguous
    assert first.flags.writeable
    first[...] = 1
    assert (second == 0).all()
    assert (first == 1).all()
    assert first.ctypes.data % memory.CACHE_LINE == 0 or first.nbytes < memory.HUGE
    del first, second
    assert own_pool.blocks == []


OUTLIVES_THE_MODULES = """
from minicnn.kernels import memory
from minicnn.kernels.compiling.compile import compile

numbers = memory.empty((100_000,))

@compile
def same(x):  # Numba keeps the function, and so the names of its module, until the very end
    return x

same(1)
"""


def test_an_array_that_outlives_all_modules_ends_in_silence(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(OUTLIVES_THE_MODULES)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "Exception ignored" not in done.stderr


def reached(at_step, action, call):
    """True if `call` reached the step with this number inside memory.py, where `action` was done."""
    steps = 0

    def trace(frame, event, argument):
        nonlocal steps
        if frame.f_code.co_filename != memory.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            steps += 1
            if steps == at_step:
                action()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    return steps >= at_step


def press_ctrl_c():
    raise KeyboardInterrupt


def test_ctrl_c_at_any_step_leaves_a_pool_that_works(own_pool, monkeypatch):
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    own_pool.most_unused = 2 << 20  # so that blocks are dropped too

    def work():
        alive = [memory.empty((100_000 + 30_000 * i,), np.uint8) for i in range(4)]
        alive.append(memory.empty((memory.LARGE,), np.uint8))
        del alive[0]
        alive.append(memory.empty((100_000,), np.uint8))
        memory.release()

    at_step = 1
    while reached(at_step, press_ctrl_c, work):
        arrays = [memory.empty((100_000 + 30_000 * i,), np.uint8) for i in range(4)]
        for number, array in enumerate(arrays):
            array[:] = number
        assert all((array == number).all() for number, array in enumerate(arrays))
        assert own_pool.sizes == sorted(own_pool.sizes)
        assert len({id(block) for _, _, block in own_pool.blocks}) == len(own_pool.blocks)
        del array
        arrays.clear()
        at_step += 7  # steps are many, and every kind of place is met
    assert at_step > 100
    assert lost == []


def test_a_request_in_the_middle_of_a_request_is_served():
    """As a signal handler makes it."""
    handed_out, arrays = [], []

    def request():
        handed_out.append(memory.zeros(LARGE))

    at_step = 1
    while reached(at_step, request, lambda: arrays.append(memory.zeros(LARGE))):
        for number, array in enumerate([*handed_out, *arrays]):
            array[:] = number
        assert all((array == number).all() for number, array in enumerate([*handed_out, *arrays]))
        del array, handed_out[:], arrays[:]
        at_step += 1
    assert at_step > 50
