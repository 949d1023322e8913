"""A solution of exercise 15a."""

import numpy as np


def patch_matrix(picture: np.ndarray, kernel_size: tuple[int, int], stride: int, padding: int) -> np.ndarray:
    """The patches of `picture` (H, W, C) under a kernel of size (KH, KW), one a row: (OH*OW, KH*KW*C)."""
    (height, width, _), (kh, kw) = picture.shape, kernel_size
    padded = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)))
    patches = [
        padded[i : i + kh, j : j + kw].ravel()
        for i in range(0, height + 2 * padding - kh + 1, stride)
        for j in range(0, width + 2 * padding - kw + 1, stride)
    ]
    return np.stack(patches)
