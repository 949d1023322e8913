"""Whether operations are recorded: no_grad() and enable_grad(), for a block, a function or a generator."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    """One for each thread, so that a no_grad() in one thread does not stop the training of another."""

    grad_enabled = True


mode = _Mode()


def is_grad_enabled() -> bool:
    """True while operations record how to go back, False inside `no_grad()`."""
    return mode.grad_enabled


class _GradMode(threading.local):
    """A block in which `enabled` holds. It may be used again, inside itself, and by several threads."""

    enabled: bool

    def __init__(self) -> None:
        self._before: list[bool] = []  # what held before each entry that is still open

    def __enter__(self) -> None:
        self._before.append(mode.grad_enabled)
        mode.grad_enabled = self.enabled

    def __exit__(self, *error: object) -> None:
        mode.grad_enabled = self._before.pop()

    def __call__(self, function: F) -> F:
        """As a decorator: `function` with its whole body inside the block. Raises TypeError for what is not one."""
        if not callable(function) or isinstance(function, type) or inspect.iscoroutinefunction(function):
            raise TypeError(
                f"@{type(self).__name__}() is for functions and generators, but got {function!r}; decorate a method of "
                f"the class, or write `with {type(self).__name__}():` inside the coroutine"
            )
        kind = type(self)
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                return (yield from _resumed_inside(kind, function(*args, **kwargs)))

            return generate  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with kind():
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]


class no_grad(_GradMode):
    """While this is open, operations record nothing: results require no gradients, and intermediates die at once.

    with no_grad(): ...             a block
    @no_grad()                      a function or a generator, whose body is the block
    """

    enabled = False


class enable_grad(_GradMode):
    """While this is open, operations are recorded, even inside `no_grad()`; a block or a decorator, as no_grad()."""

    enabled = True


def _resumed_inside(kind: type[_GradMode], generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """`generator`, with the block open while its body runs and closed while its caller's does."""
    resume: Callable[..., Any] = generator.send
    sent: Any = None
    try:
        while True:
            with kind():
                value = resume(sent)
            try:
                resume, sent = generator.send, (yield value)
            except GeneratorExit:
                raise
            except BaseException as error:
                resume, sent = generator.throw, error
    except StopIteration as end:
        return end.value
    finally:
        with kind():
            generator.close()
