"""A solution of exercise 03a."""

from minicnn import Tensor
from minicnn.tensor import make_result


def squared_difference(input: Tensor, other: Tensor) -> Tensor:
    """(input - other) squared, element by element."""
    difference = input.data - other.data

    def backward(gradient):
        slope = 2 * difference * gradient
        return slope, -slope

    return make_result(difference**2, (input, other), backward, "squared_difference")
