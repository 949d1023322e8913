"""The maxima of pooling windows, in vector registers: several channels of a pixel are compared at once.

A comparison that can't be foreseen costs a processor as much as ten others, and a loop over the six channels of LeNet-5
takes one after the other. Here a window is read pixel by pixel, each time as many channels as fit into a register, and
the best so far and its place stay in registers until the window is done.

A register that is longer than a pixel reads on into the next one. Where there are fewer channels than it holds, a
line of windows is therefore computed beside the images, with room behind its end, and copied.
"""

import numpy as np
from numba import prange

from minicnn.kernels.compiling.compile import compile
from minicnn.kernels.registers.arithmetic import if_larger, load, save
from minicnn.kernels.registers.vector import copy

PARTS = 64  # pieces of work: a few for each thread
MOST_PLACES = 1 << 24  # places are kept in registers as numbers of the image's own kind: float32 counts as far as that


def inside(start, step, taps, size):
    """Which of `taps` places, `step` apart from `start` on, lie in 0 to size - 1: the first, and one past the last."""
    first = 0 if start >= 0 else -(start // step)  # most windows lie inside, and a division takes longer than a test
    end = taps if start + (taps - 1) * step < size else (size - 1 - start) // step + 1
    return first, end


inside_compiled = compile(inside)


def largest_in_window(pixels, first, down, across, place, place_down, place_across, rows, columns, ones):
    """Vectors of maxima and of their places in a window of rows x columns pixels, the first of which is at `first`.

    A pixel below is `down` numbers further on, and its place `place_down`; the pixel to the right likewise. `ones` is a
    register of ones: times a number it is that number in every lane.
    """
    number, one = pixels.dtype.type, load(ones, 0)
    if rows <= 0 or columns <= 0:
        return number(-np.inf) * one, number(-1) * one
    best, best_place = load(pixels, first), number(place) * one
    for row in range(rows):
        for column in range(columns):
            value = load(pixels, first + row * down + column * across)
            here = number(place + row * place_down + column * place_across) * one
            best_place = if_larger(value, best, here, best_place)
            best = if_larger(value, best, value, best)  # a NaN, once there, only gives way to a NaN
    return best, best_place


largest_in_window_compiled = compile(largest_in_window, inner=True)


def max_rows(x, y, indices, kernel_size, stride, padding, dilation, ones):
    _, height, width, channels = x.shape
    images, rows, columns, _ = y.shape
    lanes = len(ones)
    few = channels < lanes
    line, new_line = width * channels, columns * channels
    pixels, best, places = x.reshape(-1), y.reshape(-1), indices.reshape(-1)  # (N, H, W, C) -> (N*H*W*C,)
    for part in prange(PARTS):
        lines = np.empty(kernel_size[0] * line + lanes if few else 0, x.dtype)
        best_of_line = np.empty(new_line + lanes if few else 0, x.dtype)
        places_of_line = np.empty(len(best_of_line), indices.dtype)
        source = lines if few else pixels
        targets = (best_of_line, places_of_line) if few else (best, places)
        for row in range(part * images * rows // PARTS, (part + 1) * images * rows // PARTS):
            n, oh = row // rows, row % rows
            top = oh * stride[0] - padding[0]
            kh, end_kh = inside_compiled(top, dilation[0], kernel_size[0], height)
            for tap in range(kh, end_kh if few else kh):
                copy(pixels, (n * height + top + tap * dilation[0]) * line, lines, tap * line, line)
            h = top + kh * dilation[0]
            source_line, target_line = (kh * line, 0) if few else ((n * height + h) * line, row * new_line)
            for ow in range(columns):
                left = ow * stride[1] - padding[1]
                kw, end_kw = inside_compiled(left, dilation[1], kernel_size[1], width)
                w = left + kw * dilation[1]
                for block in range(0, channels, lanes):
                    c = max(0, min(block, channels - lanes))  # the last block may overlap the one before it
                    largest, where = largest_in_window_compiled(
                        source, source_line + w * channels + c, line if few else dilation[0] * line,
                        dilation[1] * channels, h * width + w, dilation[0] * width, dilation[1],
                        end_kh - kh, end_kw - kw, ones,
                    )  # fmt: skip
                    save(largest, targets[0], target_line + ow * channels + c)
                    save(where, targets[1], target_line + ow * channels + c)
            if few:
                copy(best_of_line, 0, best, row * new_line, new_line)
                copy(places_of_line, 0, places, row * new_line, new_line)


max_rows_compiled = compile(max_rows, parallel=True)
