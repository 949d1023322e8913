"""Exercise 03a: an operation of your own, forward and backward. Checked by `minicnn lesson check 3`."""

from minicnn import Tensor
from minicnn.tensor import make_result


def squared_difference(input: Tensor, other: Tensor) -> Tensor:
    """(input - other) squared, element by element, as one operation with its own backward.

    Compute the result from the arrays `input.data` and `other.data`. Define `backward(gradient)` beside it. This
    function gets the derivative of the loss with respect to the result, an array of the result's shape. It returns two
    arrays: the derivatives with respect to `input` and to `other`. Leave `gradient` unchanged.

    Then return `make_result(array of the result, (input, other), backward, name)`. A model is
    lesson.read("minicnn/functional/activation.py:relu"). You need no code for shapes that were broadcast: the library
    sums the derivatives to the shape of the input.
    """
    raise NotImplementedError
