"""The tables of direct.py: where the numbers of a patch lie, and how a layer's work is cut into units.

A number of the patch matrix is a number of the padded image at another place, and that place is a sum of two terms:

    patch[p, k] = image[starts[p] + taps[k]]      starts: where the window of position p begins
                                                  taps:   how far from there kernel element k = (kh, kw, c) lies

For a 4 wide padded image of one channel, a 2x2 kernel and stride 1, starts = 0 1 2 4 5 6 ... and taps = 0 1 4 5.
All tables depend on shapes only, so a network makes each of them once.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

FEWEST_UNITS = 32  # so that no thread waits long for another one's last unit
FEWEST_POSITIONS = 64  # of a unit, so that a block of weights, once in the cache, is used often enough
MOST_POSITIONS = 512  # so that a weight gradient, summed unit by unit, does not lose digits in long sums


class Plan(NamedTuple):
    """How the positions of a layer are cut into units, and how a unit's patches are found in its scratch array.

    A unit is some images if they are small, else a band of rows of one image. Its scratch array holds all the pixels
    that its windows see, padding included.
    """

    images: int  # of a unit
    rows: int  # output rows of a unit
    bands: int  # units that an image is cut into
    units: int
    row_step: int  # image rows from one output row to the next
    top: int  # image row and column of the first window's first tap: negative inside the padding
    left: int
    scratch_rows: int  # of one image
    scratch_width: int
    scratch_size: int
    out_height: int
    out_width: int
    starts: np.ndarray
    taps: np.ndarray


class Target(NamedTuple):
    """Where results go in the output array, in elements: the first position, and the way to the next of each kind."""

    first: int
    image: int
    row: int
    column: int


class Phase(NamedTuple):
    """The input rows first, first + stride, ... of an input gradient: see `phases`."""

    first: int
    size: int  # how many
    taps: tuple[int, ...]  # the kernel rows that reach these input rows
    rows: tuple[int, ...]  # the gradient row that each of them reads for input row `first`


@lru_cache(maxsize=1024)
def plan(image_shape, out_size, step, tap_rows, tap_columns, scratch_elements) -> Plan:
    """The plan for patches of images (N, H, W, C) at a grid of `out_size` positions, `step` = (h, w) pixels apart.

    `tap_rows` and `tap_columns` say where the kernel's taps lie from the grid's origin, in pixels; negative is padding.
    A unit's scratch array holds about `scratch_elements` numbers, unless the fewest or most positions forbid it.
    """
    n, _, _, channels = image_shape
    oh, ow = out_size
    reach_h = max(tap_rows) - min(tap_rows) + 1
    reach_w = max(tap_columns) - min(tap_columns) + 1
    line = ((ow - 1) * step[1] + reach_w) * channels

    rows = (scratch_elements // line - reach_h) // step[0] + 1  # as many as the scratch array holds, but not so many
    rows = min(rows, n * oh // FEWEST_UNITS, MOST_POSITIONS // ow)  # that there are too few units to share out
    rows = max(rows, -(-FEWEST_POSITIONS // ow))
    return cut(image_shape, out_size, step, tap_rows, tap_columns, rows)


@lru_cache(maxsize=1024)
def cut(image_shape, out_size, step, tap_rows, tap_columns, most_rows) -> Plan:
    """The plan whose units have at most `most_rows` rows of positions: see `plan`."""
    n, _, _, channels = image_shape
    oh, ow = out_size
    top, left = min(tap_rows), min(tap_columns)
    reach_h, reach_w = max(tap_rows) - top + 1, max(tap_columns) - left + 1
    scratch_width = (ow - 1) * step[1] + reach_w
    line = scratch_width * channels
    images = max(1, min(most_rows // oh, n))
    bands = -(-oh // min(most_rows, oh))
    rows = -(-oh // bands)  # bands of about the same height
    scratch_rows = (rows - 1) * step[0] + reach_h
    starts = offsets((images, scratch_rows * line), (rows, step[0] * line), (ow, step[1] * channels))
    pixels = np.add.outer((np.array(tap_rows) - top) * scratch_width, np.array(tap_columns) - left).ravel()
    taps = np.add.outer(pixels * channels, np.arange(channels)).ravel()
    return Plan(
        images=images,
        rows=rows,
        bands=bands,
        units=-(-n // images) * bands,
        row_step=step[0],
        top=top,
        left=left,
        scratch_rows=scratch_rows,
        scratch_width=scratch_width,
        scratch_size=images * scratch_rows * line,
        out_height=oh,
        out_width=ow,
        starts=starts,
        taps=taps,
    )


@lru_cache(maxsize=1024)
def offsets(*axes) -> np.ndarray:
    """The offsets that nested loops walk through: each axis is a pair (count, step), the outermost first."""
    total = np.zeros(1, np.int64)
    for count, step in axes:
        total = np.add.outer(total, np.arange(count) * step).ravel()
    return total


@lru_cache(maxsize=1024)
def kernel_elements(rows, columns, channels, row_stride, channel_stride) -> np.ndarray:
    """Where kernel element k = (row, column, channel) lies in the weight array, for these kernel rows and columns."""
    pixels = np.add.outer(np.array(rows) * row_stride, np.array(columns)).ravel()
    return np.add.outer(pixels, np.arange(channels) * channel_stride).ravel()


def phases(size, kernel, stride, padding, dilation) -> list[Phase]:
    """The phases of one axis, `size` pixels long, of an input gradient: one for each remainder by the stride.

    Output row i reads input row h through kernel row k where i * stride + k * dilation - padding = h. So kernel row k
    passes the gradient of output row i = (h + padding - k * dilation) / stride on to h, if that divides evenly; and for
    all h with the same remainder the same k do. With stride 1 there is one phase, which all kernel rows reach.
    """
    found = []
    for first in range(min(stride, size)):
        taps = tuple(k for k in range(kernel) if (first + padding - k * dilation) % stride == 0)
        rows = tuple((first + padding - k * dilation) // stride for k in taps)
        found.append(Phase(first, -(-(size - first) // stride), taps, rows))
    return found
