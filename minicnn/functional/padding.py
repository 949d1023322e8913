"""Padding: an image with a border, constant or made from its own pixels; negative amounts crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.functional.arguments import are_ints
from minicnn.functional.checks import need_choice
from minicnn.kernels import layout
from minicnn.kernels.resize import take, take_backward
from minicnn.tensor import Tensor, as_tensor, make_result

_MODES = ("constant", "reflect", "replicate", "circular")


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """`input` with pad = (left, right, top, bottom, ...) places added, the last axis first; negative ones are cut off.

    mode "constant" adds `value` (0 if None) along as many axes as `pad` has pairs. "reflect" mirrors the image without
    repeating its edge, "replicate" repeats the edge, and "circular" goes on at the other side; these three pad the last
    1, 2 or 3 axes of an input with one or two axes more than that.
    Raises ValueError for amounts that the mode and the shape don't allow and for an unknown mode, TypeError for amounts
    that are no ints.
    """
    x = as_tensor(input)
    need_choice("pad", "mode", mode, _MODES)
    if not isinstance(pad, Sequence) or not are_ints(pad):
        raise TypeError(f"pad: pad must be a sequence of ints (left, right, top, bottom, ...), but is {pad!r}")
    amounts = _amounts(x.shape, tuple(pad))
    if mode == "constant":
        return _pad_with_constant(x, amounts, 0 if value is None else value)
    if value:
        raise ValueError(f"pad: value is for mode 'constant', but mode is {mode!r} and value {value}")
    return _pad_with_itself(x, amounts, mode, tuple(pad))


def _amounts(shape: tuple[int, ...], pad: tuple[int, ...]) -> list[tuple[int, int]]:
    """(before, after) for every axis of the input, in the order of the axes."""
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        raise ValueError(
            f"pad: pad must have pairs (before, after), one for each of at most {len(shape)} axes of shape {shape}, "
            f"but has {len(pad)} numbers: {pad}"
        )
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    amounts = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]
    for axis, (size, (before, after)) in enumerate(zip(shape, amounts, strict=True)):
        if size + before + after < 0:
            raise ValueError(
                f"pad: axis {axis} of shape {shape} would have {size} + {before} + {after} = {size + before + after} "
                "places"
            )
    return amounts


def _pad_with_constant(x: Tensor, amounts: list[tuple[int, int]], value: float) -> Tensor:
    shape = x.shape
    for axis, (size, (before, after)) in enumerate(zip(shape, amounts, strict=True)):
        if size + min(before, 0) + min(after, 0) < 0:
            raise ValueError(
                f"pad: axis {axis} of shape {shape} has {size} places, fewer than pad ({before}, {after}) cuts off"
            )
    padded_shape = tuple(size + before + after for size, (before, after) in zip(shape, amounts, strict=True))
    # Where the image lies in the result, and which part of it is left if an amount is negative.
    target = tuple(
        slice(max(before, 0), size - max(after, 0)) for size, (before, after) in zip(padded_shape, amounts, strict=True)
    )
    source = tuple(
        slice(max(-before, 0), size - max(-after, 0)) for size, (before, after) in zip(shape, amounts, strict=True)
    )
    padded = layout.empty(padded_shape, x.dtype)
    padded[...] = value
    padded[target] = x.data[source]

    def backward(gradient: np.ndarray):  # keeps nothing
        result = layout.zeros(shape, gradient.dtype)
        result[source] = gradient[target]
        return (result,)

    return make_result(padded, (x,), backward, "pad", keeps_inputs=False)


def _pad_with_itself(x: Tensor, amounts: list[tuple[int, int]], mode: str, pad: tuple[int, ...]) -> Tensor:
    axes = len(pad) // 2
    if axes not in (1, 2, 3) or x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"pad: mode {mode!r} pads the last 1, 2 or 3 axes of an input with one or two axes more than that, but pad "
            f"names {axes} axes and the shape is {x.shape}"
        )
    batched = x.ndim == axes + 2
    if 0 in x.shape[batched:] or any(size + sum(amounts[axis]) == 0 for axis, size in enumerate(x.shape) if size):
        raise ValueError(
            f"pad: mode {mode!r} needs an image that is not empty, before and after it; shape {x.shape}, pad {pad}"
        )
    padded_axes = [axis for axis in range(x.ndim - axes, x.ndim) if any(amounts[axis])]
    positions = {axis: _sources(mode, axis, x.shape, *amounts[axis]) for axis in padded_axes}
    sizes = {axis: x.shape[axis] for axis in positions}
    padded = x.data
    for axis, sources in positions.items():
        padded = take(padded, axis, sources)

    def backward(gradient: np.ndarray):  # keeps where each place came from
        for axis, sources in reversed(positions.items()):
            gradient = take_backward(gradient, axis, sources, sizes[axis])
        return (gradient,)

    return make_result(padded, (x,), backward, "pad")


def _sources(mode: str, axis: int, shape: tuple[int, ...], before: int, after: int) -> np.ndarray:
    """For each place along the padded axis, the place of the input that it repeats."""
    size = shape[axis]
    first, last = max(-before, 0), size - max(-after, 0)  # what negative amounts leave of the axis
    most = {"reflect": size - 1, "circular": last - first, "replicate": max(before, after)}[mode]
    if max(before, after) > most:
        raise ValueError(
            f"pad: mode {mode!r} adds at most {most} to axis {axis} of shape {shape}, but pad is ({before}, {after})"
        )
    places = np.arange(-before, size + after)
    if mode == "replicate":
        return np.clip(places, 0, size - 1)
    if mode == "circular":  # crops first, then goes round what is left, as PyTorch does
        return first + (places - first) % (last - first)
    mirrored = np.abs(places)  # at the first edge
    return np.where(mirrored >= size, 2 * (size - 1) - mirrored, mirrored)  # and at the last
