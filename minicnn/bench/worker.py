"""The process in which a library is measured: waits for commands, and answers each.

Each library has a process of its own. In one process they would share an allocator and one OpenMP library, whichever
was loaded first, and then the one would run with the other's settings. `process.py` is the other end of the pipe.

A library is a module of `libraries/`, with

    start(threads)                   use that many threads
    variants(case) -> names          the variants for a case: algorithms, memory layouts; empty if it can't do it
    prepare(case, variant)           {operation: function without arguments}, with inputs made and laid out
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import signal
import sys
from collections.abc import Callable
from typing import Any

from minicnn.bench.timing import Plan, turn


class Failure:
    """The answer to a command that raised."""

    def __init__(self, text: str):
        self.text = text


class Worker:
    """Answers the commands; each is a method."""

    def __init__(self, library: str, threads: int):
        self._library = importlib.import_module(f"minicnn.bench.libraries.with_{library}")
        self._library.start(threads)
        self._runs: dict[tuple[str, str], Callable[[], Any]] = {}

    def variants(self, case: Any) -> list[str]:
        """The names under which the library can run the case."""
        return list(self._library.variants(case))

    def prepare(self, case: Any, variants: list[str]) -> list[tuple[str, str]]:
        """Build the case in these variants; the (variant, operation) pairs that can be run. Forgets the last case."""
        self._runs.clear()
        gc.collect()
        for variant in variants:
            for operation, run in self._library.prepare(case, variant).items():
                self._runs[variant, operation] = run
        return list(self._runs)

    def call(self, key: tuple[str, str]) -> Any:
        """The result of one run: a loss, logits, or nothing of use."""
        return self._runs[key]()

    def time(self, key: tuple[str, str], plan: Plan) -> list[float]:
        """The seconds of one turn."""
        return turn(self._runs[key], plan)

    def memory(self, case: Any, variant: str, operation: str, runs: int) -> tuple[int, int]:
        """Bytes resident before the case is built, and at their peak after so many runs."""
        before = resident_bytes()
        run = self._library.prepare(case, variant)[operation]
        for _ in range(runs):
            run()
        return before, peak_resident_bytes()


def resident_bytes() -> int:
    """Bytes of memory that this process holds now; their peak so far on systems that don't tell."""
    return _from_status("VmRSS") or peak_resident_bytes()


def peak_resident_bytes() -> int:
    """The most bytes of memory that this process has held. Raises OSError on Windows, which counts otherwise."""
    # Linux's ru_maxrss would not do: a process begins with that of the process that started it.
    return _from_status("VmHWM") or _most_from_system()


def _from_status(name: str) -> int:
    """A number of bytes from /proc, 0 where the file does not exist."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name + ":"))
    except OSError:
        return 0


def _most_from_system() -> int:
    try:
        import resource
    except ImportError as error:
        raise OSError("peak memory is measured on Linux and macOS only") from error
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def serve(library: str, threads: int) -> None:
    """Answer commands from standard input on standard output until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that gives the commands
    commands, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get among the answers
    try:
        worker = Worker(library, threads)
        _answer(answers, "ready")
    except Exception as error:
        _answer(answers, Failure(f"{type(error).__name__}: {error}"))
        return
    while True:
        try:
            command, *arguments = pickle.load(commands)
        except EOFError:
            return
        try:
            answer = getattr(worker, command)(*arguments)
        except Exception as error:
            answer = Failure(f"{type(error).__name__}: {error}")
        _answer(answers, answer)


def _answer(stream: Any, answer: Any) -> None:
    try:
        pickle.dump(answer, stream)
        stream.flush()
    except BrokenPipeError:  # whoever asked has gone, after Ctrl-C
        os._exit(1)
