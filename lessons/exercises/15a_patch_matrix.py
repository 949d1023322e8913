"""Exercise 15a: the matrix that im2col multiplies. Checked by `minicnn lesson check 15`."""

import numpy as np


def patch_matrix(picture: np.ndarray, kernel_size: tuple[int, int], stride: int, padding: int) -> np.ndarray:
    """The patches of `picture` (H, W, C) under a kernel of size (KH, KW), one a row: (OH*OW, KH*KW*C).

    The picture gets `padding` rows or columns of zeros on each side. The kernel moves by `stride` pixels, so OH = (H +
    2*padding - KH) // stride + 1, and the same for OW with W and KW. Rows are in the order of the places, line after
    line of the result. The numbers of a row are in the order kernel row, kernel column, channel.

    Two loops over the places are enough: a slice of the padded picture is a patch.
    """
    raise NotImplementedError
