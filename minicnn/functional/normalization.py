"""Normalisation: values shifted to mean 0 and scaled to variance 1, over a set of axes that gives each kind its name.

    batch_norm      one mean for each channel, over batch and image      (kernels, and running statistics)
    instance_norm   one mean for each channel of each image
    group_norm      one mean for each group of channels of each image
    layer_norm      one mean for each sample, over its last axes

All four have the same backward, for x_hat = (x - mean) / sqrt(variance + eps) and g the gradient of x_hat:

    gradient of x = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(variance + eps)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.functional.checks import need_float, need_size
from minicnn.kernels import layout, normalization
from minicnn.tensor import Tensor, as_tensor, make_result


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The input (N, C, ...) normalised by channel, times `weight` (C,), plus `bias` (C,).

    In training, mean and biased variance are those of the batch, and the running statistics (Tensors or arrays (C,),
    or None) move towards the batch's mean and unbiased variance by `momentum`, in place. Otherwise the running
    statistics are used and not changed.
    Raises ValueError for shapes that don't fit, for a single value a channel in training, and for missing statistics in
    evaluation. Source: Ioffe and Szegedy 2015, algorithms 1 and 2.
    """
    x = as_tensor(input)
    need_float("batch_norm", x.data)
    if x.ndim < 2:
        raise ValueError(f"batch_norm needs an input (N, C) or (N, C, ...), but its shape is {x.shape}")
    channels, dtype = x.shape[1], x.dtype
    for argument, value in zip(
        ("running_mean", "running_var", "weight", "bias"), (running_mean, running_var, weight, bias), strict=True
    ):
        _need_channels("batch_norm", argument, value, channels)
    rows = _to_rows(x.data)  # (N, C, ...) -> (M, C)
    if training:
        if len(rows) == 1:
            raise ValueError(
                f"batch_norm: in training a channel needs more than one value to have a variance, but the input "
                f"{x.shape} has one; use a larger batch, or evaluation mode"
            )
        mean, variance = _batch_statistics(rows)
        _update_running(running_mean, running_var, mean, variance, len(rows), momentum)
    elif running_mean is None or running_var is None:
        raise ValueError("batch_norm in evaluation needs running_mean and running_var, but one is None")
    else:  # copies: later training changes the running statistics in place, and backward must not see it
        mean, variance = (np.array(as_tensor(value).data, dtype=dtype) for value in (running_mean, running_var))
    inverse_std = (1 / np.sqrt(variance + np.asarray(eps, dtype))).astype(dtype)
    gain = np.ones(channels, dtype) if weight is None else as_tensor(weight).data.astype(dtype, copy=False)
    scale = gain * inverse_std
    shift = -mean * scale if bias is None else as_tensor(bias).data.astype(dtype, copy=False) - mean * scale
    inputs, has = _with_affine(x, weight, bias)
    sizes = x.shape

    def backward(gradient: np.ndarray):  # keeps the input, the channels' mean and deviation, and the weight
        to_rows, to_weight, to_bias = normalization.batch_norm_backward(
            _to_rows(gradient), rows, mean, inverse_std, gain, training
        )
        return _present((_from_rows(to_rows, sizes), to_weight, to_bias), has)

    result = _from_rows(normalization.scale_and_shift(rows, scale, shift), sizes)
    return make_result(result, inputs, backward, "batch_norm")


def _to_rows(array: np.ndarray) -> np.ndarray:
    """(N, C, ...) -> (M, C): a view of a channels-last image batch or of (N, C), else a copy."""
    channels = array.shape[1]
    if array.ndim == 4:
        pixels = layout.to_kernel(array)  # (N, C, H, W) -> (N, H, W, C)
    else:
        pixels = np.ascontiguousarray(np.moveaxis(array, 1, -1))  # (N, C, ...) -> (N, ..., C)
    return pixels.reshape(int(np.prod(pixels.shape[:-1])), channels)


def _from_rows(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """(M, C) -> (N, C, ...), a view."""
    return np.moveaxis(rows.reshape(sizes[0], *sizes[2:], sizes[1]), -1, 1)


def _batch_statistics(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(rows):  # an empty batch: whatever they are, nothing is normalised by them
        return np.zeros(rows.shape[1], rows.dtype), np.ones(rows.shape[1], rows.dtype)
    return normalization.channel_mean_and_variance(rows)


def _update_running(
    running_mean: Any, running_var: Any, mean: np.ndarray, variance: np.ndarray, count: int, momentum: float
) -> None:
    """Move the running statistics towards those of this batch, in place; `variance` is biased."""
    if not count:
        return
    unbiased = variance * (count / (count - 1))
    for running, new in ((running_mean, mean), (running_var, unbiased)):
        if running is not None:
            array = running.data if isinstance(running, Tensor) else running
            array[...] = (1 - momentum) * array + momentum * new


def _need_channels(name: str, argument: str, value: Any, channels: int) -> None:
    if value is not None:
        need_size(name, argument, as_tensor(value).data, channels, "one number for each channel of the input")


def _with_affine(x: Tensor, weight: Any, bias: Any) -> tuple[list[Tensor], tuple[bool, bool, bool]]:
    """The inputs that are there, and which of input, weight and bias they are."""
    present = [None if value is None else as_tensor(value) for value in (x, weight, bias)]
    return [tensor for tensor in present if tensor is not None], (True, weight is not None, bias is not None)


def _present(gradients: Sequence[np.ndarray], has: tuple[bool, bool, bool]) -> list[np.ndarray]:
    return [gradient for gradient, there in zip(gradients, has, strict=True) if there]
