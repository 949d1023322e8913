"""Finding the files of a real data set on this machine, and fetching from their sources those that are missing.

Where files are looked for, in this order:

    root=...                     if it is given, there and nowhere else; a download goes there too
    the folder MINICNN_DATA      if that variable is set; it is only read
    the cache of this user       where downloads go (on Linux ~/.cache/minicnn)

A download is checked by its checksum before it gets its name, so a file that has its name is whole.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minicnn.files.temporary import temporary_file

TIMEOUT = (10.0, 30.0)  # seconds to connect, and of silence in the middle of a file


def data_folders(root: str | os.PathLike[str] | None = None) -> list[Path]:
    """The folders that are searched, first to last; a download goes to the last one."""
    if root is not None:
        return [Path(root).expanduser()]
    named = os.environ.get("MINICNN_DATA")
    return ([Path(named).expanduser()] if named else []) + [cache_folder()]


def cache_folder() -> Path:
    """Where downloads of this user are kept: the cache folder that the platform prescribes."""
    import pooch

    return Path(pooch.os_cache("minicnn"))


def find(names: Sequence[str], folders: Sequence[Path]) -> Path | None:
    """The first of `folders` / `names` that exists, folder by folder; None if there is none."""
    return next((folder / name for folder in folders for name in names if (folder / name).exists()), None)


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded: its name, its checksum, and the addresses of the folders that serve it."""

    name: str
    checksum: str  # its md5; or "sha256:" and the first digits, where no more is known
    sources: tuple[str, ...]
    subfolder: str = ""  # of the data folder: where it is looked for and kept

    @property
    def algorithm(self) -> str:
        """The kind of its checksum: "md5" or "sha256"."""
        return self.checksum.rpartition(":")[0] or "md5"

    @property
    def digits(self) -> str:
        """The hexadecimal digits with which its checksum begins."""
        return self.checksum.rpartition(":")[2]


def obtain(
    file: RemoteFile,
    folders: Sequence[Path],
    purpose: str,
    download: bool = True,
    timeout: tuple[float, float] = TIMEOUT,
) -> Path:
    """The path of `file` in one of `folders`; if it is in none, it is downloaded into the last one.

    `purpose` says in an error why the file is needed. A download that fails or is interrupted leaves nothing. Raises
    FileNotFoundError if no source served the file whole, with the answer of each source and the folder for the file;
    OSError if the folder cannot be written.
    """
    found = find([file.name], [folder / file.subfolder for folder in folders])
    if found is not None:
        return found
    failures: list[str] = []
    for source in file.sources if download else ():
        failure = _fetch(file, source.rstrip("/") + "/" + file.name, folders[-1] / file.subfolder, timeout)
        if failure is None:
            return folders[-1] / file.subfolder / file.name
        failures.append(failure)
    raise FileNotFoundError(_missing(file, folders, purpose, failures))


def _fetch(file: RemoteFile, url: str, folder: Path, timeout: tuple[float, float]) -> str | None:
    """Downloads `url` into `folder`; the failure of the source, or None."""
    import pooch
    from requests.exceptions import RequestException

    # identity: a server that compresses on the fly would have the bytes unpacked on arrival, and the checksum differ.
    downloader = pooch.HTTPDownloader(
        progressbar=True, chunk_size=2**16, timeout=timeout, headers={"Accept-Encoding": "identity"}
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_file(folder / file.name) as (opened, partial):
            downloader(url, opened, None)
            opened.flush()
            if not pooch.file_hash(str(partial), file.algorithm).startswith(file.digits):
                return f"{url}: what came has another {file.algorithm} than {file.digits}: it was cut short or altered"
            if os.name == "nt":  # Windows renames no open file
                opened.close()
            os.replace(partial, folder / file.name)
    except RequestException as error:
        return f"{url}: {type(error).__name__}: {error}"
    except OSError as error:
        code = error.errno or errno.EIO
        advice = f"{os.strerror(code)}: cannot keep {file.name} here; make room, or give another folder as root="
        raise OSError(code, advice, str(folder)) from error
    return None


def _missing(file: RemoteFile, folders: Sequence[Path], purpose: str, failures: Sequence[str]) -> str:
    looked = "".join(f"\n  {folder / file.subfolder / file.name}" for folder in folders)
    tried = "".join(f"\n  {failure}" for failure in failures) or " not tried (download=False)"
    sources = "".join(f"\n  {source.rstrip('/')}/{file.name}" for source in file.sources)
    return (
        f"{purpose}. It is not here:{looked}\nDownload:{tried}\n"
        f"Without a network, fetch the file ({file.algorithm} {file.digits}) elsewhere from{sources}\n"
        f"and put it at {folders[-1] / file.subfolder / file.name}, or set MINICNN_DATA to a folder that holds "
        f"{os.path.join(file.subfolder, file.name)}."
    )
