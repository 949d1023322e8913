"""Normalisation: values shifted to mean 0 and scaled to variance 1, over a set of axes that gives each kind its name.

    batch_norm      one mean for each channel, over batch and image      (kernels, and running statistics)
    instance_norm   one mean for each channel of each image
    group_norm      one mean for each group of channels of each image
    layer_norm      one mean for each sample, over its last axes

All four have the same backward, for x_hat = (x - mean) / sqrt(variance + eps) and g the gradient of x_hat:

    gradient of x = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(variance + eps)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.functional.checks import need_float, need_size
from minicnn.kernels import layout, normalization
from minicnn.tensor import Tensor, as_tensor, make_result, optional_tensor


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
    return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps, relu=False)


def batch_norm_relu(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """relu(batch_norm(...)), with the same arguments and the same results, in five passes over memory fewer.

    ReLU is taken where the normalised value is at hand, and backward sees from the input which values it cut off.
    """
    return _batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps, relu=True)


def _batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    training: bool,
    momentum: float,
    eps: float,
    relu: bool,
) -> Tensor:
    x = as_tensor(input)
    need_float("batch_norm", x.data)
    if x.shape == (0,):  # PyTorch takes it for a batch without images and without channels
        empty = x.reshape((0, 0))
        return _batch_norm(empty, running_mean, running_var, weight, bias, training, momentum, eps, relu).reshape((0,))
    if x.ndim < 2:
        raise ValueError(f"batch_norm needs an input (N, C) or (N, C, ...), but its shape is {x.shape}")
    channels, dtype = x.shape[1], x.dtype
    for argument, value in zip(
        ("running_mean", "running_var", "weight", "bias"), (running_mean, running_var, weight, bias), strict=True
    ):
        _need_channels("batch_norm", argument, value, channels)
    rows = _to_rows(x.data)  # (N, C, ...) -> (M, C)
    from_batch = training and len(rows) > 0  # mean and variance depend on the input
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
    w, b = optional_tensor(weight), optional_tensor(bias)
    gain = np.ones(channels, dtype) if w is None else w.data.astype(dtype, copy=False)
    scale = gain * inverse_std
    shift = -mean * scale if b is None else b.data.astype(dtype, copy=False) - mean * scale
    sizes = x.shape

    def backward(gradient: np.ndarray):  # keeps the input, the channels' mean and deviation, and the weight
        to_rows, to_weight, to_bias = normalization.batch_norm_backward(
            _to_rows(gradient), rows, mean, inverse_std, gain, from_batch, shift if relu else None
        )
        return _from_rows(to_rows, sizes), to_weight, to_bias

    result = _from_rows(normalization.scale_and_shift(rows, scale, shift, relu), sizes)
    return make_result(result, (x, w, b), backward, "batch_norm_relu" if relu else "batch_norm")


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """The input (N, C, ...) with each channel of each image normalised on its own, times `weight` and plus `bias` (C,).

    Running statistics, if given, move in place towards the mean over N of the images' statistics; with
    use_input_stats=False they are used instead, as in evaluation. Raises ValueError for shapes that don't fit and for a
    single value a channel. Source: Ulyanov et al. 2016.
    """
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    x = as_tensor(input)
    need_float("instance_norm", x.data)
    if x.ndim < 2:
        raise ValueError(f"instance_norm needs an input (N, C, ...), but its shape is {x.shape}")
    for argument, value in (("running_mean", running_mean), ("running_var", running_var)):
        _need_channels("instance_norm", argument, value, x.shape[1])
    count = int(np.prod(x.shape[2:]))
    if count == 1:
        raise ValueError(
            f"instance_norm: a channel of an image needs more than one value to have a variance, but the input "
            f"{x.shape} has one"
        )
    if running_mean is not None or running_var is not None:
        images = _to_rows(x.data).reshape(x.shape[0], count, x.shape[1])  # (N*P, C) -> (N, P, C)
        mean, variance = (moment.mean(axis=(0, 1)) for moment in _moments(images, (1,)))
        _update_running(running_mean, running_var, mean, variance, count if x.data.size else 0, momentum)
    return _grouped("instance_norm", x, x.shape[1], weight, bias, eps)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """The input (N, C, ...) with each of `num_groups` groups of neighbouring channels normalised, image by image.

    Then times `weight` and plus `bias` (C,). Raises ValueError unless the groups divide C, and for a single value a
    group. Source: Wu and He 2018, section 3.
    """
    x = as_tensor(input)
    need_float("group_norm", x.data)
    if x.ndim < 2:
        raise ValueError(f"group_norm needs an input (N, C, ...), but its shape is {x.shape}")
    if num_groups < 1 or x.shape[1] % num_groups:
        raise ValueError(
            f"group_norm: num_groups = {num_groups} does not divide the {x.shape[1]} channels of {x.shape}"
        )
    if x.data.size == num_groups and x.shape[0] == 1:
        raise ValueError(
            f"group_norm: a group needs more than one value to have a variance, but input {x.shape} has one"
        )
    return _grouped("group_norm", x, num_groups, weight, bias, eps)


def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """The input normalised over its last axes, whose sizes are `normalized_shape`.

    Then times `weight` and plus `bias` of that shape. Raises ValueError if the sizes differ. Source: Ba et al. 2016.
    """
    x = as_tensor(input)
    need_float("layer_norm", x.data)
    last = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not last or x.shape[-len(last) :] != last:
        raise ValueError(
            f"layer_norm: normalized_shape {last} must be the last sizes of the input, which has {x.shape}"
        )
    for argument, value in (("weight", weight), ("bias", bias)):
        if value is not None and as_tensor(value).shape != last:
            raise ValueError(f"layer_norm: {argument} must have shape {last}, but has {as_tensor(value).shape}")
    size, shape, channels_last = int(np.prod(last)), x.shape, layout.is_channels_last(x.data)
    rows = int(np.prod(shape[: len(shape) - len(last)]))

    def to_view(array: np.ndarray) -> np.ndarray:
        return array.reshape(rows, size)  # (..., *normalized_shape) -> (M, S)

    def from_view(view: np.ndarray) -> np.ndarray:
        result = view.reshape(shape)
        return layout.as_channels_last(result) if channels_last else result

    return _normalized("layer_norm", x, (1,), (size,), weight, bias, eps, to_view, from_view)


def _grouped(name: str, x: Tensor, groups: int, weight: Any, bias: Any, eps: float) -> Tensor:
    """The input (N, C, ...) normalised over the channels of a group and all places of an image."""
    for argument, value in (("weight", weight), ("bias", bias)):
        _need_channels(name, argument, value, x.shape[1])
    sizes = x.shape
    places, width = int(np.prod(sizes[2:])), sizes[1] // groups

    def to_view(array: np.ndarray) -> np.ndarray:
        return _to_rows(array).reshape(sizes[0], places, groups, width)  # (N*P, C) -> (N, P, G, C/G)

    def from_view(view: np.ndarray) -> np.ndarray:
        return _from_rows(view.reshape(sizes[0] * places, sizes[1]), sizes)  # (N, P, G, C/G) -> (N, C, ...)

    return _normalized(name, x, (1, 3), (groups, width), weight, bias, eps, to_view, from_view)


def _normalized(
    name: str,
    x: Tensor,
    axes: tuple[int, ...],
    affine_shape: tuple[int, ...],
    weight: Any,
    bias: Any,
    eps: float,
    to_view: Callable[[np.ndarray], np.ndarray],
    from_view: Callable[[np.ndarray], np.ndarray],
) -> Tensor:
    """The view of x normalised over `axes`; weight and bias belong to its last axes, whose sizes are `affine_shape`."""
    view, dtype = to_view(x.data), x.dtype
    mean, variance = _moments(view, axes)
    inverse_std = 1 / np.sqrt(variance + np.asarray(eps, dtype))
    x_hat = (view - mean) * inverse_std
    w, b = optional_tensor(weight), optional_tensor(bias)
    gain, offset = (None if t is None else t.data.reshape(affine_shape) for t in (w, b))
    result = x_hat if gain is None else x_hat * gain
    result = result if offset is None else result + offset
    affine_size = int(np.prod(affine_shape))
    w_shape, b_shape = (None if t is None else t.shape for t in (w, b))

    def backward(gradient: np.ndarray):  # keeps the normalised values, 1 / deviation and the weight
        g = to_view(gradient)
        to_weight, to_bias = (
            None if shape is None else normalization.channel_sum(product.reshape(-1, affine_size)).reshape(shape)
            for product, shape in ((g * x_hat, w_shape), (g, b_shape))
        )
        if gain is not None:
            g = g * gain
        to_x = inverse_std * (g - _mean(g, axes) - x_hat * _mean(g * x_hat, axes))
        return from_view(to_x), to_weight, to_bias

    return make_result(from_view(result), (x, w, b), backward, name)


def _mean(a: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The mean over `axes`, kept as axes of size 1; summed in float64, for a float32 sum loses digits."""
    count = max(int(np.prod([a.shape[axis] for axis in axes])), 1)
    return (a.sum(axis=axes, keepdims=True, dtype=np.float64) / count).astype(a.dtype)


def _moments(a: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the biased variance over `axes`."""
    mean = _mean(a, axes)
    return mean, _mean(np.square(a - mean), axes)


def _to_rows(array: np.ndarray) -> np.ndarray:
    """(N, C, ...) -> (M, C): a view of a channels-last image batch or of (N, C), else a copy."""
    channels = array.shape[1]
    if array.ndim == 4:
        pixels = layout.to_kernel(array)  # (N, C, H, W) -> (N, H, W, C)
    else:
        pixels = np.ascontiguousarray(np.moveaxis(array, 1, -1))  # (N, C, ...) -> (N, ..., C)
    return pixels.reshape(math.prod(pixels.shape[:-1]), channels)


def _from_rows(rows: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """(M, C) -> (N, C, ...), a view."""
    last = rows.reshape(sizes[0], *sizes[2:], sizes[1])  # (M, C) -> (N, ..., C)
    return layout.from_kernel(last) if last.ndim == 4 else np.moveaxis(last, -1, 1)


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
