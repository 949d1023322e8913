"""Classification losses: how far the scores of classes are from labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.activation import log_softmax
from minicnn.functional.checks import need_choice, need_float, need_size
from minicnn.functional.loss_reduction import REDUCTIONS, reduce_loss, spread
from minicnn.kernels import layout
from minicnn.tensor import Tensor, as_tensor, make_result


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(input) at the target class, averaged, summed or place by place: the loss of raw scores.

    `input` is (N, C), (N, C, H, W) or any (N, C, ...), or (C,) without a batch. `target` is either class numbers of
    the input's shape without C, or class probabilities of the input's whole shape. `weight` (C,) scales each class;
    the mean divides by the sum of the weights that counted. Places whose target is `ignore_index` don't count.
    `label_smoothing` in [0, 1] mixes that much of the uniform distribution into the target.
    Raises ValueError or TypeError for shapes that don't fit and for labels out of range or not integer.
    Source of label smoothing: Szegedy et al. 2016, section 7.
    """
    need_choice("cross_entropy", "reduction", reduction, REDUCTIONS)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing must lie in [0, 1], but is {label_smoothing}")
    x, y = as_tensor(input), as_tensor(target)
    need_float("cross_entropy", x.data)
    if not x.ndim:
        raise ValueError("cross_entropy needs an input (C,), (N, C) or (N, C, ...), but it has no axes")
    axis = 0 if x.ndim == 1 else 1
    if y.shape == x.shape:
        return _against_probabilities(x, y, weight, reduction, label_smoothing, axis)
    # nll_loss checks them too, but by its own name
    _class_axis("cross_entropy", x.shape, y.shape)
    _check_labels("cross_entropy", y.data, x.shape[axis], ignore_index)
    log_probability = log_softmax(x, axis)
    loss = nll_loss(log_probability, y, weight, ignore_index, reduction)
    if not label_smoothing:
        return loss
    uniform = _against_uniform(log_probability, y.data, weight, ignore_index, reduction, axis)
    return loss * (1 - label_smoothing) + uniform * label_smoothing


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """-input at the target class: the negative log likelihood, where `input` holds log probabilities.

    Shapes, `weight`, `ignore_index` and errors as in cross_entropy with class numbers.
    """
    need_choice("nll_loss", "reduction", reduction, REDUCTIONS)
    x, labels = as_tensor(input), as_tensor(target).data
    need_float("nll_loss", x.data)
    axis, shape = _class_axis("nll_loss", x.shape, labels.shape), x.shape
    channels_last = layout.is_channels_last(x.data)
    counted = _check_labels("nll_loss", labels, shape[axis], ignore_index)
    class_weight = _class_weight("nll_loss", weight, shape[axis], x.dtype)
    # Ignored places look up class 0, with weight 0.
    index = np.expand_dims(np.where(counted, labels, 0).astype(np.int64, copy=False), axis)  # (N, ...) -> (N, 1, ...)
    place_weight = np.where(counted, class_weight[index.squeeze(axis)] if shape[axis] else 0, 0).astype(x.dtype)
    picked = np.take_along_axis(x.data, index, axis).squeeze(axis)  # (N, C, ...) -> (N, ...)
    with np.errstate(invalid="ignore"):  # -inf times a weight of 0, as in PyTorch
        values = -np.where(counted, picked, 0) * place_weight
    divisor = float(place_weight.sum(dtype=np.float64))

    def backward(gradient: np.ndarray):  # keeps the labels and the weight of each place
        with np.errstate(invalid="ignore"):  # the mean over nothing divided by 0
            at_target = -place_weight * spread(gradient, reduction, divisor)
        to_x = layout.zeros(shape, gradient.dtype) if channels_last else np.zeros(shape, gradient.dtype)
        np.put_along_axis(to_x, index, np.expand_dims(np.where(counted, at_target, 0), axis), axis)
        return (to_x,)

    return make_result(reduce_loss(values, reduction, divisor), (x,), backward, "nll_loss")


