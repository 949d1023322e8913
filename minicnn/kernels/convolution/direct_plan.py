"""The tables of direct.py: which input numbers every output number of a convolution needs, as sums of two offsets.

The windows of a convolution are the rows of its patch matrix. Each of its numbers is a number of the image, and its
place there is a sum of two terms:

    patch[p, k] = image[starts[p] + taps[k]]      starts: where the window of position p begins
                                                  taps:   how far from there kernel element k = (kh, kw, c) lies

At the border of a padded image some taps of a window lie outside, where there is only zero to multiply with. So the
positions are sorted into *zones*, rectangles of positions that lose the same taps. For a 3x3 kernel with padding 1:

      +---+-----------+---+         kh 0 lost, kw 0 lost | kh 0 lost | kh 0 lost, kw 2 lost
      +---+-----------+---+        ----------------------+-----------+----------------------
      |   |  no tap   |   |              kw 0 lost       |           |       kw 2 lost
      |   |  is lost  |   |        ----------------------+-----------+----------------------
      +---+-----------+---+         kh 2 lost, kw 0 lost | kh 2 lost | kh 2 lost, kw 2 lost
      +---+-----------+---+

Each zone is a convolution without padding, reads the image where it lies, and leaves the lost taps out: in an 8x8 image
a sixth of all multiplications, in a 4x4 image 3 in 10. All tables depend on shapes only; a network makes them once.
"""

from functools import lru_cache
from itertools import groupby, product
from math import gcd
from typing import NamedTuple

import numpy as np

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.registers.vector import ROWS


class Limits(NamedTuple):
    """How a layer is cut into units."""

    units: int  # at least, so that no thread waits long for another one's last unit
    fewest_positions: int  # of a unit, if the zone has so many: this goes before the other limits
    most_positions: int
    numbers: int  # of the image under a unit, at most


class Axis(NamedTuple):
    """The positions along the rows (or columns) of the output, and the input rows (or columns) that they read.

    A position stands for `bundle` neighbouring output pixels, mostly one: see direct.py.
    """

    first: int  # the output row of position 0, or of its first pixel
    spacing: int  # output rows from one position to the next
    positions: int
    window_stride: int  # input rows from one position's window to the next one's
    taps: tuple[int, ...]  # the input rows that position 0 reads, ascending; negative in the padding
    kernel: tuple[tuple[int, ...], ...]  # kernel[t][j]: the kernel row that joins tap t and pixel j, or -1


class Span(NamedTuple):
    """Neighbouring positions of an axis that read the same taps: first_tap, ... end_tap - 1."""

    first: int
    positions: int
    first_tap: int
    end_tap: int


ZONE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "first_unit",  # units are numbered through all zones
            "images",  # of a unit
            "rows",  # of positions of a unit
            "across",  # units side by side, through all images; as many more for each further band of rows
            "height",  # rows and columns of positions of the whole zone
            "width",
            "source",  # where the first window of image 0 begins, and the way to the next row of positions
            "source_row",
            "target",  # where the first position's result goes, and the way to the next row of positions
            "target_row",
            "first_position",  # in the tables of positions
            "first_run",  # in the table of runs
            "end_run",
            "first_tap",  # in the tables of taps
            "end_tap",
        )
    ]
)


class Plan(NamedTuple):
    """All tables of a convolution, the zones one after the other in each of them. Offsets count numbers.

    Line number k of the packed weights belongs to kernel element k, so that taps and lines are numbered alike.
    """

    zones: np.ndarray  # records of the type ZONE
    zone_of_unit: np.ndarray
    image_source: int  # from one image to the next, in the input and in the output
    image_target: int
    starts: np.ndarray  # of the positions of a full unit: where the window begins, from the unit's first window on
    destinations: np.ndarray  # and where the result goes
    runs: np.ndarray  # stretches of taps with neighbouring numbers: (tap, line, length) each
    taps: np.ndarray  # every tap for itself; in each zone the last is repeated up to a multiple of ROWS
    tap_lines: np.ndarray  # the line of each; of the repeated ones the line `depth`, which is spare
    depth: int  # lines
    elements: np.ndarray  # of the weight array, ascending: where they lie in it, and the line and the pixel of the
    lines: np.ndarray  # bundle to which they belong
    pixels: np.ndarray
    most_positions: int  # of any unit


class Layer(NamedTuple):
    """The sizes of the convolution of one group of channels, and where its numbers begin: see direct.py.

    A position writes `bundle_channels` numbers, the `channels` of each of the bundle's pixels.
    """

    images: int
    channels: int  # of a pixel of the result, in this group
    bundle_channels: int
    first_source: int  # of the group's numbers in the image, in the result and in the weight array
    first_target: int
    first_element: int
    channel_stride: int  # from a channel's weights to the next one's, in the weight array
    narrow: int  # the columns of a narrow register tile, and of a wide one
    wide: int


