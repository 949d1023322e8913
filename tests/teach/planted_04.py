"""Wrong answers to lesson 4's exercises, each with words that the message must have."""

import numpy as np


def adds_up_the_kernels(windows):
    return sum(kernel for kernel, _ in windows)


def forgets_the_strides(windows):
    return 1 + sum(kernel - 1 for kernel, _ in windows)


def multiplies_by_its_own_stride(windows):
    side, step = 1, 1
    for kernel, stride in windows:
        step *= stride
        side += (kernel - 1) * step
    return side


def adds_whole_kernels(windows):
    side, step = 1, 1
    for kernel, stride in windows:
        side += kernel * step
        step *= stride
    return side


def adds_up_the_strides(windows):
    side, step = 1, 0
    for kernel, stride in windows:
        side += (kernel - 1) * max(step, 1)
        step += stride
    return side


def forgets_that_a_pixel_sees_itself(windows):
    side, step = 0, 1
    for kernel, stride in windows:
        side += (kernel - 1) * step
        step *= stride
    return side


def gives_the_step_as_well(windows):
    side, step = 1, 1
    for kernel, stride in windows:
        side, step = side + (kernel - 1) * step, step * stride
    return side, step


def reads_the_first_window_only(windows):
    for kernel, _ in windows:
        return kernel


PLANTED = {
    "04a": [
        (adds_up_the_kernels, "receptive_field([])"),
        (forgets_the_strides, "receptive_field([(2, 2), (3, 1)])\n  yours     4\n  expected  6"),
        (multiplies_by_its_own_stride, "receptive_field([(2, 2), (3, 1)])\n  yours     7\n  expected  6"),
        (adds_whole_kernels, "receptive_field([(3, 1)])\n  yours     4\n  expected  3"),
        (adds_up_the_strides, "receptive_field([(5, 1), (3, 1), (2, 1)])\n  yours     9"),
        (forgets_that_a_pixel_sees_itself, "receptive_field([])\n  yours     0\n  expected  1"),
        (gives_the_step_as_well, "yours     has shape (2,)"),
        (reads_the_first_window_only, "([]) gave None"),
    ],
    "04b": [
        (lambda: [(3, 1, 32)] * 15, "layer 2: 9,437,184 for 32x32x32"),
        (lambda: [(3, 2, 8), (3, 2, 16), (3, 2, 32), (3, 1, 32)], "yours     4\n  expected  8 or more"),
        (lambda: [(3, 2, 8), (3, 2, 16), (3, 1, 32)], "yours     15\n  expected  31 or more"),
        (lambda: [(3, 2, 8), (3, 2, 16), (3, 1, 16), (3, 1, 16), (3, 1, 16)], "yours     16\n  expected  32 or more"),
        (lambda: [(3, 1, 16), (3, 2, 16), (3, 2, 32), (3, 1, 32), (3, 1, 32), (3, 1, 32)], "layer 4: 589,824"),
        (lambda: [(31, 4, 32)], "layer 1: 5,904,384 for 32x8x8"),
        (lambda: [(3, 2), (3, 2), (3, 1)], "triples (kernel, stride, channels)"),
        (lambda: [(3, 2, 8), (3, 1)], "triples (kernel, stride, channels)"),
        (lambda: [], "triples (kernel, stride, channels)"),
        (lambda: np.array([[3, 0, 8]]), "triples (kernel, stride, channels)"),
    ],
}
RIGHT = {}
