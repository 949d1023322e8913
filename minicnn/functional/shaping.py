"""Shaping: the same elements with other axes. Nothing is computed; each backward undoes what the forward did."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.functional.reduction import axes_of
from minicnn.kernels import layout
from minicnn.operators import Axes
from minicnn.tensor import Tensor, as_tensor, make_result


def clone(input: Any) -> Tensor:
    """A copy, through which the gradient flows."""
    x = as_tensor(input)

    def backward(gradient: np.ndarray):  # keeps nothing
        return (gradient,)

    return make_result(layout.copy(x.data), (x,), backward, "clone", keeps_inputs=False)


def reshape(input: Any, shape: Sequence[int]) -> Tensor:
    """The elements in C order of (N, C, H, W) in another shape; one size may be -1.

    Raises ValueError, with the products, if the number of elements differs.
    """
    x = as_tensor(input)
    before, after = x.shape, _complete(x.shape, tuple(shape))
    channels_last = layout.is_channels_last(x.data)

    def backward(gradient: np.ndarray):  # keeps nothing
        if not channels_last:
            return (gradient.reshape(before),)
        # The forward had to permute a channels-last image; so has the way back, and it may as well end in that order.
        image = layout.empty(before, gradient.dtype)
        image[...] = gradient.reshape(before)
        return (image,)

    return make_result(x.data.reshape(after), (x,), backward, "reshape", keeps_inputs=False)


def _complete(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """`after` with its -1 replaced by what is left over."""
    total = int(np.prod(before, dtype=np.int64))
    known = int(np.prod([size for size in after if size != -1], dtype=np.int64))
    if after.count(-1) > 1 or any(size < -1 for size in after):
        raise ValueError(f"reshape: {after} has sizes below -1, or more than one -1")
    if -1 in after and (not known or total % known):
        raise ValueError(
            f"reshape: {total} elements of shape {before} can't be divided into {after}: {total} / {known}"
        )
    completed = tuple(total // known if size == -1 else int(size) for size in after)
    if -1 not in after and known != total:
        raise ValueError(f"reshape: shape {before} has {total} elements, but {after} has {known}")
    return completed


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes from `start_dim` to `end_dim`, both included, joined: (N, C, H, W) -> (N, C*H*W) with start_dim=1."""
    x = as_tensor(input)
    if not x.ndim:
        return reshape(x, (1,))
    (start,), (end,) = axes_of(start_dim, x.ndim), axes_of(end_dim, x.ndim)
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {x.shape}")
    joined = int(np.prod(x.shape[start : end + 1], dtype=np.int64))
    return reshape(x, (*x.shape[:start], joined, *x.shape[end + 1 :]))


def permute(input: Any, dims: Sequence[int]) -> Tensor:
    """The axes in the order `dims`. Raises ValueError unless each axis is named once."""
    x = as_tensor(input)
    if len(dims) != x.ndim:
        raise ValueError(f"permute: dims {tuple(dims)} names {len(dims)} axes, but the shape {x.shape} has {x.ndim}")
    order = axes_of(tuple(dims), x.ndim)
    back = tuple(int(axis) for axis in np.argsort(order)) if order else ()

    def backward(gradient: np.ndarray):  # keeps nothing
        return (gradient.transpose(back),)

    return make_result(x.data.transpose(order), (x,), backward, "permute", keeps_inputs=False)


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(input)
    if not x.ndim:
        return x
    (first,), (second,) = axes_of(dim0, x.ndim), axes_of(dim1, x.ndim)
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return permute(x, order)


def squeeze(input: Any, dim: Axes = None) -> Tensor:
    """Without the axes of size 1 (or those among `dim` that have size 1)."""
    x = as_tensor(input)
    named = range(x.ndim) if dim is None else () if dim in ((), []) else axes_of(dim, x.ndim)
    gone = {axis for axis in named if x.shape[axis] == 1}
    return _reshaped_view(x, tuple(size for axis, size in enumerate(x.shape) if axis not in gone), "squeeze")


def unsqueeze(input: Any, dim: int) -> Tensor:
    """With a new axis of size 1, which becomes axis `dim`."""
    x = as_tensor(input)
    (axis,) = axes_of(dim, x.ndim + 1)
    return _reshaped_view(x, (*x.shape[:axis], 1, *x.shape[axis:]), "unsqueeze")


