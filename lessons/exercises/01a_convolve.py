"""Exercise 01a: a convolution is a sum of products at every place. `minicnn lesson check 1` checks it."""

import numpy as np


def convolve(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The answers of `kernel` (KH, KW) at every place of `picture` (H, W), without padding and one pixel apart.

    How many rows and columns of places are there? Make an array of zeros of that size, go through its places, and at
    each of them add up the products of weights and pixels. Two loops or four, whichever you find clearer.
    """
    raise NotImplementedError
