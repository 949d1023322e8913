"""Winograd's convolution for 3x3 kernels of stride 1: a quarter of the multiplications, for a few additions.

transforms.py derives it. The output is cut into tiles of 4 x 4, each of which sees 6 x 6 pixels, and a layer's
three products become transforms and 36 products of matrices, one for each of the 36 numbers of a transformed tile:

    forward            pixels   --B^T d B-->  36 x (tiles, C_in)   @   36 x (C_in, C_out)  <--G g G^T--  weights
                                              = 36 x (tiles, C_out)                        --A^T M A-->  output
    input gradient     the forward product over the output's gradient, with the kernel turned round
    weight gradient    pixels   --B^T d B-->  36 x (tiles, C_in), transposed   @   36 x (tiles, C_out)  <--A dY A^T--
                       gradient               = 36 x (C_in, C_out)                         --G^T M G-->  weight gradient

The matrix products are the micro-kernel's (microkernel.py), as in direct.py. tiles.py has the transforms of
tiles, units.py shares them out, outputs.py and weights.py have the loops.

A tile mixes its pixels, so a NaN would spread over all of its outputs, and infinities, subtracted, turn into NaN.
Products that meet such numbers, or that overflow, are therefore computed again by direct.py.
"""

import math

import numba
import numpy as np

from minicnn.kernels import memory
from minicnn.kernels.compiling.compile import kernel_array
from minicnn.kernels.convolution import direct
from minicnn.kernels.convolution.direct_plan import offsets
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.winograd import outputs, weights
from minicnn.kernels.convolution.winograd.tiles import MATRICES, whole_vectors
from minicnn.kernels.convolution.winograd.transforms import OUTPUTS, PIXELS
from minicnn.kernels.convolution.winograd.units import cut_tiles
from minicnn.kernels.registers.vector import narrow_columns, wide_columns

CACHE_ELEMENTS = 160 * 1024  # of a unit's transformed tiles and products: leaves some of a second-level cache free
SHARED_WEIGHTS = 1024 * 1024  # transformed weights, at most, that are read again for every unit
SHARED_TILES = 4 * 1024 * 1024  # numbers of transformed tiles that threads share where weights are many
UNIT_TILES = 32  # of a unit then
ROUND_ELEMENTS = 2 * 1024 * 1024, 5 * 1024 * 1024  # at least and at most, that a weight gradient sums up in one go
PIECE_ROWS = 32  # input channels of a piece of a weight gradient


def applies(dtype, kernel_size, geometry: Geometry) -> bool:
    """True if this algorithm knows the convolution: 3x3, stride 1, not dilated, float32, one group, padding up to 2.

    More padding than that would ask the input gradient for a negative one.
    """
    return (
        np.dtype(dtype) == np.float32
        and tuple(kernel_size) == (3, 3)
        and geometry.stride == (1, 1)
        and geometry.dilation == (1, 1)
        and geometry.groups == 1
        and max(geometry.padding) <= 2
    )


def conv2d(x, weight, bias, output_size, geometry: Geometry, relu=False) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in, 3, 3), plus bias (C_out,).

    `output_size` is (OH, OW). With `relu`, negative results become zero. Raises ValueError where `applies` is false.
    """
    _refuse(x.dtype, weight.shape[2:], geometry)
    y = memory.empty((len(x), *output_size, len(weight)), x.dtype)
    kernel = outputs.Kernel(np.arange(9), 9, 9 * x.shape[3], np.arange(9 * narrow_columns(x.dtype)))
    if _convolve(x, weight, kernel, geometry.padding, bias, relu, y):
        return y
    return direct.conv2d(x, weight, bias, output_size, geometry, relu)


def conv2d_input_gradient(gradient, weight, input_size, geometry: Geometry) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input of size `input_size` = (H, W), from `gradient` (N, OH, OW, C_out).

    It is the convolution of `gradient`, padded by 2 - padding, with the kernel turned by half a turn. Raises ValueError
    where `applies` is false.
    """
    _refuse(gradient.dtype, weight.shape[2:], geometry)
    padding, c_in = geometry.padding, weight.shape[1]
    gx = memory.empty((gradient.shape[0], *input_size, c_in), gradient.dtype)
    turned = outputs.Kernel(np.arange(9)[::-1].copy(), 9 * c_in, 9, np.arange(9 * narrow_columns(gradient.dtype)))
    if _convolve(gradient, weight, turned, (2 - padding[0], 2 - padding[1]), None, False, gx):
        return gx
    return direct.conv2d_input_gradient(gradient, weight, input_size, geometry)


def conv2d_weight_gradient(x, gradient, kernel_size, geometry: Geometry) -> np.ndarray:
    """The gradient (C_out, C_in, 3, 3) for the weight, from x (N, H, W, C_in) and `gradient` (N, OH, OW, C_out).

    Raises ValueError where `applies` is false.
    """
    _refuse(x.dtype, kernel_size, geometry)
    allocate = memory.empty if len(x) else memory.zeros
    gw = allocate((gradient.shape[3], x.shape[3], 3, 3), x.dtype)
    if _sum_weight_gradient(x, gradient, geometry.padding, gw):
        return gw
    return direct.conv2d_weight_gradient(x, gradient, kernel_size, geometry)


def _refuse(dtype, kernel_size, geometry):
    if not applies(dtype, kernel_size, geometry):
        stride, padding, dilation, groups = geometry
        raise ValueError(
            "winograd: expected float32, kernel 3x3, stride 1, dilation 1, padding up to 2 and one group, got "
            f"{dtype}, kernel {tuple(kernel_size)}, stride {stride}, dilation {dilation}, padding {padding}, "
            f"{groups} groups; use 'auto' or 'direct'"
        )


