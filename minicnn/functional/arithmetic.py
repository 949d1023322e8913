"""Element-wise arithmetic: the operations behind Tensor's operators, each with its backward beside it.

Operands broadcast as in NumPy. No backward here thinks of that: the engine sums a gradient over the axes along which
its value was repeated (engine.py, Node.receive).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.kernels.pointwise import elementwise
from minicnn.tensor import Tensor, as_tensor, make_result

_CATEGORY = {"b": 0, "i": 1, "u": 1, "f": 2}


def result_dtype(*operands: Any) -> np.dtype:
    """The dtype in which operands are combined, by PyTorch's rule.

    Floating point wins over integers, and integers over booleans; within the highest category, Tensors with axes decide
    before Tensors without, and Python numbers come last. So `int64 + float32` is float32, unlike in NumPy.
    """
    tensors = [as_tensor(operand) for operand in operands]
    highest = max(_CATEGORY[tensor.dtype.kind] for tensor in tensors)
    decisive = [i for i, tensor in enumerate(tensors) if _CATEGORY[tensor.dtype.kind] == highest]
    for candidates in (
        [i for i in decisive if tensors[i].ndim > 0],
        [i for i in decisive if not isinstance(operands[i], (bool, int, float))],
        decisive,
    ):
        if candidates:
            break
    return np.result_type(*(tensors[i].dtype for i in candidates))


def operands_of(name: str, *operands: Any) -> tuple[list[Tensor], list[np.ndarray]]:
    """The operands as Tensors, and their arrays in the dtype in which they are combined.

    Raises ValueError, naming the shapes, if they don't broadcast.
    """
    tensors = [as_tensor(operand) for operand in operands]
    try:
        np.broadcast_shapes(*(tensor.shape for tensor in tensors))
    except ValueError:
        shapes = " and ".join(str(tensor.shape) for tensor in tensors)
        raise ValueError(
            f"{name}: shapes {shapes} don't broadcast; counted from the right, two sizes must be equal or one of them 1"
        ) from None
    dtype = result_dtype(*operands)
    # A Python number is converted once: by way of its float32 Tensor it would bring that one's rounding into float64.
    values = [
        operand if isinstance(operand, (int, float)) else tensor.data
        for operand, tensor in zip(operands, tensors, strict=True)
    ]
    return tensors, [np.asarray(value, dtype=dtype) for value in values]


def _as_float(array: np.ndarray) -> np.ndarray:
    """Integers as float32, for operations whose result is a fraction."""
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def add(input: Any, other: Any) -> Tensor:
    """input + other."""
    tensors, (a, b) = operands_of("add", input, other)

    def backward(gradient: np.ndarray):  # keeps nothing
        return gradient, gradient

    return make_result(elementwise.add(a, b), tensors, backward, "add", keeps_inputs=False)


def sub(input: Any, other: Any) -> Tensor:
    """input - other."""
    tensors, (a, b) = operands_of("sub", input, other)

    def backward(gradient: np.ndarray):  # keeps nothing
        return gradient, -gradient

    with np.errstate(over="ignore", invalid="ignore"):
        result = a - b
    return make_result(result, tensors, backward, "sub", keeps_inputs=False)


def mul(input: Any, other: Any) -> Tensor:
    """input * other."""
    (x, y), (a, b) = operands_of("mul", input, other)
    # Each factor is kept only if the other one requires a gradient.
    a_kept = a if y.requires_grad else None
    b_kept = b if x.requires_grad else None

    def backward(gradient: np.ndarray):
        with np.errstate(over="ignore", invalid="ignore"):
            return None if b_kept is None else gradient * b_kept, None if a_kept is None else gradient * a_kept

    with np.errstate(over="ignore", invalid="ignore"):
        result = a * b
    return make_result(result, (x, y), backward, "mul")


def div(input: Any, other: Any) -> Tensor:
    """input / other; two integers give float32."""
    (x, y), arrays = operands_of("div", input, other)
    a, b = (_as_float(array) for array in arrays)
    with np.errstate(divide="ignore", invalid="ignore"):  # 1/0 is inf and 0/0 is NaN, as in PyTorch
        quotient = a / b
    kept = quotient if y.requires_grad else None

    def backward(gradient: np.ndarray):  # keeps b, and the quotient for b's own gradient: d(a/b)/db = -(a/b)/b
        with np.errstate(divide="ignore", invalid="ignore"):
            by_b = gradient / b
            return by_b, None if kept is None else -by_b * kept

    return make_result(quotient, (x, y), backward, "div")


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent. Where the base is 0, so is the gradient of the exponent, as in PyTorch."""
    (x, y), (a, b) = operands_of("pow", input, exponent)
    if a.dtype.kind != "f" and (b < 0).any():
        raise ValueError("pow: an integer to a negative power is a fraction; convert the base with .float() first")
    with np.errstate(all="ignore"):
        power = np.power(a, b)
    needs_base, needs_exponent = x.requires_grad, y.requires_grad

    def backward(gradient: np.ndarray):  # keeps both operands and the power
        with np.errstate(all="ignore"):
            # 0 ** (0 - 1) would be infinite, but the derivative of x ** 0 is 0.
            to_base = np.where(b == 0, 0, gradient * b * np.power(a, b - 1)) if needs_base else None
            to_exponent = np.where((a == 0) & (b >= 0), 0, gradient * power * np.log(a)) if needs_exponent else None
        return to_base, to_exponent

    return make_result(power, (x, y), backward, "pow")


