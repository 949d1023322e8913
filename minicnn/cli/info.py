"""`minicnn info`: the facts about the machine that belong into a report of a problem or of a measurement."""

import argparse
import os
import platform
import sys
from typing import Any

from minicnn import __version__
from minicnn.versions import version

PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "matplotlib", "safetensors", "pooch", "tqdm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`minicnn info` has no options of its own."""


def run(arguments: argparse.Namespace) -> int:
    """Print one "name: value" a line."""
    facts = gather()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return 0


def gather() -> dict[str, str]:
    """The facts by name, in the order in which they are shown."""
    import numba

    from minicnn.data.download import data_folders
    from minicnn.kernels.compiling.compile import cache_folder

    config: Any = numba.config
    facts = {"minicnn": __version__, "Python": f"{platform.python_version()} ({sys.executable})"}
    facts.update({package: version(package) for package in PACKAGES})
    facts["system"] = platform.platform()
    facts["processor"] = _processor()
    facts["vector width"] = f"{vector_width()} floats of 32 bits"
    facts["threads"] = f"{numba.get_num_threads()} of {config.NUMBA_NUM_THREADS} (cores: {os.cpu_count()})"
    facts["threading layer"] = _threading_layer()
    facts["compiled kernels"] = _kernel_folder(config.DISABLE_JIT, cache_folder())
    facts["MINICNN_DATA"] = os.environ.get("MINICNN_DATA", "not set")
    facts["data folders"] = ", ".join(map(str, data_folders()))
    return facts


def vector_width() -> int:
    """How many float32 numbers one vector register of this processor holds; 1 if its kind is not known."""
    from llvmlite.binding import get_host_cpu_features

    features = get_host_cpu_features()
    for feature, width in (("avx512f", 16), ("avx", 8), ("sse", 4), ("neon", 4)):
        if features.get(feature):
            return width
    return 1


def _processor() -> str:
    from llvmlite.binding import get_host_cpu_name

    return f"{get_host_cpu_name()} ({platform.machine()})"


def _threading_layer() -> str:
    """The layer that runs the threads: omp, workqueue or tbb. A parallel kernel runs here, so that Numba chooses."""
    import numba

    untyped: Any = numba
    if untyped.config.DISABLE_JIT:
        return "none (NUMBA_DISABLE_JIT is set)"
    try:
        return str(untyped.threading_layer())
    except ValueError:  # no parallel kernel has run yet
        untyped.njit(parallel=True)(_touch)(4)
        return str(untyped.threading_layer())


def _touch(n: int) -> int:
    import numba

    total = 0
    for i in numba.prange(n):
        total += i
    return total


def _kernel_folder(disabled: bool, folder: object) -> str:
    if disabled:
        return "none: NUMBA_DISABLE_JIT is set, everything runs in Python"
    return str(folder) if folder else "no folder can be written: compiled again at every start"
