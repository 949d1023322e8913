"""Convolution as one matrix product: patches side by side, times the weights.

    patches (N*OH*OW, KH*KW*C)  @  weight matrix (KH*KW*C, C_out)  =  result (N*OH*OW, C_out)

Each row of `patches` is the piece of the padded image under the kernel at one place. The input gradient is the same
product turned around, with overlapping patches added up; the weight gradient is gradient^T @ patches. A patch matrix
is KH*KW times as large as the image, so it is made for a block of output rows at a time. Where the kernel is 1x1 the
image already is the patch matrix. Source: Chellapilla, Puri, Simard, "High performance convolutional neural networks
for document processing" (2006), section 3.
"""

import numpy as np
from numba import prange

from minicnn.kernels.compiling.compile import compile, kernel_array
from minicnn.kernels.convolution import depthwise
from minicnn.kernels.convolution.geometry import Geometry

BLOCK_BYTES = 8 << 20  # of patches at a time


def conv2d(x, weight, bias, output_size, geometry: Geometry, relu=False) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in // groups, KH, KW).

    `output_size` is (OH, OW). With `relu`, negative results become zero.
    """
    groups = geometry.groups
    if depthwise.applies(x.shape[3], groups):
        y = depthwise.conv2d(x, weight, bias, output_size, geometry)
        return np.maximum(y, 0, out=y) if relu else y
    n, (oh, ow), c_out = len(x), output_size, len(weight)
    y = np.empty((n * oh, ow, c_out), x.dtype)
    matrices = _weight_matrices(weight, groups)
    for first, last in _blocks(n * oh, ow * matrices[0].size // (c_out // groups) * groups * x.itemsize):
        patches = _patches(x, first, last, (oh, ow), weight.shape[2:], geometry)
        for g, channels in enumerate(_group_slices(c_out, groups)):
            product = patches[g] @ matrices[g]  # (rows*OW, KH*KW*C) @ (KH*KW*C, C_out/g) -> (rows*OW, C_out/g)
            y[first:last, :, channels] = product.reshape(last - first, ow, c_out // groups)
    if bias is not None:
        y += bias
    if relu:
        np.maximum(y, 0, out=y)
    return y.reshape(n, oh, ow, c_out)


def conv2d_input_gradient(gradient, weight, input_size, geometry: Geometry) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input, from the gradient (N, OH, OW, C_out) of the result."""
    groups = geometry.groups
    c_in = weight.shape[1] * groups
    if depthwise.applies(c_in, groups):
        return depthwise.conv2d_input_gradient(gradient, weight, input_size, geometry)
    n, oh, ow, c_out = gradient.shape
    kh, kw = weight.shape[2:]
    gx = np.zeros((n, *input_size, c_in), gradient.dtype)
    rows = gradient.reshape(n * oh, ow, c_out)  # (N, OH, OW, C_out) -> (N*OH, OW, C_out)
    matrices = _weight_matrices(weight, groups)
    depth = kh * kw * weight.shape[1]
    for first, last in _blocks(n * oh, ow * depth * groups * gradient.itemsize):
        patches = np.empty((groups, (last - first) * ow, depth), gradient.dtype)
        for g, channels in enumerate(_group_slices(c_out, groups)):
            block = rows[first:last, :, channels].reshape(-1, c_out // groups)
            np.matmul(block, matrices[g].T, out=patches[g])  # (rows*OW, C_out/g) @ (C_out/g, KH*KW*C)
        add_patches_compiled(patches, gx, first, last, (oh, ow), (kh, kw), geometry)
    return gx


def conv2d_weight_gradient(x, gradient, kernel_size, geometry: Geometry) -> np.ndarray:
    """The gradient (C_out, C_in // groups, KH, KW) for the weight, from the result's gradient (N, OH, OW, C_out)."""
    groups = geometry.groups
    if depthwise.applies(x.shape[3], groups):
        return depthwise.conv2d_weight_gradient(x, gradient, kernel_size, geometry)
    n, oh, ow, c_out = gradient.shape
    kh, kw = kernel_size
    channels_in = x.shape[3] // groups
    total = np.zeros((groups, c_out // groups, kh * kw * channels_in), gradient.dtype)
    rows = gradient.reshape(n * oh, ow, c_out)  # (N, OH, OW, C_out) -> (N*OH, OW, C_out)
    for first, last in _blocks(n * oh, ow * kh * kw * x.shape[3] * x.itemsize):
        patches = _patches(x, first, last, (oh, ow), kernel_size, geometry)
        for g, channels in enumerate(_group_slices(c_out, groups)):
            block = rows[first:last, :, channels].reshape(-1, c_out // groups)
            total[g] += block.T @ patches[g]  # (C_out/g, rows*OW) @ (rows*OW, KH*KW*C)
    # (G, C_out/g, KH*KW*C) -> (C_out, KH, KW, C) -> (C_out, C, KH, KW)
    return np.ascontiguousarray(total.reshape(c_out, kh, kw, channels_in).transpose(0, 3, 1, 2))


def _weight_matrices(weight, groups) -> np.ndarray:
    """(C_out, C, KH, KW) -> (G, KH*KW*C, C_out/g): one matrix a group, its rows in the order of a patch."""
    c_out = weight.shape[0]
    columns = weight.transpose(0, 2, 3, 1).reshape(groups, c_out // groups, -1)
    return np.ascontiguousarray(columns.transpose(0, 2, 1))


def _group_slices(c_out: int, groups: int) -> list[slice]:
    size = c_out // groups
    return [slice(g * size, (g + 1) * size) for g in range(groups)]


def _blocks(rows: int, bytes_per_row: int) -> list[tuple[int, int]]:
    """Ranges (first, last) of output rows, numbered through all images, whose patches fill BLOCK_BYTES at most."""
    step = max(1, BLOCK_BYTES // max(1, bytes_per_row))
    return [(first, min(first + step, rows)) for first in range(0, rows, step)]


def _patches(x, first, last, output_size, kernel_size, geometry) -> np.ndarray:
    """The patch matrices (G, rows*OW, KH*KW*C) of output rows first to last."""
    groups = geometry.groups
    channels = x.shape[3] // groups
    if kernel_size == (1, 1) and geometry.stride == (1, 1) and geometry.padding == (0, 0) and groups == 1:
        return x.reshape(1, -1, output_size[1], channels)[:, first:last].reshape(1, -1, channels)
    shape = (groups, (last - first) * output_size[1], kernel_size[0] * kernel_size[1] * channels)
    patches = np.empty(shape, x.dtype)
    gather_patches_compiled(kernel_array(x), patches, first, last, output_size, kernel_size, geometry)
    return patches


def gather_patches(x, patches, first, last, output_size, kernel_size, geometry):
    stride, padding, dilation, _ = geometry
    _, height, width, _ = x.shape
    groups, _, depth = patches.shape
    rows, columns = output_size
    channels = depth // (kernel_size[0] * kernel_size[1])
    for r in prange(last - first):
        n = (first + r) // rows
        oh = (first + r) % rows
        for ow in range(columns):
            for g in range(groups):
                place = 0
                for kh in range(kernel_size[0]):
                    h = oh * stride[0] + kh * dilation[0] - padding[0]
                    for kw in range(kernel_size[1]):
                        w = ow * stride[1] + kw * dilation[1] - padding[1]
                        if 0 <= h < height and 0 <= w < width:
                            for c in range(channels):
                                patches[g, r * columns + ow, place + c] = x[n, h, w, g * channels + c]
                        else:
                            for c in range(channels):
                                patches[g, r * columns + ow, place + c] = 0
                        place += channels


gather_patches_compiled = compile(gather_patches, parallel=True)


def add_patches(patches, gx, first, last, output_size, kernel_size, geometry):
    stride, padding, dilation, _ = geometry
    _, height, width, _ = gx.shape
    groups, _, depth = patches.shape
    rows, columns = output_size
    channels = depth // (kernel_size[0] * kernel_size[1])
    first_image = first // rows
    touched = (last - 1) // rows + 1 - first_image
    # A thread owns a row of the input and collects what falls on it, so that no two threads add to one cell.
    for r in prange(touched * height):
        n = first_image + r // height
        h = r % height
        for kh in range(kernel_size[0]):
            above = h + padding[0] - kh * dilation[0]
            oh = above // stride[0]
            row = n * rows + oh
            if above % stride[0] != 0 or oh < 0 or oh >= rows or row < first or row >= last:
                continue
            for ow in range(columns):
                for kw in range(kernel_size[1]):
                    w = ow * stride[1] + kw * dilation[1] - padding[1]
                    if w < 0 or w >= width:
                        continue
                    place = (kh * kernel_size[1] + kw) * channels
                    for g in range(groups):
                        for c in range(channels):
                            gx[n, h, w, g * channels + c] += patches[g, (row - first) * columns + ow, place + c]


add_patches_compiled = compile(add_patches, parallel=True)
