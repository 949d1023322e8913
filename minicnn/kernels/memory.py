"""Memory that is used again: large arrays come from blocks that earlier arrays have given back.

A training step makes some hundreds of megabytes of arrays and lets go of them, and the next step makes the same ones.
The C library gives large blocks back to the system and asks for them anew each time, and the system hands out pages of
zeros, one by one, as they are first touched: that costs more than a kernel needs to fill them. So a block whose last
array has died is kept here, and the next array that fits gets it.

    y = memory.empty((128, 32, 32, 16), np.float32)     a block from the pool, or a new one
    del y                                               the block goes back, once no view of y is left either

Nobody has to give anything back: NumPy's views keep the array alive that owns the block, and a weak reference to it
tells the pool when it dies. What lies in the pool unused is bounded; `release()` gives all of it to the system.

Ctrl-C may interrupt this file between any two steps, another thread may run there, and a signal handler or a `__del__`
may ask for an array in the middle of a request. So there is no lock, which one of them could leave taken, and no two
lists that must agree. Each step that changes the pool is one call of a list or a deque, which happens whole or not at
all; a block that an interruption catches between two steps goes back to the system.
"""

import bisect
import contextlib
import itertools
import math
import mmap
import os
import weakref
from collections import deque
from operator import itemgetter

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
    watch: "_Watch | None"  # of the array that has the block at present


class _Watch(weakref.ref):
    """A weak reference to an array, which knows the block of that array. The two keep each other alive."""

    block: _Block | None = None


def empty(shape: tuple[int, ...], dtype=np.float32) -> np.ndarray:
    """An uninitialised C-ordered array; a large one lies in a block that an earlier array may have used."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size >= SMALLEST:
        return _pool.lend(size, shape, dtype)
    if _pool.returned:
        _pool.take_back()
    return np.empty(shape, dtype)


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
        # (bytes, number of the return, block), ascending; the lowest number has waited longest.
        self.blocks: list[tuple[int, int, _Block]] = []
        self.numbers = itertools.count()
        # The watches of arrays that have died. An array may die at any moment, so that no Python code may run then: a
        # Ctrl-C would be lost in it. The reference calls `append` itself, and the next request sorts the blocks in.
        self.returned: deque[_Watch] = deque()

    @property
    def sizes(self) -> list[int]:
        """The bytes of each unused block, ascending."""
        return [size for size, _, _ in self.blocks]

    @property
    def unused(self) -> int:
        """The bytes of all unused blocks."""
        return sum(map(itemgetter(0), self.blocks))

    def lend(self, size: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        self.take_back()
        block = self.fitting(size)
        if block is None:
            if size >= LARGE:
                self.drop(self.unused - size)
            block = _Block(size + CACHE_LINE, np.uint8)
            block.first = -block.ctypes.data % CACHE_LINE
        array = np.ndarray(shape, dtype, buffer=block, offset=block.first)  # type: ignore[arg-type]
        watch = _Watch(array, self.returned.append)
        watch.block = block
        block.watch = watch
        return array

    def fitting(self, size: int) -> _Block | None:
        """The smallest unused block for an array of `size` bytes, taken out, or None if no block fits."""
        least, most = size + CACHE_LINE, LARGEST_WASTE * size
        place = bisect.bisect_left(self.blocks, (least,))
        if place == len(self.blocks) or self.blocks[place][0] > most:
            return None
        with contextlib.suppress(IndexError):  # another thread may have taken blocks since
            found = self.blocks.pop(place)
            if least <= found[0] <= most:
                return found[2]
            bisect.insort(self.blocks, found)
        return None

    def take_back(self) -> None:
        """Sort the blocks of dead arrays in; while too much lies unused, drop what has waited longest."""
        if not self.returned:
            return
        with contextlib.suppress(IndexError):  # until the queue is empty, which another thread may be emptying too
            while True:
                block = self.returned.popleft().block
                if block is not None:  # else an interruption came before the watch knew its block
                    block.watch = None
                    bisect.insort(self.blocks, (block.size, next(self.numbers), block))
        self.drop(self.most_unused)

    def drop(self, most: int) -> None:
        """Let go of what has waited longest, until at most `most` bytes lie unused."""
        while self.blocks and self.unused > most:
            with contextlib.suppress(ValueError):  # another thread may have taken that block, or all
                self.blocks.remove(min(self.blocks, key=itemgetter(1)))

    def release(self) -> int:
        self.take_back()
        released = self.unused
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
