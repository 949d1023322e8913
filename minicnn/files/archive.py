"""Unpacking a tarball that someone else made: its files by name, inside one folder, and nothing else."""

import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from minicnn.files.temporary import temporary_folder


def extract(archive: Path, destination: Path, folder: str) -> Path:
    """The path `destination/folder`, filled with the files that `archive` holds under `folder/`.

    The files are unpacked beside their final place and moved there when all are whole, so that an interrupted run
    leaves no half-filled folder that looks complete. Members elsewhere in the archive are not unpacked.

    Raises ValueError, and unpacks nothing, if a member would land outside the folder (an absolute path, `..`), is a
    link or a device, if there is nothing under `folder/`, or if the archive is cut short or damaged.
    """
    destination.mkdir(parents=True, exist_ok=True)
    with temporary_folder(destination) as temporary:
        try:
            with tarfile.open(archive) as tar:
                members = [member for member in tar.getmembers() if _wanted(member, archive, folder)]
                if not members:
                    raise ValueError(f"{archive} holds nothing under {folder}/: is it another archive?")
                for member in members:
                    _write(tar, member, temporary / member.name)
        except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
            contradicts_itself = isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError)
            if isinstance(error, OSError) and error.errno is not None and not contradicts_itself:
                raise  # the disk, not the archive: that one may hold a name both as a file and as a folder
            raise ValueError(f"{archive} is damaged or cut short ({error}); delete it and fetch it again") from error
        _move(temporary / folder, destination / folder)
    return destination / folder


def _wanted(member: tarfile.TarInfo, archive: Path, folder: str) -> bool:
    parts = PurePosixPath(member.name).parts
    if member.name.startswith(("/", "\\")) or ".." in parts or ":" in member.name or "\\" in member.name:
        raise ValueError(f"{archive} was refused: its member {member.name!r} points outside the folder")
    if parts[:1] != (folder,) or member.isdir():
        return False
    if not member.isreg():
        raise ValueError(f"{archive} was refused: its member {member.name!r} is a link or a device, not a file")
    return True


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Copies the contents only: no owner, no permissions, no times from the archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as target, tar.extractfile(member) as source:  # type: ignore[union-attr]  # it is a file
        shutil.copyfileobj(source, target)


def _move(source: Path, target: Path) -> None:
    """`source` becomes `target`; if that folder exists, the files that it lacks are moved, and its own stay."""
    if not target.exists():
        os.replace(source, target)
        return
    for path in sorted(source.rglob("*")):
        place = target / path.relative_to(source)
        if path.is_file() and not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
