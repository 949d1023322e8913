"""detect_anomaly: stop at the operation that makes the first NaN or infinity, and name the place.

This file knows arrays and names only; the engine and nn.Module call its functions. Without detect_anomaly each call is
one test.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


class _State(threading.local):
    """The state of one thread; the results of other threads are not searched."""

    def __init__(self) -> None:
        self.enabled = False
        self.module_names: list[str] = []  # the names of the modules being called, outermost first


_state = _State()


@contextlib.contextmanager
def detect_anomaly() -> Iterator[None]:
    """While this is open, the first NaN or infinity that an operation makes raises FloatingPointError.

    The message names the module path, the operation, the shapes, the first bad index, and forward or backward. For
    the module path in backward, open the block around the forward pass too. Every result is searched, which takes time.
    """
    before, _state.enabled = _state.enabled, True
    try:
        yield
    finally:
        _state.enabled = before


def is_enabled() -> bool:
    """True inside `detect_anomaly()`."""
    return _state.enabled


@contextlib.contextmanager
def module_scope(name: str) -> Iterator[None]:
    """While this is open, operations belong to the child module `name` of the module around it."""
    _state.module_names.append(name)
    try:
        yield
    finally:
        _state.module_names.pop()


def module_path() -> str:
    """The dotted path of the module that is being called, such as "features.3"; "" outside of any."""
    return ".".join(name for name in _state.module_names if name)


def check_forward(name: str, result: np.ndarray, inputs: Sequence[Any]) -> None:
    """Raise FloatingPointError if a result is not finite; the message tells whether the inputs were finite."""
    if not _state.enabled or result.dtype.kind != "f" or np.isfinite(result).all():
        return
    given = [tensor for tensor in inputs if tensor is not None]
    if all(np.isfinite(tensor.data).all() for tensor in given if tensor.data.dtype.kind == "f"):
        origin = "all inputs were finite"
    else:
        origin = "an input was not finite already"
    shapes = ", ".join(str(tensor.shape) for tensor in given)
    _raise(f"forward of {name}{_where(module_path())}", f"inputs of shape {shapes}; {origin}", "result", result)


def check_backward(node: Any, received: np.ndarray, gradients: Sequence[np.ndarray | None]) -> None:
    """Raise FloatingPointError if an input's gradient is not finite; `received` is the result's gradient."""
    if not _state.enabled:
        return
    for position, gradient in enumerate(gradients):
        if gradient is not None and not np.isfinite(gradient).all():
            origin = "was finite" if np.isfinite(received).all() else "was not finite already"
            about = f"the result's gradient, of shape {node.shape}, {origin}"
            _raise(f"backward of {node.name}{_where(node.path)}", about, f"gradient of input {position}", gradient)


def _where(path: str) -> str:
    return f" in module {path!r}" if path else ""


def _raise(operation: str, context: str, what: str, array: np.ndarray) -> None:
    index = tuple(int(i) for i in np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape))
    bad = int(array.size - np.isfinite(array).sum())
    raise FloatingPointError(
        f"{operation}: {what} of shape {array.shape} has {array[index]} at index {index}"
        f" (the first of {bad} bad elements); {context}"
    )
