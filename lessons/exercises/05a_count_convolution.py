"""Exercise 05a: the cost of a convolution layer. Checked by `minicnn lesson check 5`."""


def count_convolution(
    height: int, width: int, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0
) -> tuple[int, int]:
    """(parameters, multiply-adds) of a convolution with biases, for one picture of `height` x `width` pixels.

    The kernels are square, `kernel_size` a side, with stride 1. The picture gets `padding` rows or columns of zeros on
    each of its four sides. Multiply-adds are counted as in papers: biases are left out, and products with the zeros of
    the padding count like others.
    """
    raise NotImplementedError
