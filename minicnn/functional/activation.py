"""Activations: one number in, one number out, and softmax, which looks at a whole row.

Each backward keeps what makes the slope cheapest to have: the result where it tells the slope (relu, sigmoid, tanh),
else the input. A kink has the slope that PyTorch gives it, named in each docstring.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from minicnn.functional.checks import need_choice, need_float
from minicnn.functional.reduction import axes_of
from minicnn.kernels import softmax as kernels
from minicnn.kernels.pointwise import elementwise
from minicnn.tensor import Tensor, as_tensor, make_result


def relu(input: Any) -> Tensor:
    """max(input, 0); NaN stays NaN, and the slope at 0 is 0."""
    x = as_tensor(input)
    y = elementwise.scale_below_zero(x.data, x.data, 0) if x.dtype.kind == "f" else np.maximum(x.data, 0)

    def backward(gradient: np.ndarray):  # keeps the result, which the next layer has anyway
        return (elementwise.scale_below_zero(gradient, y, 0),)

    return make_result(y, (x,), backward, "relu")


def add_relu(input: Any, other: Any) -> Tensor:
    """relu(input + other) of two Tensors of one shape: the end of a residual block, in one pass over memory.

    Raises ValueError if the shapes differ and TypeError for integers.
    """
    x, other = _float_tensor("add_relu", input), _float_tensor("add_relu", other)
    if x.shape != other.shape:
        raise ValueError(f"add_relu: input {x.shape} and other {other.shape} must have the same shape")
    y = elementwise.add_relu(x.data, other.data)

    def backward(gradient: np.ndarray):  # keeps the result, as relu does; both summands get the same gradient
        gradient = elementwise.scale_below_zero(gradient, y, 0)
        return gradient, gradient

    return make_result(y, (x, other), backward, "add_relu")


@np.errstate(all="ignore")
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """The input cut to [min_val, max_val]; the slope is 1 strictly inside and 0 elsewhere.

    Raises ValueError if min_val > max_val.
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val must not be greater than max_val, but {min_val} > {max_val}")
    return _cut(input, min_val, max_val, "hardtanh")


def relu6(input: Any) -> Tensor:
    """min(max(input, 0), 6); the slope is 1 strictly inside and 0 elsewhere."""
    return _cut(input, 0, 6, "relu6")


def _cut(input: Any, low: float, high: float, name: str) -> Tensor:
    x = as_tensor(input)
    y = np.clip(x.data, low, high)

    def backward(gradient: np.ndarray):  # keeps the result
        return (np.where((y <= low) | (y >= high), 0, gradient),)

    return make_result(y, (x,), backward, name)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """The input where it is positive, else negative_slope * input; the slope at 0 is negative_slope."""
    x = _float_tensor("leaky_relu", input)
    a = x.data

    def backward(gradient: np.ndarray):  # keeps the input: with a negative slope the result does not tell its sign
        return (elementwise.scale_below_zero(gradient, a, negative_slope),)

    return make_result(elementwise.scale_below_zero(a, a, negative_slope), (x,), backward, "leaky_relu")


@np.errstate(all="ignore")
def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """The input where it is positive, else alpha * (exp(input) - 1); the slope at 0 is alpha.

    Source: Clevert et al. 2015, equation 15.
    """
    x = _float_tensor("elu", input)
    a = x.data

    def backward(gradient: np.ndarray):  # keeps the input
        return (np.where(a > 0, gradient, gradient * alpha * np.exp(np.minimum(a, 0))),)

    return make_result(np.where(a > 0, a, alpha * np.expm1(np.minimum(a, 0))), (x,), backward, "elu")


@np.errstate(all="ignore")
def gelu(input: Any, approximate: str = "none") -> Tensor:
    """input * P(Z <= input), Z being standard normal; with approximate="tanh", the approximation by tanh.

    Raises ValueError for another `approximate`. Source: Hendrycks and Gimpel 2016, section 2.
    """
    need_choice("gelu", "approximate", approximate, ("none", "tanh"))
    x = _float_tensor("gelu", input)
    a = x.data
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (a + 0.044715 * a * a * a)
        probability = 0.5 * (1 + np.tanh(inner))
    else:
        from scipy.special import erf  # here, for it would lengthen every start of the program

        probability = 0.5 * (1 + erf(a * math.sqrt(0.5)))

    def backward(gradient: np.ndarray):  # keeps the input and the probability
        if approximate == "tanh":
            density = 2 * probability * (1 - probability) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * a * a)
        else:
            density = np.exp(-0.5 * a * a) * (1 / math.sqrt(2 * math.pi))
        return (gradient * (probability + a * density),)

    return make_result(a * probability, (x,), backward, "gelu")


