"""The weight gradient of the direct convolution: patches, transposed, times gradients.

    gradient[k, c] = sum over p of patch[p, k] * gradient[p, c]

Here the positions p are summed over, and a tile holds kernel elements by channels. Patches and gradients are both read
where they lie, at starts[p] + taps[k] and destinations[p] + c (direct_plan.py), so either of the two can give the
vectors of a step and the other one the scalars:

    taps in lanes        a vector is 16 neighbouring taps k, of one pixel or several; a row of the tile is a channel c
    channels in lanes    a vector is 16 neighbouring channels c; a row of the tile is a tap k

The first way fills its vectors if the image's channels come in whole vectors, as they mostly do after the first layer;
the second one also takes bundles of pixels (direct.py) where there are few channels. The cheaper way is taken.

A tile sums the positions of one unit from zero, and is then added to the sum of the units before: float32 sums in one
go over a whole batch would lose digits. The work falls into a fixed number of pieces, parts of the units by shares of
the channels, which the threads share out; the parts are added at the end.
"""

import math
from typing import NamedTuple

import numba
import numpy as np
from numba import prange

from minicnn.kernels import memory
from minicnn.kernels.compiling.compile import compile, kernel_array
from minicnn.kernels.convolution.direct_plan import Layer, Limits, find_unit_compiled, forward_axis, offsets, plan
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.registers.microkernel import (
    Lines,
    block_columns_compiled,
    block_outer_products_compiled,
    vectors_cost,
)
from minicnn.kernels.registers.vector import ROWS, clear, copy, element, narrow_columns, wide_columns

LIMITS = Limits(units=16, fewest_positions=256, most_positions=512, numbers=64 * 1024)
PIECES = 16  # that threads share out: a fixed number, so that threads cannot change the sums
SUMS_OF_PIECE = 64 * 1024  # they stay in a second-level cache, with a unit of the image and one of the gradient
CHANNELS_OF_BLOCK = 32  # a multiple of ROWS; their sums are made in turn while the image's vectors are in the cache


class TileRows(NamedTuple):
    """The rows of the register tiles: where each finds its scalars, and where its sums lie in those of its block."""

    scalars: np.ndarray
    sums: np.ndarray


