"""Exercise 02a: how the loss depends on each weight of a kernel. Checked by `minicnn lesson check 2`."""

import numpy as np


def weight_gradient(picture: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The gradient (KH, KW) of the loss with respect to the weights of a kernel, which was applied to `picture` (H, W).

    `slopes` (OH, OW) is the derivative of the loss with respect to each result of the kernel. There are OH = H - KH + 1
    rows and OW = W - KW + 1 columns of results. So how large was the kernel? And which pixels was its weight [a, b]
    multiplied by?
    """
    raise NotImplementedError
