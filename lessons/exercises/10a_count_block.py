"""Exercise 10a: the cost of an Inception block, from a row of the table. Checked by `minicnn lesson check 10`."""


def count_block(in_channels: int, row: tuple[int, ...], height: int, width: int) -> tuple[int, int]:
    """(weights, multiply-adds) of all convolutions of one Inception block, for one picture.

    `row` is a row of the paper's table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool. The block takes a map of
    `in_channels` channels and `height` x `width` places, and gives a map of the same height and width. Its convolutions
    have no biases, and batch norm does not count. Go through the four branches: there are six convolutions.
    """
    raise NotImplementedError
