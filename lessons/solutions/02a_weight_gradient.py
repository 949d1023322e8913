"""A solution of exercise 02a."""

import numpy as np


def weight_gradient(picture: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """The gradient (KH, KW) of the loss: the cross-correlation of `picture` (H, W) and `slopes` (OH, OW)."""
    rows, columns = slopes.shape
    gradient = np.zeros((picture.shape[0] - rows + 1, picture.shape[1] - columns + 1))
    for a in range(gradient.shape[0]):
        for b in range(gradient.shape[1]):
            gradient[a, b] = (slopes * picture[a : a + rows, b : b + columns]).sum()
    return gradient
