"""A race: a parallel loop in which threads add to the same cells, and a way to find races without luck.

`sums[c] += x[m, c]` is three steps: read the sum, add, write it back. Where two threads do them at the same time,

    thread 0     reads 7    adds 1    writes 8
    thread 1         reads 7    adds 1    writes 8           9 would be right: one addition is lost

Whether that happens depends on timing, so a right result proves nothing. One fact does not depend on timing: which
*turns* (iterations) of a prange loop touch the same cell. Any two turns may run at the same time. A cell that two of
them touch, and that at least one writes, is a race (A. J. Bernstein, "Analysis of programs for parallel processing",
1966).
`watch` runs the plain Python body of a kernel, one turn after the other, and records which turn touched which cell.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import prange
from numpy.lib.mixins import NDArrayOperatorsMixin

from minicnn.kernels.compiling.compile import compile, set_num_threads


def racy_sums(x):
    """The sums (C,) over the rows of x (M, C) if it runs on one thread; on several threads they are wrong."""
    sums = np.zeros(x.shape[1], x.dtype)
    for m in prange(x.shape[0]):
        for c in range(x.shape[1]):
            sums[c] += x[m, c]
    return sums


racy_sums_compiled = compile(racy_sums, parallel=True)


def again_and_again(kernel: Callable, *arguments: Any, threads: int, times: int) -> list[Any]:
    """The results of `times` calls of `kernel` on that many threads; afterwards the number of threads is as before.

    Raises ValueError if there are not that many threads.
    """
    before = numba.get_num_threads()
    set_num_threads(threads)
    try:
        return [kernel(*arguments) for _ in range(times)]
    finally:
        set_num_threads(before)


@dataclass(frozen=True)
class SharedCell:
    """A cell of an array that two turns of a prange loop touched, and that at least one of them wrote."""

    shape: tuple[int, ...]
    cell: tuple[int, ...]
    turns: tuple[int, int]

    def __str__(self) -> str:
        first, second = self.turns
        place = ", ".join(map(str, self.cell))
        return f"cell [{place}] of an array of shape {self.shape} is shared by turns {first} and {second}"


@dataclass(frozen=True)
class Watched:
    """A record by `watch`: the result, the number of turns of the prange loops, and the cells that turns shared."""

    result: Any
    turns: int
    shared: list[SharedCell]


def watch(function: Callable, *arguments: Any, backwards: bool = False) -> Watched:
    """The cells that turns of prange loops shared in a call of `function`, a kernel's plain Python body.

    Arrays among the arguments are copied; those that the function makes are watched, too. An inner prange counts as a
    plain loop, as in Numba, and `sums += row` with whole arrays is left to Numba, which gives each thread a
    copy. `backwards` begins with the last turn: where turns are independent, no bit of the result may depend on that.
    """
    log = _Log(backwards)
    watched = [log.array(value.copy()) if isinstance(value, np.ndarray) else value for value in arguments]
    result = _with_other_globals(function, log)(*watched)
    return Watched(_plain(result), log.turns, log.shared)


class _Log:
    """The turn of the prange loop that is running, and the cells that turns touched."""

    def __init__(self, backwards: bool):
        self.turn: int | None = None  # None outside of prange loops
        self.turns = 0
        self.shared: list[SharedCell] = []
        self._backwards = backwards
        self._touched: list[_Cells] = []

    def array(self, values: np.ndarray) -> _Array:
        return _Array(values, _Cells(values.shape), np.arange(values.size).reshape(values.shape), self)

    def prange(self, *limits: int) -> Iterator[int]:
        turns = range(*limits)
        if self.turn is not None:
            yield from turns
            return
        for turn in reversed(turns) if self._backwards else turns:
            self.turn, self.turns = turn, self.turns + 1
            yield turn
        self.close_loop()

    def touch(self, cells: _Cells, places: np.ndarray, writes: bool) -> None:
        if self.turn is None:
            return
        if not cells.touched:
            cells.begin()
            self._touched.append(cells)
        cells.touch(places, self.turn, writes)

    def close_loop(self) -> None:
        """End all turns of a loop together: accesses before and after the loop can't race with them."""
        self.turn = None
        for cells in self._touched:
            self.shared += cells.shared()
            cells.touched = False
        self._touched.clear()


