"""The one place that chooses a convolution algorithm: by name if `use_algorithm` asks for one, else by shape.

x (N, H, W, C_in), weight (C_out, C_in // groups, KH, KW), gradient and result (N, OH, OW, C_out); stride, padding and
dilation are pairs (h, w). Arrays are C-contiguous, float32 or float64, and their shapes were checked by the caller.
"""

from types import ModuleType

import numpy as np

from minicnn.kernels import im2col, reference
from minicnn.kernels.algorithm import current_algorithm


def conv2d(x, weight, bias, stride, padding, dilation, groups) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x with weight, plus bias (C_out,) unless it is None."""
    algorithm = choose()
    return algorithm.conv2d(x, weight, bias, stride, padding, dilation, groups)


def conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input of size `input_size` = (H, W), from the gradient of the result."""
    algorithm = choose()
    return algorithm.conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups)


def conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (C_out, C_in // groups, KH, KW) for the weight, from the gradient of the result."""
    algorithm = choose()
    return algorithm.conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups)


def choose() -> ModuleType:
    """The module that computes a convolution."""
    return reference if current_algorithm() == "reference" else im2col
