"""Initialisation: fill a parameter in place, and return it. Names and formulas are torch.nn.init's.

A layer whose inputs have variance 1 should give outputs of variance 1, or a deep network's signal dies or explodes.
Each output sums fan_in products, so weights of variance 1 / fan_in keep the variance, and of variance 2 / fan_in before
a ReLU, which halves the variance. fan_out in place of fan_in keeps the gradient's variance. For a weight
(C_out, C_in / groups, KH, KW):

    fan_in = C_in / groups * KH * KW            fan_out = C_out * KH * KW

Every function that draws takes a `generator`; without one it draws from the stream "init" of minicnn.random.
Inside `with deferred():` all of them are deferred, so that a file's parameters are not drawn first (deferred_init.py).
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from minicnn.nn.deferred_init import defer
from minicnn.nn.deferred_init import deferred as deferred
from minicnn.random import next_stream
from minicnn.tensor import Tensor

T = TypeVar("T", bound=Tensor)

postponed = deferred  # its former name

_FIXED_GAINS = {"linear": 1.0, "conv2d": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights must be larger for the function that follows; `param` is leaky_relu's slope."""
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _FIXED_GAINS:
        known = ", ".join(map(repr, [*_FIXED_GAINS, "leaky_relu"]))
        raise ValueError(f"nonlinearity must be one of {known}, but is {nonlinearity!r}")
    return _FIXED_GAINS[nonlinearity]


def fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(products summed in one output, outputs that one input reaches) for a weight (C_out, C_in, ...)."""
    if tensor.ndim < 2:
        raise ValueError(f"fans need a weight of 2 or more axes, (C_out, C_in, ...), but the shape is {tensor.shape}")
    taps = math.prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', but is {mode!r}")
    return fan_in_and_fan_out(tensor)[mode == "fan_out"]


def constant_(tensor: T, val: float) -> T:
    """Every element `val`."""
    if defer(tensor, lambda: constant_(tensor, val)):
        return tensor
    tensor.copy_(val)
    return tensor


def zeros_(tensor: T) -> T:
    """Every element 0."""
    return constant_(tensor, 0.0)


def ones_(tensor: T) -> T:
    """Every element 1."""
    return constant_(tensor, 1.0)


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Drawn evenly from [a, b)."""
    if defer(tensor, lambda: uniform_(tensor, a, b, generator)):
        return tensor
    drawn = next_stream("init", generator).random(tensor.shape, dtype=_drawing_dtype(tensor))
    drawn *= b - a
    drawn += a
    tensor.copy_(drawn)
    return tensor


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Drawn from the normal distribution."""
    if defer(tensor, lambda: normal_(tensor, mean, std, generator)):
        return tensor
    drawn = next_stream("init", generator).standard_normal(tensor.shape, dtype=_drawing_dtype(tensor))
    drawn *= std
    drawn += mean
    tensor.copy_(drawn)
    return tensor


def trunc_normal_(
    tensor: T,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: np.random.Generator | None = None,
) -> T:
    """Drawn from the normal distribution, and drawn again while a value is outside [a, b].

    Raises ValueError if [a, b] is more than 4 standard deviations from the mean: nearly every draw would be repeated.
    """
    if a >= b or mean < a - 4 * std or mean > b + 4 * std:
        raise ValueError(f"[a, b] = [{a}, {b}] must be within 4 std of the mean, but mean={mean}, std={std}")
    if defer(tensor, lambda: trunc_normal_(tensor, mean, std, a, b, generator)):
        return tensor
    stream = next_stream("init", generator)
    values = mean + std * stream.standard_normal(tensor.data.size)
    while len(outside := np.flatnonzero((values < a) | (values > b))):
        values[outside] = mean + std * stream.standard_normal(len(outside))
    tensor.copy_(values.reshape(tensor.shape))
    return tensor


def kaiming_uniform_(
    tensor: T,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> T:
    """Drawn evenly with variance gain^2 / fan; `a` is leaky_relu's slope. Source: He et al. 2015 (rectifiers)."""
    bound = math.sqrt(3.0) * calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: T,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: np.random.Generator | None = None,
) -> T:
    """Drawn from the normal distribution, variance gain^2 / fan. Source: He et al. 2015 (rectifiers), equation 10."""
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def xavier_uniform_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Drawn evenly with variance gain^2 * 2 / (fan_in + fan_out). Source: Glorot and Bengio 2010, equation 16."""
    bound = gain * math.sqrt(6.0 / sum(fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """Drawn from the normal distribution, variance gain^2 * 2 / (fan_in + fan_out). Source: Glorot and Bengio 2010."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(fan_in_and_fan_out(tensor))), generator)


def orthogonal_(tensor: T, gain: float = 1.0, generator: np.random.Generator | None = None) -> T:
    """`gain` times a random (semi-)orthogonal matrix, rows C_out by columns C_in*KH*KW. Source: Saxe et al. 2013."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs 2 or more axes, but the shape is {tensor.shape}")
    if defer(tensor, lambda: orthogonal_(tensor, gain, generator)):
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    # QR makes the columns orthogonal; a wide matrix is therefore drawn tall and turned.
    drawn = next_stream("init", generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diag(r))  # without this the distribution depends on how QR chooses its signs
    tensor.copy_(gain * (q if rows >= columns else q.T).reshape(tensor.shape))
    return tensor


def dirac_(tensor: T, groups: int = 1) -> T:
    """A convolution weight (C_out, C_in / groups, KH, KW) that returns its first C_out input channels unchanged.

    Raises ValueError unless there are 3 to 5 axes and `groups` divides C_out.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_ needs a convolution weight of 3 to 5 axes, but the shape is {tensor.shape}")
    if tensor.shape[0] % groups:
        raise ValueError(f"groups={groups} must divide C_out={tensor.shape[0]}: {tensor.shape[0]} % {groups} != 0")
    if defer(tensor, lambda: dirac_(tensor, groups)):
        return tensor
    centre = tuple(size // 2 for size in tensor.shape[2:])
    per_group = tensor.shape[0] // groups
    tensor.copy_(0)
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            place = (group * per_group + channel, channel, *centre)
            tensor.data[place] = 1
    return tensor


def _drawing_dtype(tensor: Tensor) -> type:
    return np.float64 if tensor.dtype == np.float64 else np.float32
