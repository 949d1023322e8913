"""Exercise 09a: the way back through a residual block. Checked by `minicnn lesson check 9`."""

import numpy as np


def residual_block(
    x: np.ndarray, first: np.ndarray, second: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The result y (N, C) of the block y = relu(x + f(x)), and the gradient (N, C) of the loss with respect to x.

    f(x) = relu(x @ first) @ second, with first (C, K) and second (K, C): two layers without biases and batch norm, for
    N rows of C numbers in place of pictures. `gradient` (N, C) is the gradient of the loss with respect to y.

    Go back in the opposite order. First through the last ReLU, which passes a gradient on where its result is above 0.
    Then through the sum, from which two ways lead on. Then through f, layer by layer. Both ways meet at x.
    """
    raise NotImplementedError
