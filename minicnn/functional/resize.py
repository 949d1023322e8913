"""Resizing: an image with more or fewer pixels, by copying the nearest, by blending neighbours, or by moving channels.

Blending works along one axis at a time: bilinear is linear along the rows and then along the columns. Which pixels a
result's pixel is made of depends on where the two grids of pixels are laid over each other:

    align_corners=False    pixels are squares, and the outer edges of the two images coincide
    align_corners=True     pixels are points, and the outer points of the two images coincide
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.functional.arguments import are_ints, check_floats
from minicnn.kernels import layout
from minicnn.kernels.resize import blend, blend_backward, take, take_backward
from minicnn.tensor import Tensor, as_tensor, make_result

_NEAREST = ("nearest", "nearest-exact")
_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}  # the number of axes each is for


def interpolate(
    input: Any,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """`input` (N, C, H, W) resized to `size`, or by `scale_factor` (OH = floor(H * scale_factor)): (N, C, OH, OW).

    mode "nearest" copies one pixel, "nearest-exact" the one whose centre is nearest (as other libraries' "nearest"
    does), "bilinear" blends 2 x 2. An input (N, C, L) or (N, C, D, H, W) can be resized too, with "linear" or
    "trilinear" for blending. With `scale_factor`, places are computed from it as given, unless
    `recompute_scale_factor` asks for the ratio of the sizes; `align_corners` is for blending only.
    Raises ValueError for other modes, for `antialias`, for both or neither of `size` and `scale_factor`, and for sizes
    below 1; TypeError for integer input and for sizes that are no ints.
    """
    x = as_tensor(input)
    check_floats("interpolate", input=x)
    if x.ndim not in (3, 4, 5) or 0 in x.shape[1:]:
        raise ValueError(
            f"interpolate: input must be (N, C, H, W), (N, C, L) or (N, C, D, H, W), with none but N empty, but has "
            f"shape {x.shape}"
        )
    _check_mode(x, mode, align_corners, antialias)
    before = x.shape[2:]
    after, scales = _target(before, size, scale_factor, recompute_scale_factor)
    # As in PyTorch, an axis whose size stays is left as it is, whatever the factor, in all modes but nearest-exact.
    axes = [axis for axis in range(len(before)) if before[axis] != after[axis] or mode == "nearest-exact"]
    if mode in _NEAREST:
        shift = 0.5 if mode == "nearest-exact" else 0.0
        return _nearest(x, {i + 2: _nearest_places(before[i], after[i], scales[i], shift) for i in axes}, mode)
    corners = bool(align_corners)
    return _blended(x, {i + 2: _neighbours(before[i], after[i], scales[i], corners) for i in axes}, mode)


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """Groups of r*r channels rearranged into blocks of r x r pixels: (..., C*r*r, H, W) -> (..., C, H*r, W*r).

    Raises ValueError unless the number of channels is a multiple of r*r.
    Source: Shi et al., "Real-time single image and video super-resolution ..." (2016), section 3.2.
    """
    x, r = as_tensor(input), upscale_factor
    _check_shuffle("pixel_shuffle", "upscale_factor", x, r)
    if x.shape[-3] % (r * r):
        raise ValueError(
            f"pixel_shuffle: the channels must be a multiple of upscale_factor**2 = {r}**2 = {r * r}, but there are "
            f"{x.shape[-3]} (shape {x.shape})"
        )

    def backward(gradient: np.ndarray):  # keeps nothing
        return (_to_channels(gradient, r),)

    return make_result(_to_pixels(x.data, r), (x,), backward, "pixel_shuffle", keeps_inputs=False)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """Blocks of r x r pixels rearranged into r*r channels: (..., C, H*r, W*r) -> (..., C*r*r, H, W).

    Raises ValueError unless both sizes are multiples of r.
    """
    x, r = as_tensor(input), downscale_factor
    _check_shuffle("pixel_unshuffle", "downscale_factor", x, r)
    if x.shape[-2] % r or x.shape[-1] % r:
        raise ValueError(
            f"pixel_unshuffle: height and width must be multiples of downscale_factor = {r}, but the shape is {x.shape}"
        )

    def backward(gradient: np.ndarray):  # keeps nothing
        return (_to_pixels(gradient, r),)

    return make_result(_to_channels(x.data, r), (x,), backward, "pixel_unshuffle", keeps_inputs=False)


def _check_mode(x: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode not in _NEAREST and mode not in _LINEAR:
        offered = ", ".join(map(repr, (*_NEAREST, *_LINEAR)))
        raise ValueError(f"interpolate: mode must be one of {offered}, but is {mode!r}")
    if antialias:
        raise ValueError(
            "interpolate: antialias=True is not offered; blur first, or use avg_pool2d or adaptive_avg_pool2d to shrink"
        )
    if mode in _NEAREST:
        if align_corners is not None:
            raise ValueError(f"interpolate: align_corners is for modes that blend, but mode is {mode!r}; leave it None")
    elif x.ndim - 2 != _LINEAR[mode]:
        fitting = next(name for name, axes in _LINEAR.items() if axes == x.ndim - 2)
        raise ValueError(
            f"interpolate: for input of shape {x.shape} mode must be {fitting!r} to blend, but is {mode!r}"
        )


def _target(
    before: tuple[int, ...],
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
    recompute_scale_factor: bool | None,
) -> tuple[list[int], list[float | None]]:
    """The sizes of the result, and for each axis the factor that places come from (None: the ratio of the sizes)."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: give either size or scale_factor, but size={size}, scale_factor={scale_factor}")
    argument, asked = ("size", size) if scale_factor is None else ("scale_factor", scale_factor)
    values: list[Any] = list(asked) if isinstance(asked, Sequence) else [asked] * len(before)
    if len(values) != len(before):
        raise ValueError(
            f"interpolate: {argument} must be one number, or {len(before)} for the axes after (N, C), but is {asked}"
        )
    if scale_factor is None:
        if not are_ints(values):
            raise TypeError(f"interpolate: size must be an int or a sequence of ints, but is {size!r}")
        if recompute_scale_factor:
            raise ValueError("interpolate: recompute_scale_factor is for scale_factor, but size was given")
        after = values
    else:
        after = [math.floor(n * value) for n, value in zip(before, values, strict=True)]
    as_given = scale_factor is not None and not recompute_scale_factor
    scales = [float(value) if as_given else None for value in values]
    if min(after) < 1:
        raise ValueError(
            f"interpolate: output sizes must be at least 1, but {argument}={asked} makes {before} into {tuple(after)}"
        )
    return after, scales


