"""Winograd's convolution in a few lines of NumPy, with exactly the matrices of the fast one: read this first.

transforms.py derives the matrices. A tile of 4 x 4 outputs sees 6 x 6 pixels. Pixels and weights are transformed, both
to 6 x 6 numbers; these are multiplied number by number and summed over the channels, which is 36 products of matrices;
and the 6 x 6 sums are transformed to the 4 x 4 outputs:

    Y = A^T [ (G g G^T) * (B^T d B) ] A

The fast form (winograd.py) does the same: tiles.py has the transforms, outputs.py and weights.py the 36 products.
Everything here is float64, and an array of tiles has its 6 x 6 (or 4 x 4) numbers in the last two axes.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from minicnn.kernels.convolution.winograd import transforms

A, G, B_TRANSPOSED = (np.array(m, np.float64) for m in (transforms.A, transforms.G, transforms.B_TRANSPOSED))


def conv2d(x, weight, padding=(0, 0)) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in, 3, 3), stride 1."""
    pixels, (oh, ow) = _tiles_of_pixels(x, padding)  # (N, TH, TW, C_in, 6, 6)
    d = B_TRANSPOSED @ pixels @ B_TRANSPOSED.T
    g = G @ weight @ G.T  # (C_out, C_in, 3, 3) -> (C_out, C_in, 6, 6)
    m = np.einsum("nijckl,ockl->nijokl", d, g)  # for each of the 36 places k, l a product of matrices
    y = A.T @ m @ A  # (N, TH, TW, C_out, 6, 6) -> (N, TH, TW, C_out, 4, 4)
    n, rows, columns, c_out = y.shape[:4]
    # (N, TH, TW, C_out, 4, 4) -> (N, TH, 4, TW, 4, C_out) -> (N, 4*TH, 4*TW, C_out) -> (N, OH, OW, C_out)
    return y.transpose(0, 1, 4, 2, 5, 3).reshape(n, 4 * rows, 4 * columns, c_out)[:, :oh, :ow]


def conv2d_input_gradient(gradient, weight, padding=(0, 0)) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input: the convolution of `gradient` with the kernel turned by half."""
    turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)  # (C_out, C_in, 3, 3) -> (C_in, C_out, 3, 3)
    return conv2d(gradient, turned, (2 - padding[0], 2 - padding[1]))


def conv2d_weight_gradient(x, gradient, padding=(0, 0)) -> np.ndarray:
    """The gradient (C_out, C_in, 3, 3) for the weight: the transposed algorithm, G^T [ (B^T d B) * (A dY A^T) ] G."""
    pixels, (oh, ow) = _tiles_of_pixels(x, padding)  # (N, TH, TW, C_in, 6, 6)
    d = B_TRANSPOSED @ pixels @ B_TRANSPOSED.T
    whole = np.pad(gradient, ((0, 0), (0, -oh % 4), (0, -ow % 4), (0, 0)))  # the last tiles may be cut
    dy = sliding_window_view(whole, (4, 4), axis=(1, 2))[:, ::4, ::4]  # (N, TH, TW, C_out, 4, 4)
    m = np.einsum("nijckl,nijokl->ockl", d, A @ dy @ A.T)  # summed over the tiles
    return G.T @ m @ G  # (C_out, C_in, 6, 6) -> (C_out, C_in, 3, 3)


def _tiles_of_pixels(x, padding):
    """The tiles (N, TH, TW, C_in, 6, 6), 4 pixels apart, of the padded image, and the output's size (OH, OW)."""
    (ph, pw), (_, h, w, _) = padding, x.shape
    oh, ow = h + 2 * ph - 2, w + 2 * pw - 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (ph, ph + -oh % 4), (pw, pw + -ow % 4), (0, 0)))
    return sliding_window_view(padded, (6, 6), axis=(1, 2))[:, ::4, ::4], (oh, ow)
