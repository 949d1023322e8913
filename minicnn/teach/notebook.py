"""A lesson as a notebook, executed: text, code, printed output and figure in one file that opens anywhere.

The cells are those of the lesson's file, read by jupytext; nbclient runs them in a process of their own. Both come with
the extra `lessons`: they are needed for nothing else.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from minicnn.files.atomic import write_atomically
from minicnn.teach.folder import LessonFile

_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def write_notebook(lesson: LessonFile, out: Path, fast: bool) -> Path:
    """Run `lesson` cell by cell and write it to out/NN_name.ipynb, which is returned; the figure is inside.

    Raises ModuleNotFoundError, naming the package to install, without the extra, and ValueError if a cell fails; then
    nothing is written.
    """
    jupytext, nbclient, nbformat = _packages()
    notebook = jupytext.read(lesson.path)
    notebook.metadata = {"kernelspec": _KERNEL}
    environment = {**os.environ, "MINICNN_OUT": str(out.resolve()), "MINICNN_FAST": str(int(fast))}
    client = nbclient.NotebookClient(
        notebook,
        timeout=None,
        kernel_name=_KERNEL["name"],
        extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        on_notebook_start=_leave_ctrl_c_to_python,
    )
    try:
        client.execute(env=environment)
    except nbclient.exceptions.CellExecutionError as error:
        raise ValueError(f"lesson {lesson.name} fails in a cell: {error.ename}: {error.evalue}") from error
    path = out / f"{lesson.name}.ipynb"
    write_atomically(path, (nbformat.writes(notebook) + "\n").encode())
    return path


def _leave_ctrl_c_to_python(notebook: Any) -> None:
    """Take back nbclient's handler, which ends the process of the cells and then fails to find it."""
    import asyncio

    asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def _packages() -> tuple[Any, Any, Any]:
    try:
        import ipykernel  # noqa: F401 (the process that runs the cells)
        import jupytext
        import nbclient
        import nbformat
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{error.name} is not installed, and notebooks need it: pip install jupytext nbclient ipykernel "
            "(they are minicnn's extra `lessons`)"
        ) from error
    return jupytext, nbclient, nbformat
