"""A solution of exercise 05a."""


def count_convolution(
    height: int, width: int, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0
) -> tuple[int, int]:
    """(parameters, multiply-adds): the weights are counted once, and used at every place."""
    weights = out_channels * in_channels * kernel_size * kernel_size
    places = (height + 2 * padding - kernel_size + 1) * (width + 2 * padding - kernel_size + 1)
    return weights + out_channels, weights * places
