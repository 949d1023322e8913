"""Reductions: many elements to one, over all axes or over those that `dim` names."""

from __future__ import annotations

import builtins  # this file's own max, min and sum reduce Tensors
from typing import Any

import numpy as np

from minicnn.engine import long_sum
from minicnn.operators import Axes
from minicnn.tensor import Tensor, as_tensor, make_result


def axes_of(dim: Axes, ndim: int) -> tuple[int, ...]:
    """The axes that `dim` names, none negative; None and () mean all.

    Raises ValueError if one is out of range or named twice.
    """
    if dim is None or (isinstance(dim, (tuple, list)) and not len(dim)):
        return tuple(range(ndim))
    named = (dim,) if isinstance(dim, (int, np.integer)) else tuple(dim)
    reach = builtins.max(ndim, 1)  # a Tensor without axes answers to dim 0 and -1, as in PyTorch
    for axis in named:
        if not -reach <= axis < reach:
            raise ValueError(f"dim {axis} is out of range for a Tensor of {ndim} axes: {-reach} to {reach - 1}")
    axes = tuple(int(axis) % reach for axis in named)
    if len(set(axes)) != len(axes):
        raise ValueError(f"dim names an axis twice: {dim}")
    return axes if ndim else ()


def _count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    return int(np.prod([shape[axis] for axis in axes], dtype=np.int64))


