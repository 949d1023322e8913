"""Wrong and right answers to lesson 5's exercises: to each wrong one, words that the message must have."""

import math

import numpy as np

from minicnn import Tensor, nn
from minicnn import functional as F


def outputs(size, kernel_size, padding):
    return size + 2 * padding - kernel_size + 1


def forgets_the_biases(height, width, in_channels, out_channels, kernel_size, padding):
    weights = out_channels * in_channels * kernel_size**2
    return weights, weights * outputs(height, kernel_size, padding) * outputs(width, kernel_size, padding)


def counts_a_weight_at_every_place(height, width, in_channels, out_channels, kernel_size, padding):
    products = out_channels * in_channels * kernel_size**2
    products *= outputs(height, kernel_size, padding) * outputs(width, kernel_size, padding)
    return products + out_channels, products


def forgets_the_channels_of_the_picture(height, width, in_channels, out_channels, kernel_size, padding):
    weights = out_channels * kernel_size**2
    places = outputs(height, kernel_size, padding) * outputs(width, kernel_size, padding)
    return weights + out_channels, weights * places


def keeps_the_size(height, width, in_channels, out_channels, kernel_size, padding):
    weights = out_channels * in_channels * kernel_size**2
    return weights + out_channels, weights * height * width


def takes_the_picture_for_square(height, width, in_channels, out_channels, kernel_size, padding):
    weights = out_channels * in_channels * kernel_size**2
    return weights + out_channels, weights * outputs(height, kernel_size, padding) ** 2


def pads_one_side(height, width, in_channels, out_channels, kernel_size, padding):
    weights = out_channels * in_channels * kernel_size**2
    rows, columns = height + padding - kernel_size + 1, width + padding - kernel_size + 1
    return weights + out_channels, weights * rows * columns


def adds_the_biases_as_multiply_adds(height, width, in_channels, out_channels, kernel_size, padding):
    parameters = out_channels * (in_channels * kernel_size**2 + 1)
    places = outputs(height, kernel_size, padding) * outputs(width, kernel_size, padding)
    return parameters, parameters * places


def gives_multiply_adds_only(height, width, in_channels, out_channels, kernel_size, padding):
    weights = out_channels * in_channels * kernel_size**2
    return weights * outputs(height, kernel_size, padding) * outputs(width, kernel_size, padding)


