"""Reading CIFAR's batches, which are Python 2 pickles, without running what a pickle may ask to run.

A pickle is a program: it can name any function of any module and call it. This reader lets it name what a NumPy array
needs, and refuses everything else by name, before anything is imported or called.
"""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # as NumPy 1 named it when the batches were made
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # as NumPy 2 names it
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _RefusedError(f"it asks for {module}.{name}")
        return ALLOWED[module, name]


class _RefusedError(Exception):
    pass


def read_batch(path: Path) -> dict[str, Any]:
    """The dictionary in the pickle at `path`, with its byte-string keys as text; arrays and lists as values.

    Raises ValueError if the pickle asks for anything but NumPy arrays (naming what, and not running it), is damaged or
    cut short, or is not a dictionary.
    """
    try:
        contents = _ArrayUnpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except _RefusedError as error:
        raise ValueError(f"{path} was refused: {error}, and a batch of pictures needs only NumPy arrays") from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(f"{path} is damaged or cut short ({type(error).__name__}: {error}); fetch it again") from error
    if not isinstance(contents, dict):
        raise ValueError(f"{path} should hold a dictionary, but holds a {type(contents).__name__}")
    return {key.decode() if isinstance(key, bytes) else key: value for key, value in contents.items()}
