"""Exercise 08a: two convolutions without a ReLU between them are one. `minicnn lesson check 8` checks it."""

import numpy as np


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The one kernel (C_out, C_in, 5, 5) that does what `first` (C_mid, C_in, 3, 3) and then `second` do.

    `second` is (C_out, C_mid, 3, 3). Nothing stands between the two, and there is no padding. Take one weight of
    `second` at row i and column j: where, as seen from the result, does it lay the window of `first`? For one channel
    only, this is a sum of nine shifted copies of `first`. Then think of the channels: a matrix product.
    """
    raise NotImplementedError
