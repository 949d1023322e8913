"""linear: the fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.checks import need_float
from minicnn.kernels import matrix as kernels
from minicnn.kernels.normalization import channel_sum
from minicnn.tensor import Tensor, as_tensor, make_result, optional_tensor


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """input @ weight.T + bias: (..., features_in) -> (..., features_out).

    `weight` is (features_out, features_in), `bias` (features_out,) or None; a weight (features_in,) gives (...).
    Raises ValueError if the sizes don't fit and TypeError for integers.
    """
    x, w, b = as_tensor(input), as_tensor(weight), optional_tensor(bias)
    for tensor, argument in ((x, "input"), (w, "weight"), (b, "bias")):
        if tensor is not None:
            need_float("linear", tensor.data, argument)
    bias_shape = None if b is None else b.shape
    _check_shapes(x.shape, w.shape, bias_shape)
    x_shape, w_shape, leading = x.shape, w.shape, x.shape[:-1]
    count = int(np.prod(leading))
    matrix = w.data if w.ndim == 2 else w.data[None, :]  # a vector is a matrix of one row
    features_out = len(matrix)
    rows = x.data.reshape(count, x_shape[-1])  # (..., features_in) -> (M, features_in)
    y = kernels.linear(rows, matrix)  # (M, features_in) -> (M, features_out)
    if b is not None:
        y += b.data
    kept_rows = rows if w.requires_grad else None
    kept_matrix = matrix if x.requires_grad else None

    def backward(gradient: np.ndarray):  # keeps the input for the weight's gradient and the weight for the input's
        gradient = gradient.reshape(count, features_out)  # (..., features_out) -> (M, features_out)
        to_x = None if kept_matrix is None else kernels.linear_input_gradient(gradient, kept_matrix).reshape(x_shape)
        to_w = None if kept_rows is None else kernels.linear_weight_gradient(kept_rows, gradient).reshape(w_shape)
        to_b = None if bias_shape is None else channel_sum(gradient).reshape(bias_shape)
        return to_x, to_w, to_b

    return make_result(y.reshape(leading + w_shape[:-1]), (x, w, b), backward, "linear")


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
