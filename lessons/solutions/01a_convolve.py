"""A solution of exercise 01a."""

import numpy as np


def convolve(picture: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The results of `kernel` (KH, KW) at every place of `picture` (H, W): (H-KH+1, W-KW+1)."""
    height, width = kernel.shape
    answers = np.zeros((picture.shape[0] - height + 1, picture.shape[1] - width + 1))
    for i in range(answers.shape[0]):
        for j in range(answers.shape[1]):
            window = picture[i : i + height, j : j + width]
            answers[i, j] = (window * kernel).sum()
    return answers
