"""Ctrl-C during training: finish the step under way, save, and say how to go on."""

import signal
import sys
import threading
from types import FrameType
from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """Training was stopped by Ctrl-C after its state was saved; the message says where, and how to resume."""


class CtrlC:
    """While this is open, the first Ctrl-C sets `pressed`, for the loop to see between steps; a second stops at once.

    In the middle of a step the weights are half updated: a checkpoint of that moment would be of no use. Where Ctrl-C
    cannot be caught (outside the main thread, or in a process that ignores Ctrl-C), nothing changes.
    """

    def __init__(self, active: bool = True):
        self.active = active
        self.pressed = False
        self._before: Any = None

    def __enter__(self) -> "CtrlC":
        self.active = self.active and threading.current_thread() is threading.main_thread()
        self.active = self.active and callable(signal.getsignal(signal.SIGINT))
        if self.active:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self.active:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt("stopped at once; the last checkpoint is intact")
        self.pressed = True
        print("\nminicnn: finishing this step, then saving (Ctrl-C again stops at once)", file=sys.stderr)