def _kept_shape(shape: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def _need_float(name: str, array: np.ndarray) -> None:
    if array.dtype.kind != "f":
        raise TypeError(
            f"{name} needs floating-point values, but the dtype is {array.dtype}; convert with .float() first"
        )


def sum(input: Any, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """The sum over `dim`; integers and booleans are summed as int64."""
    x = as_tensor(input)
    axes, shape = axes_of(dim, x.ndim), x.shape
    kept = _kept_shape(shape, axes)
    if x.dtype.kind == "f":
        total = long_sum(x.data, axes, keepdim)
    else:
        total = x.data.sum(axis=axes, keepdims=keepdim, dtype=np.int64)

    def backward(gradient: np.ndarray):  # keeps nothing: every element counted once
        return (np.broadcast_to(gradient.reshape(kept), shape),)

    return make_result(total, (x,), backward, "sum", keeps_inputs=False)


def mean(input: Any, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """The mean over `dim`; NaN over no elements. Raises TypeError for integers."""
    x = as_tensor(input)
    _need_float("mean", x.data)
    axes, shape = axes_of(dim, x.ndim), x.shape
    kept, count = _kept_shape(shape, axes), _count(shape, axes)
    total = long_sum(x.data, axes, keepdim)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = np.asarray(total / np.asarray(count, x.dtype))

    def backward(gradient: np.ndarray):  # keeps nothing
        share = gradient.reshape(kept) / builtins.max(count, 1)
        return (np.broadcast_to(share, shape),)

    return make_result(result, (x,), backward, "mean", keeps_inputs=False)


@np.errstate(all="ignore")
def var(input: Any, dim: Axes = None, correction: float | None = 1, keepdim: bool = False) -> Tensor:
    """The variance over `dim`: squared deviations from the mean, summed, over (count - correction).

    `correction=None` means 1. NaN where count - correction is 0 and there is nothing to divide. Raises TypeError for
    integers.
    """
    x = as_tensor(input)
    _need_float("var", x.data)
    axes, shape = axes_of(dim, x.ndim), x.shape
    kept, count = _kept_shape(shape, axes), _count(shape, axes)
    divisor = np.asarray(builtins.max(count - (1 if correction is None else correction), 0), x.dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        deviation = x.data - long_sum(x.data, axes, keepdims=True) / np.asarray(count, x.dtype)
        result = np.asarray(long_sum(np.square(deviation), axes, keepdim) / divisor)

    def backward(gradient: np.ndarray):  # keeps the deviations
        with np.errstate(invalid="ignore", divide="ignore"):
            return (2 * deviation / divisor * gradient.reshape(kept),)

    return make_result(result, (x,), backward, "var")


def std(input: Any, dim: Axes = None, correction: float | None = 1, keepdim: bool = False) -> Tensor:
    """The standard deviation over `dim`, the square root of `var`, with slope 0 at a constant.

    Raises TypeError for integers.
    """
    x = as_tensor(input)
    _need_float("std", x.data)
    axes, shape = axes_of(dim, x.ndim), x.shape
    kept, count = _kept_shape(shape, axes), _count(shape, axes)
    divisor = np.asarray(builtins.max(count - (1 if correction is None else correction), 0), np.float64)
    # In float64, where the square of no float32 overflows or vanishes, and of float64 in units of the largest.
    wide = x.data.astype(np.float64)
    unit = np.abs(wide).max(axis=axes, keepdims=True, initial=0)
    unit = np.where(np.isfinite(unit) & (unit > 0), unit, 1)
    with np.errstate(all="ignore"):
        scaled = wide / unit
        deviation = scaled - scaled.sum(axis=axes, keepdims=True) / count
        spread = np.sqrt(np.square(deviation).sum(axis=axes, keepdims=True) / divisor)
        result = (spread * unit).astype(x.dtype)

    def backward(gradient: np.ndarray):  # keeps the deviations and their spread
        slope = np.where(spread == 0, 0, deviation / (spread * divisor))
        return ((slope * gradient.reshape(kept)).astype(gradient.dtype),)

    return make_result(result if keepdim else result.reshape(kept).squeeze(axes), (x,), backward, "std")


@np.errstate(all="ignore")
def prod(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The product over all axes, or over one."""
    x = as_tensor(input)
    axes, a = axes_of(dim, x.ndim), x.data
    kept = _kept_shape(a.shape, axes)
    result = a.prod(axis=axes, keepdims=keepdim)

    def backward(gradient: np.ndarray):  # keeps the input
        # The product of all the others, not result / element: an element may be 0.
        flat = np.moveaxis(a, axes, range(len(axes))).reshape(-1, *(s for i, s in enumerate(a.shape) if i not in axes))
        others = np.ones_like(flat)
        others[1:] = np.cumprod(flat[:-1], axis=0)
        others[:-1] *= np.cumprod(flat[:0:-1], axis=0)[::-1]
        moved = [a.shape[i] for i in axes] + [s for i, s in enumerate(a.shape) if i not in axes]
        return (np.moveaxis(others.reshape(moved), range(len(axes)), axes) * gradient.reshape(kept),)

    return make_result(result, (x,), backward, "prod")


def amax(input: Any, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """The largest element over `dim`; on a tie the gradient is shared evenly. Raises ValueError over no elements."""
    return _extreme(input, dim, keepdim, np.amax, "amax")


def amin(input: Any, dim: Axes = None, keepdim: bool = False) -> Tensor:
    """The smallest element over `dim`; on a tie the gradient is shared evenly. Raises ValueError over no elements."""
    return _extreme(input, dim, keepdim, np.amin, "amin")


def _extreme(input: Any, dim: Axes, keepdim: bool, reduce: Any, name: str) -> Tensor:
    x = as_tensor(input)
    axes, a = axes_of(dim, x.ndim), x.data
    if not _count(a.shape, axes):
        raise ValueError(f"{name} over no elements: shape {a.shape}, dim {dim}")
    extreme = reduce(a, axis=axes, keepdims=True)

    def backward(gradient: np.ndarray):  # keeps the input and the extreme values
        chosen = (a == extreme) | (np.isnan(a) & np.isnan(extreme))
        return (chosen * (gradient.reshape(extreme.shape) / chosen.sum(axis=axes, keepdims=True)).astype(a.dtype),)

    return make_result(extreme if keepdim else extreme.squeeze(axes), (x,), backward, name)


def max(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The largest element of all; with `dim`, a pair (values, indices), the first index on a tie."""
    return amax(input) if dim is None else _extreme_along(input, dim, keepdim, argmax, "max")


def min(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest element of all; with `dim`, a pair (values, indices), the first index on a tie."""
    return amin(input) if dim is None else _extreme_along(input, dim, keepdim, argmin, "min")


def _extreme_along(input: Any, dim: int, keepdim: bool, choose: Any, name: str) -> tuple[Tensor, Tensor]:
    x = as_tensor(input)
    a, shape = x.data, x.shape
    if not a.ndim:
        return x, Tensor(np.zeros((), np.int64))
    (axis,) = axes_of(dim, a.ndim)
    indices = choose(x, axis, keepdim=True).data
    values = np.take_along_axis(a, indices, axis)

    def backward(gradient: np.ndarray):  # keeps the indices
        result = np.zeros(shape, gradient.dtype)
        np.put_along_axis(result, indices, gradient.reshape(indices.shape), axis)
        return (result,)

    if not keepdim:
        return make_result(values.squeeze(axis), (x,), backward, name), Tensor(indices.squeeze(axis))
    return make_result(values, (x,), backward, name), Tensor(indices)


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element, the first on a tie; over all, it counts in C order. No gradient flows."""
    return _arg(input, dim, keepdim, np.argmax, "argmax")


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element, the first on a tie; over all, it counts in C order. No gradient flows."""
    return _arg(input, dim, keepdim, np.argmin, "argmin")


def _arg(input: Any, dim: int | None, keepdim: bool, choose: Any, name: str) -> Tensor:
    a = as_tensor(input).data
    axes = axes_of(dim, a.ndim)
    if not _count(a.shape, axes):
        raise ValueError(f"{name} over no elements: shape {a.shape}, dim {dim}")
    axis = None if dim is None or not a.ndim else axes[0]
    return Tensor(np.asarray(choose(a, axis=axis, keepdims=keepdim), dtype=np.int64))


@np.errstate(all="ignore")
def logsumexp(input: Any, dim: Axes, keepdim: bool = False) -> Tensor:
    """log(sum(exp(input))) over `dim`, computed after subtracting the largest element, so that nothing overflows."""
    x = as_tensor(input)
    _need_float("logsumexp", x.data)
    a, axes = x.data, axes_of(dim, x.ndim)
    largest = a.max(axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0).astype(a.dtype)
    with np.errstate(divide="ignore", over="ignore"):
        result = np.log(np.exp(a - shift).sum(axis=axes, keepdims=True)) + shift

    def backward(gradient: np.ndarray):  # keeps the input and the result: their difference is log(softmax)
        finite = np.where(np.isfinite(result), result, 0)
        return (gradient.reshape(result.shape) * np.exp(a - finite),)

    return make_result(result if keepdim else result.squeeze(axes), (x,), backward, "logsumexp")