@np.errstate(all="ignore")
def silu(input: Any) -> Tensor:
    """input * sigmoid(input), also called swish."""
    x = _float_tensor("silu", input)
    a = x.data
    gate = logistic(a)

    def backward(gradient: np.ndarray):  # keeps the input and its sigmoid
        return (gradient * gate * (1 + a * (1 - gate)),)

    return make_result(a * gate, (x,), backward, "silu")


@np.errstate(all="ignore")
def hardswish(input: Any) -> Tensor:
    """input * relu6(input + 3) / 6; the slope is 0 at -3 and 1 at 3. Source: Howard et al. 2019, section 5.2."""
    x = _float_tensor("hardswish", input)
    a = x.data

    def backward(gradient: np.ndarray):  # keeps the input
        slope = np.where(a <= -3, 0, np.where(a >= 3, 1, a / 3 + 0.5))
        return (gradient * slope.astype(a.dtype),)

    return make_result(a * np.clip(a + 3, 0, 6) / 6, (x,), backward, "hardswish")


def sigmoid(input: Any) -> Tensor:
    """1 / (1 + exp(-input)); integers become float32."""
    x = as_tensor(input)
    y = logistic(x.data if x.dtype.kind == "f" else x.data.astype(np.float32))

    def backward(gradient: np.ndarray):  # keeps the result
        return (gradient * y * (1 - y),)

    return make_result(y, (x,), backward, "sigmoid")


def tanh(input: Any) -> Tensor:
    """The hyperbolic tangent; integers become float32."""
    x = as_tensor(input)
    y = np.tanh(x.data if x.dtype.kind == "f" else x.data.astype(np.float32))

    def backward(gradient: np.ndarray):  # keeps the result
        return (gradient * (1 - y * y),)

    return make_result(y, (x,), backward, "tanh")


@np.errstate(all="ignore")
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input > threshold (no digit differs)."""
    x = _float_tensor("softplus", input)
    scaled = x.data * beta
    straight = scaled > threshold

    def backward(gradient: np.ndarray):  # keeps beta * input and where the line was used
        return (np.where(straight, gradient, gradient * logistic(scaled)),)

    result = np.where(straight, x.data, np.log1p(np.exp(scaled)) / beta)
    return make_result(result, (x,), backward, "softplus")


def softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Tensor:
    """exp(input) / sum(exp(input)) along `dim`: positive numbers that add up to 1. `dtype` converts the input first.

    Without `dim` it is chosen as PyTorch does (0 for 0, 1 or 3 axes, else 1), with a warning.
    """
    x, axis = _row_of("softmax", input, dim, dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # a row of -inf has no softmax: NaN, as in PyTorch
        y = np.exp(x.data - x.data.max(axis=axis, keepdims=True, initial=-np.inf))
        y /= y.sum(axis=axis, keepdims=True)

    def backward(gradient: np.ndarray):  # keeps the result
        return (y * (gradient - (gradient * y).sum(axis=axis, keepdims=True)),)

    return make_result(y, (x,), backward, "softmax")


def log_softmax(input: Any, dim: int | None = None, dtype: Any = None) -> Tensor:
    """log(softmax(input)) along `dim`, computed so that nothing overflows. `dim` and `dtype` as in softmax."""
    x, axis = _row_of("log_softmax", input, dim, dtype)
    in_rows = bool(axis) and kernels.applies(x.data, axis[0])
    if in_rows:
        y = kernels.log_softmax(x.data, axis[0])
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            shifted = x.data - x.data.max(axis=axis, keepdims=True, initial=-np.inf)
            y = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))

    def backward(gradient: np.ndarray):  # keeps the result, whose exponential is the softmax
        if in_rows:
            return (kernels.log_softmax_backward(gradient, y, axis[0]),)
        return (gradient - np.exp(y) * gradient.sum(axis=axis, keepdims=True),)

    return make_result(y, (x,), backward, "log_softmax")


def _row_of(name: str, input: Any, dim: int | None, dtype: Any) -> tuple[Tensor, tuple[int, ...]]:
    """The input in the dtype asked for, and the axis along which its rows lie."""
    x = as_tensor(input)
    if dtype is not None:
        x = x.astype(dtype)
    need_float(name, x.data)
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
        warnings.warn(f"{name}: `dim` was not given; taking dim={dim} for {x.ndim} axes", stacklevel=3)
    return x, axes_of(dim, x.ndim)


def _float_tensor(name: str, input: Any) -> Tensor:
    x = as_tensor(input)
    need_float(name, x.data)
    return x


def logistic(a: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-a))."""
    with np.errstate(over="ignore"):  # exp of a large number is inf, and 1 / inf the right 0
        return 1 / (1 + np.exp(-a))
