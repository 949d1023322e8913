"""The versions that made a result, for the record of a run."""

import platform
from importlib import metadata


def version(package: str) -> str:
    """The installed version, or "not installed"."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def recorded_versions() -> dict[str, str]:
    """The versions of Python, minicnn, NumPy and Numba by name."""
    from minicnn import __version__

    versions = {"python": platform.python_version(), "minicnn": __version__}
    return versions | {name: version(name) for name in ("numpy", "numba")}


def recorded_machine() -> str:
    """System, processor family and threads, as in "Linux x86_64, 2 threads"; without a name of the machine."""
    import numba

    return f"{platform.system()} {platform.machine()}, {numba.get_num_threads()} threads"
