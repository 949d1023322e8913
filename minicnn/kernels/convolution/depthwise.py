"""Depthwise convolution: one group a channel, so nothing is summed over channels and a matrix product has no work.

weight (C_out, 1, KH, KW); output channel o sees input channel o // (C_out // C_in). The loops run over channels
innermost, where both arrays are contiguous. The kernels see the weight as (KH, KW, C_out) for the same reason.
"""

import numpy as np
from numba import prange

from minicnn.kernels.compiling.compile import REORDER, compile, kernel_array
from minicnn.kernels.convolution.geometry import Geometry

PARTS = 64  # of the weight gradient's sum: a fixed number, so that the result does not depend on the threads


def applies(c_in: int, groups: int) -> bool:
    """True if a convolution of `c_in` input channels in `groups` groups is depthwise."""
    return groups == c_in and groups > 1


def conv2d(x, weight, bias, output_size, geometry: Geometry) -> np.ndarray:
    """The depthwise convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, 1, KH, KW)."""
    c_out = len(weight)
    y = np.empty((len(x), *output_size, c_out), x.dtype)
    bias = np.zeros(c_out, x.dtype) if bias is None else kernel_array(bias)
    forward_rows_compiled(kernel_array(x), _by_place(weight), bias, y, geometry)
    return y


def conv2d_input_gradient(gradient, weight, input_size, geometry: Geometry) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input, from the gradient (N, OH, OW, C_out) of the result."""
    gx = np.zeros((gradient.shape[0], *input_size, geometry.groups), gradient.dtype)  # a group is one channel
    input_gradient_rows_compiled(kernel_array(gradient), _by_place(weight), gx, geometry)
    return gx


def conv2d_weight_gradient(x, gradient, kernel_size, geometry: Geometry) -> np.ndarray:
    """The gradient (C_out, 1, KH, KW) for the weight, from the gradient (N, OH, OW, C_out) of the result."""
    parts = np.zeros((PARTS, *kernel_size, gradient.shape[3]), gradient.dtype)
    weight_gradient_parts_compiled(kernel_array(x), kernel_array(gradient), parts, geometry)
    total = parts.sum(axis=0)  # (PARTS, KH, KW, C_out) -> (KH, KW, C_out)
    return np.ascontiguousarray(total.transpose(2, 0, 1))[:, None]  # (KH, KW, C_out) -> (C_out, 1, KH, KW)


def _by_place(weight) -> np.ndarray:
    """(C_out, 1, KH, KW) -> (KH, KW, C_out)"""
    return np.ascontiguousarray(weight[:, 0].transpose(1, 2, 0))


def forward_rows(x, weights, bias, y, geometry):
    stride, padding, dilation, _ = geometry
    images, height, width, c_in = x.shape
    _, rows, columns, c_out = y.shape
    kernel_rows, kernel_columns, _ = weights.shape
    multiplier = c_out // c_in
    for r in prange(images * rows):
        n = r // rows
        oh = r % rows
        for ow in range(columns):
            for o in range(c_out):
                y[n, oh, ow, o] = bias[o]
            for kh in range(kernel_rows):
                h = oh * stride[0] + kh * dilation[0] - padding[0]
                if h < 0 or h >= height:
                    continue
                for kw in range(kernel_columns):
                    w = ow * stride[1] + kw * dilation[1] - padding[1]
                    if w < 0 or w >= width:
                        continue
                    if multiplier == 1:
                        for o in range(c_out):
                            y[n, oh, ow, o] += x[n, h, w, o] * weights[kh, kw, o]
                    else:
                        for o in range(c_out):
                            y[n, oh, ow, o] += x[n, h, w, o // multiplier] * weights[kh, kw, o]


forward_rows_compiled = compile(forward_rows, parallel=True, fastmath=REORDER)


def input_gradient_rows(gradient, weights, gx, geometry):
    stride, padding, dilation, _ = geometry
    images, height, width, c_in = gx.shape
    _, rows, columns, c_out = gradient.shape
    kernel_rows, kernel_columns, _ = weights.shape
    multiplier = c_out // c_in
    for r in prange(images * height):  # a thread owns a row of the input and collects what falls on it
        n = r // height
        h = r % height
        for kh in range(kernel_rows):
            above = h + padding[0] - kh * dilation[0]
            oh = above // stride[0]
            if above % stride[0] != 0 or oh < 0 or oh >= rows:
                continue
            for ow in range(columns):
                for kw in range(kernel_columns):
                    w = ow * stride[1] + kw * dilation[1] - padding[1]
                    if w < 0 or w >= width:
                        continue
                    if multiplier == 1:
                        for o in range(c_out):
                            gx[n, h, w, o] += gradient[n, oh, ow, o] * weights[kh, kw, o]
                    else:
                        for o in range(c_out):
                            gx[n, h, w, o // multiplier] += gradient[n, oh, ow, o] * weights[kh, kw, o]


input_gradient_rows_compiled = compile(input_gradient_rows, parallel=True, fastmath=REORDER)


def weight_gradient_parts(x, gradient, parts, geometry):
    stride, padding, dilation, _ = geometry
    _, height, width, c_in = x.shape
    images, rows, columns, c_out = gradient.shape
    count, kernel_rows, kernel_columns, _ = parts.shape
    multiplier = c_out // c_in
    for part in prange(count):
        for r in range(part * images * rows // count, (part + 1) * images * rows // count):
            n = r // rows
            oh = r % rows
            for kh in range(kernel_rows):
                h = oh * stride[0] + kh * dilation[0] - padding[0]
                if h < 0 or h >= height:
                    continue
                for ow in range(columns):
                    for kw in range(kernel_columns):
                        w = ow * stride[1] + kw * dilation[1] - padding[1]
                        if w < 0 or w >= width:
                            continue
                        if multiplier == 1:
                            for o in range(c_out):
                                parts[part, kh, kw, o] += gradient[n, oh, ow, o] * x[n, h, w, o]
                        else:
                            for o in range(c_out):
                                parts[part, kh, kw, o] += gradient[n, oh, ow, o] * x[n, h, w, o // multiplier]


weight_gradient_parts_compiled = compile(weight_gradient_parts, parallel=True, fastmath=REORDER)
