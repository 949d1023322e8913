"""The one way a kernel is compiled.

A kernel is written as a plain Python function over arrays and compiled on a line of its own below it:

    def add_rows(x, y):
        ...

    add_rows_compiled = compile(add_rows, parallel=True)

The plain name stays an ordinary function that a debugger can step through; callers use the `_compiled` name. With
NUMBA_DISABLE_JIT=1 in the environment `compile` returns the plain function, so that everything runs in Python.

Compiled kernels are cached on disk. Numba's own cache compares only the file of the kernel itself, so it would keep a
stale kernel after an edit of a function in another file that the kernel calls (numba#1833). Here the folder of the
cache is named after a hash over all files of this package: any edit in it compiles everything anew.
"""

import contextlib
import hashlib
import importlib
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache, wraps
from importlib.resources import files
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import config as numba_config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

# Sums may be reordered and multiply-adds fused. The flags that let the compiler assume that there is no NaN and no
# infinity ("nnan", "ninf", and with them plain fastmath=True) are never used: they delete NaN tests.
REORDER = frozenset({"reassoc", "contract", "nsz", "arcp"})

_KEPT_FOLDERS = 8
_PARENT = "minicnn-compiled-kernels"  # a name that no clone and no other program gives to a folder
_MARK = ".written-by-minicnn-kernel-cache"  # a file in each folder that may be deleted again
_PATIENCE = 1.0  # seconds of compiling, in all, before a line says so

config: Any = numba_config  # it fills itself from the environment, which a type checker cannot see

# Held by the one parallel kernel that runs. Reentrant: a signal handler or a __del__ may call a kernel while its own
# thread is about to enter one. Python runs neither inside compiled code, so that the two still follow each other.
_running = threading.RLock()

# How long an idle OpenMP thread spins before it sleeps, in turns of libgomp's waiting loop: some 0.05 ms. A thread that
# spins takes up the next kernel at once, and the Python between two kernels is mostly shorter than that; one that
# sleeps has to be woken, which takes longer than many kernels last. But a thread that spins keeps its core from whoever
# has work, the thread that it waits for included, as soon as any other program runs. On two cores, LeNet-5's step took
#     turns                      0     1,000   10,000   50,000      (GNU OpenMP's own choice: 300,000)
#     alone                   5.6 ms   3.3 ms   3.0 ms   3.3 ms
#     beside a busy program   5.3 ms   8.5 ms    30 ms    55 ms
_SPINS = "2000"


def _choose_threading_layer() -> str:
    """ "omp" where GNU OpenMP can be loaded, made to spin briefly; else "workqueue", whose threads sleep at once."""
    if sys.platform != "linux":
        return "workqueue"
    set_by_user = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ)
    if not set_by_user:
        os.environ["GOMP_SPINCOUNT"] = _SPINS  # read once, while the library is loaded
    try:
        importlib.import_module("numba.np.ufunc.omppool")
    except ImportError:  # no libgomp.so.1 on this machine
        return "workqueue"
    finally:
        if not set_by_user:
            del os.environ["GOMP_SPINCOUNT"]
    return "omp"


if config.THREADING_LAYER == "default":
    config.THREADING_LAYER = _choose_threading_layer()


def compile(
    function: Callable,
    *,
    parallel: bool = False,
    inner: bool = False,
    fastmath: frozenset[str] = frozenset(),
    **options,
) -> Any:
    """`function` compiled by Numba on its first call for each combination of argument types.

    `parallel` runs `numba.prange` loops on all threads; `fastmath` is `REORDER` for sums that may be reordered, and
    stays empty for kernels that compare or look for NaN. Other options go to `numba.njit`. A parallel kernel is called
    from Python, never from another kernel; an `inner` one only from other kernels, which saves the compiling of a way
    in from Python. Returns `function` itself if NUMBA_DISABLE_JIT=1 is set.
    """
    if config.DISABLE_JIT:
        return function
    # An error inside prange is lost: where bounds are checked, all loops run on one thread, and what they raise shows.
    threaded = parallel and not config.BOUNDSCHECK
    if inner:
        options.update(no_cpython_wrapper=True, no_cfunc_wrapper=True)
    kernel = numba.njit(parallel=threaded, fastmath=set(fastmath), **options)(function)
    kernel._cache = _Unstored() if cache_folder() is None else _KernelCache(function)
    return _one_at_a_time(kernel) if parallel else kernel


