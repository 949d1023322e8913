"""Matrix products for fully connected layers, by the micro-kernel of the convolutions.

A fully connected layer is a 1x1 convolution of images of one pixel, and direct.py computes it as such. NumPy's product
is as fast by itself, but its threads go on spinning for some 0.1 s after a product, and hold the cores that the next
kernels are waiting for: a training step of LeNet-5 took four times as long. Small products, which NumPy takes on one
thread, and float64 stay with NumPy.
"""

import numpy as np

from minicnn.kernels.convolution import direct
from minicnn.kernels.convolution.geometry import Geometry

MOST_FOR_NUMPY = 1 << 18  # multiply-adds: OpenBLAS wakes its threads above this
LONGEST_SUM = 4096  # products that are added up one after the other: a longer float32 sum would lose digits
FEWEST_ROWS = 16  # a gradient of fewer rows would spend its time on packing the weight


def linear(rows, weight) -> np.ndarray:
    """rows (M, K) times weight (O, K), transposed: (M, O)."""
    (m, k), o = rows.shape, len(weight)
    if not _large(rows, weight, m * k * o):
        return rows @ weight.T  # (M, K) @ (K, O)
    pieces = _pieces(k)
    if m < o:  # one of the two is packed into lines of vectors: the smaller one
        return np.ascontiguousarray(_product(weight, rows, pieces).T)  # (O, M) -> (M, O)
    return _product(rows, weight, pieces)


def linear_input_gradient(gradient, weight) -> np.ndarray:
    """gradient (M, O) times weight (O, K): (M, K)."""
    (m, o), k = gradient.shape, weight.shape[1]
    if m < FEWEST_ROWS or not _large(gradient, weight, m * k * o):
        return gradient @ weight
    # (M, O) -> (M, 1, 1, O) and (O, K) -> (O, K, 1, 1)
    gx = direct.conv2d_input_gradient(gradient[:, None, None], weight[:, :, None, None], (1, 1), Geometry())
    return gx.reshape(m, k)  # (M, 1, 1, K) -> (M, K)


def linear_weight_gradient(rows, gradient) -> np.ndarray:
    """gradient (M, O), transposed, times rows (M, K): (O, K)."""
    (m, k), o = rows.shape, gradient.shape[1]
    if not _large(rows, gradient, m * k * o):
        return gradient.T @ rows  # (O, M) @ (M, K)
    return _product(np.ascontiguousarray(gradient.T), np.ascontiguousarray(rows.T))  # (O, M), (K, M) -> (O, K)


def _product(rows, weight, pieces=1):
    """rows (M, K) times weight (O, K), transposed, as the convolution of M images of one pixel and K channels.

    With several `pieces` each of them is a group of the channels, and what the groups make is added up.
    """
    (m, k), o = rows.shape, len(weight)
    groups = weight.reshape(o, pieces, k // pieces).swapaxes(0, 1)  # (O, K) -> (pieces, O, K/pieces)
    kernels = groups.reshape(pieces * o, k // pieces, 1, 1)
    y = direct.conv2d(rows[:, None, None], kernels, None, (1, 1), Geometry(groups=pieces))
    return y.reshape(m, pieces, o).sum(axis=1) if pieces > 1 else y.reshape(m, o)  # (M, 1, 1, pieces*O) -> (M, O)


def _pieces(k) -> int:
    """Into how many equal parts a sum of `k` products is cut: as few as there can be, or 1 if there must be many."""
    fewest = -(-k // LONGEST_SUM)
    return next((pieces for pieces in range(fewest, 4 * fewest) if k % pieces == 0), 1)


def _large(a, b, products) -> bool:
    return products > MOST_FOR_NUMPY and a.dtype == b.dtype == np.float32
