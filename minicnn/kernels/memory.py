"""Memory that is used again: large arrays come from blocks that earlier arrays have given back.

A training step makes some hundreds of megabytes of arrays and lets go of them, and the next step makes the same ones.
The C library gives large blocks back to the system and asks for them anew each time, and the system hands out pages of
zeros, one by one, as they are first touched: that costs more than a kernel needs to fill them. So a block whose last
array has died is kept here, and the next array that fits gets it.

    y = memory.empty((128, 32, 32, 16), np.float32)     a block from the pool, or a new one
    del y                                               the block goes back, once no view of y is left either

Nobody has to give anything back: NumPy's views keep the array alive that owns the block, and a weak reference to it
tells the pool when it dies. What lies in the pool unused is bounded; `release()` gives all of it to the system.
"""

import atexit
import bisect
import math
import mmap
import os
import threading
import weakref
from collections import deque

import numpy as np

SMALLEST = 1 << 16  # bytes: below this the C library reuses memory by itself
LARGE = 1 << 24  # bytes: a new block of this size takes the place of unused ones, lest a step's peak be theirs as well
LARGEST_WASTE = 1.25  # a block may be this many times as large as the array that gets it
HUGE = 1 << 22  # bytes from which NumPy asks for huge pages
CACHE_LINE = 64  # bytes; arrays of the pool begin at one, so that none of their vectors lies across two


class _Block(np.ndarray):
    """The bytes of one block. A type of its own, so that views of an array over it refer to that array, not to it.

    Were both of one type, NumPy would have a view refer to the block, past the array, whose death then told nothing.
    """

    first: int  # the byte at which arrays over this block begin: the first one of a cache line


def empty(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """An uninitialised C-ordered array; a large one lies in a block that an earlier array may have used."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    return np.empty(shape, dtype) if size < SMALLEST else _pool.lend(size, shape, dtype)


def aligned(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """As `empty`, but a small array begins at a cache line too, as vectors want it."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size >= SMALLEST:
        return empty(shape, dtype)
    room = np.empty(size + CACHE_LINE, np.uint8)
    return np.ndarray(shape, dtype, buffer=room, offset=-room.ctypes.data % CACHE_LINE)  # type: ignore[arg-type]


def zeros(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """A C-ordered array of zeros, as `empty` makes it."""
    array = empty(shape, dtype)
    array[...] = 0
    return array


def empty_like(array: np.ndarray) -> np.ndarray:
    """A C-ordered uninitialised array of the same shape and dtype."""
    return empty(array.shape, array.dtype)


def mapped(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """A C-ordered array of zeros for what is filled once and then stays, as weights do; outside of the pool.

    NumPy asks the system for huge pages where an array is large. On a virtual machine those that lay idle may have been
    given back to the host: to fill 500 MB of them then took up to 1.2 s, and 0.2 s in pages of the usual size.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size < HUGE or os.name != "posix":
        return np.zeros(shape, dtype)
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(pages, dtype).reshape(shape)


def release() -> int:
    """Give all unused blocks back to the system; returns how many bytes they had."""
    return _pool.release()


class _Pool:
    def __init__(self, most_unused: int):
        self.most_unused = most_unused  # bytes
        self.unused = 0  # bytes in `blocks`
        self.sizes: list[int] = []  # of `blocks`, ascending
        self.blocks: list[tuple[int, _Block]] = []  # with the number of their return: the lowest has waited longest
        self.returns = 0
        self.lent: dict[int, tuple[weakref.ref, _Block]] = {}
        # An array may die at any moment, even while this thread holds the lock: its block then only joins a queue.
        self.returned: deque[_Block] = deque()
        self.lock = threading.Lock()
        self.closed = False

    def close(self) -> None:
        """Take nothing back from now on: Python is about to end, and to take its modules apart."""
        self.closed = True

    def lend(self, size: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        with self.lock:
            self.take_back()
            place = bisect.bisect_left(self.sizes, size + CACHE_LINE)
            if place < len(self.sizes) and self.sizes[place] <= LARGEST_WASTE * size:
                self.unused -= self.sizes.pop(place)
                _, block = self.blocks.pop(place)
            else:
                if size >= LARGE:
                    self.drop(self.unused - size)
                block = _Block(size + CACHE_LINE, np.uint8)
                block.first = -block.ctypes.data % CACHE_LINE
        array = np.ndarray(shape, dtype, buffer=block, offset=block.first)  # type: ignore[arg-type]
        watch = weakref.ref(array, self.give_back)
        self.lent[id(watch)] = watch, block
        return array

    def give_back(self, watch: weakref.ref) -> None:
        if self.closed:
            return
        self.returned.append(self.lent.pop(id(watch))[1])
        if self.lock.acquire(blocking=False):  # else whoever holds it, perhaps this very thread, sorts the queue in
            try:
                self.take_back()
            finally:
                self.lock.release()

    def take_back(self) -> None:
        """Sort the queue of returned blocks in; while too much lies unused, drop what has waited longest."""
        while self.returned:
            block = self.returned.popleft()
            place = bisect.bisect_left(self.sizes, block.size)
            self.sizes.insert(place, block.size)
            self.blocks.insert(place, (self.returns, block))
            self.returns += 1
            self.unused += block.size
        self.drop(self.most_unused)

    def drop(self, most: int) -> None:
        """Let go of what has waited longest, until at most `most` bytes lie unused."""
        while self.blocks and self.unused > most:
            oldest = min(range(len(self.blocks)), key=lambda place: self.blocks[place][0])
            del self.blocks[oldest]
            self.unused -= self.sizes.pop(oldest)

    def release(self) -> int:
        with self.lock:
            self.take_back()
            released, self.unused = self.unused, 0
            self.sizes.clear()
            self.blocks.clear()
        return released


def _most_unused() -> int:
    """A quarter of the machine's memory, 2 GiB at most."""
    try:
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows does not tell in this way
        machine = 4 << 30
    return min(machine // 4, 2 << 30)


_pool = _Pool(_most_unused())
atexit.register(_pool.close)
