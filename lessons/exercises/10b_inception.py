"""Exercise 10b: an Inception block by hand. Checked by `minicnn lesson check 10`."""

from collections.abc import Mapping

import numpy as np


def inception(x: np.ndarray, kernels: Mapping[str, np.ndarray]) -> np.ndarray:
    """The result (N, C_1 + C_3 + C_5 + C_pool, H, W) of one Inception block for the map `x` (N, C_in, H, W).

    `kernels` has six arrays (C_out, C_in, KH, KW), by the columns of the paper's table: "one", "three_reduce", "three",
    "five_reduce", "five" and "pool". A ReLU follows each convolution; biases and batch norm are left out. The pooling
    takes the maximum of 3x3 places, with stride 1. Every branch keeps height and width: which padding does that?

    From `minicnn.functional`: conv2d(x, kernel, padding=...), relu, max_pool2d(x, 3, 1, padding=...), concat([...], 1).
    """
    raise NotImplementedError
