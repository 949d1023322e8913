"""Exercise 10a: what an Inception block costs, from its row of the table. `minicnn lesson check 10` checks it."""


def count_block(in_channels: int, row: tuple[int, ...], height: int, width: int) -> tuple[int, int]:
    """(weights, multiply-adds) of all convolutions of one Inception block, for one picture.

    `row` is a row of the paper's table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool. The block takes a map of
    `in_channels` channels and `height` times `width` places, and gives one of the same height and width. Its
    convolutions have no bias, and batch norm does not count. Go through the four branches: there are six convolutions.
    """
    raise NotImplementedError
