"""A solution of exercise 08b."""


def widest_middle(in_channels: int, out_channels: int) -> int:
    """The most channels between two 3x3 convolutions that have no more weights than one 5x5 convolution."""
    # 9 * in * m + 9 * m * out <= 25 * in * out
    return 25 * in_channels * out_channels // (9 * (in_channels + out_channels))
