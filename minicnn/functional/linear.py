"""linear: the fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.checks import need_float
from minicnn.kernels import matrix as kernels
from minicnn.kernels.normalization import channel_sum
from minicnn.tensor import Tensor, as_tensor, make_result


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """input @ weight.T + bias: (..., features_in) -> (..., features_out).

    `weight` is (features_out, features_in), `bias` (features_out,) or None; a weight (features_in,) gives (...).
    Raises ValueError if the sizes don't fit and TypeError for integers.
    """
    x, w = as_tensor(input), as_tensor(weight)
    inputs = [x, w] if bias is None else [x, w, as_tensor(bias)]
    for tensor, argument in zip(inputs, ("input", "weight", "bias"), strict=False):
        need_float("linear", tensor.data, argument)
    _check_shapes(x.shape, w.shape, None if bias is None else inputs[2].shape)
    x_shape, w_shape, leading = x.shape, w.shape, x.shape[:-1]
    count = int(np.prod(leading))
    matrix = w.data if w.ndim == 2 else w.data[None, :]  # a vector is a matrix of one row
    rows = x.data.reshape(count, x_shape[-1])  # (..., features_in) -> (M, features_in)
    y = kernels.linear(rows, matrix)  # (M, features_in) -> (M, features_out)
    if bias is not None:
        y += inputs[2].data
    kept_rows = rows if w.requires_grad else None
    kept_matrix = matrix if x.requires_grad else None

    def backward(gradient: np.ndarray):  # keeps the input for the weight's gradient and the weight for the input's
        gradient = gradient.reshape(count, features_out)  # (..., features_out) -> (M, features_out)
        to_x = None if kept_matrix is None else kernels.linear_input_gradient(gradient, kept_matrix).reshape(x_shape)
        to_w = None if kept_rows is None else kernels.linear_weight_gradient(kept_rows, gradient).reshape(w_shape)
        return (to_x, to_w) if bias_shape is None else (to_x, to_w, channel_sum(gradient).reshape(bias_shape))

    features_out, bias_shape = matrix.shape[0], None if bias is None else inputs[2].shape
    return make_result(y.reshape(leading + w_shape[:-1]), inputs, backward, "linear")


def _check_shapes(x: tuple[int, ...], weight: tuple[int, ...], bias: tuple[int, ...] | None) -> None:
    if len(weight) not in (1, 2):
        raise ValueError(f"linear: weight must be (features_out, features_in), but its shape is {weight}")
    if not x or x[-1] != weight[-1]:
        raise ValueError(
            f"linear: the last size of the input must be features_in of the weight, but input {x} has "
            f"{x[-1] if x else 'no axes'} and weight {weight} has features_in = {weight[-1]}"
            + ("; flatten an image first, with flatten(1)" if len(x) == 4 else "")
        )
    if bias is not None and bias not in (weight[:-1], (1,), ()):
        raise ValueError(f"linear: bias must have shape {weight[:-1]}, one number a row of the weight, but has {bias}")
