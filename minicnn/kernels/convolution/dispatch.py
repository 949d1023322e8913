"""The one place that chooses a convolution algorithm: by name if `use_algorithm` asks for one, else by shape.

x (N, H, W, C_in), weight (C_out, C_in // groups, KH, KW), gradient and result (N, OH, OW, C_out). Each of the three
products takes the size (h, w) of the array that it makes, and the Geometry. Arrays are C-contiguous, float32 or
float64, and their shapes were checked by the caller.

All algorithms agree up to rounding, except where a weight or a gradient that is not finite meets padding. im2col
multiplies there, and 0 * inf is NaN; the other algorithms leave such terms out. PyTorch does either.
"""

from types import ModuleType

import numpy as np

from minicnn.kernels.convolution import direct, im2col, reference
from minicnn.kernels.convolution.algorithm import current_algorithm
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.winograd import winograd
from minicnn.kernels.registers.vector import narrow_columns

# The cost of winograd's transforms, in multiply-adds that the matrix products could have made in that time: rounded
# cycles of the compiled code, each of which could make 32 multiply-adds. A transform of one tile and one vector of 16
# channels takes about 500 of them where the tile comes from memory, as it does in the midst of a network, and 300 where
# it lies in a cache; that of a vector of weights takes about 200, as the times of small batches tell.
TILE_COST = 1000  # for each tile and channel, input or output
WEIGHT_COST = 400  # for each pair of channels: transformed weights are 36/9 times as many, and go through memory
WEIGHT_GRADIENT_COST = 250  # the same for a weight gradient, whose 36 sums are transformed back where they are made


def conv2d(x, weight, bias, output_size, geometry: Geometry, relu=False) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x with weight, plus bias (C_out,) unless it is None.

    `output_size` is (OH, OW). With `relu`, negative results become zero; NaN stays NaN.
    """
    algorithm = choose(x.dtype, (len(x), *output_size), weight.shape[:2], weight.shape[2:], geometry)
    return algorithm.conv2d(x, weight, bias, output_size, geometry, relu)


def conv2d_input_gradient(gradient, weight, input_size, geometry: Geometry) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input of size `input_size` = (H, W), from the gradient of the result."""
    positions = (gradient.shape[0], *input_size)
    algorithm = choose(gradient.dtype, positions, weight.shape[:2], weight.shape[2:], geometry)
    return algorithm.conv2d_input_gradient(gradient, weight, input_size, geometry)


def conv2d_weight_gradient(x, gradient, kernel_size, geometry: Geometry) -> np.ndarray:
    """The gradient (C_out, C_in // groups, KH, KW) for the weight, from the gradient of the result."""
    channels = (gradient.shape[3], x.shape[3] // geometry.groups)
    algorithm = choose(x.dtype, gradient.shape[:3], channels, kernel_size, geometry, WEIGHT_GRADIENT_COST)
    return algorithm.conv2d_weight_gradient(x, gradient, kernel_size, geometry)


def choose(dtype, positions, channels, kernel_size, geometry, weight_cost=WEIGHT_COST) -> ModuleType:
    """The module that computes one of the three products: of `channels` (out, in), over `positions` (N, height, width).

    The input channels are those of one group. The positions are those of the array that is written, or for a weight
    gradient those that are summed over. winograd gives way to direct where it does not apply, and under "auto" where it
    does not pay; direct is compiled for float32, and gives way to im2col elsewhere and for depthwise convolutions.
    """
    name = current_algorithm()
    if name in ("reference", "im2col"):
        return {"reference": reference, "im2col": im2col}[name]
    if (
        name in ("auto", "winograd")
        and winograd.applies(dtype, kernel_size, geometry)
        and (name == "winograd" or winograd_pays(positions, channels, dtype, weight_cost))
    ):
        return winograd
    if direct.applies(dtype, channels[1], geometry.groups) or (name == "direct" and geometry.groups == 1):
        return direct
    return im2col


def winograd_pays(positions, channels, dtype, weight_cost=WEIGHT_COST) -> bool:
    """True if winograd is expected to be faster than direct, by counting the multiply-adds of both.

    direct makes 9 multiply-adds for each position and pair of channels. winograd makes 36 for each *tile* of 4 x 4
    positions and pair of channels, tiles that are cut off by the edge included, and has its transforms to pay for:
    they grow with the tiles times the *sum* of the channels (in whole vectors), and with the number of weights. So it
    wins where there are many channels, which share a transform, and many tiles, which share the weights.
    """
    n, height, width = positions
    c_out, c_in = channels
    lanes = narrow_columns(dtype)
    tiles = n * -(-height // winograd.OUTPUTS) * -(-width // winograd.OUTPUTS)
    whole_vectors = -(-c_in // lanes) * lanes + -(-c_out // lanes) * lanes
    products = winograd.MATRICES * tiles * c_in * c_out
    transforms = TILE_COST * tiles * whole_vectors + weight_cost * c_in * c_out
    return products + transforms < 9 * n * height * width * c_in * c_out
