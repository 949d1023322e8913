"""Exercise 05a: what a convolution layer costs. `minicnn lesson check 5` checks it."""


def count_convolution(
    height: int, width: int, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0
) -> tuple[int, int]:
    """(parameters, multiply-adds) of a convolution with biases, for one picture of `height` x `width` pixels.

    The kernels are square, `kernel_size` a side, and move by one pixel; `padding` pixels of zeros are put on all four
    sides of the picture. Multiply-adds are counted as papers count them: without the biases, and products with the
    zeros of the padding count like others.
    """
    raise NotImplementedError
