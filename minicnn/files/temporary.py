"""Temporary files beside their final place, and taking away those of processes that were killed.

    .checkpoint.safetensors.minicnn-1f0c93ab.tmp

A killed process cannot remove its file, so the next process that writes the same target does. A file may go if its name
is of this form, which other files do not have, and if its lock is free: the system frees a lock when its process ends,
on whichever machine that was. Windows does not have such locks; there a file must be an hour old.
"""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

_fcntl: Any
try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None

_OLD = 3600.0  # seconds without a write; asked for only if the system does not have locks
_MARK_IN_FOLDER = "minicnn-unpacking"  # the file whose lock says that a temporary folder is in use


@contextlib.contextmanager
def temporary_file(target: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new locked file beside `target`, open for writing, and its path; removed at the end if it is still there.

    First goes what killed processes left. Raises the system's OSError if the file cannot be made.
    """
    remove_abandoned(target)
    while True:
        path = target.with_name(f".{target.name}.minicnn-{secrets.token_hex(4)}.tmp")
        try:
            with open(path, "xb") as file:
                if _locked(file, path):
                    yield file, path
                    return
        finally:
            _remove(path)


@contextlib.contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A new folder below `parent`, removed with all its contents at the end; first goes what killed processes left.

    Raises the system's OSError if the folder cannot be made.
    """
    _remove_abandoned_folders(parent)
    while True:
        path = parent / f".minicnn-{secrets.token_hex(4)}.unpacking"
        try:
            path.mkdir()
            with open(path / _MARK_IN_FOLDER, "xb") as file:
                if _locked(file, path / _MARK_IN_FOLDER):
                    contents = path / "contents"
                    contents.mkdir()
                    yield contents
                    return
        finally:
            shutil.rmtree(path, ignore_errors=True)


def remove_abandoned(target: Path) -> None:
    """Remove the temporary files for `target` that belong to no living process. Never raises OSError."""
    name = re.compile(rf"\.{re.escape(target.name)}\.minicnn-[0-9a-f]{{8}}\.tmp")
    for path in _named(target.parent, name):
        if path.is_file() and not path.is_symlink():
            _if_abandoned(path, path.unlink)


def _remove_abandoned_folders(parent: Path) -> None:
    """Remove the temporary folders in `parent` that belong to no living process. Never raises OSError."""
    for path in _named(parent, re.compile(r"\.minicnn-[0-9a-f]{8}\.unpacking")):
        mark = path / _MARK_IN_FOLDER
        if path.is_dir() and not path.is_symlink() and mark.is_file():
            _if_abandoned(mark, partial(shutil.rmtree, path))


def _named(folder: Path, name: re.Pattern[str]) -> list[Path]:
    try:
        return [folder / entry for entry in os.listdir(folder) if name.fullmatch(entry)]
    except OSError:
        return []


def _locked(file: BinaryIO, path: Path) -> bool:
    """True once `file` is locked until it is closed; False if another process, between the making of `path` and its
    lock, took it for abandoned and removed it. True in a file system without locks: nothing is removed there."""
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(file.fileno(), _fcntl.LOCK_EX)
    except OSError:
        return True
    return path.exists()  # no other process makes this name again


def _if_abandoned(lock: Path, remove: Callable[[], None]) -> None:
    """Call `remove` if the lock of the file `lock` is free, and hold the lock meanwhile."""
    try:
        if _fcntl is None:
            if time.time() - lock.stat().st_mtime > _OLD:
                remove()
            return
        with open(lock, "r+b") as file:
            _fcntl.flock(file.fileno(), _fcntl.LOCK_EX | _fcntl.LOCK_NB)
            remove()
    except OSError:  # in use, removed meanwhile, of another user, or on a file system without locks
        return


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # it may never have come to be; the error under way is the one to tell
        path.unlink()
