"""A solution of exercise 10b."""

from collections.abc import Mapping

import numpy as np

from minicnn import functional as F


def inception(x: np.ndarray, kernels: Mapping[str, np.ndarray]) -> np.ndarray:
    """The result (N, C_1 + C_3 + C_5 + C_pool, H, W) of one Inception block for the map `x` (N, C_in, H, W)."""
    one = F.relu(F.conv2d(x, kernels["one"]))
    three = F.relu(F.conv2d(x, kernels["three_reduce"]))
    three = F.relu(F.conv2d(three, kernels["three"], padding=1))
    five = F.relu(F.conv2d(x, kernels["five_reduce"]))
    five = F.relu(F.conv2d(five, kernels["five"], padding=2))
    pool = F.relu(F.conv2d(F.max_pool2d(x, 3, 1, padding=1), kernels["pool"]))
    return F.concat([one, three, five, pool], 1).numpy()
