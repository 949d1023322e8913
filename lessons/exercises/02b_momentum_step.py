"""Exercise 02b: gradient descent that keeps its direction. Checked by `minicnn lesson check 2`."""

import numpy as np


def momentum_step(
    weight: np.ndarray, gradient: np.ndarray, velocity: np.ndarray, lr: float, momentum: float
) -> tuple[np.ndarray, np.ndarray]:
    """(weight, velocity) after one step of gradient descent with momentum; before the first step the velocity is zero.

    The new velocity is `momentum` times the old one, plus the gradient. The weight moves against the new velocity, by
    `lr` times its size. SGD in minicnn and in PyTorch does the same. Return new arrays, and leave the arguments
    unchanged.
    """
    raise NotImplementedError
