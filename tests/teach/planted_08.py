"""Wrong and right answers to lesson 8's exercises: to each wrong one, words that the message must have."""

import fractions
import math

import numpy as np

from minicnn import Tensor
from minicnn import functional as F


def flips_the_first_kernel(first, second):
    return composed_of(first[:, :, ::-1, ::-1], second)


def places_it_from_the_other_corner(first, second):
    return composed_of(first, second[:, :, ::-1, ::-1])


def adds_the_two(first, second):
    around = ((0, 0), (0, 0), (1, 1), (1, 1))
    return np.pad(first[: len(second)], around) + np.pad(second[:, : first.shape[1]], around)


def takes_the_first_middle_channel_only(first, second):
    return composed_of(first[:1], second[:, :1])


def exchanges_inputs_and_outputs(first, second):
    return composed_of(first, second).transpose(1, 0, 2, 3)


def overwrites_in_place_of_adding(first, second):
    composed = np.zeros((second.shape[0], first.shape[1], 5, 5))
    for i in range(3):
        for j in range(3):
            composed[:, :, i : i + 3, j : j + 3] = np.tensordot(second[:, :, i, j], first, axes=1)
    return composed


def multiplies_weight_by_weight(first, second):
    return first * second


def lays_rows_along_columns(first, second):
    return composed_of(first, second.transpose(0, 1, 3, 2))


def takes_one_for_the_other(first, second):
    return composed_of(second, first)


def gives_the_mean_of_nine(first, second):
    return composed_of(first, second) / 9


def adds_nothing_up_over_the_middle(first, second):
    return np.stack([composed_of(first[m : m + 1], second[:, m : m + 1]) for m in range(len(first))], axis=1)


def composed_of(first, second):
    """What is right, for the answers that are wrong in one thing only."""
    composed = np.zeros((second.shape[0], first.shape[1], 5, 5))
    for i, j in np.ndindex(3, 3):
        composed[:, :, i : i + 3, j : j + 3] += np.tensordot(second[:, :, i, j], first, axes=1)
    return composed


def forgets_the_second_of_them(in_channels, out_channels):
    return 25 * in_channels * out_channels // (9 * in_channels)


def keeps_whole_numbers_only(first, second):
    return composed_of(first, second).astype(int)


def takes_the_type_of_the_first(first, second):
    return composed_of(first, second).astype(first.dtype)


def centres_one_kernel_in_the_other(first, second):
    composed = np.zeros((second.shape[0], first.shape[1], 5, 5))
    composed[:, :, 1:4, 1:4] = np.einsum("omij,mcij->ocij", second, first)
    return composed


def flips_the_second_rows_only(first, second):
    return composed_of(first, second[:, :, ::-1])


def takes_channels_for_as_many(first, second):
    composed = np.zeros((second.shape[0], first.shape[1], 5, 5))
    for o, c in np.ndindex(composed.shape[:2]):
        for i, j in np.ndindex(3, 3):
            composed[o, c, i : i + 3, j : j + 3] += second[o, c % second.shape[1], i, j] * first[o % len(first), c]
    return composed


def adds_a_relu(first, second):
    return composed_of(np.maximum(first, 0), second)


def stays_at_3x3(first, second):
    return composed_of(first, second)[:, :, 1:4, 1:4]


def keeps_what_the_last_call_left(first, second, kept={}):  # noqa: B006 (that is the slip)
    shape = (second.shape[0], first.shape[1], 5, 5)
    composed = kept.setdefault(shape, np.zeros(shape))
    composed += composed_of(first, second)
    return composed


def turns_the_axes_of_the_result(first, second):
    return composed_of(first, second).transpose(0, 1, 3, 2)


def six_loops(first, second):
    composed = np.zeros((second.shape[0], first.shape[1], 5, 5))
    for o, m, i, j in np.ndindex(second.shape):
        for c, a, b in np.ndindex(first.shape[1:]):
            composed[o, c, i + a, j + b] += second[o, m, i, j] * first[m, c, a, b]
    return composed


