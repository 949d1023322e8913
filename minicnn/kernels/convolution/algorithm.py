"""Which convolution algorithm is in use: "auto" lets the chooser decide by shape, a name forces one for a block.

    with minicnn.use_algorithm("reference"):
        y = layer(x)            # plain loops that a debugger can walk through
        y.sum().backward()      # the backward pass is chosen when it runs, so keep it inside the block

The algorithms give the same results up to rounding. They differ in speed, and in how easily they are read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ALGORITHMS = ("auto", "reference", "im2col", "direct", "winograd")

# A context variable and not a module variable: a block in one thread does not change what another thread runs.
_current: ContextVar[str] = ContextVar("convolution algorithm", default="auto")


def current_algorithm() -> str:
    """The name in force here: one of `ALGORITHMS`."""
    return _current.get()


@contextmanager
def use_algorithm(name: str) -> Iterator[None]:
    """A context manager that runs every convolution inside its block with the algorithm `name`.

    "winograd" is for float32, 3x3 kernels and stride 1 only, and gives way to "direct". That one gives way to "im2col"
    for depthwise convolutions and for float64, unless it was itself asked for and there is only one group.
    Raises ValueError if `name` is not in `ALGORITHMS`.
    """
    if name not in ALGORITHMS:
        choices = ", ".join(repr(choice) for choice in ALGORITHMS)
        raise ValueError(f"algorithm: expected one of {choices}, got {name!r}")
    token = _current.set(name)
    try:
        yield
    finally:
        _current.reset(token)
