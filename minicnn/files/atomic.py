"""Writing a file so that a crash, a full disk or Ctrl-C leaves the old file or the new one, never half of one."""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from minicnn.files.temporary import temporary_file

# What must be made room for or unlocked before a second try can work; anything else is reported as it came.
_ADVICE = {
    errno.ENOSPC: "the disk is full: make room or choose another folder",
    errno.EDQUOT: "your quota is used up: make room or choose another folder",
    errno.EFBIG: "the file would be larger than this system or process may write (see `ulimit -f`)",
    errno.EACCES: "the folder cannot be written: change its permissions or choose another folder",
    errno.EPERM: "the folder cannot be written: change its permissions or choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOENT: "the folder does not exist: create it first",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
}


def write_atomically(path: str | os.PathLike[str], content: bytes | bytearray | memoryview) -> None:
    """Write `content` to `path`, whole or not at all.

    The bytes go to a temporary file in the same folder and are forced to the disk before that file takes the name in
    one step. If anything fails, the temporary file is removed, and the previous contents of `path` are untouched; what
    a killed process left beside `path` is removed by the next write to `path`.

    Raises the OSError that the system gave (PermissionError, FileNotFoundError, ...) with the path, the bytes needed,
    the bytes free, and advice. Raises IsADirectoryError if `path` is a folder.
    """
    target = _target(path)
    try:
        with temporary_file(target) as (file, temporary):
            _write_all(file, content)
            if os.name == "nt":  # Windows renames no open file
                file.close()
            os.replace(temporary, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise _explained(error, path, len(content), target.parent) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError of `write_atomically` now, not after minutes of work, if a file cannot be written to `path`.

    The contents of the file stay unchanged; if there is none, there is none afterwards.
    """
    target = _target(path)
    try:
        with temporary_file(target) as (file, _):
            _write_all(file, b"")
    except OSError as error:
        raise _explained(error, path, 0, target.parent) from error


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder `path`, after creating this folder and its parents if they are missing. Raises OSError with the path
    and advice."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        code = error.errno or errno.EIO
        special = {
            errno.EEXIST: "there is a file of this name: choose another folder",
            errno.ENOENT: "the file system takes no folder there: choose another",
        }
        advice = special.get(code) or _ADVICE.get(code, os.strerror(code))
        raise OSError(code, f"cannot make this folder ({advice})", str(path)) from error
    return folder


def _target(path: str | os.PathLike[str]) -> Path:
    target = Path(os.path.realpath(path))  # a symbolic link stays one: the file that it stands for is replaced
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "cannot write a file here, this is a folder: add a file name", str(path))
    return target


def _write_all(file: BinaryIO, content: bytes | bytearray | memoryview) -> None:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk too. Windows cannot open folders, and needs no such step."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some network file systems refuse; the file itself is safe already
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _explained(error: OSError, path: str | os.PathLike[str], needed: int, folder: Path) -> OSError:
    code = error.errno or errno.EIO
    try:
        free = f", free: {shutil.disk_usage(folder).free:,} bytes"
    except OSError:  # the folder does not exist: nothing to report
        free = ""
    advice = _ADVICE.get(code, os.strerror(code))
    message = f"cannot write this file ({advice}; needed: {needed:,} bytes{free}; an older file is untouched)"
    return OSError(code, message, str(path))  # OSError makes itself the subclass that belongs to the code
