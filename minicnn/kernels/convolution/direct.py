"""Direct convolution: the matrix of patches is multiplied without ever being built, in vector registers.

Every window of a convolution is a row of the patch matrix, (N*OH*OW, KH*KW*C). im2col.py builds it and multiplies. Here
two tables stand for it, whatever the kernel, stride, padding and dilation (direct_plan.py):

    patch[p, k] = image[starts[p] + taps[k]]

and the micro-kernels (microkernel.py) make all three products of a layer from register tiles of 8 x 32 sums (vector.py;
that is the size for AVX-512 and float32). docs/kernels.md works an image of 4x4 through, in numbers.

    forward            output[p, c]   = sum over k of patch[p, k] * weight[k, c]      a tile: 8 positions x 32 channels
    input gradient     the forward product over the output's gradient, with the kernel turned round
    weight gradient    gradient[k, c] = sum over p of patch[p, k] * gradient[p, c]    direct_weights.py

                          32 output channels, two vectors of 16
                         +--------------------------------------+      for each tap k:
      8 positions, each  |                                      |          load the two vectors weight[k, 32 channels]
      with a start of    |      8 x 32 sums in 16 registers     |          for each of the 8 positions:
      its own            |                                      |              load one number of its patch,
                         +--------------------------------------+              add number * vectors to its row

Positions are numbered on through the rows of an image, and through small images, so a narrow image fills the 8 rows as
well as a wide one. Work is cut into units of positions, whose part of the image stays in the second-level cache while
one block of 32 channels after the other is made of it. Each sum is taken by one thread, in an order that the shapes
alone decide: the number of threads cannot change a bit.

With few output channels a vector would be mostly empty: the input gradient of an RGB image has 3. There a position is a
*bundle* of several pixels side by side, 4 pixels x 3 channels, and the weights of a tap are zero for those pixels of
the bundle that do not see it. A part of the products is with zeros then, but most lanes of the vector are in use.
Zero times infinity is not zero, so a result with such numbers is computed again without bundles.

The scheme (a block of output that stays in registers, weights packed in the order of reading) is that of Georganas et
al., "Anatomy of high-performance deep learning convolutions on SIMD architectures" (SC 2018), section II.
"""

import numba
import numpy as np
from numba import prange

from minicnn.kernels import memory
from minicnn.kernels.compiling.compile import compile, kernel_array
from minicnn.kernels.convolution.direct_plan import (
    Layer,
    Limits,
    find_unit_compiled,
    forward_axis,
    input_gradient_axes,
    plan,
)
from minicnn.kernels.convolution.direct_weights import sum_weight_gradient
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.normalization import channel_sum
from minicnn.kernels.registers.microkernel import (
    Lines,
    block_columns_compiled,
    block_products_in_runs_compiled,
    vectors_cost,
)
from minicnn.kernels.registers.transposition import transpose
from minicnn.kernels.registers.vector import clear, copy, element, narrow_columns, wide_columns

# A block of weights, once in the cache, serves at least 64 positions; 48 Ki numbers of the image leave most of a
# second-level cache to it.
LIMITS = Limits(units=32, fewest_positions=64, most_positions=512, numbers=48 * 1024)
_PACKED_TOGETHER = 64  # weights of a channel: as many cache lines of the packed array fit the first-level cache


def applies(dtype, channels: int, groups: int) -> bool:
    """True if this is the way to compute a convolution with `channels` input channels in each of its groups.

    That is, for float32, unless it is depthwise. float64 works too, but would be compiled for itself, which takes
    several seconds, and is used for the tiny arrays of gradient checks only.
    """
    return np.dtype(dtype) == np.float32 and (groups == 1 or channels > 1)


def conv2d(x, weight, bias, output_size, geometry: Geometry, relu=False) -> np.ndarray:
    """The convolution (N, OH, OW, C_out) of x (N, H, W, C_in) with weight (C_out, C_in // groups, KH, KW), plus bias.

    bias is (C_out,) or None, `output_size` (OH, OW). With `relu`, negative results become zero.
    """
    n, h, w, c_in = x.shape
    c_out, channels, kh, kw = weight.shape
    oh, ow = output_size
    stride, padding, dilation, groups = geometry
    y = memory.empty((n, oh, ow, c_out), x.dtype)

    rows = (forward_axis(oh, kh, stride[0], padding[0], dilation[0]),)
    strides = kw, kh * kw  # of the weight array: for a row of the kernel, and for a channel of the window

    def column_axes(bundle):
        return (forward_axis(ow, kw, stride[1], padding[1], dilation[1], bundle),)

    def convolve(bundle):
        columns = column_axes(bundle)
        tables = plan(n, (h, w), channels, c_in, (oh, ow), c_out, rows, columns, strides, LIMITS)
        _convolve(tables, x, weight, channels * kh * kw, bias, bundle, groups, relu, y)

    bundle = _bundle(ow, c_out, 1, column_axes, narrow_columns(x.dtype)) if groups == 1 else 1
    convolve(bundle)
    if bundle > 1 and not _is_finite(y):
        convolve(1)
    return y


