"""The state of a run of the bench: its settings, and the libraries' processes, started when first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from minicnn.bench.process import LibraryError, LibraryProcess, missing
from minicnn.bench.timing import FULL, Plan


@dataclass
class Session:
    """A context manager: at its end the processes are over. `left_out` names the parts that were not measured, and the
    reasons."""

    threads: int
    algorithms: Sequence[str]
    plan: Plan = FULL
    quick: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    _running: dict[str, LibraryProcess] = field(default_factory=dict)

    def installed(self, *libraries: str) -> list[str]:
        """Those of the libraries that can be measured; the others are noted as left out."""
        for library in libraries:
            packages = missing(library)
            if packages:
                self.left_out.setdefault(library, f"not installed: {', '.join(packages)}")
        return [library for library in libraries if library not in self.left_out]

    def process(self, library: str) -> LibraryProcess:
        """The process of a library. Raises LibraryError if the process can't be started."""
        if library not in self._running:
            self._running[library] = LibraryProcess(library, self.threads)
        return self._running[library]

    def processes(self, *libraries: str) -> list[LibraryProcess]:
        """The processes of those that are installed and start; minicnn's must. Raises LibraryError if it doesn't."""
        for library in self.installed(*libraries):
            try:
                self.process(library)
            except LibraryError as error:
                if library == "minicnn":
                    raise
                self.left_out[library] = str(error)
        return [self.process(library) for library in self.installed(*libraries)]

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._running.values():
            process.close()
