"""Parameter: a Tensor that a module owns and an optimiser changes."""

from __future__ import annotations

from numpy.typing import ArrayLike

from minicnn.tensor import Tensor


class Parameter(Tensor):
    """A leaf Tensor that requires a gradient. A Module finds its Parameters among its attributes: `parameters()`.

    `data` is any value that Tensor takes; the dtype must be floating point if `requires_grad` (TypeError otherwise).
    """

    __slots__ = ()

    def __init__(self, data: Tensor | ArrayLike, requires_grad: bool = True):
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return super().__repr__().replace("Tensor(", "Parameter(", 1)