@lru_cache(maxsize=1024)
def forward_axis(size, kernel, stride, padding, dilation, bundle=1) -> Axis:
    """The axis of `size` outputs: output i sees input i * stride + k * dilation - padding through kernel row k."""
    seen = {(j, j * stride + k * dilation - padding): k for j in range(bundle) for k in range(kernel)}
    return _axis(0, bundle, size // bundle, bundle * stride, seen, bundle)


@lru_cache(maxsize=1024)
def input_gradient_axes(size, kernel, stride, padding, dilation, bundle=1) -> tuple[Axis, ...]:
    """The axes of `size` input pixels' gradients: pixel h gets output i's through kernel row k if i saw h through it.

    That is, if i * stride = h + padding - k * dilation. So all h with the same remainder by the stride see the same
    kernel rows: each remainder is an axis of its own, unless a bundle holds all remainders.
    """
    axes = []
    for first in range(min(stride, size)) if bundle == 1 else (0,):
        reached = {(j, k): first + j + padding - k * dilation for j in range(bundle) for k in range(kernel)}
        seen = {(j, place // stride): k for (j, k), place in reached.items() if place % stride == 0}
        spacing = stride if bundle == 1 else bundle
        axes.append(_axis(first, spacing, -(-(size - first) // spacing), spacing // stride, seen, bundle))
    return tuple(axes)


def _axis(first, spacing, positions, window_stride, seen, bundle):
    """`seen[j, tap]` is the kernel row through which pixel j of position 0's bundle sees input row `tap`."""
    taps = tuple(sorted({tap for _, tap in seen}))
    kernel = tuple(tuple(seen.get((j, tap), -1) for j in range(bundle)) for tap in taps)
    return Axis(first, spacing, positions, window_stride, taps, kernel)


def spans(axis: Axis, size: int) -> list[Span]:
    """The positions of an axis by the taps that lie inside an input of `size` rows."""

    def inside(position):
        places = [tap + position * axis.window_stride for tap in axis.taps]
        return sum(place < 0 for place in places), sum(place < size for place in places)

    groups = ((taps, list(positions)) for taps, positions in groupby(range(axis.positions), inside))
    return [Span(positions[0], len(positions), *taps) for taps, positions in groups]


@lru_cache(maxsize=256)
def plan(images, size, channels, pixel, out_size, out_pixel, row_axes, column_axes, kernel_strides, limits) -> Plan:
    """The plan for `images` images of `size` = (H, W) and results of `out_size`: a product for each pair of axes.

    A window takes `channels` neighbouring numbers of a pixel, of the `pixel` numbers from one pixel to the next, and a
    result pixel is `out_pixel` numbers from the next. `kernel_strides` are those of the weight array, for a kernel row
    and for a channel of the window; a kernel column has stride 1.
    """
    image_source, image_target = size[0] * size[1] * pixel, out_size[0] * out_size[1] * out_pixel
    zone_of_unit: list[int] = []
    runs: list[tuple[int, int, int]] = []
    taps: list[np.ndarray] = []
    zones, weights, starts, destinations = ([] for _ in range(4))
    depth = most_positions = positions = 0
    for rows, columns in product(row_axes, column_axes):
        weights.append(_weights(rows, columns, channels, kernel_strides, depth))
        source_row, source_column = rows.window_stride * size[1] * pixel, columns.window_stride * pixel
        target_row, target_column = rows.spacing * out_size[1] * out_pixel, columns.spacing * out_pixel
        rectangles = product(spans(rows, size[0]), spans(columns, size[1]))
        # The largest zones come first: workers that take units in turn then have about as much to do, in the end.
        for row_span, column_span in sorted(rectangles, key=lambda spans: -spans[0].positions * spans[1].positions):
            height, width = row_span.positions, column_span.positions
            zone_runs = _runs(rows, columns, row_span, column_span, size[1] * pixel, pixel, channels, depth)
            reach = rows.taps[row_span.end_tap - 1] - rows.taps[row_span.first_tap] + 1 if zone_runs else 0
            unit_images, unit_rows = _unit(limits, images, height, width, source_row, reach * size[1] * pixel)
            across = -(-images // unit_images)
            units = across * -(-height // unit_rows)
            zone = {  # in the order of ZONE
                "first_unit": len(zone_of_unit),
                "images": unit_images,
                "rows": unit_rows,
                "across": across,
                "height": height,
                "width": width,
                "source": row_span.first * source_row + column_span.first * source_column,
                "source_row": source_row,
                "target": (rows.first * out_size[1] + columns.first) * out_pixel
                + row_span.first * target_row
                + column_span.first * target_column,
                "target_row": target_row,
                "first_position": positions,
                "first_run": len(runs),
                "end_run": len(runs) + len(zone_runs),
                "first_tap": sum(table.shape[1] for table in taps),
            }
            starts.append(offsets((unit_images, image_source), (unit_rows, source_row), (width, source_column)))
            destinations.append(offsets((unit_images, image_target), (unit_rows, target_row), (width, target_column)))
            taps.append(_taps(zone_runs))
            zones.append(tuple(zone.values()) + (zone["first_tap"] + taps[-1].shape[1],))
            zone_of_unit += [len(zones) - 1] * units
            runs += zone_runs
            positions += len(starts[-1])
            most_positions = max(most_positions, len(starts[-1]))
        depth += len(rows.taps) * len(columns.taps) * channels
    elements, lines, pixels = np.concatenate(weights, axis=1)  # (3, elements)
    order = np.argsort(elements, kind="stable")
    all_taps, tap_lines = np.ascontiguousarray(np.concatenate(taps, axis=1))  # (2, taps)
    return Plan(
        zones=np.array(zones, ZONE).view(np.recarray),
        zone_of_unit=np.array(zone_of_unit, np.int64),
        image_source=image_source,
        image_target=image_target,
        starts=np.concatenate(starts),
        destinations=np.concatenate(destinations),
        runs=np.array(runs, np.int64).ravel(),
        taps=all_taps,
        tap_lines=np.where(tap_lines < 0, depth, tap_lines),
        depth=depth,
        elements=elements[order],
        lines=lines[order],
        pixels=pixels[order],
        most_positions=most_positions,
    )


def _unit(limits, images, height, width, row_numbers, reach_numbers) -> tuple[int, int]:
    """The images and the rows of a unit, for a zone of `height` x `width` positions in each of `images` images.

    A unit is some images if the zone is small, else a band of rows of one image, if possible so that its last tile is
    full.
    """
    rows = max(0, limits.numbers - reach_numbers) // row_numbers + 1
    rows = min(rows, images * height // limits.units, limits.most_positions // width)
    rows = max(rows, -(-limits.fewest_positions // width))
    if rows >= height:
        count = max(1, min(rows // height, images))
        full = ROWS // gcd(ROWS, height * width)  # so many images make full tiles
        return (count // full * full if count >= full else count), height
    rows = -(-height // -(-height // rows))  # bands of about the same height
    full = ROWS // gcd(ROWS, width)
    return 1, min(-(-rows // full) * full, height)


def _runs(rows, columns, row_span, column_span, row_size, pixel, channels, depth) -> list[tuple[int, int, int]]:
    """The taps of a zone as runs (tap, line, length); `row_size` numbers in the input from one row to the next."""
    runs: list[tuple[int, int, int]] = []
    for row in range(row_span.first_tap, row_span.end_tap):
        for column in range(column_span.first_tap, column_span.end_tap):
            tap = rows.taps[row] * row_size + columns.taps[column] * pixel
            number = depth + (row * len(columns.taps) + column) * channels
            if runs and (tap, number) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
                runs[-1] = (*runs[-1][:2], runs[-1][2] + channels)
            else:
                runs.append((tap, number, channels))
    return runs


def _taps(runs) -> np.ndarray:
    """Every tap of the runs and its line, (2, taps): up to a multiple of ROWS with the last tap and the line -1."""
    table = [(tap + i, line + i) for tap, line, length in runs for i in range(length)]
    missing = -len(table) % ROWS
    return np.array(table + [(table[-1][0], -1)] * missing if table else [], np.int64).reshape(-1, 2).T


def _weights(rows, columns, channels, kernel_strides, depth) -> np.ndarray:
    """The places in the weight array of the elements that these axes use, their lines, their pixels: (3, elements)."""
    row_stride, channel_stride = kernel_strides
    found = []
    for i, j in product(range(len(rows.taps)), range(len(columns.taps))):
        first = depth + (i * len(columns.taps) + j) * channels
        for pixel, column in enumerate(columns.kernel[j]):
            if column >= 0:
                element = rows.kernel[i][0] * row_stride + column
                found.append((element, first, pixel))
    table = np.array(found, np.int64).reshape(-1, 3).T  # (kernel elements, 3) -> (3, kernel elements)
    steps = np.array([[channel_stride], [1], [0]]) * np.arange(channels)  # (3, channels)
    # (3, kernel elements, 1) + (3, 1, channels) -> (3, elements)
    return (table[:, :, None] + steps[:, None, :]).reshape(3, -1)


@lru_cache(maxsize=1024)
def offsets(*axes) -> np.ndarray:
    """The offsets that nested loops walk through: each axis is a pair (count, stride), the outermost first."""
    total = np.zeros(1, np.int64)
    for count, stride in axes:
        total = np.add.outer(total, np.arange(count) * stride).ravel()
    return total


def find_unit(tables, unit, n):
    """The number of a unit's zone, how many positions the unit has, and where its first window and result lie.

    The last unit of a batch, or of an image, may have fewer positions than the others.
    """
    number = tables.zone_of_unit[unit]
    zone = tables.zones[number]
    place = unit - zone.first_unit
    first_image, first_row = place % zone.across * zone.images, place // zone.across * zone.rows
    count = min(zone.images, n - first_image) * min(zone.rows, zone.height - first_row) * zone.width
    source = zone.source + first_image * tables.image_source + first_row * zone.source_row
    target = zone.target + first_image * tables.image_target + first_row * zone.target_row
    return number, count, source, target


find_unit_compiled = compile(find_unit, inner=True)