def _convolve(images, weight, kernel, padding, bias, relu, output) -> bool:
    """Write the convolution to `output`; False if it, or anything on the way to it, is not finite."""
    narrow, wide = narrow_columns(images.dtype), wide_columns(images.dtype)
    depths, channels = images.shape[3], output.shape[3]
    blocks, tile_size = -(-channels // wide), whole_vectors(depths, narrow)
    block_size = odd_lines(depths * wide, narrow)
    share_weights = MATRICES * blocks * block_size <= SHARED_WEIGHTS
    most = CACHE_ELEMENTS // (MATRICES * (tile_size + wide)) if share_weights else UNIT_TILES
    units = cut_tiles(images.shape, output.shape[1:3], (-padding[0], -padding[1]), PIXELS, most)
    count, workers = len(units.starts), numba.get_num_threads()
    unit_size = odd_lines(count * tile_size, narrow)
    units_of_round = max(1, min(units.units, SHARED_TILES // (MATRICES * unit_size)))
    whole_bias = np.zeros(blocks * wide, images.dtype)
    if bias is not None:
        whole_bias[:channels] = bias
    layer = outputs.Layer(
        images=kernel_array(images),
        weight=kernel_array(weight),
        bias=whole_bias,
        least=0.0 if relu else -math.inf,
        output=output,
        share_weights=share_weights,
        narrow=narrow,
        wide=wide,
    )
    product_size = MATRICES * wide + narrow  # of a tile
    starts = outputs.Offsets(
        tiles=offsets((count, tile_size)), channels=offsets((depths, 1)), products=offsets((count, product_size))
    )
    transformed = outputs.Transformed(
        weights=memory.aligned((blocks if share_weights else workers, MATRICES, block_size), images.dtype),
        tiles=memory.aligned((workers if share_weights else units_of_round, MATRICES, unit_size), images.dtype),
    )
    scratch = outputs.Scratch(
        pixels=memory.aligned((workers, units.scratch_size + narrow), images.dtype),
        products=memory.aligned((workers, count * product_size), images.dtype),
        halfway=memory.aligned((workers, MATRICES * wide), images.dtype),
        gathered=memory.aligned((workers, 9 * narrow * wide), images.dtype),
        no_sums=np.zeros(wide, images.dtype),
        unfit=np.zeros((workers, narrow), images.dtype),
    )
    with np.errstate(invalid="ignore", over="ignore"):  # for the Python bodies: compiled code never warns
        outputs.convolve_tiles_compiled(layer, kernel, units, starts, transformed, scratch)
    return bool(np.isfinite(scratch.unfit).all())


def _sum_weight_gradient(x, gradient, padding, gw) -> bool:
    """Write the weight gradient to `gw`; False if it, or anything on the way to it, is not finite."""
    narrow, wide = narrow_columns(x.dtype), wide_columns(x.dtype)
    c_out, c_in = gw.shape[:2]
    blocks, parts = -(-c_out // wide), -(-c_in // PIECE_ROWS)
    tile_size = whole_vectors(c_in, narrow)
    # The sums of large layers go through memory once for each round: a round should not be smaller than they are.
    smallest, largest = ROUND_ELEMENTS
    most_tiles = min(max(smallest, 2 * MATRICES * c_in * c_out), largest) // (MATRICES * (tile_size + blocks * wide))
    unit_tiles = max(1, most_tiles // 16)
    out_size = gradient.shape[1:3]
    units = cut_tiles(x.shape, out_size, (-padding[0], -padding[1]), PIXELS, unit_tiles)
    gradient_units = cut_tiles(gradient.shape, out_size, (0, 0), OUTPUTS, unit_tiles)
    rounds = max(1, -(-units.units * len(units.starts) // most_tiles))
    units_of_round = max(1, -(-units.units // rounds))  # about as many in every round
    tiles = units_of_round * len(units.starts)
    workers = numba.get_num_threads()
    layer = weights.Layer(kernel_array(x), kernel_array(gradient), gw.reshape(-1), narrow, wide)
    starts = weights.Offsets(
        channels=np.arange(parts * PIECE_ROWS).reshape(parts, PIECE_ROWS),
        tiles=offsets((tiles, tile_size)),
        sums=offsets((PIECE_ROWS, wide)),
    )
    transformed = weights.Transformed(
        pixels=memory.aligned((MATRICES, odd_lines(tiles * tile_size, narrow)), x.dtype),
        gradient=memory.aligned((MATRICES, blocks, odd_lines(tiles * wide, narrow)), x.dtype),
    )
    scratch = weights.Scratch(
        pixels=memory.aligned((workers, max(units.scratch_size, gradient_units.scratch_size) + narrow), x.dtype),
        products=memory.aligned((workers, PIECE_ROWS * wide), x.dtype),
        halfway=memory.aligned((workers, MATRICES * wide), x.dtype),
        no_sums=np.zeros(wide, x.dtype),
        unfit=np.zeros((workers, narrow), x.dtype),
    )
    slots = workers if units_of_round >= units.units else blocks * parts
    sums = memory.aligned((slots, MATRICES, odd_lines(PIECE_ROWS * wide, narrow)), x.dtype)
    with np.errstate(invalid="ignore", over="ignore"):  # for the Python bodies: compiled code never warns
        weights.sum_tiles_compiled(layer, units, gradient_units, units_of_round, starts, transformed, scratch, sums)
    return bool(np.isfinite(scratch.unfit).all())


def odd_lines(size, numbers):
    """`size` rounded up to an odd number of cache lines, of `numbers` numbers each.

    Then the same place of the 36 matrices, which a transform writes one after the other, is in 36 different sets of the
    cache; if they were a power of two apart it would always be in the same one, which holds about 12 lines.
    """
    return (-(-size // numbers) | 1) * numbers
