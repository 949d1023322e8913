"""The weight gradient of the direct convolution: patches, transposed, times gradients.

    gradient[k, c] = sum over p of patch[p, k] * gradient[p, c]

Here the positions p are summed over, and a tile holds kernel elements by channels. Patches and gradients are both read
where they lie, at starts[p] + taps[k] and destinations[p] + c (direct_plan.py), so either of the two can give the
vectors of a step and the other one the scalars:

    taps in lanes        a vector is 16 neighbouring taps k, of one pixel or several; a row of the tile is a channel c
    channels in lanes    a vector is 16 neighbouring channels c; a row of the tile is a tap k

The first way fills its vectors if the image's channels come in whole vectors, as behind the first layer they mostly do;
the second one also takes bundles of pixels (direct.py) where there are few channels. What costs less is taken.

A tile sums the positions of one unit from zero, and is then added to what the units before it gave: float32 sums in one
go over a whole batch would lose digits. The work falls into a fixed number of pieces, parts of the units by shares of
the channels, which the threads share out; the parts are added at the end.
"""

import math

import numba
import numpy as np
from numba import prange

from minicnn.kernels import memory
from minicnn.kernels.compiling.compile import compile, kernel_array
from minicnn.kernels.convolution.direct_plan import Limits, find_unit_compiled, forward_axis, offsets, plan
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.registers.microkernel import block_columns_compiled, block_outer_products_compiled, vectors_cost
from minicnn.kernels.registers.vector import ROWS, clear, copy, element, narrow_columns, wide_columns

LIMITS = Limits(units=16, fewest_positions=256, most_positions=512, numbers=64 * 1024)
PIECES = 16  # that threads share out: a fixed number, so that threads cannot change the sums
SUMS_OF_PIECE = 64 * 1024  # they stay in a second-level cache, with a unit of the image and one of the gradient
CHANNELS_OF_BLOCK = 32  # a multiple of ROWS; their sums are made in turn while the image's vectors are in the cache