@cache
def cache_folder() -> Path | None:
    """The folder that holds the compiled kernels, or None if no folder can be written (they are then compiled anew).

    It lies below NUMBA_CACHE_DIR if that is set, else below the user's cache folder.
    """
    if config.DISABLE_JIT:
        return None
    parent = (Path(config.CACHE_DIR) if config.CACHE_DIR else _user_cache_folder()) / _PARENT
    folder = parent / _source_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return None
    _remove_old_folders(parent, keep=folder)
    return folder


def _one_at_a_time(kernel: Callable) -> Callable:
    """`kernel`, made to wait until no other parallel kernel runs.

    Numba's workqueue layer aborts the process when two Python threads enter parallel kernels at the same time
    (numba#8563), and OpenMP would make a second team of threads for the second one. Two kernels share the same cores,
    so waiting costs next to nothing.
    """

    @wraps(kernel)
    def call(*arguments):
        _after_fork.check()
        with _running:
            return kernel(*arguments)

    return call


class _AfterFork:
    """Knows whether this process was forked from one whose OpenMP threads it has not inherited.

    GNU OpenMP ends such a process, without a word to Python, at the first parallel kernel.
    """

    def __init__(self) -> None:
        self._used = self._forked = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        global _running
        _running = threading.RLock()  # a thread that is not here may have held the other one
        self._forked = self._used

    def check(self) -> None:
        """Note that a kernel runs. Raises RuntimeError in a child of a process in which one has run."""
        if self._forked:
            raise RuntimeError(
                "this process was forked from one that had run minicnn's kernels, and their threads do not outlive a "
                "fork; start processes with multiprocessing.get_context('spawn') (ProcessPoolExecutor: mp_context=), "
                "or set NUMBA_THREADING_LAYER=workqueue before the start of Python"
            )
        self._used = config.THREADING_LAYER == "omp"


_after_fork = _AfterFork()


def set_num_threads(threads: int) -> None:
    """Let parallel kernels run on `threads` threads from now on; their results do not depend on it.

    Numba keeps the number for each Python thread: kernels that another one calls run on all threads still.

    Raises ValueError if `threads` is not between 1 and the number that Numba started with.
    """
    most = config.NUMBA_NUM_THREADS
    if not 1 <= threads <= most:
        raise ValueError(f"threads: expected 1 to {most} (the number of threads Numba was started with), got {threads}")
    numba.set_num_threads(threads)


def kernel_array(array: np.ndarray) -> np.ndarray:
    """`array` if a kernel can take it as it is, else a copy: C-contiguous, aligned, writable.

    Numba compiles a kernel once for each *kind* of array. Read-only and strided arrays are kinds of their own, and
    several seconds of compilation cost more than the copy.
    """
    return array if array.flags.carray else np.require(array, requirements=["C", "A", "W"])


@cache
def _source_hash() -> str:
    """A name for the present state of all kernels: changes with every edit, and with bounds checking."""
    digest = hashlib.sha256()
    for name, source in sorted(_sources(files("minicnn.kernels"))):
        digest.update(name.encode() + b"\0" + source + b"\0")
    # Numba forgets to ask whether a cached kernel was compiled with bounds checks.
    return digest.hexdigest()[:16] + ("-boundscheck" if config.BOUNDSCHECK else "")


