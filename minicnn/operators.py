"""What can be written with a Tensor: `a + b`, `x[index]`, `x.sum()`. Each is one line, a call into minicnn.functional.

Tensor inherits these, and functional is written with Tensor: the package's one cycle. It is closed when a method is
called, through the name `minicnn.functional`, and not when the files are imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import minicnn

if TYPE_CHECKING:
    from minicnn.tensor import Tensor

Axes = int | tuple[int, ...] | list[int] | None


class Operators:
    """The operators and methods of Tensor that are computed by functional."""

    __slots__ = ()
    __array_priority__ = 1000.0  # so that `array + tensor` asks the Tensor first

    def __add__(self, other: Any) -> Tensor:
        return minicnn.functional.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return minicnn.functional.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return minicnn.functional.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return minicnn.functional.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return minicnn.functional.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return minicnn.functional.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return minicnn.functional.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return minicnn.functional.div(other, self)

    def __pow__(self, exponent: Any) -> Tensor:
        return minicnn.functional.pow(self, exponent)

    def __rpow__(self, base: Any) -> Tensor:
        return minicnn.functional.pow(base, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return minicnn.functional.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return minicnn.functional.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return minicnn.functional.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return minicnn.functional.remainder(other, self)

    def __pos__(self) -> Operators:
        return self

    def __neg__(self) -> Tensor:
        return minicnn.functional.neg(self)

    def __abs__(self) -> Tensor:
        return minicnn.functional.abs(self)

    def __matmul__(self, other: Any) -> Tensor:
        return minicnn.functional.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return minicnn.functional.matmul(other, self)

    def __getitem__(self, index: Any) -> Tensor:
        return minicnn.functional.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        _raise_in_place(
            "tensor[index] = value", "where(mask, value, tensor), or change tensor.data before the graph is built"
        )

    def __iadd__(self, other: Any) -> Tensor:
        _raise_in_place("tensor += value", "tensor = tensor + value")

    def __isub__(self, other: Any) -> Tensor:
        _raise_in_place("tensor -= value", "tensor = tensor - value")

    def __imul__(self, other: Any) -> Tensor:
        _raise_in_place("tensor *= value", "tensor = tensor * value")

    def __itruediv__(self, other: Any) -> Tensor:
        _raise_in_place("tensor /= value", "tensor = tensor / value")

    def __ipow__(self, other: Any) -> Tensor:  # type: ignore[misc]
        _raise_in_place("tensor **= value", "tensor = tensor ** value")

    def exp(self) -> Tensor:
        """e to the power of every element."""
        return minicnn.functional.exp(self)

    def log(self) -> Tensor:
        """The natural logarithm of every element."""
        return minicnn.functional.log(self)

    def sqrt(self) -> Tensor:
        """The square root of every element."""
        return minicnn.functional.sqrt(self)

    def abs(self) -> Tensor:
        """The absolute value of every element."""
        return minicnn.functional.abs(self)

    def pow(self, exponent: Any) -> Tensor:
        """Every element to the power of `exponent`."""
        return minicnn.functional.pow(self, exponent)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Every element, no lower than `min` and no higher than `max`."""
        return minicnn.functional.clamp(self, min, max)

    def maximum(self, other: Any) -> Tensor:
        """The larger of two, element by element."""
        return minicnn.functional.maximum(self, other)

    def minimum(self, other: Any) -> Tensor:
        """The smaller of two, element by element."""
        return minicnn.functional.minimum(self, other)

    def matmul(self, other: Any) -> Tensor:
        """The matrix product, as with `@`."""
        return minicnn.functional.matmul(self, other)

    def sum(self, dim: Axes = None, keepdim: bool = False, **named: Any) -> Tensor:
        """The sum over all axes or over those named."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.sum(self, dim, keepdim)

    def mean(self, dim: Axes = None, keepdim: bool = False, **named: Any) -> Tensor:
        """The mean over all axes or over those named."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.mean(self, dim, keepdim)

    def var(self, dim: Axes = None, correction: int = 1, keepdim: bool = False, **named: Any) -> Tensor:
        """The variance: squared deviations summed, divided by their count less `correction`."""
        dim, keepdim, correction = _axes_named(dim, keepdim, named, correction)
        return minicnn.functional.var(self, dim, correction, keepdim)

    def std(self, dim: Axes = None, correction: int = 1, keepdim: bool = False, **named: Any) -> Tensor:
        """The standard deviation: the square root of `var`."""
        dim, keepdim, correction = _axes_named(dim, keepdim, named, correction)
        return minicnn.functional.std(self, dim, correction, keepdim)

    def prod(self, dim: int | None = None, keepdim: bool = False, **named: Any) -> Tensor:
        """The product over all axes or over one."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.prod(self, dim, keepdim)

    def amax(self, dim: Axes = None, keepdim: bool = False, **named: Any) -> Tensor:
        """The largest element over all axes or over those named."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.amax(self, dim, keepdim)

    def amin(self, dim: Axes = None, keepdim: bool = False, **named: Any) -> Tensor:
        """The smallest element over all axes or over those named."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.amin(self, dim, keepdim)

    def max(self, dim: int | None = None, keepdim: bool = False, **named: Any) -> Any:
        """The largest element; with `dim`, a pair (values, indices)."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.max(self, dim, keepdim)

    def min(self, dim: int | None = None, keepdim: bool = False, **named: Any) -> Any:
        """The smallest element; with `dim`, a pair (values, indices)."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.min(self, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False, **named: Any) -> Tensor:
        """The index of the largest element (the first, on a tie)."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.argmax(self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False, **named: Any) -> Tensor:
        """The index of the smallest element (the first, on a tie)."""
        dim, keepdim, _ = _axes_named(dim, keepdim, named)
        return minicnn.functional.argmin(self, dim, keepdim)

    def logsumexp(self, dim: Axes, keepdim: bool = False) -> Tensor:
        """log(sum(exp(x))), without overflow."""
        return minicnn.functional.logsumexp(self, dim, keepdim)

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        return minicnn.functional.reshape(self, _flat(shape))

    def view(self, *shape: Any) -> Tensor:
        """The same as reshape: without a copy where the memory order allows."""
        return minicnn.functional.reshape(self, _flat(shape))

    def clone(self) -> Tensor:
        """A copy, through which the gradient flows."""
        return minicnn.functional.clone(self)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The axes from `start_dim` to `end_dim` joined into one."""
        return minicnn.functional.flatten(self, start_dim, end_dim)

    def permute(self, *dims: Any) -> Tensor:
        """The axes in another order."""
        return minicnn.functional.permute(self, _flat(dims))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two axes exchanged."""
        return minicnn.functional.transpose(self, dim0, dim1)

    def squeeze(self, dim: Axes = None) -> Tensor:
        """Without its axes of size 1, or without those of the named ones that have size 1."""
        return minicnn.functional.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        """With a new axis of size 1 at `dim`."""
        return minicnn.functional.unsqueeze(self, dim)

    def expand(self, *sizes: Any) -> Tensor:
        """Repeated along axes of size 1, without a copy; -1 keeps a size."""
        return minicnn.functional.expand(self, _flat(sizes))

    def astype(self, dtype: Any) -> Tensor:
        """The same values in another dtype; gradients flow between floating-point ones."""
        return minicnn.functional.astype(self, dtype)

    def float(self) -> Tensor:
        """The values as float32."""
        return minicnn.functional.astype(self, np.float32)

    def double(self) -> Tensor:
        """The values as float64."""
        return minicnn.functional.astype(self, np.float64)

    def long(self) -> Tensor:
        """The values as int64, fractions cut off; no gradient flows."""
        return minicnn.functional.astype(self, np.int64)