def floor_divide(input: Any, other: Any) -> Tensor:
    """The largest whole number not above input / other; no gradient flows, for the slope is 0 wherever there is one.

    Raises ZeroDivisionError for integers divided by 0.
    """
    _, (a, b) = operands_of("floor_divide", input, other)
    _need_divisor("floor_divide", b)
    with np.errstate(all="ignore"):
        return Tensor(np.floor_divide(a, b))


def remainder(input: Any, other: Any) -> Tensor:
    """input - other * floor(input / other), which has the sign of `other`.

    Raises ZeroDivisionError for integers divided by 0.
    """
    tensors, (a, b) = operands_of("remainder", input, other)
    _need_divisor("remainder", b)
    with np.errstate(all="ignore"):
        result = np.remainder(a, b)

    def backward(gradient: np.ndarray):  # keeps both operands
        return gradient, -gradient * np.floor_divide(a, b)

    return make_result(result, tensors, backward, "remainder")


def _need_divisor(name: str, divisor: np.ndarray) -> None:
    if divisor.dtype.kind in "biu" and not np.all(divisor):
        raise ZeroDivisionError(f"{name}: `other` holds a 0, and integers have no infinity; convert with .float()")


def neg(input: Any) -> Tensor:
    """-input."""
    x = as_tensor(input)

    def backward(gradient: np.ndarray):  # keeps nothing
        return (-gradient,)

    return make_result(-x.data, (x,), backward, "neg", keeps_inputs=False)


def abs(input: Any) -> Tensor:
    """The absolute value; its gradient at 0 is 0."""
    x = as_tensor(input)
    a = x.data

    def backward(gradient: np.ndarray):  # keeps the input, for its sign
        return (gradient * np.sign(a),)

    return make_result(np.abs(a), (x,), backward, "abs")


def exp(input: Any) -> Tensor:
    """e to the power of every element."""
    x = as_tensor(input)
    with np.errstate(over="ignore"):
        result = np.exp(_as_float(x.data))

    def backward(gradient: np.ndarray):  # keeps the result, which is its own derivative
        return (gradient * result,)

    return make_result(result, (x,), backward, "exp")


def log(input: Any) -> Tensor:
    """The natural logarithm: -inf at 0 and NaN below."""
    x = as_tensor(input)
    a = _as_float(x.data)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.log(a)

    def backward(gradient: np.ndarray):  # keeps the input
        with np.errstate(divide="ignore", invalid="ignore"):
            return (gradient / a,)

    return make_result(result, (x,), backward, "log")


def sqrt(input: Any) -> Tensor:
    """The square root: NaN below 0; the gradient at 0 is infinite."""
    x = as_tensor(input)
    with np.errstate(invalid="ignore"):
        result = np.sqrt(_as_float(x.data))

    def backward(gradient: np.ndarray):  # keeps the result
        with np.errstate(divide="ignore", invalid="ignore"):
            return (gradient / (2 * result),)

    return make_result(result, (x,), backward, "sqrt")


def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two; on a tie each gets half of the gradient, and a NaN in either gives NaN."""
    return _extremum(input, other, np.maximum, np.greater, "maximum")


def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two; on a tie each gets half of the gradient, and a NaN in either gives NaN."""
    return _extremum(input, other, np.minimum, np.less, "minimum")


def _extremum(input: Any, other: Any, choose: Any, wins: Any, name: str) -> Tensor:
    tensors, (a, b) = operands_of(name, input, other)

    def backward(gradient: np.ndarray):  # keeps both operands
        half = np.where(a == b, gradient / 2, 0)
        return half + np.where(wins(a, b), gradient, 0), half + np.where(wins(b, a), gradient, 0)

    return make_result(choose(a, b), tensors, backward, name)


def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """Every element, no lower than `min` and no higher than `max`; where they cross, `max` holds.

    The gradient goes to the input where nothing was cut (the bounds included), else to the bound that cut it, if that
    is a Tensor that requires one. Raises ValueError if both bounds are None.
    """
    if min is None and max is None:
        raise ValueError("clamp needs `min`, `max` or both, but got neither")
    given = [input] + [bound for bound in (min, max) if bound is not None]
    tensors, arrays = operands_of("clamp", *given)
    a = arrays[0]
    low = None if min is None else arrays[1]
    high = None if max is None else arrays[-1]

    def backward(gradient: np.ndarray):  # keeps the input and the bounds
        floor, ceiling = -np.inf if low is None else low, np.inf if high is None else high
        gradients = [np.where((a >= floor) & (a <= ceiling), gradient, 0)]
        if low is not None:
            gradients.append(np.where((a < floor) & (floor < ceiling), gradient, 0))
        if high is not None:
            gradients.append(np.where((a > ceiling) | (ceiling < floor), gradient, 0))
        return gradients

    return make_result(np.clip(a, low, high), tensors, backward, "clamp")


def where(condition: Any, input: Any, other: Any) -> Tensor:
    """`input` where `condition` is true, else `other`. Raises TypeError if `condition` is not boolean."""
    chosen = as_tensor(condition).data
    if chosen.dtype != bool:
        raise TypeError(f"condition must be boolean, but its dtype is {chosen.dtype}; compare first, as in x > 0")
    tensors, (a, b) = operands_of("where", input, other)

    def backward(gradient: np.ndarray):  # keeps the condition
        return np.where(chosen, gradient, 0), np.where(chosen, 0, gradient)

    return make_result(np.where(chosen, a, b), tensors, backward, "where")
