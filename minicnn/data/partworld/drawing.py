"""The pencil of PartWorld: from numbers to pixels, one picture at a time.

A part is drawn from its signed distance: how far, in pixels, a point lies outside the part's edge (negative inside).
A pixel whose centre lies d outside is covered by 1/2 - d, kept within 0 and 1, which makes edges smooth. A fill is a
pattern of weights between 0 (gap) and 1 (full colour).

Everything is float64 with + - * / and square roots, whose results IEEE 754 fixes to the last bit. There are neither
exp, log or sine, nor fastmath: without fastmath Numba does not contract a product and a sum into one rounding. So each
processor gives the same bytes, and so does Python with NUMBA_DISABLE_JIT=1, where `@compile` leaves these functions as
they are.
"""

# Numba infers the types of compiled functions.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

import math

import numpy as np
from numba import prange

from minicnn.kernels.compiling.compile import compile

STROKE = 255  # in the map of what covers a pixel; 0 is ground, 1 + 3 * object + slot a part
_HALF = math.sqrt(0.5)
_TALL = math.sqrt(0.75)


@compile
def _coverage(distance):
    """How much of a pixel is covered when its centre lies this far outside an edge, px."""
    return min(max(0.5 - distance, 0.0), 1.0)


@compile
def _part_distance(kind, x, y):
    """Signed distance from (x, y) to the edge of part number `kind` (composition.PARTS), whose radius is 1."""
    ax, ay = abs(x), abs(y)
    if kind == 0:  # disc
        return math.sqrt(x * x + y * y) - 1.0
    if kind == 1:  # ring
        return abs(math.sqrt(x * x + y * y) - 0.78) - 0.27
    if kind == 2:  # square
        return max(ax, ay) - 0.87
    if kind == 3:  # triangle, apex up
        return max(y - 0.68, _TALL * ax - 0.5 * y - 0.58)
    if kind == 4:  # diagonal cross: two bars
        along, across = _HALF * abs(x + y), _HALF * abs(x - y)
        return min(max(along - 1.15, across - 0.33), max(across - 1.15, along - 0.33))
    if kind == 5:  # bar, lying
        return max(ax - 1.12, ay - 0.42)
    if kind == 6:  # crescent, open above
        return max(math.sqrt(x * x + y * y) - 1.05, 0.8 - math.sqrt(x * x + (y + 0.55) * (y + 0.55)))
    if kind == 7:  # star with four points
        return 0.4 * (max(ax, ay) - 1.25) + 0.92 * min(ax, ay)
    if kind == 8:  # dome: half a disc on its flat side
        return max(math.sqrt(x * x + (y - 0.5) * (y - 0.5)) - 1.12, y - 0.5)
    if kind == 9:  # chevron, pointing up
        return max(_HALF * abs(y - ax + 0.5) - 0.38, ax - 0.98)
    if kind == 10:  # frame: a square with a square hole
        return abs(max(ax, ay) - 0.7) - 0.25
    return min(max(ax - 1.0, abs(y + 0.62) - 0.36), max(ax - 0.36, abs(y) - 0.98))  # tee


