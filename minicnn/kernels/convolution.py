"""The one place that chooses a convolution algorithm: by name if `use_algorithm` asks for one, else by shape.

x (N, H, W, C_in), weight (C_out, C_in // groups, KH, KW), gradient and result (N, OH, OW, C_out); stride, padding and
dilation are pairs (h, w). Arrays are C-contiguous, float32 or float64, and their shapes were checked by the caller.
"""

from types import ModuleType

import numpy as np

from minicnn.kernels import direct, im2col, reference
from minicnn.kernels.algorithm import current_algorithm


def conv2d(x, weight, bias, stride, padding, dilation, groups) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x with weight, plus bias (C_out,) unless it is None."""
    algorithm = choose(x.dtype, groups)
    return algorithm.conv2d(x, weight, bias, stride, padding, dilation, groups)


def conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input of size `input_size` = (H, W), from the gradient of the result."""
    algorithm = choose(gradient.dtype, groups)
    return algorithm.conv2d_input_gradient(gradient, weight, input_size, stride, padding, dilation, groups)


def conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups) -> np.ndarray:
    """The gradient (C_out, C_in // groups, KH, KW) for the weight, from the gradient of the result."""
    algorithm = choose(x.dtype, groups)
    return algorithm.conv2d_weight_gradient(x, gradient, kernel_size, stride, padding, dilation, groups)


def choose(dtype: np.dtype, groups: int) -> ModuleType:
    """The module that computes a convolution of this element type with this many groups.

    The direct kernel has one group only, and is compiled for float32: it gives way to im2col elsewhere.
    """
    name = current_algorithm()
    if name == "auto":
        return direct if direct.applies(dtype, groups) else im2col
    if name == "direct" and groups > 1:
        return im2col
    return {"reference": reference, "im2col": im2col, "direct": direct}[name]
