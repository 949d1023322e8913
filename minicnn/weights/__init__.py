"""Files of weights: what is written and read, and how a write can never leave half a file."""

from minicnn.weights.atomic import check_writable, make_folder, write_atomically
from minicnn.weights.files import load, load_metadata, load_with_metadata, save
from minicnn.weights.nested import flatten, unflatten

__all__ = [
    "check_writable",
    "flatten",
    "load",
    "load_metadata",
    "load_with_metadata",
    "make_folder",
    "save",
    "unflatten",
    "write_atomically",
]