def _nearest_places(before: int, after: int, scale: float | None, shift: float) -> np.ndarray:
    """For each place of the result, the place of the input that it copies."""
    # In float32 whatever the input's dtype, as in PyTorch: where a centre falls on an edge, rounding decides.
    if after == 2 * before and not shift:  # PyTorch copies each pixel twice, whatever the factor was
        scale = None
    step = np.float32(before) / np.float32(after) if scale is None else np.float32(1 / scale)
    places = np.floor((np.arange(after, dtype=np.float32) + np.float32(shift)) * step)
    return np.minimum(places.astype(np.int64), before - 1)


def _neighbours(
    before: int, after: int, scale: float | None, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each place of the result, the two places of the input that it blends, and the share of the second."""
    if align_corners:
        places = np.arange(after) * ((before - 1) / (after - 1) if after > 1 else 0.0)
    else:
        places = np.maximum((np.arange(after) + 0.5) * (before / after if scale is None else 1 / scale) - 0.5, 0)
    low = np.minimum(places.astype(np.int64), before - 1)
    return low, np.minimum(low + 1, before - 1), np.clip(places - low, 0, 1)


def _nearest(x: Tensor, places: dict[int, np.ndarray], mode: str) -> Tensor:
    sizes = x.shape
    result = x.data
    for axis, sources in places.items():
        result = take(result, axis, sources)

    def backward(gradient: np.ndarray):  # keeps where each pixel came from
        for axis, sources in reversed(places.items()):
            gradient = take_backward(gradient, axis, sources, sizes[axis])
        return (gradient,)

    return make_result(result, (x,), backward, f"interpolate {mode}")


def _blended(x: Tensor, neighbours: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]], mode: str) -> Tensor:
    sizes = x.shape
    result = x.data
    for axis, (low, high, share) in neighbours.items():
        result = blend(result, axis, low, high, share)

    def backward(gradient: np.ndarray):  # keeps which pixels were blended, and their shares
        for axis, (low, high, share) in reversed(neighbours.items()):
            gradient = blend_backward(gradient, axis, low, high, share, sizes[axis])
        return (gradient,)

    return make_result(result, (x,), backward, f"interpolate {mode}")


def _check_shuffle(name: str, argument: str, x: Tensor, factor: int) -> None:
    if x.ndim < 3:
        raise ValueError(f"{name}: input must have at least 3 axes (..., C, H, W), but its shape is {x.shape}")
    if factor < 1:
        raise ValueError(f"{name}: {argument} must be at least 1, but is {factor}")


def _to_pixels(x: np.ndarray, r: int) -> np.ndarray:
    """(..., C*r*r, H, W) -> (..., C, H*r, W*r)"""
    *batch, channels, h, w = x.shape
    c = channels // (r * r)
    result = layout.empty((*batch, c, h * r, w * r), x.dtype)
    blocks = result.reshape(*batch, c, h, r, w, r)  # a view: an axis that is split needs no copy
    blocks[...] = np.moveaxis(x.reshape(*batch, c, r, r, h, w), (-4, -3), (-3, -1))
    return result


def _to_channels(x: np.ndarray, r: int) -> np.ndarray:
    """(..., C, H*r, W*r) -> (..., C*r*r, H, W)"""
    *batch, c, height, width = x.shape
    h, w = height // r, width // r
    result = layout.empty((*batch, c * r * r, h, w), x.dtype)
    blocks = result.reshape(*batch, c, r, r, h, w)  # a view: an axis that is split needs no copy
    blocks[...] = np.moveaxis(x.reshape(*batch, c, h, r, w, r), (-3, -1), (-4, -3))
    return result