def softmax(logits, axis=1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return np.exp(shifted) / np.exp(shifted).sum(axis=axis, keepdims=True)


def at_labels(values, labels):
    return values[np.arange(len(labels)), labels]


def overflows(logits, labels):
    return -np.log(at_labels(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels)).mean()


def subtracts_one_maximum_for_all_pictures(logits, labels):
    shifted = logits - logits.max()
    return (np.log(np.exp(shifted).sum(axis=1)) - at_labels(shifted, labels)).mean()


def takes_the_logarithm_of_a_probability_that_is_zero(logits, labels):
    return -np.log(at_labels(softmax(np.clip(logits, -700, 700)), labels)).mean()


def loses_the_sign(logits, labels):
    return np.log(at_labels(softmax(logits), labels)).mean()


def divides_by_pictures_and_classes(logits, labels):
    right = np.eye(logits.shape[1])[labels]
    return -(right * np.log(softmax(logits))).mean()


def adds_up_the_pictures(logits, labels):
    return -np.log(at_labels(softmax(logits), labels)).sum()


def counts_in_bits(logits, labels):
    return -np.log2(at_labels(softmax(logits), labels)).mean()


def goes_down_the_columns(logits, labels):
    return -np.log(at_labels(softmax(logits, axis=0), labels)).mean()


def takes_the_logarithm_of_the_mean(logits, labels):
    return -np.log(at_labels(softmax(logits), labels).mean())


def takes_the_likeliest_class(logits, labels):
    return -np.log(softmax(logits).max(axis=1)).mean()


def weights_and_places(height, width, in_channels, out_channels, kernel_size, padding=0):
    weights = out_channels * in_channels * kernel_size**2
    return weights, outputs(height, kernel_size, padding) * outputs(width, kernel_size, padding)


def exchanges_the_two(*case):
    weights, places = weights_and_places(*case)
    return weights * places, weights + case[3]


def counts_the_biases_of_the_inputs(*case):
    weights, places = weights_and_places(*case)
    return weights + case[2], weights * places


def counts_one_bias(*case):
    weights, places = weights_and_places(*case)
    return weights + 1, weights * places


def counts_multiplications_and_additions(*case):
    weights, places = weights_and_places(*case)
    return weights + case[3], 2 * weights * places


def leaves_the_zeros_of_the_padding_out(*case):
    height, width, _, _, kernel_size, padding = case
    weights, _ = weights_and_places(*case)
    inside = [
        sum(0 <= i + a - padding < size for i in range(outputs(size, kernel_size, padding)) for a in range(kernel_size))
        for size in (height, width)
    ]
    return weights + case[3], weights // kernel_size**2 * inside[0] * inside[1]


def stays_within_float32(*case):
    weights, places = weights_and_places(*case)
    return np.array([weights + case[3], weights * places], np.float32)


def stays_within_int32(*case):
    weights, places = weights_and_places(*case)
    return np.array([weights + case[3], weights * places]).astype(np.int32)


def knows_odd_kernels_only(height, width, in_channels, out_channels, kernel_size, padding=0):
    weights = out_channels * in_channels * kernel_size**2
    rows, columns = (size + 2 * padding - 2 * (kernel_size // 2) for size in (height, width))
    return weights + out_channels, weights * rows * columns


def needs_a_padding(height, width, in_channels, out_channels, kernel_size, padding):
    weights, places = weights_and_places(height, width, in_channels, out_channels, kernel_size, padding)
    return weights + out_channels, weights * places


def forgets_the_last_row(*case):
    height, width, in_channels, out_channels, kernel_size, padding = case
    weights = out_channels * in_channels * kernel_size**2
    places = (outputs(height, kernel_size, padding) - 1) * outputs(width, kernel_size, padding)
    return weights + out_channels, weights * places


def goes_through_all_places(height, width, in_channels, out_channels, kernel_size, padding=0):
    rows = range(0, height + 2 * padding - kernel_size + 1)
    columns = range(0, width + 2 * padding - kernel_size + 1)
    products = sum(in_channels * kernel_size**2 * out_channels for _ in rows for _ in columns)
    return out_channels * (in_channels * kernel_size**2 + 1), products


def builds_the_layer(height, width, in_channels, out_channels, kernel_size, padding=0):
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding)
    return [sum(p.numel() for p in layer.parameters()), nn.summary(layer, (in_channels, height, width)).multiply_adds]


def takes_the_case_as_it_comes(*case):
    weights, places = weights_and_places(*case)
    return np.array([weights + case[3], weights * places])


def counts_in_floats(height, width, in_channels, out_channels, kernel_size, padding=0):
    weights = float(out_channels) * in_channels * kernel_size * kernel_size
    rows, columns = (size + 2 * padding - kernel_size + 1 for size in (height, width))
    return weights + out_channels, weights * rows * columns


def clips_the_logits(logits, labels):
    return log_softmax_loss(np.clip(logits, -50, 50), labels)


def adds_a_small_number(logits, labels):
    return -np.log(at_labels(softmax(logits), labels) + 1e-12).mean()


def hides_what_is_not_finite(logits, labels):
    return np.nan_to_num(-np.log(at_labels(softmax(logits), labels)), posinf=0).mean()


def takes_the_logarithm_of_softmax(logits, labels):
    return -np.log(at_labels(softmax(logits), labels)).mean()


def leaves_pictures_apart(logits, labels):
    return -np.log(at_labels(softmax(logits), labels))


def takes_labels_from_one_on(logits, labels):
    return log_softmax_loss(logits, labels - 1)


def takes_the_first_picture_only(logits, labels):
    return log_softmax_loss(logits[:1], labels[:1])


def works_in_the_type_of_the_logits(logits, labels):
    shifted = logits.copy()
    shifted -= logits.max(axis=1, keepdims=True)
    result = np.zeros_like(logits[:, 0])
    result[:] = np.log(np.exp(shifted).sum(axis=1)) - at_labels(shifted, labels)
    return result.mean()


def subtracts_in_place(logits, labels):
    logits -= logits.max(axis=1, keepdims=True)
    return log_softmax_loss(logits, labels)


def subtracts_the_smallest(logits, labels):
    shifted = logits - logits.min(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - at_labels(shifted, labels)).mean()


def subtracts_the_mean(logits, labels):
    shifted = logits - logits.mean(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - at_labels(shifted, labels)).mean()


def measures_squares(logits, labels):
    return ((softmax(logits) - np.eye(logits.shape[1])[labels]) ** 2).mean()


def log_softmax_loss(logits, labels):
    """What is right, for the answers that are wrong in one thing only."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - at_labels(shifted, labels)).mean()


def one_picture_after_the_other(logits, labels):
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        largest = max(row)
        total += math.log(sum(math.exp(value - largest) for value in row)) - (row[label] - largest)
    return total / len(labels)


def by_the_library(logits, labels):
    return F.cross_entropy(Tensor(logits.astype(np.float64)), labels)


def by_one_hot_rows(logits, labels):
    shifted = logits - logits.max(axis=-1)[:, None]
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1))[:, None]
    return -(np.eye(logits.shape[1])[labels] * log_probabilities).sum() / len(logits)


def by_adding_logarithms(logits, labels):
    return np.array([(np.logaddexp.reduce(logits.astype(float), axis=1) - at_labels(logits, labels)).mean()])


PLANTED = {
    "05a": [
        (forgets_the_biases, "yours     [9., 9.]"),
        (counts_a_weight_at_every_place, "largest difference"),
        (forgets_the_channels_of_the_picture, "count_convolution(6, 9, 3, 4, 3, 1)"),
        (keeps_the_size, "how many rows and columns of outputs"),
        (takes_the_picture_for_square, "count_convolution(5, 7, 1, 2, 3, 0)"),
        (pads_one_side, "count_convolution(6, 9, 3, 4, 3, 1)"),
        (adds_the_biases_as_multiply_adds, "largest difference 1 at [1]"),
        (gives_multiply_adds_only, "expected  shape (2,)"),
        (exchanges_the_two, "largest difference"),
        (counts_the_biases_of_the_inputs, "count_convolution(5, 7, 1, 2, 3, 0)"),
        (counts_one_bias, "count_convolution(5, 7, 1, 2, 3, 0)"),
        (counts_multiplications_and_additions, "yours     [10., 18.]"),
        (leaves_the_zeros_of_the_padding_out, "count_convolution(6, 9, 3, 4, 3, 1)"),
        (stays_within_float32, "largest difference"),
        (stays_within_int32, "count_convolution(224, 320, 64, 96, 7, 3)"),
        (knows_odd_kernels_only, "count_convolution(8, 6, 2, 3, 2, 0)"),
        (needs_a_padding, "raised TypeError"),
        (forgets_the_last_row, "count_convolution(3, 3, 1, 1, 3, 0)"),
        (lambda *case: [10, 9], "count_convolution(5, 7, 1, 2, 3, 0)"),
    ],
    "05b": [
        (overflows, "subtract each picture's largest logit"),
        (subtracts_one_maximum_for_all_pictures, "subtract each picture's largest logit"),
        (takes_the_logarithm_of_a_probability_that_is_zero, "subtract each picture's largest logit"),
        (loses_the_sign, "yours     -2.30259"),
        (divides_by_pictures_and_classes, "log(10)"),
        (adds_up_the_pictures, "then the mean"),
        (counts_in_bits, "natural logarithm"),
        (goes_down_the_columns, "each row"),
        (takes_the_logarithm_of_the_mean, "labels"),
        (takes_the_likeliest_class, "right class"),
        (clips_the_logits, "cross_entropy([[1000.0"),
        (adds_a_small_number, "cross_entropy([[1000.0"),
        (hides_what_is_not_finite, "cross_entropy([[1000.0"),
        (takes_the_logarithm_of_softmax, "log(0) is not a number"),
        (leaves_pictures_apart, "expected  shape ()"),
        (takes_labels_from_one_on, "right class"),
        (takes_the_first_picture_only, "labels"),
        (works_in_the_type_of_the_logits, "whole numbers"),
        (subtracts_in_place, "changed its argument `logits`"),
        (subtracts_the_smallest, "subtract each picture's largest logit"),
        (subtracts_the_mean, "cross_entropy([["),
        (measures_squares, "log(10)"),
    ],
}

RIGHT = {
    "05a": [
        goes_through_all_places,
        builds_the_layer,
        takes_the_case_as_it_comes,
        counts_in_floats,
    ],
    "05b": [
        log_softmax_loss,
        one_picture_after_the_other,
        by_the_library,
        by_one_hot_rows,
        by_adding_logarithms,
    ],
}