def _axes_named(dim: Any, keepdim: bool, named: dict[str, Any], correction: int = 1) -> tuple[Any, bool, int]:
    """(dim, keepdim, correction), where `named` may give them by NumPy's names: axis, keepdims, ddof.

    NumPy's functions, such as np.mean(tensor), also pass dtype and out, which must be None.
    """
    values = {"axis": dim, "keepdims": keepdim, "ddof": correction, "dtype": None, "out": None}
    unknown = named.keys() - values.keys()
    if unknown:
        raise TypeError(f"`{min(unknown)}` is not an argument of this reduction; it takes dim (or axis) and keepdim")
    if dim is not None and named.get("axis") is not None:
        raise TypeError("`dim` and `axis` mean the same; give one of them")
    values |= named
    if values["dtype"] is not None or values["out"] is not None:
        raise TypeError("`dtype` and `out` are not offered; convert the result with .astype(dtype)")
    return values["axis"], values["keepdims"], values["ddof"]


def _flat(arguments: tuple) -> tuple[int, ...]:
    """reshape(2, 3) and reshape((2, 3)) mean the same."""
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        return tuple(arguments[0])
    return arguments


def _raise_in_place(what: str, instead: str) -> NoReturn:
    raise NotImplementedError(
        f"in-place operations ({what}) would change a value that some backward may need; write {instead}"
    )
