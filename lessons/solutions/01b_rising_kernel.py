"""A solution of exercise 01b."""

import numpy as np


def rising_kernel() -> np.ndarray:
    """A kernel (3, 3) that compares the upper left corner with the lower right one."""
    return np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])
