"""Wrong and right answers to lesson 4's exercises: to each wrong one, words that the message must have."""

import functools
import math

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


def starts_with_the_first_kernel(windows):
    side, step = windows[0][0], 1
    for kernel, stride in windows[1:]:
        step *= stride
        side += (kernel - 1) * step
    return side


def goes_backwards(windows):
    side, step = 1, 1
    for kernel, stride in reversed(windows):
        side += (kernel - 1) * step
        step *= stride
    return side


def divides_by_the_strides(windows):
    side = 1
    for kernel, stride in windows:
        side = (side - kernel) // stride + 1
    return side


def multiplies_the_kernels(windows):
    side = 1
    for kernel, _ in windows:
        side *= kernel
    return side


def skips_windows_of_one(windows):
    side, step = 1, 1
    for kernel, stride in windows:
        if kernel > 1:
            side += (kernel - 1) * step
            step *= stride
    return side


def thinks_that_every_stride_is_two(windows):
    side, step = 1, 1
    for kernel, stride in windows:
        side += (kernel - 1) * step
        step *= 1 if stride == 1 else 2
    return side


def uses_up_the_windows(windows):
    side, step = 1, 1
    while windows:
        kernel, stride = windows.pop(0)
        side, step = side + (kernel - 1) * step, step * stride
    return side


def recurses_too_deep(windows):
    if not windows:
        return 1
    kernel, stride = windows[0]
    return (recurses_too_deep(windows[1:]) - 1) * stride + kernel


def remembers_the_step(windows, kept={"step": 1}):  # noqa: B006 (that is the slip)
    side = 1
    for kernel, stride in windows:
        side += (kernel - 1) * kept["step"]
        kept["step"] *= stride
    return side


def goes_back_one_place_at_a_time(windows):
    places = {0}
    for kernel, stride in reversed(windows):
        places = {place * stride + offset for place in places for offset in range(kernel)}
    return len(places)


def counts_in_floats(windows):
    side, step = 1.0, 1.0
    for kernel, stride in windows:
        side += (kernel - 0.999999) * step
        step *= stride
    return side


def from_the_output_back(windows):
    side = 1
    for kernel, stride in windows[::-1]:
        side = (side - 1) * stride + kernel
    return side


def by_products_of_strides(windows):
    strides = [stride for _, stride in windows]
    return 1 + sum((kernel - 1) * math.prod(strides[:i]) for i, (kernel, _) in enumerate(windows))


def by_numpy(windows):
    kernels, strides = np.array(windows, dtype=object).reshape(-1, 2).T
    return 1 + int(((kernels - 1) * np.cumprod(np.append([1], strides)[:-1])).sum()) if len(windows) else 1


def by_folding(windows):
    def step(so_far, window):
        return so_far[0] + (window[0] - 1) * so_far[1], so_far[1] * window[1]

    return functools.reduce(step, windows, (1, 1))[0]


def by_first_and_last_pixel(windows):
    first = last = 0
    for kernel, stride in reversed(windows):
        first, last = first * stride, last * stride + kernel - 1
    return np.array([last - first + 1])


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
        (starts_with_the_first_kernel, "raised IndexError"),
        (goes_backwards, "receptive_field([(2, 2), (3, 1)])"),
        (divides_by_the_strides, "receptive_field([(3, 1)])"),
        (multiplies_the_kernels, "receptive_field([(3, 1), (3, 1)])"),
        (skips_windows_of_one, "receptive_field([(3, 2), (1, 2), (3, 1), (3, 1)])"),
        (thinks_that_every_stride_is_two, "receptive_field([(1, 2), (2, 3), (3, 1)])"),
        (uses_up_the_windows, "changed its argument `windows`"),
        (recurses_too_deep, "raised RecursionError"),
        (remembers_the_step, "receptive_field("),
        (goes_back_one_place_at_a_time, "receptive_field("),
        (counts_in_floats, "largest difference"),
        (lambda windows: {0: 1, 1: 3, 2: 5, 3: 8}[len(windows)], "receptive_field([(2, 2), (3, 1)])"),
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
        (lambda: [(1, 4, 8), (3, 1, 16), (3, 1, 16), (3, 1, 16), (3, 1, 32)], "are used"),
        (lambda: [(1, 2, 8), (3, 2, 16), (3, 1, 16), (3, 1, 16), (3, 1, 16), (3, 1, 32)], "are used"),
        (lambda: [(3, 4, 8), (3, 1, 16), (3, 1, 16), (3, 1, 16), (3, 1, 32)], "are used"),
        (lambda: [(2, 3, 8), (3, 1, 8), (3, 1, 8), (3, 1, 8), (3, 1, 8), (3, 1, 32)], "are used"),
        (lambda: [(3, 2, 8), (1, 2, 8), (3, 1, 8), (3, 1, 8), (3, 1, 8), (3, 1, 32)], "are used"),
        (lambda: [(3, 2, 8), (3, 2, 16), (3, 1, 16), (3, 1, 16), (3, 1, 16.0)], "triples (kernel, stride, channels)"),
        (lambda: [("3", "2", "8"), ("3", "1", "32")], "triples (kernel, stride, channels)"),
        (lambda: [[3, 2, 8], [3, 2, -16], [3, 1, 32]], "triples (kernel, stride, channels)"),
        (lambda: (3, 2, 32), "triples (kernel, stride, channels)"),
        (lambda: 5, "triples (kernel, stride, channels)"),
        (lambda: [(3, 1, 10**9)], "yours     3"),
        (lambda: [(3, 2, 8), (3, 2, 16), (3, 1, 32), (3, 1, 32), (3, 1, 32), (3, 1, 32)], "1,500,000 or fewer"),
        (lambda: [(33, 4, 10**6)], "1,500,000 or fewer"),
        (lambda: [(3, 2, 8)] * 2 + [(3, 1, 8)] * 4, "yours     8\n  expected  32 or more"),
        (lambda: [(32, 32, 32)], "yours     2\n  expected  8 or more"),
    ],
}

RIGHT = {
    "04a": [
        from_the_output_back,
        by_products_of_strides,
        by_numpy,
        by_folding,
        by_first_and_last_pixel,
    ],
    "04b": [
        lambda: [[3, 2, 8], [3, 2, 16], [3, 1, 16], [3, 1, 16], [3, 1, 16], [3, 1, 32]],
        lambda: np.array([(5, 2, 4), (5, 2, 8), (3, 1, 8), (3, 1, 8), (5, 1, 32)]),
        lambda: ((4, 4, 16), (3, 1, 16), (3, 1, 16), (3, 1, 16), (3, 1, 32)),
        lambda: [(2, 2, 8), (2, 2, 8), *[(3, 1, 16)] * 4, (1, 1, 32)],
        lambda: [(7, 4, 8), (7, 1, 32)],
    ],
}
