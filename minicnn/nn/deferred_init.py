"""Deferred initialisation: a parameter whose values come from a file is not drawn first.

Drawing the 138 million weights of VGG-16 takes longer than reading them, and touches memory that the file's values will
fill. Inside `with deferred():` the functions of nn.init only record their task:

    with init.deferred():
        model = VGG(...)                    # nothing is drawn; the parameters' memory is not even touched
        model.load_state_dict(state)        # the tasks of the loaded parameters are cancelled
                                            # at the end of the block: the remaining tasks are carried out

A parameter that is initialised twice, by its layer and then by its network, is drawn once, by the last task.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minicnn.tensor import Tensor


class _Deferred(threading.local):
    """The tasks of this thread: id of a Tensor -> (the Tensor, its task); None outside of `deferred`."""

    def __init__(self) -> None:
        self.tasks: dict[int, tuple[Tensor, Callable[[], Any]]] | None = None


_deferred = _Deferred()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """While this is open, initialisation is deferred; at the end, every parameter without values is initialised.

    Only for building and loading: inside the block the values of the parameters, and of copies, are arbitrary. If the
    block raises an error, the remaining tasks are carried out before the error goes on, so that no caller gets a
    parameter of arbitrary memory. Inside another `deferred` it does nothing.
    """
    if _deferred.tasks is not None:
        yield
        return
    _deferred.tasks = {}
    try:
        yield
    finally:
        tasks, _deferred.tasks = _deferred.tasks, None
        for _, task in tasks.values():
            task()


def defer(tensor: Tensor, task: Callable[[], Any]) -> bool:
    """True if initialisation is deferred: `task` is then called later, and replaces the tensor's earlier task."""
    if _deferred.tasks is None:
        return False
    _deferred.tasks.pop(id(tensor), None)  # so that the order is that of the last requests
    _deferred.tasks[id(tensor)] = tensor, task
    return True


def is_deferred(tensor: Tensor) -> bool:
    """True while this tensor's memory is arbitrary."""
    return _deferred.tasks is not None and id(tensor) in _deferred.tasks


def cancel(tensors: Iterable[Tensor]) -> None:
    """Drop the tasks of these tensors, which have their values from elsewhere."""
    if _deferred.tasks is not None:
        for tensor in tensors:
            _deferred.tasks.pop(id(tensor), None)
