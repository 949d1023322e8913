"""Exercise 01a: a convolution is a sum of products at every place. Checked by `minicnn lesson check 1`."""

import numpy as np


def convolve(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The results of `kernel` (KH, KW) at every place of `picture` (H, W), without padding and with stride 1.

    How many rows and columns of places are there? Make an array of zeros of that size. Go through its places, and add
    up the products of weights and pixels at each of them. Two loops or four, as you like. The pixels may be whole
    numbers from 0 to 255, and the weights fractions. Leave `picture` and `kernel` unchanged.
    """
    raise NotImplementedError
