"""Convolution as plain loops: every other algorithm is tested equal to this one.

    y[n, oh, ow, o] = bias[o] + sum over kh, kw, c of
                      x[n, oh * stride + kh * dilation - padding, ow * ..., c] * weight[o, c, kh, kw]

where a place outside the image counts as zero. With `groups` the channels fall into that many separate convolutions:
output channel o sees only the C_in // groups input channels of its own group. The three functions below walk through
the same seven loops; they differ in which of y, x and weight is summed up. To step through them, set
NUMBA_DISABLE_JIT=1, run inside `minicnn.use_algorithm("reference")`, and stop in `forward_loops`.
"""

import numpy as np

from minicnn.kernels.compiling.compile import compile, kernel_array
from minicnn.kernels.convolution.geometry import Geometry


def conv2d(x, weight, bias, output_size, geometry: Geometry, relu=False) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in // groups, KH, KW).

    `output_size` is (OH, OW). With `relu`, negative results become zero.
    """
    c_out = len(weight)
    y = np.empty((len(x), *output_size, c_out), x.dtype)
    bias = np.zeros(c_out, x.dtype) if bias is None else kernel_array(bias)
    forward_loops_compiled(kernel_array(x), kernel_array(weight), bias, y, geometry)
    return np.maximum(y, 0, out=y) if relu else y


def conv2d_input_gradient(gradient, weight, input_size, geometry: Geometry) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input, from the gradient (N, OH, OW, C_out) of the result."""
    gx = np.zeros((gradient.shape[0], *input_size, weight.shape[1] * geometry.groups), gradient.dtype)
    input_gradient_loops_compiled(kernel_array(gradient), kernel_array(weight), gx, geometry)
    return gx


def conv2d_weight_gradient(x, gradient, kernel_size, geometry: Geometry) -> np.ndarray:
    """The gradient (C_out, C_in // groups, KH, KW) for the weight, from the result's gradient (N, OH, OW, C_out)."""
    gw = np.zeros((gradient.shape[3], x.shape[3] // geometry.groups, *kernel_size), gradient.dtype)
    weight_gradient_loops_compiled(kernel_array(x), kernel_array(gradient), gw, geometry)
    return gw


def forward_loops(x, weight, bias, y, geometry):
    stride, padding, dilation, groups = geometry
    images, height, width, _ = x.shape
    _, rows, columns, c_out = y.shape
    _, channels, kernel_rows, kernel_columns = weight.shape  # channels of one group
    outputs = c_out // groups  # outputs of one group
    for n in range(images):
        for oh in range(rows):
            for ow in range(columns):
                for o in range(c_out):
                    first = o // outputs * channels  # the first input channel of this output's group
                    total = bias[o]
                    for kh in range(kernel_rows):
                        h = oh * stride[0] + kh * dilation[0] - padding[0]
                        if h < 0 or h >= height:
                            continue
                        for kw in range(kernel_columns):
                            w = ow * stride[1] + kw * dilation[1] - padding[1]
                            if w < 0 or w >= width:
                                continue
                            for c in range(channels):
                                total += x[n, h, w, first + c] * weight[o, c, kh, kw]
                    y[n, oh, ow, o] = total


forward_loops_compiled = compile(forward_loops)


def input_gradient_loops(gradient, weight, gx, geometry):
    stride, padding, dilation, groups = geometry
    images, height, width, _ = gx.shape
    _, rows, columns, c_out = gradient.shape
    _, channels, kernel_rows, kernel_columns = weight.shape
    outputs = c_out // groups
    for n in range(images):
        for oh in range(rows):
            for ow in range(columns):
                for o in range(c_out):
                    first = o // outputs * channels
                    for kh in range(kernel_rows):
                        h = oh * stride[0] + kh * dilation[0] - padding[0]
                        if h < 0 or h >= height:
                            continue
                        for kw in range(kernel_columns):
                            w = ow * stride[1] + kw * dilation[1] - padding[1]
                            if w < 0 or w >= width:
                                continue
                            for c in range(channels):
                                gx[n, h, w, first + c] += gradient[n, oh, ow, o] * weight[o, c, kh, kw]


input_gradient_loops_compiled = compile(input_gradient_loops)


def weight_gradient_loops(x, gradient, gw, geometry):
    stride, padding, dilation, groups = geometry
    images, height, width, _ = x.shape
    _, rows, columns, c_out = gradient.shape
    _, channels, kernel_rows, kernel_columns = gw.shape
    outputs = c_out // groups
    for n in range(images):
        for oh in range(rows):
            for ow in range(columns):
                for o in range(c_out):
                    first = o // outputs * channels
                    for kh in range(kernel_rows):
                        h = oh * stride[0] + kh * dilation[0] - padding[0]
                        if h < 0 or h >= height:
                            continue
                        for kw in range(kernel_columns):
                            w = ow * stride[1] + kw * dilation[1] - padding[1]
                            if w < 0 or w >= width:
                                continue
                            for c in range(channels):
                                gw[o, c, kh, kw] += gradient[n, oh, ow, o] * x[n, h, w, first + c]


weight_gradient_loops_compiled = compile(weight_gradient_loops)
