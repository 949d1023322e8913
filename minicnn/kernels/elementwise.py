"""Choices between two values, element by element, for the backward of relu and its kin.

NumPy offers two ways, and neither will do. `np.where` branches at every element, and on signs that no processor can
predict it takes several times as long as a product. A product with a mask of 0 and 1 makes NaN of inf * 0.
The loop runs on one thread: memory, not arithmetic, is what it waits for.
"""

import numpy as np

from minicnn.kernels import layout
from minicnn.kernels.compile import compile, kernel_array


def scale_below_zero(values, x, slope) -> np.ndarray:
    """`values` where x > 0 or is NaN, else slope * values (0 for slope 0, whatever the value); any one shape."""
    images = layout.is_channels_last(x)
    if images:
        values, x = layout.to_kernel(values), layout.to_kernel(x)  # (N, C, H, W) -> (N, H, W, C)
    result = np.empty(x.shape, x.dtype)
    flat_values, flat_x = kernel_array(values).reshape(-1), kernel_array(x).reshape(-1)  # (...) -> (M,)
    scale_elements_compiled(flat_values, flat_x, x.dtype.type(slope), result.reshape(-1))
    return layout.from_kernel(result) if images else result


def scale_elements(values, x, slope, result):
    for i in range(x.size):
        below = slope if slope == 0 else values[i] * slope
        result[i] = below if x[i] <= 0 else values[i]


scale_elements_compiled = compile(scale_elements)
