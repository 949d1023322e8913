"""The tables of winograd.py: how a layer's work is cut into units, and where a unit's patches lie in its scratch array.

A unit's pixels are copied to the scratch array with their padding. There a number of the patch matrix lies at a place
that is a sum of two terms:

    patch[p, k] = scratch[starts[p] + taps[k]]    starts: where the window of position p begins
                                                  taps:   how far from there kernel element k = (kh, kw, c) lies

For a 4 wide padded image of one channel, a 2x2 kernel and stride 1, starts = 0 1 2 4 5 6 ... and taps = 0 1 4 5.
All tables depend on shapes only, so a network makes each of them once.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.kernels.compile import compile
from minicnn.kernels.vector import clear, copy
from minicnn.kernels.zones import offsets


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


@lru_cache(maxsize=1024)
def cut(image_shape, out_size, step, tap_rows, tap_columns, most_rows) -> Plan:
    """The plan for patches of images (N, H, W, C) at a grid of `out_size` positions, `step` = (h, w) pixels apart.

    `tap_rows` and `tap_columns` say where the kernel's taps lie from the grid's origin, in pixels; negative is padding.
    A unit has at most `most_rows` rows of positions.
    """
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


def copy_pixels(images, unit, units, scratch):
    """Copy the pixels that the windows of a unit see to `scratch`, with zeros for the padding."""
    n, height, width, channels = images.shape
    first_image = unit // units.bands * units.images
    first_row = unit % units.bands * units.rows * units.row_step + units.top
    # A line of the scratch array: zeros up to `begin`, numbers of an image row, zeros from `end` on.
    zeros = min(max(-units.left, 0), units.scratch_width)
    copied = max(0, min(units.scratch_width - zeros, width - max(units.left, 0)))
    begin, end = zeros * channels, (zeros + copied) * channels
    line = units.scratch_width * channels
    position = 0
    for image in range(first_image, min(first_image + units.images, n)):
        for row in range(first_row, first_row + units.scratch_rows):
            if row < 0 or row >= height or copied == 0:
                clear(scratch, position, line)
            else:
                source = ((image * height + row) * width + max(units.left, 0)) * channels
                clear(scratch, position, begin)
                copy(images, source, scratch, position + begin, end - begin)
                clear(scratch, position + end, line - end)
            position += line


copy_pixels_compiled = compile(copy_pixels)
