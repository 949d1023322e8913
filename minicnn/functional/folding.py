"""Unfold and fold: the patches of an image side by side, and patches added up to an image; transposes of each other.

Notation: image (N, C, H, W); columns (N, C*KH*KW, L), one for each of the L = OH*OW places of a window of KH x KW
pixels. A convolution is a matrix product with the columns; kernels/convolution/im2col.py computes it so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.arguments import IntOrPair, as_pair, check_image, window_counts
from minicnn.functional.shaping import squeeze, unsqueeze
from minicnn.kernels import layout
from minicnn.tensor import Tensor, as_tensor, make_result

Pair = tuple[int, int]


def unfold(
    input: Any, kernel_size: IntOrPair, dilation: IntOrPair = 1, padding: IntOrPair = 0, stride: IntOrPair = 1
) -> Tensor:
    """The patches of `input` (N, C, H, W) or (C, H, W) as columns: (N, C*KH*KW, L).

    Column number oh*OW + ow is the window at (oh, ow), its elements in the order (channel, row, column); places in the
    padding are zeros. OH = (H + 2*padding - dilation*(KH-1) - 1)//stride + 1.
    Raises ValueError where no window fits.
    """
    x = as_tensor(input)
    check_image("unfold", x)
    if x.ndim == 3:
        return squeeze(unfold(unsqueeze(x, 0), kernel_size, dilation, padding, stride), 0)
    size = x.shape[2:]
    kernel, gaps, edges, steps = _windows("unfold", kernel_size, dilation, padding, stride)
    counts = window_counts("unfold", size, kernel, steps, edges, gaps)

    def backward(gradient: np.ndarray):  # keeps nothing
        return (_add_patches(gradient, size, counts, kernel, gaps, edges, steps),)

    return make_result(
        _patches(x.data, counts, kernel, gaps, edges, steps), (x,), backward, "unfold", keeps_inputs=False
    )


def fold(
    input: Any,
    output_size: IntOrPair,
    kernel_size: IntOrPair,
    dilation: IntOrPair = 1,
    padding: IntOrPair = 0,
    stride: IntOrPair = 1,
) -> Tensor:
    """The columns `input` (N, C*KH*KW, L) or (C*KH*KW, L) added up where they overlap: an image (N, C, H, W).

    `output_size` is (H, W); the other arguments are those of the unfold that it undoes, except that a pixel seen by
    several windows becomes their sum.
    Raises ValueError if L is not the number of windows, or the first axis of a column no multiple of KH*KW.
    """
    x = as_tensor(input)
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        raise ValueError(
            f"fold: input must be (N, C*KH*KW, L) or (C*KH*KW, L), with none but N empty, but has shape {x.shape}"
        )
    if x.ndim == 2:
        return squeeze(fold(unsqueeze(x, 0), output_size, kernel_size, dilation, padding, stride), 0)
    size = as_pair("fold", "output_size", output_size, 1)
    kernel, gaps, edges, steps = _windows("fold", kernel_size, dilation, padding, stride)
    counts = window_counts("fold", size, kernel, steps, edges, gaps)
    elements, places = kernel[0] * kernel[1], counts[0] * counts[1]
    if x.shape[1] % elements:
        raise ValueError(
            f"fold: axis 1 of input must be a multiple of KH*KW = {kernel[0]}*{kernel[1]} = {elements}, but has "
            f"{x.shape[1]} (shape {x.shape})"
        )
    if x.shape[2] != places:
        raise ValueError(
            f"fold: input must have L = OH*OW = {counts[0]}*{counts[1]} = {places} columns for output_size {size} and "
            f"kernel_size {kernel}, but has {x.shape[2]} (shape {x.shape})"
        )

    def backward(gradient: np.ndarray):  # keeps nothing
        return (_patches(gradient, counts, kernel, gaps, edges, steps),)

    return make_result(
        _add_patches(x.data, size, counts, kernel, gaps, edges, steps), (x,), backward, "fold", keeps_inputs=False
    )


def _windows(
    name: str, kernel_size: IntOrPair, dilation: IntOrPair, padding: IntOrPair, stride: IntOrPair
) -> tuple[Pair, Pair, Pair, Pair]:
    kernel, gaps = as_pair(name, "kernel_size", kernel_size, 1), as_pair(name, "dilation", dilation, 1)
    return kernel, gaps, as_pair(name, "padding", padding, 0), as_pair(name, "stride", stride, 1)


def _patches(image: np.ndarray, counts: Pair, kernel: Pair, gaps: Pair, edges: Pair, steps: Pair) -> np.ndarray:
    """(N, C, H, W) -> (N, C*KH*KW, OH*OW)"""
    n, c, h, w = image.shape
    padded = layout.zeros((n, c, h + 2 * edges[0], w + 2 * edges[1]), image.dtype)
    padded[:, :, edges[0] : edges[0] + h, edges[1] : edges[1] + w] = image
    columns = np.empty((n, c, *kernel, *counts), image.dtype)
    for kh in range(kernel[0]):
        for kw in range(kernel[1]):
            columns[:, :, kh, kw] = padded[_under(kh, kw, counts, gaps, steps)]
    return columns.reshape(n, c * kernel[0] * kernel[1], counts[0] * counts[1])


def _add_patches(
    columns: np.ndarray, size: tuple[int, ...], counts: Pair, kernel: Pair, gaps: Pair, edges: Pair, steps: Pair
) -> np.ndarray:
    """(N, C*KH*KW, OH*OW) -> (N, C, H, W)"""
    n, c = columns.shape[0], columns.shape[1] // (kernel[0] * kernel[1])
    patches = columns.reshape(n, c, *kernel, *counts)
    padded = layout.zeros((n, c, size[0] + 2 * edges[0], size[1] + 2 * edges[1]), columns.dtype)
    for kh in range(kernel[0]):
        for kw in range(kernel[1]):
            padded[_under(kh, kw, counts, gaps, steps)] += patches[:, :, kh, kw]
    image = layout.empty((n, c, size[0], size[1]), columns.dtype)
    image[...] = padded[:, :, edges[0] : edges[0] + size[0], edges[1] : edges[1] + size[1]]
    return image


def _under(kh: int, kw: int, counts: Pair, gaps: Pair, steps: Pair) -> tuple[slice, ...]:
    """The pixels of the padded image that lie under element (kh, kw) of the window, over all places of the window."""
    top, left = kh * gaps[0], kw * gaps[1]
    return (
        slice(None),
        slice(None),
        slice(top, top + steps[0] * (counts[0] - 1) + 1, steps[0]),
        slice(left, left + steps[1] * (counts[1] - 1) + 1, steps[1]),
    )
