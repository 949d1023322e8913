"""Exercise 08a: two convolutions without a ReLU between them are one. Checked by `minicnn lesson check 8`."""

import numpy as np


def compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The one kernel (C_out, C_in, 5, 5) that equals `first` (C_mid, C_in, 3, 3), followed by `second`.

    `second` is (C_out, C_mid, 3, 3). The two follow each other directly, without padding. Take one weight of `second`,
    at row i and column j. Where in the 5x5 window does the window of `first` lie for this weight? With one channel
    only, the result is a sum of nine shifted copies of `first`. Then think of the channels: a matrix product.
    """
    raise NotImplementedError
