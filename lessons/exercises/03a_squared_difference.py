"""Exercise 03a: an operation of your own, forward and backward. `minicnn lesson check 3` checks it."""

from minicnn import Tensor
from minicnn.tensor import make_result


def squared_difference(input: Tensor, other: Tensor) -> Tensor:
    """(input - other) squared, element by element, as one operation with its own backward.

    Compute the result from the arrays `input.data` and `other.data`. Beside it define `backward(gradient)`: it gets the
    slope of the loss in the result, an array of the result's shape, and returns two arrays, the slope in `input` and
    the slope in `other`. It must not change `gradient`. Then return what `make_result(...)` gives for the array of the
    result, the pair of inputs, your backward and a name. lesson.read("minicnn/functional/activation.py:relu") shows a
    model. Shapes that were broadcast need no care: whoever receives a slope sums it up.
    """
    raise NotImplementedError
