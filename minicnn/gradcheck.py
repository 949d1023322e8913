"""gradcheck: is the gradient that backward computes the slope of the function?

For a function f, inputs x and a random direction v, the slope of f along v can be found in two ways:

    by backward                the sum of gradient * v
    by central differences     (f(x + h*v) - f(x - h*v)) / 2h

f's outputs are first reduced to one number with random weights (a plain sum would hide gradients that cancel). Random
directions check all elements at once at the cost of two evaluations; if one fails, the elements are tried one by one
and the worst is named.

At a kink (relu at 0, a tie in a maximum) the slope differs from side to side, and no slope is right. The one-sided
differences show such points, and the error names them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.grad_mode import no_grad
from minicnn.tensor import Tensor

_ELEMENTS_TO_SEARCH = 2_000  # when a check fails, how many elements are tried one by one


def gradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    directions: int = 4,
    step: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-4,
    seed: int = 0,
) -> bool:
    """True if the gradients of `function(*inputs)` agree with float64 central differences; otherwise it raises.

    `inputs`: Tensors, of which those that require gradients must be float64 (TypeError); others are passed on. The
    function returns a Tensor, or a sequence of which the floating-point Tensors are checked, and must give the same
    values each time (ValueError).
    Raises ValueError that names the input, the worst index and both slopes, and if the point is a kink or a tie.
    """
    arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [i for i, value in enumerate(arguments) if isinstance(value, Tensor) and value.requires_grad]
    if not checked:
        raise ValueError("gradcheck: no input requires a gradient; pass Tensor(array, requires_grad=True)")
    for i in checked:
        if arguments[i].dtype != np.float64:
            raise TypeError(f"gradcheck: input {i} has dtype {arguments[i].dtype}; central differences need float64")
    generator = np.random.default_rng(seed)
    objective = _Objective(function, arguments, generator)
    gradients = objective.gradients(checked)
    for i in checked:
        array = arguments[i].data
        for _ in range(directions if array.size else 0):
            direction = generator.standard_normal(array.shape)
            direction /= np.linalg.norm(direction)
            expected = objective.slope(i, direction, step)
            actual = float((gradients[i] * direction).sum())
            if not _agree(actual, expected, gradients[i], atol, rtol):
                _explain(objective, i, gradients[i], step, atol, rtol, actual, expected)
    return True


def _agree(actual: float, expected: float, gradient: np.ndarray, atol: float, rtol: float) -> bool:
    # Relative to the largest slope any direction can have: a direction nearly across the gradient has a slope near 0.
    steepest = float(np.linalg.norm(gradient))
    return bool(abs(actual - expected) <= atol + rtol * max(abs(expected), steepest * 1e-2))


class _Objective:
    """The function reduced to one number: its outputs, weighted at random and summed."""

    def __init__(self, function: Callable[..., Any], arguments: list[Any], generator: np.random.Generator):
        self.function, self.arguments = function, arguments
        with no_grad():
            first, second = (self._outputs(arguments) for _ in range(2))
        if not first:
            raise ValueError("gradcheck: the function returned no floating-point Tensor")
        for a, b in zip(first, second, strict=True):
            if not np.array_equal(a.data, b.data, equal_nan=True):
                raise ValueError(
                    "gradcheck: the function gives other values at a second call; fix its seed or generator"
                )
        self.weights = [generator.uniform(0.5, 1.5, out.shape) * generator.choice([-1, 1], out.shape) for out in first]

    def _outputs(self, arguments: list[Any]) -> list[Tensor]:
        result = self.function(*arguments)
        outputs = [result] if isinstance(result, Tensor) else list(result)
        return [out for out in outputs if isinstance(out, Tensor) and out.dtype.kind == "f"]

    def gradients(self, checked: list[int]) -> dict[int, np.ndarray]:
        """The gradient of the weighted sum for each checked input, by backward."""
        arguments = list(self.arguments)
        for i in checked:
            arguments[i] = Tensor(self.arguments[i].data, requires_grad=True)
        connected = False
        for out, weight in zip(self._outputs(arguments), self.weights, strict=True):
            if out.requires_grad:
                connected = True
                out.backward(Tensor(weight.astype(out.dtype)), retain_graph=True)
        if not connected:
            raise ValueError("gradcheck: no output requires a gradient: the graph is cut between inputs and outputs")
        return {
            i: np.zeros(arguments[i].shape) if arguments[i].grad is None else arguments[i].grad.data for i in checked
        }

    def value(self, i: int, array: np.ndarray) -> list[np.ndarray]:
        """The outputs, as arrays, with input i replaced."""
        arguments = list(self.arguments)
        arguments[i] = Tensor(array)
        with no_grad():
            return [out.data for out in self._outputs(arguments)]

    def difference(self, i: int, high: np.ndarray, low: np.ndarray) -> float:
        """The weighted sum at `high` minus the one at `low`; subtracted before summing, which loses fewer digits."""
        pairs = zip(self.value(i, high), self.value(i, low), self.weights, strict=True)
        return float(sum((weight * (a - b)).sum() for a, b, weight in pairs))

    def slope(self, i: int, direction: np.ndarray, step: float) -> float:
        """The slope along `direction` by central differences."""
        array = self.arguments[i].data
        return self.difference(i, array + step * direction, array - step * direction) / (2 * step)

    def one_sided(self, i: int, direction: np.ndarray, step: float) -> tuple[float, float]:
        """The slopes on both sides of the point; they differ at a kink."""
        array = self.arguments[i].data
        right = self.difference(i, array + step * direction, array) / step
        left = self.difference(i, array, array - step * direction) / step
        return left, right


def _explain(
    objective: _Objective,
    i: int,
    gradient: np.ndarray,
    step: float,
    atol: float,
    rtol: float,
    along: float,
    expected_along: float,
) -> None:
    """Raise ValueError that names the element with the largest error."""
    worst: tuple[int, ...] = ()
    worst_error, actual, expected = -1.0, 0.0, 0.0
    for position in range(min(gradient.size, _ELEMENTS_TO_SEARCH)):
        index = tuple(int(k) for k in np.unravel_index(position, gradient.shape))
        direction = np.zeros(gradient.shape)
        direction[index] = 1
        slope = objective.slope(i, direction, step)
        error = abs(slope - gradient[index])
        if not error <= worst_error:  # a NaN is the worst of all
            worst, worst_error, actual, expected = index, error, float(gradient[index]), slope
        if np.isnan(error):
            break
    direction = np.zeros(gradient.shape)
    direction[worst] = 1
    left, right = objective.one_sided(i, direction, step)
    kink = ""
    if abs(left - right) > 10 * (atol + rtol * max(abs(left), abs(right))) + 1e-3 * max(abs(left), abs(right)):
        kink = (
            f"; the slope is {left:.6g} on the left and {right:.6g} on the right, so the point lies on a kink or a "
            "tie: move the input off it"
        )
    raise ValueError(
        f"gradcheck: input {i} of shape {gradient.shape}: along a random direction backward gives {along:.8g}, central "
        f"differences {expected_along:.8g}; worst element {worst}: backward {actual:.8g}, central differences "
        f"{expected:.8g}, difference {worst_error:.3g}{kink}"
    )
