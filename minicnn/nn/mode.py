"""evaluation_mode: evaluation for the length of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from minicnn.nn.module import Module


@contextlib.contextmanager
def evaluation_mode(model: Module) -> Iterator[None]:
    """While this is open, the model is in evaluation mode; at the end every module returns to its former mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
