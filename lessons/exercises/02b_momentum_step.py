"""Exercise 02b: gradient descent that keeps its direction. `minicnn lesson check 2` checks it."""

import numpy as np


def momentum_step(
    weight: np.ndarray, gradient: np.ndarray, velocity: np.ndarray, lr: float, momentum: float
) -> tuple[np.ndarray, np.ndarray]:
    """The weight and the velocity after one step, in this order; before the first step the velocity is zero.

    The new velocity is `momentum` times the old one, plus the gradient. The weight moves against the new velocity, by
    `lr` times its size. This is what SGD in minicnn and in PyTorch does.
    """
    raise NotImplementedError