class Scratch(NamedTuple):
    """Arrays that threads work in. `packed` has a row for each worker, empty if gradients are read where they lie."""

    packed: np.ndarray
    packed_starts: np.ndarray
    zeros: np.ndarray  # which a register tile begins with


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
    bundle_channels = bundle * outputs
    # A block of sums is (CHANNELS_OF_BLOCK, depth) or (depth + 1, wide). Rows that only fill the last tile add to
    # places where nothing is read.
    if taps_in_lanes:
        row = np.arange(-(-outputs // ROWS) * ROWS)
        tile_rows = TileRows(np.minimum(row, outputs - 1), row % CHANNELS_OF_BLOCK * tables.depth)
        blocks, block_size = -(-outputs // CHANNELS_OF_BLOCK), CHANNELS_OF_BLOCK * tables.depth
    else:
        tile_rows = TileRows(tables.taps, tables.tap_lines * wide)
        blocks, block_size = -(-bundle_channels // wide), (tables.depth + 1) * wide
    shares = min(-(-blocks // max(1, SUMS_OF_PIECE // block_size)), PIECES)
    parts = max(1, min(PIECES // shares, len(tables.zone_of_unit)))
    workers = min(numba.get_num_threads(), parts * shares)
    in_place = taps_in_lanes or bundle_channels % narrow == 0
    scratch = Scratch(
        packed=memory.aligned((workers, 0 if in_place else tables.most_positions * wide), x.dtype),
        packed_starts=offsets((len(tables.starts), wide)),
        zeros=np.zeros(wide, gradient.dtype),
    )
    sums = memory.aligned((parts, blocks, block_size), x.dtype)
    flat_images = kernel_array(x).reshape(-1)  # (N, H, W, C_in) -> (N*H*W*C_in,)
    flat_gradient = kernel_array(gradient).reshape(-1)  # (N, OH, OW, C_out) -> (N*OH*OW*C_out,)
    for group in range(groups):
        layer = Layer(
            images=n,
            channels=outputs,
            bundle_channels=bundle_channels,
            first_source=group * channels,
            first_target=group * outputs,
            first_element=group * gw.size // groups,
            channel_stride=channels * kh * kw,
            narrow=narrow,
            wide=wide,
        )
        weight_gradient_parts_compiled(
            flat_images, flat_gradient, gw.reshape(-1), tables, layer, taps_in_lanes, tile_rows, scratch, sums, shares
        )


def _form(size, channels, outputs, kernel_size, stride, groups, narrow) -> tuple[int, bool]:
    """The pixels of a bundle, and whether the taps are in the lanes: the cheapest choice for a pixel."""
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


def _add_taps_in_lanes(images, gradient, tables, layer, unit, tile_rows, zeros, sums):
    """Add a unit's products to the weight gradients of the channels in `tile_rows`."""
    number, count, source, target = find_unit_compiled(tables, unit, layer.images)
    zone = tables.zones[number]
    begin, end = zone.first_position, zone.first_position + count
    starts, destinations = tables.starts[begin:end], tables.destinations[begin:end]
    scalars = Lines(gradient, target + layer.first_target, tile_rows.scalars)
    for run in range(zone.first_run, zone.end_run):
        tap, line = source + layer.first_source + tables.runs[3 * run], tables.runs[3 * run + 1]
        length = tables.runs[3 * run + 2]
        for first in range(0, length, layer.wide):
            columns = block_columns_compiled(first, length, layer.narrow, layer.wide)
            block_outer_products_compiled(
                layer.wide, columns, zeros, scalars, destinations, Lines(images, tap + first, starts),
                Lines(sums, line + first, tile_rows.sums),
            )  # fmt: skip


_add_taps_in_lanes_compiled = compile(_add_taps_in_lanes, inner=True)


def _add_channels_in_lanes(images, gradient, tables, layer, unit, tile_rows, block, scratch, sums):
    """Add a unit's products to the weight gradients of a block of channels."""
    number, count, source, target = find_unit_compiled(tables, unit, layer.images)
    zone = tables.zones[number]
    begin, end, first = zone.first_position, zone.first_position + count, block * layer.wide
    columns = block_columns_compiled(first, layer.bundle_channels, layer.narrow, layer.wide)
    target += layer.first_target + first
    scalars = Lines(images, source + layer.first_source, tile_rows.scalars[zone.first_tap : zone.end_tap])
    starts, destinations = tables.starts[begin:end], tables.destinations[begin:end]
    lines = Lines(sums, np.intp(0), tile_rows.sums[zone.first_tap : zone.end_tap])
    if len(scratch.packed) == 0:
        vectors = Lines(gradient, target, destinations)
    else:
        # The last vector would reach into the next pixel's channels, so they are copied, and followed by zeros.
        real = min(columns, layer.bundle_channels - first)
        for position in range(count):
            copy(gradient, target + destinations[position], scratch.packed, position * layer.wide, real)
            clear(scratch.packed, position * layer.wide + real, columns - real)
        vectors = Lines(scratch.packed, np.intp(0), scratch.packed_starts)
    block_outer_products_compiled(layer.wide, columns, scratch.zeros, scalars, starts, vectors, lines)


_add_channels_in_lanes_compiled = compile(_add_channels_in_lanes, inner=True)


def _sum_pieces(worker, images, gradient, tables, layer, taps_in_lanes, tile_rows, scratch, sums, shares):
    """A worker's share of the pieces, each from zero to its whole sum."""
    parts, blocks, block_size = sums.shape
    units, workers = len(tables.zone_of_unit), len(scratch.packed)
    own = Scratch(scratch.packed[worker], scratch.packed_starts, scratch.zeros)
    for piece in range(worker, parts * shares, workers):
        part, share = piece // shares, piece % shares
        first_block, end_block = share * blocks // shares, (share + 1) * blocks // shares
        for block in range(first_block, end_block):
            clear(sums[part, block], 0, block_size)
        for unit in range(part, units, parts):
            for block in range(first_block, end_block):
                if taps_in_lanes:
                    first, end = block * CHANNELS_OF_BLOCK, (block + 1) * CHANNELS_OF_BLOCK
                    rows = TileRows(tile_rows.scalars[first:end], tile_rows.sums[first:end])
                    _add_taps_in_lanes_compiled(
                        images, gradient, tables, layer, unit, rows, own.zeros, sums[part, block]
                    )
                else:
                    _add_channels_in_lanes_compiled(
                        images, gradient, tables, layer, unit, tile_rows, block, own, sums[part, block]
                    )


_sum_pieces_compiled = compile(_sum_pieces, inner=True)


def _write_channel(channel, tables, layer, taps_in_lanes, sums, gw):
    """Write the weight gradients of an output channel, the totals of all parts, to their places in `gw`."""
    parts, blocks, block_size = sums.shape
    flat = sums.reshape(-1)  # (parts, blocks, block_size) -> (M,)
    first = layer.first_element + channel * layer.channel_stride
    clear(gw, first, layer.channel_stride)  # a bundle's pixels add up to one number
    for i in range(len(tables.elements)):
        line = element(tables.lines, i)
        if taps_in_lanes:
            place = channel * tables.depth + line
        else:
            column = element(tables.pixels, i) * layer.channels + channel
            place = column // layer.wide * block_size + line * layer.wide + column % layer.wide
        total = element(flat, place)
        for part in range(1, parts):
            total += element(flat, part * blocks * block_size + place)
        gw[first + element(tables.elements, i)] += total


_write_channel_compiled = compile(_write_channel, inner=True)


def weight_gradient_parts(images, gradient, gw, tables, layer, taps_in_lanes, tile_rows, scratch, sums, shares):
    """gw = patches, transposed, times gradients. A piece of work is a part of the units and a share of the channels.

    A unit is summed from zero and then added to the sums of its part, and the parts are added last. The loops' bodies
    are functions of their own, and arrays come from outside, because all that stands in a parallel function takes Numba
    several times as long to compile.
    """
    for worker in prange(len(scratch.packed)):
        _sum_pieces_compiled(
            np.intp(worker), images, gradient, tables, layer, taps_in_lanes, tile_rows, scratch, sums, shares
        )
    for channel in prange(layer.channels):
        _write_channel_compiled(np.intp(channel), tables, layer, taps_in_lanes, sums, gw)


weight_gradient_parts_compiled = compile(weight_gradient_parts, parallel=True)