def sum_weight_gradient(x, gradient, geometry: Geometry, gw):
    """Write the weight gradient of x (N, H, W, C_in) and `gradient` (N, OH, OW, C_out) to gw, in its shape."""
    n, h, w, c_in = x.shape
    _, oh, ow, c_out = gradient.shape
    _, channels, kh, kw = gw.shape
    stride, padding, dilation, groups = geometry
    outputs = c_out // groups
    narrow, wide = narrow_columns(x.dtype), wide_columns(x.dtype)
    bundle, taps_in_lanes = _form(ow, channels, outputs, (kh, kw), stride[1], groups, narrow)
    rows = (forward_axis(oh, kh, stride[0], padding[0], dilation[0]),)
    columns = (forward_axis(ow, kw, stride[1], padding[1], dilation[1], bundle),)
    tables = plan(n, (h, w), channels, c_in, (oh, ow), c_out, rows, columns, (kw, kh * kw), LIMITS)
    lanes = bundle * outputs
    # Row r of the tiles reads its scalars at tile_rows[r], and its sums go to lines[r] in those of their block, which
    # are (CHANNELS_OF_BLOCK, depth) or (depth + 1, wide). Rows that only fill the last tile go where nothing is read.
    if taps_in_lanes:
        row = np.arange(-(-outputs // ROWS) * ROWS)
        tile_rows, lines = np.minimum(row, outputs - 1), row % CHANNELS_OF_BLOCK * tables.depth
        blocks, block_size = -(-outputs // CHANNELS_OF_BLOCK), CHANNELS_OF_BLOCK * tables.depth
    else:
        tile_rows, lines = tables.taps, tables.tap_lines * wide
        blocks, block_size = -(-lanes // wide), (tables.depth + 1) * wide
    shares = min(-(-blocks // max(1, SUMS_OF_PIECE // block_size)), PIECES)
    parts = max(1, min(PIECES // shares, len(tables.zone_of_unit)))
    workers = min(numba.get_num_threads(), parts * shares)
    sums = memory.aligned((parts, blocks, block_size), x.dtype)
    in_place = taps_in_lanes or lanes % narrow == 0
    packed = memory.aligned((workers, 0 if in_place else tables.most_positions * wide), x.dtype)
    packed_lines = offsets((len(tables.starts), wide))
    flat_images = kernel_array(x).reshape(-1)  # (N, H, W, C_in) -> (N*H*W*C_in,)
    flat_gradient = kernel_array(gradient).reshape(-1)  # (N, OH, OW, C_out) -> (N*OH*OW*C_out,)
    for group in range(groups):
        weight_gradient_parts_compiled(
            flat_images, flat_gradient, n, gw.reshape(-1), group * gw.size // groups, tables, channels * kh * kw,
            outputs, lanes, group * channels, group * outputs, taps_in_lanes, tile_rows, lines, packed, packed_lines,
            np.zeros(wide, gradient.dtype), sums, shares, narrow, wide,
        )  # fmt: skip


def _form(size, channels, outputs, kernel_size, stride, groups, narrow) -> tuple[int, bool]:
    """The pixels of a bundle, and whether the taps are in the lanes: what takes the fewest cycles for a pixel."""
    kh, kw = kernel_size
    best, least = 1, math.inf
    for bundle in range(1, max(1, min(size, 2 * narrow // outputs)) + 1):
        if bundle == 1 or (size % bundle == 0 and groups == 1):
            taps = kh * ((bundle - 1) * stride + kw) * channels
            cost = -(-taps // ROWS) * vectors_cost(bundle * outputs, narrow) / bundle
            if cost < least:
                best, least = bundle, cost
    in_lanes = -(-outputs // ROWS) * kh * vectors_cost(kw * channels, narrow)
    return (1, True) if channels % narrow == 0 and in_lanes <= least else (best, False)


# ---------------------------------------------------------------------------------------------------------------------
# The compiled part. It trusts its arguments: shapes were checked by the callers.


def _add_taps_in_lanes(
    images, gradient, tables, unit, n, first_source, first_target, rows, lines, first_row, end_row, zeros, sums,
    narrow, wide,
):  # fmt: skip
    """Add what a unit gives to the weight gradients of channels first_row, ... end_row - 1."""
    number, count, source, target = find_unit_compiled(tables, unit, n)
    zone = tables.zones[number]
    begin = zone.first_position
    for run in range(zone.first_run, zone.end_run):
        tap, line = source + first_source + tables.runs[3 * run], tables.runs[3 * run + 1]
        length = tables.runs[3 * run + 2]
        for first in range(0, length, wide):
            columns = block_columns_compiled(first, length, narrow, wide)
            block_outer_products_compiled(
                wide, columns, zeros, gradient, target + first_target, rows, first_row, end_row, tables.destinations,
                begin, begin + count, images, tap + first, tables.starts, begin, sums, lines, line + first,
            )  # fmt: skip


_add_taps_in_lanes_compiled = compile(_add_taps_in_lanes, inner=True)


def _add_channels_in_lanes(
    images, gradient, tables, unit, n, first_source, first_target, rows, lines, block, lanes, zeros, packed,
    packed_lines, sums, narrow, wide,
):  # fmt: skip
    """Add what a unit gives to the weight gradients of a block of channels."""
    number, count, source, target = find_unit_compiled(tables, unit, n)
    zone = tables.zones[number]
    begin, first = zone.first_position, block * wide
    columns = block_columns_compiled(first, lanes, narrow, wide)
    target += first_target + first
    if len(packed) == 0:
        block_outer_products_compiled(
            wide, columns, zeros, images, source + first_source, rows, zone.first_tap, zone.end_tap, tables.starts,
            begin, begin + count, gradient, target, tables.destinations, begin, sums, lines, 0,
        )  # fmt: skip
        return
    # The last vector would reach into the next pixel's channels, so they are copied, with zeros behind them.
    real = min(columns, lanes - first)
    for position in range(count):
        copy(gradient, target + tables.destinations[begin + position], packed, position * wide, real)
        clear(packed, position * wide + real, columns - real)
    block_outer_products_compiled(
        wide, columns, zeros, images, source + first_source, rows, zone.first_tap, zone.end_tap, tables.starts,
        begin, begin + count, packed, -packed_lines[begin], packed_lines, begin, sums, lines, 0,
    )  # fmt: skip


_add_channels_in_lanes_compiled = compile(_add_channels_in_lanes, inner=True)


def _sum_pieces(
    worker, images, gradient, tables, n, first_source, first_target, taps_in_lanes, rows, lines, lanes, packed,
    packed_lines, zeros, sums, shares, narrow, wide,
):  # fmt: skip
    """A worker's share of the pieces, each from zero to its whole sum."""
    parts, blocks, block_size = sums.shape
    units, workers = len(tables.zone_of_unit), len(packed)
    for piece in range(worker, parts * shares, workers):
        part, share = piece // shares, piece % shares
        first_block, end_block = share * blocks // shares, (share + 1) * blocks // shares
        for block in range(first_block, end_block):
            clear(sums[part, block], 0, block_size)
        for unit in range(part, units, parts):
            for block in range(first_block, end_block):
                if taps_in_lanes:
                    first_row = block * CHANNELS_OF_BLOCK
                    _add_taps_in_lanes_compiled(
                        images, gradient, tables, unit, n, first_source, first_target, rows, lines, first_row,
                        min(first_row + CHANNELS_OF_BLOCK, len(rows)), zeros, sums[part, block], narrow, wide,
                    )  # fmt: skip
                else:
                    _add_channels_in_lanes_compiled(
                        images, gradient, tables, unit, n, first_source, first_target, rows, lines, block, lanes,
                        zeros, packed[worker], packed_lines, sums[part, block], narrow, wide,
                    )  # fmt: skip


_sum_pieces_compiled = compile(_sum_pieces, inner=True)


def _write_channel(channel, tables, taps_in_lanes, outputs, sums, gw, row, size, wide):
    """Write the `size` weight gradients of an output channel, the totals of all parts, from `row` on in `gw`."""
    parts, blocks, block_size = sums.shape
    flat = sums.reshape(-1)  # (parts, blocks, block_size) -> (M,)
    clear(gw, row, size)  # a bundle's pixels add up to one number
    for i in range(len(tables.elements)):
        line = element(tables.lines, i)
        if taps_in_lanes:
            place = channel * tables.depth + line
        else:
            lane = element(tables.pixels, i) * outputs + channel
            place = lane // wide * block_size + line * wide + lane % wide
        total = element(flat, place)
        for part in range(1, parts):
            total += element(flat, part * blocks * block_size + place)
        gw[row + element(tables.elements, i)] += total


_write_channel_compiled = compile(_write_channel, inner=True)


def weight_gradient_parts(
    images, gradient, n, gw, first_element, tables, column_stride, outputs, lanes, first_source, first_target,
    taps_in_lanes, rows, lines, packed, packed_lines, zeros, sums, shares, narrow, wide,
):  # fmt: skip
    """gw = patches, transposed, times gradients. A piece of work is a part of the units and a share of the channels.

    A unit is summed from zero and then added to the sums of its part, and the parts are added last. `packed` has a row
    for each worker, empty if the gradient is read where it lies. The loops' bodies are functions of their own, and
    `zeros` comes from outside, for what stands in a parallel function takes Numba several times as long to compile.
    """
    for worker in prange(len(packed)):
        _sum_pieces_compiled(
            np.intp(worker), images, gradient, tables, n, first_source, first_target, taps_in_lanes, rows, lines, lanes,
            packed, packed_lines, zeros, sums, shares, narrow, wide,
        )  # fmt: skip
    for channel in prange(outputs):
        row = first_element + channel * column_stride
        _write_channel_compiled(
            np.intp(channel), tables, taps_in_lanes, outputs, sums, gw, np.intp(row), column_stride, wide
        )


weight_gradient_parts_compiled = compile(weight_gradient_parts, parallel=True)
