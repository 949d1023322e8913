"""Limits on the reader's code: how long that code may run, and in a process of its own also which side effects it has.

`TimeLimit` interrupts the code as Ctrl-C does, so that the line is known. Some code catches the interrupt, and one long
operation of C lets no interrupt through. Then only the end of the process helps, and `end_process_at_last` brings that
about. The limits protect from slips, and not from somebody who means harm.
"""

from __future__ import annotations

import _thread
import faulthandler
import os
import signal
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

SECONDS = 10.0  # that one call of the reader's function may take
_GRACE = 3.0  # seconds from the interrupt to the end of the process
_MEMORY = 4 << 30  # bytes, beside those of Python and the packages
_DEEDS = {
    "os.remove": "delete a file",
    "os.rmdir": "delete a folder",
    "os.rename": "rename a file",
    "os.mkdir": "make a folder",
    "os.truncate": "cut off a file",
    "os.chmod": "change a file's rights",
    "os.link": "make a link",
    "os.symlink": "make a link",
    "os.fork": "start a process",
    "os.forkpty": "start a process",
    "os.exec": "start a process",
    "os.posix_spawn": "start a process",
    "os.spawn": "start a process",
    "os.system": "start a process",
    "os.startfile": "start a process",
    "subprocess.Popen": "start a process",
    "os.kill": "end a process",
    "os.killpg": "end a process",
    "socket.connect": "use the network",
    "socket.bind": "use the network",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEBUGGERS = ("bdb", "pdb", "ipdb", "pudb", "pydevd", "_pydevd_bundle", "debugpy")
_LIBRARIES = ("minicnn.", "numba.", "llvmlite.", "importlib.")  # which write caches of what they compile

_running = 0  # how many time limits are in force: the reader's code runs if there are any
_last_words: TextIO | None = None


class TimeLimit:
    """A block that KeyboardInterrupt ends after so many seconds; then `passed` is True.

    Code that catches the interrupt gets another one each second, and code that a debugger holds gets none. Only the
    main thread can be interrupted: other threads have no limit.
    """

    def __init__(self, seconds: float = SECONDS):
        self.seconds = seconds
        self.passed = False
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._handler: Any = None  # of Ctrl-C, before the block

    def __enter__(self) -> TimeLimit:
        global _running
        _running += 1
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.getsignal(signal.SIGINT)
            if not callable(self._handler):  # a background job begins with Ctrl-C ignored
                signal.signal(signal.SIGINT, signal.default_int_handler)
            threading.Thread(target=self._interrupt, daemon=True).start()
        if _last_words is not None:
            faulthandler.dump_traceback_later(self.seconds + _GRACE, exit=True, file=_last_words)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _running
        with self._lock:  # an interrupt that has begun arrives here, and not later
            self._ended.set()
        _running -= 1
        if self._handler is not None and not callable(self._handler):
            signal.signal(signal.SIGINT, self._handler)
        if _last_words is not None:
            faulthandler.cancel_dump_traceback_later()

    def _interrupt(self) -> None:
        wait = self.seconds
        while not self._ended.wait(wait):
            with self._lock:
                if not self._ended.is_set() and not _in_a_debugger():
                    self.passed = True
                    _thread.interrupt_main()
            wait = 1.0


def end_process_at_last(last_words: TextIO) -> None:
    """From now on end this process a few seconds after a time limit that did not stop the code.

    The place where the code was goes to the file `last_words`.
    """
    global _last_words
    _last_words = last_words


def forbid_side_effects(answer: Path) -> None:
    """From now on raise PermissionError where the code of the file `answer` does more than compute.

    That code may not write, delete or rename files, start or end processes, use the network, or read a solution.
    """

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if _running and (deed := _deed(event, arguments)) and _called_by(str(answer)):
            raise PermissionError(f"an answer only computes: here it must not {deed}")

    sys.addaudithook(watch)


def limit_memory() -> None:
    """Let this process have at most 4 GiB more memory than now, where the system can limit it (Linux)."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _MEMORY, hard))
    except (ImportError, OSError, ValueError):  # Windows; macOS; a limit that is lower already
        return


def _in_a_debugger() -> bool:
    """True if the main thread waits in a debugger."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).split(".")[0] in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _deed(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The forbidden deed that an audit event of Python stands for; None if the event is allowed."""
    if event != "open":
        return _DEEDS.get(event)
    path, _, flags = arguments
    if not isinstance(path, str | bytes | os.PathLike):  # a descriptor, as of the standard output
        return None
    if isinstance(flags, int) and flags & _WRITES:
        return "write a file"
    return "read a solution" if Path(os.fsdecode(path)).parent.name == "solutions" else None


def _called_by(answer: str) -> bool:
    """True if code of the file `answer` is the cause, and not a library with purposes of its own."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == answer:
            return True
        if f"{frame.f_globals.get('__name__')}.".startswith(_LIBRARIES):
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return False
