"""Initialisation that waits: a parameter whose values come from a file is never drawn first.

Drawing the 138 million weights of VGG-16 takes longer than reading them, and touches memory that the file's values are
about to fill. Inside `with postponed():` the functions of nn.init only note down what they were asked to do:

    with init.postponed():
        model = VGG(...)                    # nothing is drawn; the parameters' memory is not even touched
        model.load_state_dict(state)        # what it fills is crossed off
                                            # leaving: what is still on the list is drawn now

A parameter that is initialised twice, by its layer and then by its network, is drawn once, as asked last.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from minicnn.tensor import Tensor


class _Waiting(threading.local):
    """What waits in this thread: id of a Tensor -> (the Tensor, what fills it); None outside of `postponed`."""

    def __init__(self) -> None:
        self.fillings: dict[int, tuple[Tensor, Callable[[], Any]]] | None = None


_waiting = _Waiting()


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """While this is open, initialisation waits; when it closes, what nothing else has filled is initialised.

    Only for building and loading: until it closes, the values of the parameters are arbitrary, and so are copies.
    If the block raises, all that waits is initialised before the error goes on: nobody is handed a parameter of
    arbitrary memory. Inside of another `postponed` it does nothing: the outer one decides.
    """
    if _waiting.fillings is not None:
        yield
        return
    _waiting.fillings = {}
    try:
        yield
    finally:
        fillings, _waiting.fillings = _waiting.fillings, None
        for _, fill in fillings.values():
            fill()


def postpone(tensor: Tensor, fill: Callable[[], Any]) -> bool:
    """True if initialisation waits: then `fill` is called later, in place of what waited for this tensor before."""
    if _waiting.fillings is None:
        return False
    _waiting.fillings.pop(id(tensor), None)  # so that the order is that of the last requests
    _waiting.fillings[id(tensor)] = tensor, fill
    return True


def is_waiting(tensor: Tensor) -> bool:
    """Whether this tensor's memory is still arbitrary."""
    return _waiting.fillings is not None and id(tensor) in _waiting.fillings


def cross_off(tensors: Iterable[Tensor]) -> None:
    """These tensors have got their values from elsewhere."""
    if _waiting.fillings is not None:
        for tensor in tensors:
            _waiting.fillings.pop(id(tensor), None)
