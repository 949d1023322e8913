"""How winograd's tiles are shared out: units of tiles, and the pixels that they see.

A tile of outputs sees a window of pixels that overlaps its neighbours' and may reach into the padding. The pixels of a
unit of tiles are therefore copied first, with zeros for all that lies outside the image, to a scratch array, where
every tile is whole. It is small, so that the transforms, which read each pixel two or three times, find it in a cache.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.convolution.direct_plan import offsets
from minicnn.kernels.convolution.winograd.transforms import OUTPUTS
from minicnn.kernels.registers.vector import ROWS, clear, copy

FEWEST_UNITS = 8  # so that threads can share them out; but a unit of fewer than ROWS tiles would waste multiply-adds


class Units(NamedTuple):
    """The units that a batch's tiles are cut into: some images if they are small, else a band of rows of one image."""

    images: int  # of a unit
    rows: int  # of tiles, of a unit
    bands: int  # units that an image is cut into
    units: int
    tile_rows: int  # of an image
    tile_columns: int
    top: int  # image row and column of the first tile's first pixel: negative inside the padding
    left: int
    scratch_rows: int  # of one image, in pixels
    scratch_width: int
    scratch_size: int  # numbers
    starts: np.ndarray  # where each tile of a unit begins in the scratch array


@lru_cache(maxsize=1024)
def cut_tiles(image_shape, out_size, first_pixel, window, most_tiles) -> Units:
    """Units of about `most_tiles` tiles, at least one row, for images (N, H, W, C) and outputs of `out_size`.

    The first tile sees `window` x `window` pixels from `first_pixel` on, and its neighbours those 4 pixels further.
    """
    n, _, _, channels = image_shape
    tile_rows, tile_columns = (-(-size // OUTPUTS) for size in out_size)
    scratch_width = (tile_columns - 1) * OUTPUTS + window
    row_size = scratch_width * channels
    most_rows = max(1, min(most_tiles, max(ROWS, n * tile_rows * tile_columns // FEWEST_UNITS)) // tile_columns)
    images = max(1, min(most_rows // tile_rows, n))
    bands = -(-tile_rows // most_rows)
    rows = -(-tile_rows // bands)  # bands of about the same height
    scratch_rows = (rows - 1) * OUTPUTS + window
    return Units(
        images=images,
        rows=rows,
        bands=bands,
        units=-(-n // images) * bands,
        tile_rows=tile_rows,
        tile_columns=tile_columns,
        top=first_pixel[0],
        left=first_pixel[1],
        scratch_rows=scratch_rows,
        scratch_width=scratch_width,
        scratch_size=images * scratch_rows * row_size,
        starts=offsets(
            (images, scratch_rows * row_size), (rows, OUTPUTS * row_size), (tile_columns, OUTPUTS * channels)
        ),
    )


def count_tiles(unit, n, units):
    """How many tiles a unit has: the last one of a batch, or of an image, may have fewer than the others."""
    images = min(units.images, n - unit // units.bands * units.images)
    rows = min(units.rows, units.tile_rows - unit % units.bands * units.rows)
    return images * rows * units.tile_columns


count_tiles_compiled = compile(count_tiles, inner=True)


def copy_pixels(images, unit, units, scratch):
    """Copy the pixels that the tiles of a unit see to `scratch`, with zeros for the padding."""
    n, height, width, channels = images.shape
    first_image = unit // units.bands * units.images
    first_row = unit % units.bands * units.rows * OUTPUTS + units.top
    # A row of the scratch array: zeros up to `begin`, numbers of an image row, zeros from `end` on.
    zeros = min(max(-units.left, 0), units.scratch_width)
    copied = max(0, min(units.scratch_width - zeros, width - max(units.left, 0)))
    begin, end = zeros * channels, (zeros + copied) * channels
    row_size = units.scratch_width * channels
    position = 0
    for image in range(first_image, min(first_image + units.images, n)):
        for row in range(first_row, first_row + units.scratch_rows):
            if row < 0 or row >= height or copied == 0:
                clear(scratch, position, row_size)
            else:
                source = ((image * height + row) * width + max(units.left, 0)) * channels
                clear(scratch, position, begin)
                copy(images, source, scratch, position + begin, end - begin)
                clear(scratch, position + end, row_size - end)
            position += row_size


copy_pixels_compiled = compile(copy_pixels, inner=True)
