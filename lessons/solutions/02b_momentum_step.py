"""A solution of exercise 02b."""

import numpy as np


def momentum_step(
    weight: np.ndarray, gradient: np.ndarray, velocity: np.ndarray, lr: float, momentum: float
) -> tuple[np.ndarray, np.ndarray]:
    """The weight and the velocity after one step."""
    velocity = momentum * velocity + gradient
    return weight - lr * velocity, velocity
