"""A solution of exercise 10a."""


def count_block(in_channels: int, row: tuple[int, ...], height: int, width: int) -> tuple[int, int]:
    """(weights, multiply-adds) of all convolutions of one Inception block, for one picture."""
    one, three_reduce, three, five_reduce, five, pool = row
    weights = (
        in_channels * one
        + in_channels * three_reduce
        + three_reduce * three * 9
        + in_channels * five_reduce
        + five_reduce * five * 25
        + in_channels * pool
    )
    return weights, weights * height * width  # each weight is used once at every place