def _sources(folder: Any, path: str = "") -> Iterator[tuple[str, bytes]]:
    """(path, content) of each source file; the package may lie in a zip archive, or hold compiled modules only."""
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _sources(entry, f"{path}{entry.name}/")
        elif entry.name.endswith((".py", ".pyc")):
            yield path + entry.name, entry.read_bytes()


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _remove_old_folders(parent: Path, keep: Path) -> None:
    """Empty all but the newest few caches: each edit of a kernel leaves one behind.

    Only folders with our mark are touched, and in them only what Numba or this file wrote.
    """
    marks = [mark for mark in parent.glob(f"*/{_MARK}") if mark.parent != keep and not mark.parent.is_symlink()]
    marks.sort(key=lambda mark: mark.parent.stat().st_mtime, reverse=True)
    for mark in marks[_KEPT_FOLDERS:]:
        with contextlib.suppress(OSError):  # another process may be cleaning up too; a folder with other files stays
            for file in (*mark.parent.glob("*.nb[ic]"), *mark.parent.glob("*.nb[ic].tmp.*"), mark):
                file.unlink(missing_ok=True)
            mark.parent.rmdir()


class _Locator:
    """Tells Numba where a kernel is cached and what it depends on (Numba asks for these six names)."""

    def __init__(self, function: Callable, file: str):
        self._code = function.__code__
        loader = getattr(sys.modules.get(function.__module__), "__loader__", None)
        try:  # by the loader, for the file may lie in a zip archive
            self._source = loader.get_data(file)  # type: ignore[union-attr]
        except (AttributeError, OSError):
            self._source = self._code.co_code

    @classmethod
    def from_function(cls, function: Callable, file: str) -> "_Locator":
        return cls(function, file)

    def ensure_cache_path(self) -> None:
        Path(self.get_cache_path()).mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        # A kernel outside this package (PartWorld's) also depends on its own file.
        return _source_hash() + hashlib.sha256(self._source).hexdigest()[:16]

    def get_disambiguator(self) -> str:
        return str(self._code.co_firstlineno)


class _Implementation(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012 (the name and the type are Numba's)


class _KernelCache(FunctionCache):
    """Numba's cache in our folder; tells the stopwatch of compilations, survives a folder that vanishes or fills up."""

    _impl_class = _Implementation

    def load_overload(self, sig, target_context):
        try:
            kernel = super().load_overload(sig, target_context)
        except OSError:
            kernel = None
        except Exception:  # a file that was cut short or altered: nearly anything can be raised while it is read
            kernel = None
            with contextlib.suppress(OSError):
                self.flush()  # an index that cannot be read could not be added to
        if kernel is None:
            _stopwatch.start((self, sig))
        return kernel

    def save_overload(self, sig, data):
        _stopwatch.stop((self, sig))
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()


class _Unstored(NullCache):
    """Stands in where no folder can be written: tells the stopwatch, keeps nothing."""

    def load_overload(self, sig, target_context):
        _stopwatch.start((self, sig))

    def save_overload(self, sig, data):
        _stopwatch.stop((self, sig))


class _Stopwatch:
    """Measures what the user waits for, and says once, on stderr, what it is: when it has taken a second in all.

    Numba looks for a kernel in the cache before it compiles it, and saves it afterwards, both under its compiler lock.
    In between it may compile others, which the first one calls: the outermost compilation counts.
    """

    def __init__(self) -> None:
        self._spent = 0.0
        self._outermost: tuple | None = None
        self._began = 0.0
        self._alarm: threading.Timer | None = None
        self._announced = False

    def start(self, compilation: tuple) -> None:
        if self._outermost is None and not self._announced:
            self._outermost, self._began = compilation, time.perf_counter()
            self._alarm = threading.Timer(max(0.0, _PATIENCE - self._spent), self._announce)
            self._alarm.daemon = True  # a program that ends does not wait for it
            self._alarm.start()

    def stop(self, compilation: tuple) -> None:
        if self._outermost == compilation and self._alarm is not None:
            self._alarm.cancel()
            self._spent += time.perf_counter() - self._began
            self._outermost = None

    def _announce(self) -> None:
        self._announced = True
        folder = cache_folder()
        where = f"cached in {folder}" if folder else "no cache folder can be written, so at every start"
        print(f"minicnn: compiling kernels ({'once; ' if folder else ''}{where})", file=sys.stderr)


_stopwatch = _Stopwatch()