@compile
def _fill_weight(kind, u, v, period):
    """Weight in [0, 1] of texture number `kind` (composition.TEXTURES), u px along and v px across its direction."""
    if kind == 0:  # solid
        return 1.0
    cell_u, cell_v = u / period, v / period
    part_u = cell_u - math.floor(cell_u)
    part_v = cell_v - math.floor(cell_v)
    edge_u = period * (0.25 - abs(part_u - 0.5))  # px to the border between the two halves of a period
    edge_v = period * (0.25 - abs(part_v - 0.5))
    if kind == 1:  # stripes
        return _coverage(-edge_v)
    if kind == 2:  # checks
        a, b = 2.0 * _coverage(-edge_u) - 1.0, 2.0 * _coverage(-edge_v) - 1.0
        return 0.5 + 0.5 * a * b
    if kind == 3:  # dots: gaps in the fill
        du, dv = period * (part_u - 0.5), period * (part_v - 0.5)
        return 1.0 - _coverage(math.sqrt(du * du + dv * dv) - 0.32 * period)
    line = 0.15 * period
    if kind == 4:  # grid: lines both ways
        return 1.0 - _coverage(min(period * (0.5 - abs(part_u - 0.5)), period * (0.5 - abs(part_v - 0.5))) - line)
    if kind == 5:  # bricks: rows, every other one shifted by half a brick, whose length is two rows
        brick = 0.5 * cell_u + 0.5 * (math.floor(cell_v) % 2)
        along = brick - math.floor(brick)
        joint = min(2.0 * period * (0.5 - abs(along - 0.5)), period * (0.5 - abs(part_v - 0.5)))
        return 1.0 - _coverage(joint - line)
    if kind == 6:  # zigzag: stripes that swing by half a period
        swing = 0.5 * cell_u
        bent = cell_v + 2.0 * abs(swing - math.floor(swing) - 0.5)
        return _coverage(period * (abs(bent - math.floor(bent) - 0.5) - 0.25))
    over = (math.floor(cell_u) + math.floor(cell_v)) % 2 == 0  # weave: cells striped one way and the other
    strip = 3.0 * part_u if over else 3.0 * part_v
    return _coverage(period / 3.0 * (abs(strip - math.floor(strip) - 0.5) - 0.25))


@compile
def _draw_picture(pixels, covers, ground, strokes, direction, objects, parts, kinds, count, noise):
    """Draw one picture into `pixels` (H, W, 3) and the cover of each pixel into `covers` (H, W)."""
    size = pixels.shape[0]
    along_x, along_y = direction[0], direction[1]
    colour = np.empty(3)
    for row in range(size):
        for column in range(size):
            x, y = column + 0.5, row + 0.5
            shade = ground[3] * (x / size - 0.5) + ground[4] * (y / size - 0.5)
            for channel in range(3):
                colour[channel] = ground[channel] + shade
            cover = 0
            for s in range(strokes.shape[0]):
                dx, dy = x - strokes[s, 0], y - strokes[s, 1]
                u, v = abs(dx * along_x + dy * along_y), abs(dy * along_x - dx * along_y)
                weight = _coverage(max(u - strokes[s, 2], v - 0.6))
                for channel in range(3):
                    colour[channel] += weight * strokes[s, 3]
                if weight >= 0.5:
                    cover = STROKE
            for m in range(count):
                for slot in range(3):
                    dx, dy, radius = x - parts[m, slot, 0], y - parts[m, slot, 1], parts[m, slot, 4]
                    reach = 1.3 * radius + 1.0
                    if abs(dx) > reach or abs(dy) > reach:
                        continue
                    turned_x = (dx * parts[m, slot, 2] + dy * parts[m, slot, 3]) / radius
                    turned_y = (dy * parts[m, slot, 2] - dx * parts[m, slot, 3]) / radius
                    weight = _coverage(radius * _part_distance(kinds[m, slot], parts[m, slot, 5] * turned_x, turned_y))
                    if weight > 0.0:
                        u = x * along_x + y * along_y + objects[m, 4]
                        v = y * along_x - x * along_y + objects[m, 5]
                        fill = 1.0 - objects[m, 6] * (1.0 - _fill_weight(kinds[m, 3], u, v, objects[m, 3]))
                        for channel in range(3):
                            target = ground[channel] + shade + fill * (parts[m, slot, 6] + objects[m, channel])
                            colour[channel] += weight * (target - colour[channel])
                        if weight >= 0.5:
                            cover = 1 + 3 * m + slot
            covers[row, column] = cover
            for channel in range(3):
                bits = int(noise[row, column, channel])
                level = colour[channel] + ground[5] * ((bits & 255) + (bits >> 8) - 255)
                pixels[row, column, channel] = int(min(max(level, 0.0), 1.0) * 255.0 + 0.5)


def draw_pictures(pixels, covers, ground, strokes, directions, objects, parts, kinds, counts, noise):
    """Draw N pictures into pixels (N, H, W, 3) and covers (N, H, W); `PictureParameters` explains the others."""
    for n in prange(len(pixels)):
        _draw_picture(
            pixels[n], covers[n], ground[n], strokes[n], directions[n],
            objects[n], parts[n], kinds[n], counts[n], noise[n],
        )  # fmt: skip


draw_pictures_compiled = compile(draw_pictures, parallel=True)
