"""Wrong answers to lesson 5's exercises, each with words that the message must have."""

import numpy as np


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
    ],
}
RIGHT = {}