def as_a_full_convolution(first, second):
    padded = np.pad(second, ((0, 0), (0, 0), (2, 2), (2, 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("omijab,mcab->ocij", windows, first[:, :, ::-1, ::-1])


def by_fourier_transforms(first, second):
    both = [np.fft.fft2(kernel, (5, 5)) for kernel in (first, second)]
    return np.fft.ifft2(np.einsum("mcij,omij->ocij", *both)).real


def by_the_library(first, second):
    pictures = np.zeros((first.shape[1], first.shape[1], 9, 9))
    for channel in range(first.shape[1]):
        pictures[channel, channel, 4, 4] = 1
    result = F.conv2d(F.conv2d(Tensor(pictures), first.astype(float)), second.astype(float)).numpy()
    return result.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


def in_nested_lists(first, second):
    return six_loops(first, second).tolist()


def tries_one_width_after_the_other(in_channels, out_channels):
    m = 0
    while 9 * (m + 1) * (in_channels + out_channels) <= 25 * in_channels * out_channels:
        m += 1
    return m


def by_fractions(in_channels, out_channels):
    return math.floor(fractions.Fraction(25 * in_channels * out_channels, 9 * (in_channels + out_channels)))


def by_halving(in_channels, out_channels):
    low, high = 0, 25 * in_channels * out_channels
    while low < high:
        middle = (low + high + 1) // 2
        if 9 * middle * (in_channels + out_channels) <= 25 * in_channels * out_channels:
            low = middle
        else:
            high = middle - 1
    return low


def by_numpy(in_channels, out_channels):
    return np.floor_divide(25 * in_channels * out_channels, 9 * (in_channels + out_channels))


def recurses(in_channels, out_channels):
    return 1 + recurses_from(in_channels, out_channels, 2)


def recurses_from(in_channels, out_channels, m):
    if 9 * m * (in_channels + out_channels) > 25 * in_channels * out_channels:
        return 0
    return 1 + recurses_from(in_channels, out_channels, m + 1)


def divides_too_early(in_channels, out_channels):
    return int(25 / 9 * in_channels / (in_channels + out_channels) * out_channels)


def stops_at_a_thousand(in_channels, out_channels):
    return min(tries_one_width_after_the_other(in_channels, out_channels), 1000)


def counts_the_biases(in_channels, out_channels):
    return (25 * in_channels * out_channels - out_channels) // (9 * (in_channels + out_channels) + 1)


def takes_the_mean_of_both(in_channels, out_channels):
    return 25 * (in_channels + out_channels) // 36


def stops_before_they_are_equal(in_channels, out_channels):
    m = 1
    while 9 * (m + 1) * (in_channels + out_channels) < 25 * in_channels * out_channels:
        m += 1
    return m


def gives_the_weights(in_channels, out_channels):
    m = tries_one_width_after_the_other(in_channels, out_channels)
    return 9 * m * (in_channels + out_channels)


PLANTED = {
    "08a": [
        (flips_the_first_kernel, "rows i to i + 2"),
        (places_it_from_the_other_corner, "largest difference"),
        (adds_the_two, "largest difference"),
        (takes_the_first_middle_channel_only, "(1, 3, 3, 3)"),
        (exchanges_inputs_and_outputs, "are two axes exchanged?"),
        (overwrites_in_place_of_adding, "largest difference"),
        (multiplies_weight_by_weight, "expected  shape (1, 1, 5, 5)"),
        (lays_rows_along_columns, "a single 5 at row 0, column 1"),
        (takes_one_for_the_other, "has shape (3, 3, 5, 5)"),
        (gives_the_mean_of_nine, "expected 10"),
        (adds_nothing_up_over_the_middle, "yours     has shape (1, 3, 1, 5, 5)"),
        (keeps_whole_numbers_only, "their numbers int64 and float64"),
        (takes_the_type_of_the_first, "their numbers int64 and float64"),
        (centres_one_kernel_in_the_other, "largest difference"),
        (flips_the_second_rows_only, "a single 2 at row 2"),
        (takes_channels_for_as_many, "largest difference"),
        (adds_a_relu, "largest difference"),
        (stays_at_3x3, "expected  shape (1, 1, 5, 5)"),
        (keeps_what_the_last_call_left, "largest difference"),
        (turns_the_axes_of_the_result, "largest difference"),
    ],
    "08b": [
        (lambda inputs, outputs: inputs, "expected  44"),
        (lambda inputs, outputs: 25 * inputs * outputs / (9 * (inputs + outputs)), "largest difference 0.444444"),
        (lambda inputs, outputs: (25 * inputs * outputs - 1) // (9 * (inputs + outputs)), "widest_middle(18, 18)"),
        (lambda inputs, outputs: 25 * inputs // 18, "widest_middle(64, 128)"),
        (lambda inputs, outputs: round(25 * inputs * outputs / (9 * (inputs + outputs))), "widest_middle(64, 128)"),
        (forgets_the_second_of_them, "9 * m * out"),
        (lambda inputs, outputs: 25 * inputs * outputs // (9 * (inputs + outputs)) + 1, "25,920 with m = 45"),
        (lambda inputs, outputs: 25 * inputs * outputs, "the 5x5 has 25 * in * out, here 25,600"),
        (lambda inputs, outputs: (inputs, outputs), "has shape (2,)"),
        (divides_too_early, "widest_middle("),
        (stops_at_a_thousand, "widest_middle(2048, 512)"),
        (counts_the_biases, "widest_middle(18, 18)"),
        (takes_the_mean_of_both, "widest_middle(64, 128)"),
        (stops_before_they_are_equal, "widest_middle(18, 18)"),
        (gives_the_weights, "yours     25344"),
        (recurses, "raised RecursionError"),
        (lambda inputs, outputs: -(-25 * inputs * outputs // (9 * (inputs + outputs))), "widest_middle(32, 32)"),
        (lambda inputs, outputs: 25 * inputs * outputs // 9 * (inputs + outputs), "widest_middle(32, 32)"),
        (lambda inputs, outputs: 5 * inputs * outputs // (3 * (inputs + outputs)), "widest_middle(32, 32)"),
        (lambda inputs, outputs: 25 * min(inputs, outputs) // 18, "widest_middle(64, 128)"),
        (lambda inputs, outputs: 25 * max(inputs, outputs) // 18, "widest_middle(64, 128)"),
    ],
}

RIGHT = {
    "08a": [
        six_loops,
        as_a_full_convolution,
        by_fourier_transforms,
        by_the_library,
        in_nested_lists,
    ],
    "08b": [
        tries_one_width_after_the_other,
        by_fractions,
        by_halving,
        by_numpy,
    ],
}