def _reshaped_view(x: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    before = x.shape

    def backward(gradient: np.ndarray):  # keeps nothing
        return (gradient.reshape(before),)

    return make_result(x.data.reshape(shape), (x,), backward, name, keeps_inputs=False)


def expand(input: Any, sizes: Sequence[int]) -> Tensor:
    """The Tensor repeated along its axes of size 1 (and along new ones in front), as a view; -1 keeps a size.

    Raises ValueError if a size that is not 1 would have to change.
    """
    x = as_tensor(input)
    added = len(sizes) - x.ndim
    if added < 0:
        raise ValueError(f"expand: {tuple(sizes)} has fewer axes than the shape {x.shape}")
    old = (1,) * added + x.shape
    new = tuple(before if size == -1 else int(size) for before, size in zip(old, sizes, strict=True))
    for before, size in zip(old, new, strict=True):
        if before not in (1, size):
            raise ValueError(f"expand: shape {x.shape} can't become {new}; only axes of size 1 can be repeated")

    def backward(gradient: np.ndarray):  # keeps nothing; the engine sums over what was repeated
        return (gradient,)

    return make_result(np.broadcast_to(x.data, new), (x,), backward, "expand", keeps_inputs=False)


def concat(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """The Tensors one after the other along `dim`; one of shape (0,) is passed over, whatever the others' shapes.

    Raises ValueError if another axis differs in size.
    """
    if not len(tensors):
        raise ValueError("concat needs at least one Tensor, but `tensors` is empty")
    given = [as_tensor(tensor) for tensor in tensors]
    inputs = [tensor for tensor in given if tensor.shape != (0,)] or given[:1]
    (axis,) = axes_of(dim, inputs[0].ndim)
    for position, tensor in enumerate(inputs):
        rest = [size for i, size in enumerate(tensor.shape) if i != axis]
        if tensor.ndim != inputs[0].ndim or rest != [size for i, size in enumerate(inputs[0].shape) if i != axis]:
            raise ValueError(
                f"concat along dim {dim}: Tensor {position} has shape {tensor.shape}, Tensor 0 {inputs[0].shape}; "
                "all other sizes must be equal"
            )
    ends = np.cumsum([tensor.shape[axis] for tensor in inputs])[:-1]
    like_images = all(layout.is_channels_last(tensor.data) for tensor in inputs)
    result = np.concatenate([layout.as_channels_last(t.data) if like_images else t.data for t in inputs], axis)

    def backward(gradient: np.ndarray):  # keeps nothing; a piece of an image is written out, to lie as an image does
        pieces = np.split(gradient, ends, axis)
        return [_written_out(piece) for piece in pieces] if like_images else pieces

    return make_result(result, inputs, backward, "concat", keeps_inputs=False)


def _written_out(piece: np.ndarray) -> np.ndarray:
    image = layout.empty(piece.shape, piece.dtype)
    image[...] = piece
    return image


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis `dim`. Raises ValueError if the shapes differ."""
    inputs = [as_tensor(tensor) for tensor in tensors]
    shapes = {tensor.shape for tensor in inputs}
    if len(shapes) != 1:
        raise ValueError(f"stack needs one or more Tensors of one shape, but got {sorted(shapes)}")
    return concat([unsqueeze(tensor, dim) for tensor in inputs], axes_of(dim, inputs[0].ndim + 1)[0])


def split(input: Any, split_size: int | Sequence[int], dim: int = 0) -> list[Tensor]:
    """Consecutive pieces along `dim`: of `split_size` each (the last may be smaller), or of the sizes listed."""
    x = as_tensor(input)
    (axis,) = axes_of(dim, x.ndim)
    total = x.shape[axis]
    if isinstance(split_size, (int, np.integer)):
        if split_size <= 0:
            raise ValueError(f"split_size must be positive, but is {split_size}")
        sizes = [builtins.min(split_size, total - start) for start in range(0, total, split_size)]
    else:
        sizes = list(split_size)
        if builtins.sum(sizes) != total:
            raise ValueError(f"split: sizes {sizes} add up to {builtins.sum(sizes)}, but dim {dim} has {total}")
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
    before = (slice(None),) * axis
    pieces = [slice(int(start), int(start) + size) for start, size in zip(starts, sizes, strict=False)]
    return [x[before + (piece,)] for piece in pieces]


def astype(input: Any, dtype: Any) -> Tensor:
    """The same values in another dtype. A gradient flows between floating-point dtypes and nowhere else."""
    x = as_tensor(input)
    if x.dtype == np.dtype(dtype):
        return x
    if np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"a Tensor holds numbers or booleans, but the dtype asked for is {np.dtype(dtype)}")

    def backward(gradient: np.ndarray):  # keeps nothing; the engine casts back
        return (gradient,)

    return make_result(x.data.astype(dtype), (x,), backward, "astype", keeps_inputs=False)
