"""Builds the API reference from the docstrings: `python docs/api.py FOLDER`, after `pip install -e ".[docs]"`.

A warning of pdoc is an error, except about the fields of a NamedTuple, whose types pdoc looks up in the wrong module.
"""

import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc

import minicnn

LEFT_OUT = {"__main__", "bench"}  # `bench` imports the libraries that it measures, which a reader need not have


def build(folder: Path) -> None:
    """Pages of all packages and modules on the top floor; pdoc follows each package's `__all__` from there."""
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", message="Error parsing type annotation ForwardRef")
    others = {module.name for module in pkgutil.iter_modules(minicnn.__path__)} - {*minicnn.__all__} - LEFT_OUT
    modules = ["minicnn", *(f"minicnn.{name}" for name in sorted(others))]  # what `__all__` names comes with the first
    pdoc.render.configure(docformat="markdown")
    pdoc.pdoc(*modules, output_directory=folder)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python docs/api.py FOLDER")
    build(Path(sys.argv[1]))