def conv2d_input_gradient(gradient, weight, input_size, geometry: Geometry) -> np.ndarray:
    """The gradient (N, H, W, C_in) for the input of size `input_size` = (H, W), from `gradient` (N, OH, OW, C_out).

    With a stride of (2, 2) the input pixels fall into four sorts, by the kernel rows and columns that reach them: each
    is a convolution of stride 1 with its own share of the kernel (direct_plan.input_gradient_axes).
    """
    c_out, channels, kh, kw = weight.shape
    n, oh, ow, _ = gradient.shape
    h, w = input_size
    stride, padding, dilation, groups = geometry
    c_in = channels * groups
    gx = memory.empty((n, h, w, c_in), gradient.dtype)

    rows = input_gradient_axes(h, kh, stride[0], padding[0], dilation[0])
    strides = kw, channels * kh * kw

    def column_axes(bundle):
        return input_gradient_axes(w, kw, stride[1], padding[1], dilation[1], bundle)

    def convolve(bundle):
        columns = column_axes(bundle)
        tables = plan(n, (oh, ow), c_out // groups, c_out, (h, w), c_in, rows, columns, strides, LIMITS)
        _convolve(tables, gradient, weight, kh * kw, None, bundle, groups, False, gx)

    bundle = _bundle(w, c_in, stride[1], column_axes, narrow_columns(gradient.dtype)) if groups == 1 else 1
    convolve(bundle)
    if bundle > 1 and not _is_finite(gx):
        convolve(1)
    return gx


def conv2d_weight_gradient(x, gradient, kernel_size, geometry: Geometry) -> np.ndarray:
    """The gradient (C_out, C_in // groups, KH, KW) for the weight, from x and `gradient` (N, OH, OW, C_out)."""
    gw = memory.empty((gradient.shape[3], x.shape[3] // geometry.groups, *kernel_size), x.dtype)
    sum_weight_gradient(x, gradient, geometry, gw)
    return gw


def _bundle(size, channels, multiple, column_axes, narrow) -> int:
    """How many pixels, side by side, a position should have: a divisor of the row's `size`, and mostly 1.

    Chosen by the cost of a pixel, taps times vectors, where `column_axes(bundle)` tells the taps. A bundle starts at a
    multiple of `multiple` pixels.
    """
    if channels >= narrow:
        return 1

    def cost(bundle):
        taps = [len(axis.taps) / axis.spacing for axis in column_axes(bundle)]
        return sum(taps) * vectors_cost(bundle * channels, narrow)

    most = min(size, 2 * narrow // channels)
    return min((b for b in range(1, most + 1) if b == 1 or (size % b == 0 and b % multiple == 0)), key=cost)


def _is_finite(array) -> bool:
    """False if a number of `array` (N, H, W, C) is NaN or infinite, or if their sum is.

    Then bundles won't do: a pixel that does not see a number would get zero times infinity from it.
    """
    return bool(np.isfinite(channel_sum(array.reshape(-1, array.shape[3]))).all())  # (N, H, W, C) -> (N*H*W, C)


def _convolve(tables, images, weight, channel_stride, bias, bundle, groups, relu, output):
    """Write to `output` the products of patches and weights, plus the bias; through relu if asked for.

    A group of channels is a convolution of its own: numbers further on in every pixel of input and output.
    """
    narrow, wide = narrow_columns(images.dtype), wide_columns(images.dtype)
    channels_in, channels = images.shape[3] // groups, output.shape[3] // groups
    bundle_channels = bundle * channels
    blocks, units = -(-bundle_channels // wide), len(tables.zone_of_unit)
    # Either a unit of the image stays in the cache and all weights pass by, or a block of weights and all images do: a
    # thread then packs a block just before it multiplies by it, so weights that come from memory never go back there.
    by_block = blocks > 1 and (units < numba.get_num_threads() or weight.size * units > images.size * blocks)
    workers = max(1, min(numba.get_num_threads(), blocks if by_block else units))
    packed = memory.aligned((workers if by_block else blocks, tables.depth * wide), images.dtype)
    first_sums = np.zeros((groups, blocks * wide), images.dtype)
    if bias is not None:
        first_sums[:, :bundle_channels] = np.tile(bias.reshape(groups, channels), bundle)  # (C_out,) -> (groups, ...)
    flat_images = kernel_array(images).reshape(-1)  # (N, H, W, C) -> (N*H*W*C,)
    flat_weight = kernel_array(weight).reshape(-1)  # (C_out, C, KH, KW) -> (C_out*C*KH*KW,)
    for group in range(groups):
        layer = Layer(
            images=images.shape[0],
            channels=channels,
            bundle_channels=bundle_channels,
            first_source=group * channels_in,
            first_target=group * channels,
            first_element=group * weight.size // groups,
            channel_stride=channel_stride,
            narrow=narrow,
            wide=wide,
        )
        convolve_units_compiled(
            flat_images, flat_weight, tables, layer, first_sums[group], packed, output.reshape(-1), workers, by_block,
            relu,
        )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# The compiled part. It trusts its arguments: shapes were checked by the callers. Arrays that only vectors and copies
# touch are flat, so that one compiled version of each function serves all.


def _pack_squares(weight, tables, layer, first, columns, packed):
    """Turn stretches of neighbouring weights of a channel into columns, a square at a time; returns how many are done.

    They are done up to the first stretch that has a gap, or would reach beyond the last weight.
    """
    narrow = layer.narrow
    for i in range(0, len(tables.elements) - narrow + 1, narrow):
        start = element(tables.elements, i)
        if element(tables.elements, i + narrow - 1) != start + narrow - 1:
            return i
        for column in range(0, columns, narrow):
            channel = min(first + column, layer.channels - 1)
            place = layer.first_element + channel * layer.channel_stride + start
            last = layer.channels - 1 - channel
            transpose(weight, place, layer.channel_stride, last, packed, column, tables.lines, i, columns)
    return len(tables.elements) // narrow * narrow


_pack_squares_compiled = compile(_pack_squares, inner=True)


def _pack_weights(weight, tables, layer, first, packed):
    """Gather the weights of a block of bundle channels, from number `first` on, into lines: zeros where there is none.

    Bundle channel number i is channel i % channels of pixel i // channels of the bundle. A block's last ones may not
    exist; nothing reads their sums.
    """
    columns = block_columns_compiled(first, layer.bundle_channels, layer.narrow, layer.wide)
    count, real = len(tables.elements), min(columns, layer.bundle_channels - first)
    done = 0
    if real < columns or layer.channels < layer.bundle_channels:
        clear(packed, 0, tables.depth * columns)
    if layer.channels == layer.bundle_channels and layer.channel_stride == 1:
        for i in range(count):
            place = layer.first_element + element(tables.elements, i) + first
            copy(weight, place, packed, element(tables.lines, i) * columns, real)
        done = count
    elif layer.channels == layer.bundle_channels:
        done = _pack_squares_compiled(weight, tables, layer, first, columns, packed)
    for start in range(done, count, _PACKED_TOGETHER):
        for column in range(real):
            pixel, channel = (first + column) // layer.channels, (first + column) % layer.channels
            place = layer.first_element + channel * layer.channel_stride
            for i in range(start, min(start + _PACKED_TOGETHER, count)):
                if element(tables.pixels, i) == pixel:
                    line = element(tables.lines, i)
                    copy(weight, place + element(tables.elements, i), packed, line * columns + column, 1)


_pack_weights_compiled = compile(_pack_weights, inner=True)


def _convolve_block(images, tables, layer, unit, first, packed, first_sums, output, relu):
    """Write a block of bundle channels, from number `first` on, of the positions of a unit to `output`."""
    columns = block_columns_compiled(first, layer.bundle_channels, layer.narrow, layer.wide)
    number, count, source, target = find_unit_compiled(tables, unit, layer.images)
    zone = tables.zones[number]
    begin, end = zone.first_position, zone.first_position + count
    windows = Lines(images, layer.first_source + source, tables.starts[begin:end])
    outputs = Lines(output, layer.first_target + target + first, tables.destinations[begin:end])
    block_products_in_runs_compiled(
        layer.wide, first_sums[first : first + columns], windows, tables.runs[3 * zone.first_run : 3 * zone.end_run],
        packed, columns, outputs, min(columns, layer.bundle_channels - first), relu,
    )  # fmt: skip


_convolve_block_compiled = compile(_convolve_block, inner=True)


def convolve_units(images, weight, tables, layer, first_sums, packed, output, workers, by_block, relu):
    """output = patches times weights, plus bias, of one group: workers share out the units, or the blocks."""
    blocks, units = -(-layer.bundle_channels // layer.wide), len(tables.zone_of_unit)
    if not by_block:
        for block in prange(blocks):
            _pack_weights_compiled(weight, tables, layer, block * layer.wide, packed[block])
    outer, inner = (blocks, units) if by_block else (units, blocks)
    for worker in prange(workers):
        for i in range(np.intp(worker), outer, workers):
            if by_block:
                _pack_weights_compiled(weight, tables, layer, i * layer.wide, packed[worker])
            for j in range(inner):
                block, unit, weights = (i, j, np.intp(worker)) if by_block else (j, i, j)
                _convolve_block_compiled(
                    images, tables, layer, unit, block * layer.wide, packed[weights], first_sums, output, relu
                )


convolve_units_compiled = compile(convolve_units, parallel=True)