class _Cells:
    """For each cell of one array: the first and the last turn of the running loop that touched it, and if any wrote."""

    def __init__(self, shape: tuple[int, ...]):
        self._shape = shape
        self.touched = False

    def begin(self) -> None:
        size = int(np.prod(self._shape))
        self._first: list[int | None] = [None] * size
        self._last: list[int | None] = [None] * size
        self._written = [False] * size
        self.touched = True

    def touch(self, places: np.ndarray, turn: int, writes: bool) -> None:
        for place in np.ravel(places):
            if self._first[place] is None:
                self._first[place] = turn
            self._last[place] = turn
            self._written[place] |= writes

    def shared(self) -> list[SharedCell]:
        found = []
        for place, (first, last) in enumerate(zip(self._first, self._last, strict=True)):
            if first is not None and last is not None and first != last and self._written[place]:
                index = tuple(int(i) for i in np.unravel_index(place, self._shape))
                found.append(SharedCell(self._shape, index, (first, last)))
        return found


class _Array(NDArrayOperatorsMixin):
    """An array, or a part of one, that tells the log of each access. `places` are the numbers of its cells."""

    def __init__(self, values: np.ndarray, cells: _Cells, places: np.ndarray, log: _Log, part: bool = False):
        self._values, self._cells, self._places, self._log, self._part = values, cells, places, log, part

    def _touch(self, places: Any, writes: bool) -> None:
        self._log.touch(self._cells, np.asarray(places), writes)

    def _read(self) -> np.ndarray:
        self._touch(self._places, writes=False)
        return self._values

    def __getitem__(self, index: Any) -> Any:
        values, places = self._values[index], self._places[index]
        if isinstance(values, np.ndarray):
            return _Array(values, self._cells, places, self._log, part=True)
        self._touch(places, writes=False)
        return values

    def __setitem__(self, index: Any, value: Any) -> None:
        self._touch(self._places[index], writes=True)
        self._values[index] = value

    def __iadd__(self, other: Any) -> _Array:
        if not self._part:  # Numba takes this for a sum of its own, and adds up the threads' copies at the end
            self._values += _plain(other)
            return self
        return super().__iadd__(other)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **options: Any) -> Any:
        plain = map(_plain, inputs)
        for target in out:
            target._touch(target._places, writes=True)
        targets = {"out": tuple(target._values for target in out)} if out else {}
        result = getattr(ufunc, method)(*plain, **targets, **options)
        if out:
            return out[0]
        return self._log.array(result) if isinstance(result, np.ndarray) else result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._read(), dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self._values)

    def copy(self) -> _Array:
        """As NumPy's."""
        return self._log.array(self._read().copy())

    def fill(self, value: Any) -> None:
        """As NumPy's."""
        self[...] = value

    @property
    def shape(self) -> tuple[int, ...]:
        """As NumPy's; this does not read a cell."""
        return self._values.shape

    @property
    def size(self) -> int:
        """As NumPy's."""
        return self._values.size

    @property
    def ndim(self) -> int:
        """As NumPy's."""
        return self._values.ndim

    @property
    def dtype(self) -> np.dtype:
        """As NumPy's."""
        return self._values.dtype

    @property
    def T(self) -> _Array:
        """As NumPy's."""
        return _Array(self._values.T, self._cells, self._places.T, self._log, part=True)

    def __getattr__(self, name: str) -> Any:
        """Any other attribute of the array, such as `sum`: this reads all cells."""
        if name.startswith("__"):
            raise AttributeError(name)  # NumPy asks for other ways to get at an array: it shall take __array__
        return getattr(self._read(), name)


def _plain(value: Any) -> Any:
    return value._read() if isinstance(value, _Array) else value


_MAKERS = ("empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like", "full_like")


class _Module:
    """A module in which some names mean something else."""

    def __init__(self, module: types.ModuleType, others: Mapping[str, Any]):
        self._module, self._others = module, others

    def __getattr__(self, name: str) -> Any:
        return self._others[name] if name in self._others else getattr(self._module, name)


def _with_other_globals(function: Callable, log: _Log) -> Callable:
    """`function` with the log's prange, and with NumPy's new arrays watched, under all names in its module."""

    def watched(make: Callable) -> Callable:
        return lambda *arguments, **options: log.array(make(*arguments, **options))

    makers = {name: watched(getattr(np, name)) for name in _MAKERS}
    others = [(np, _Module(np, makers)), (numba, _Module(numba, {"prange": log.prange})), (prange, log.prange)]
    others += [(getattr(np, name), maker) for name, maker in makers.items()]
    names = {
        name: next((other for original, other in others if value is original), value)
        for name, value in function.__globals__.items()
    }
    code, defaults, closure = function.__code__, function.__defaults__, function.__closure__
    return types.FunctionType(code, names, function.__name__, defaults, closure)