def _class_axis(name: str, input: tuple[int, ...], target: tuple[int, ...]) -> int:
    """The axis of the classes, after checking that the target has the input's shape without it."""
    axis = 0 if len(input) == 1 else 1
    if not input or target != input[:axis] + input[axis + 1 :]:
        raise ValueError(
            f"{name}: class numbers for an input {input} must have the shape "
            f"{input[:axis] + input[axis + 1 :]} (the input's, without its classes), but the target has {target}"
            + ("; take the last axis off with .squeeze(-1)" if target[-1:] == (1,) and target[:-1] == input[:1] else "")
        )
    return axis


def _check_labels(name: str, labels: np.ndarray, classes: int, ignore_index: int) -> np.ndarray:
    """Where the labels count; TypeError unless they are integers, ValueError if one that counts is out of range."""
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: class numbers must be integers, but the target's dtype is {labels.dtype}; convert with .long(), "
            "a NumPy array with .astype(int) (class probabilities must have the input's whole shape)"
        )
    counted = labels != ignore_index
    bad = counted & ((labels < 0) | (labels >= classes))
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
        raise ValueError(
            f"{name}: label {int(labels[index])} at index {index} of the target is out of range: {classes} classes "
            f"allow 0 to {classes - 1}, or ignore_index = {ignore_index}"
        )
    return counted


def _class_weight(name: str, weight: Any, classes: int, dtype: np.dtype) -> np.ndarray:
    if weight is None:
        return np.ones(classes, dtype)
    array = as_tensor(weight).data
    need_size(name, "weight", array, classes, "one number a class")
    return array.astype(dtype, copy=False)


def _against_uniform(
    log_probability: Tensor, labels: np.ndarray, weight: Any, ignore_index: int, reduction: str, axis: int
) -> Tensor:
    """The loss against the uniform distribution over the classes, at the places that count; for label smoothing."""
    shape, dtype = log_probability.shape, log_probability.dtype
    classes = shape[axis]
    along = tuple(classes if i == axis else 1 for i in range(len(shape)))
    class_weight = _class_weight("cross_entropy", weight, classes, dtype)
    share = (class_weight / np.asarray(max(classes, 1), dtype)).reshape(along)
    counted = labels != ignore_index
    with np.errstate(invalid="ignore"):
        values = np.where(counted, -(log_probability.data * share).sum(axis=axis), 0)
    # By the weights of the true classes, as nll_loss does, so that the two parts can be mixed.
    divisor = float(class_weight[labels[counted]].sum(dtype=np.float64))

    def backward(gradient: np.ndarray):  # keeps the share of each class and where the labels count
        place = np.where(counted, spread(gradient, reduction, divisor), 0)
        return (-share * np.expand_dims(place, axis),)

    return make_result(reduce_loss(values, reduction, divisor), (log_probability,), backward, "uniform_cross_entropy")


def _against_probabilities(
    x: Tensor, target: Tensor, weight: Any, reduction: str, label_smoothing: float, axis: int
) -> Tensor:
    """Cross-entropy between the softmax of the scores and given distributions; the mean is over places."""
    need_float("cross_entropy", target.data, "target of the input's shape (class probabilities)")
    log_probability = log_softmax(x, axis)
    logs, classes, dtype = log_probability.data, x.shape[axis], x.dtype
    along = tuple(classes if i == axis else 1 for i in range(x.ndim))
    class_weight = _class_weight("cross_entropy", weight, classes, dtype).reshape(along)
    kept, uniform = 1 - label_smoothing, label_smoothing / max(classes, 1)
    mixed = (target.data * kept + uniform).astype(dtype, copy=False) * class_weight
    with np.errstate(invalid="ignore"):  # 0 * -inf, as in PyTorch
        values = -(logs * mixed).sum(axis=axis)
    divisor = float(values.size)
    to_target_too = target.requires_grad

    def backward(gradient: np.ndarray):  # keeps the log probabilities and the mixed target, for each other's gradient
        place = np.expand_dims(np.broadcast_to(spread(gradient, reduction, divisor), values.shape), axis)
        return -mixed * place, -logs * class_weight * kept * place if to_target_too else None

    return make_result(reduce_loss(values, reduction, divisor), (log_probability, target), backward, "cross_entropy")
