"""Exercise 02a: how the loss depends on each weight of a kernel. `minicnn lesson check 2` checks it."""

import numpy as np


def weight_gradient(picture: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The gradient (KH, KW) of the loss in the weights of a kernel that was laid on `picture` (H, W).

    `slopes` (OH, OW) is the slope of the loss in each of the kernel's answers, of which there are OH = H - KH + 1 rows
    and OW = W - KW + 1 columns. So how large was the kernel? And which pixels was its weight [a, b] multiplied by?
    """
    raise NotImplementedError
