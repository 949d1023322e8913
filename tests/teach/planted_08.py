"""Wrong answers to lesson 8's exercises, each with words that the message must have."""

import numpy as np


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
    ],
}
RIGHT = {}
