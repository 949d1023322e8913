"""The check of one answer in a process of its own, which ends in bounded time whatever the answer does.

`python -m minicnn.teach.checker_process NAME FILE FOLDER` is the process: FOLDER/verdict.json is its result.
`check_file` starts the process, passes the answer's output on, and says in words how the process ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from minicnn.teach.answers import WrongAnswer

_SECONDS = 180.0  # that a whole check may take, compilation of kernels on a new machine included
_PRINTED = 10_000  # characters of the answer's output that are passed on
_VERDICT, _LAST_WORDS = "verdict.json", "last_words.txt"


@dataclass(frozen=True)
class Verdict:
    """How the check of one answer ended."""

    right: bool
    message: str = ""
    hint: str = ""


def check_file(name: str, path: Path, seconds: float = _SECONDS) -> Verdict:
    """The verdict on the answer in the file `path` to the exercise `name`; the answer's output is printed.

    The process has an empty working folder, no input, and at most `seconds`. Ctrl-C ends the process too.
    """
    with tempfile.TemporaryDirectory(prefix="minicnn_check_", ignore_cleanup_errors=True) as folder:
        working = Path(folder) / "working"
        working.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "minicnn.teach.checker_process", name, str(path.resolve()), folder],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=working,
            env=_environment(),
            start_new_session=True,
        )
        output = _Output(process)
        try:
            code: int | None = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end_with_children(process)
        output.show()
        return _verdict(Path(folder), path, code, seconds)


def check_here(name: str, path: Path) -> Verdict:
    """The verdict of a check in this process, where a debugger can stop: an answer that does not end is not ended."""
    from minicnn.teach.exercises import check_answer, load_answer

    try:
        check_answer(name, load_answer(path))
    except WrongAnswer as wrong:
        return Verdict(False, str(wrong), wrong.hint)
    return Verdict(True)


def _environment() -> dict[str, str]:
    """This process's variables, with this minicnn first on the path: the working folder is another."""
    package = str(Path(__file__).parents[2])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "Agg"}


@dataclass
class _Output:
    """The output of a process: the beginning is kept, and the rest is dropped, so that no print has to wait."""

    process: subprocess.Popen[bytes]
    kept: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, pipe: IO[bytes] | None) -> None:
        while pipe is not None and (some := os.read(pipe.fileno(), 1 << 16)):
            room = _PRINTED - len(self.kept)
            self.kept += some[:room]
            self.dropped += max(0, len(some) - room)

    def show(self) -> None:
        """Print the kept output. A process that the answer started may still hold the pipe: the wait is 1 s."""
        self._reader.join(timeout=1)
        text = bytes(self.kept).decode("utf-8", errors="replace")
        if text:
            print(text, end="" if text.endswith("\n") else "\n")
        if self.dropped:
            print(f"(your answer printed {self.dropped:,} characters more, which are left out)")


def _end_with_children(process: subprocess.Popen[bytes]) -> None:
    """End the process and, where the system has process groups, all processes that it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _verdict(folder: Path, path: Path, code: int | None, seconds: float) -> Verdict:
    with contextlib.suppress(FileNotFoundError):
        return Verdict(**json.loads((folder / _VERDICT).read_text(encoding="utf-8")))
    last_words = folder / _LAST_WORDS
    stack = last_words.read_text(encoding="utf-8", errors="replace") if last_words.exists() else ""
    place = next(iter(re.findall(rf'File "{re.escape(str(path.resolve()))}", line (\d+)', stack)), None)
    at = f" at line {place}" if place else ""
    if "Timeout" in stack:
        return Verdict(False, f"your code was still running{at} when its time was over, and could not be interrupted")
    if code is None:
        return Verdict(False, f"the check was not finished after {seconds:g} s, and was ended")
    if code < 0:
        return Verdict(False, f"your code made Python crash{at} (signal {-code}), as endless recursion can")
    return Verdict(False, f"your code ended Python (exit code {code}) before the check was finished")


def main() -> None:
    """The process: check the answer, write the verdict, and end at once, whatever threads the answer left."""
    import faulthandler

    from minicnn.teach import limits
    from minicnn.teach.checks import find_check
    from minicnn.teach.exercises import check_answer, load_answer

    name, path, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    sys.dont_write_bytecode = True
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what was printed is seen, however it ends
    find_check(name)  # imports what the check needs, outside of the limits
    last_words = (folder / _LAST_WORDS).open("w", encoding="utf-8")
    faulthandler.enable(last_words)
    limits.end_process_at_last(last_words)
    limits.limit_memory()
    limits.forbid_side_effects(path)
    try:
        check_answer(name, load_answer(path))
        verdict = Verdict(True)
    except WrongAnswer as wrong:
        verdict = Verdict(False, str(wrong), wrong.hint)
    sys.stdout.flush()
    (folder / _VERDICT).write_text(json.dumps(asdict(verdict)), encoding="utf-8")
    os._exit(0)


if __name__ == "__main__":
    main()
