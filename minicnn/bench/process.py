"""The near end of a library's process (worker.py): start it, give it commands, end it."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from minicnn.bench.worker import Failure

# What each library's process imports, all of which must be installed. torch is first: it brings its own OpenMP library,
# but takes minicnn's where that is loaded already.
IMPORTS = {
    "minicnn": ("minicnn",),
    "torch": ("torch",),
    "onnxruntime": ("torch", "onnx", "onnxruntime"),
    "dezero": ("dezero",),
    "mygrad": ("mygrad",),
}


class LibraryError(RuntimeError):
    """A library could not run a command."""


class LibraryProcess:
    """One library in a process of its own. A context manager: at its end the process is over.

    Raises LibraryError if the library can't be started.
    """

    def __init__(self, library: str, threads: int, environment: Mapping[str, str] | None = None):
        self.library = library
        first = "import torch; " if "torch" in IMPORTS[library] else ""
        code = f"{first}from minicnn.bench.worker import serve; serve({library!r}, {threads})"
        counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **counts, **(environment or {})},
        )
        self._receive()

    def ask(self, command: str, *arguments: Any) -> Any:
        """The worker's answer to a command. Raises LibraryError if the command failed there."""
        pickle.dump((command, *arguments), self._process.stdin)  # type: ignore[arg-type]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return self._receive()

    def _receive(self) -> Any:
        try:
            answer = pickle.load(self._process.stdout)  # type: ignore[arg-type]
        except EOFError:
            raise LibraryError(f"the process of {self.library} ended (exit code {self._process.wait()})") from None
        if isinstance(answer, Failure):
            raise LibraryError(f"{self.library}: {answer.text}")
        return answer

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def __enter__(self) -> LibraryProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def missing(library: str) -> list[str]:
    """The packages that are not installed, of those that measuring this library takes."""
    return [package for package in IMPORTS[library] if importlib.util.find_spec(package) is None]
