"""Wrong answers to lesson 9's exercises, each with words that the message must have."""

import numpy as np


def forward(x, first, second):
    hidden = np.maximum(x @ first, 0)
    return hidden, np.maximum(x + hidden @ second, 0)


def forgets_the_shortcut_on_the_way_back(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    return y, ((gradient * (y > 0)) @ second.T * (hidden > 0)) @ first.T


def takes_the_shortcut_only(x, first, second, gradient):
    return forward(x, first, second)[1], gradient * (forward(x, first, second)[1] > 0)


def forgets_the_last_relu_on_the_way_back(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    return y, gradient + (gradient @ second.T * (hidden > 0)) @ first.T


def forgets_the_inner_relu_on_the_way_back(x, first, second, gradient):
    y = forward(x, first, second)[1]
    return y, gradient * (y > 0) + (gradient * (y > 0)) @ second.T @ first.T


def passes_the_last_relu_on_one_way_only(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    return y, gradient + ((gradient * (y > 0)) @ second.T * (hidden > 0)) @ first.T


def adds_x_behind_the_relu(x, first, second, gradient):
    hidden = np.maximum(x @ first, 0)
    inner = np.maximum(hidden @ second, 0)
    return x + inner, gradient + ((gradient * (inner > 0)) @ second.T * (hidden > 0)) @ first.T


def multiplies_the_ways(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    to_sum = gradient * (y > 0)
    return y, to_sum * ((to_sum @ second.T * (hidden > 0)) @ first.T)


def forgets_to_transpose(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    to_sum = gradient * (y > 0)
    return y, to_sum + (to_sum @ second * (hidden > 0)) @ first


def masks_by_x_in_place_of_y(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    to_sum = gradient * (x > 0)
    return y, to_sum + (to_sum @ second.T * (hidden > 0)) @ first.T


def gives_them_in_the_other_order(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    to_sum = gradient * (y > 0)
    return to_sum + (to_sum @ second.T * (hidden > 0)) @ first.T, y


def leaves_the_inner_relu_out(x, first, second, gradient):
    y = np.maximum(x + x @ first @ second, 0)
    to_sum = gradient * (y > 0)
    return y, to_sum + to_sum @ second.T @ first.T


def takes_the_mean_over_rows(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    to_sum = gradient * (y > 0)
    return y, (to_sum + (to_sum @ second.T * (hidden > 0)) @ first.T) / len(x)


def returns_the_gradient_only(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    to_sum = gradient * (y > 0)
    return to_sum + (to_sum @ second.T * (hidden > 0)) @ first.T


def count(blocks, width, classes, biases=0, norm=2, stem=1, head=1):
    """The right count, and with other settings wrong ones."""
    weights, channels = stem * (27 * width + (biases + norm) * width), width
    for out_channels in (width, 2 * width, 4 * width):
        for _ in range(2 * blocks):
            weights += 9 * channels * out_channels + (biases + norm) * out_channels
            channels = out_channels
    return 6 * blocks + 2, weights + channels * classes + head * classes


def all_stages_begin_with_their_own_channels(blocks, width, classes):
    widths = (width, 2 * width, 4 * width)
    stages = sum(2 * blocks * (9 * channels * channels + 2 * channels) for channels in widths)
    return 6 * blocks + 2, 29 * width + stages + 4 * width * classes + classes


def puts_a_convolution_into_shortcuts(blocks, width, classes):
    layers, weights = count(blocks, width, classes)
    return layers + 2, weights + 2 * width * width + 8 * width * width + 12 * width


PLANTED = {
    "09a": [
        (forgets_the_shortcut_on_the_way_back, "the sum gives its gradient to both ways"),
        (takes_the_shortcut_only, "plus what comes back through f"),
        (forgets_the_last_relu_on_the_way_back, "gradient * (y > 0)"),
        (forgets_the_inner_relu_on_the_way_back, "where hidden is above 0"),
        (passes_the_last_relu_on_one_way_only, "the gradient of x"),
        (adds_x_behind_the_relu, "x is added before the last ReLU"),
        (multiplies_the_ways, "plus what comes back"),
        (forgets_to_transpose, "the transpose of second"),
        (masks_by_x_in_place_of_y, "gradient * (y > 0)"),
        (gives_them_in_the_other_order, "y, the first of the two"),
        (leaves_the_inner_relu_out, "inside f is a ReLU of its own"),
        (takes_the_mean_over_rows, "yours is 0.25 times what was expected"),
        (returns_the_gradient_only, "two: y and the gradient of x"),
    ],
    "09b": [
        (lambda blocks, width, classes: count(blocks, width, classes, biases=1), "the weights"),
        (lambda blocks, width, classes: count(blocks, width, classes, norm=0), "its batch norm 2 * b"),
        (lambda blocks, width, classes: count(blocks, width, classes, norm=4), "its batch norm 2 * b"),
        (lambda blocks, width, classes: count(blocks, width, classes, stem=0), "largest difference"),
        (lambda blocks, width, classes: count(blocks, width, classes, head=0), "largest difference"),
        (lambda blocks, width, classes: (6 * blocks, count(blocks, width, classes)[1]), "one at either end"),
        (lambda blocks, width, classes: (12 * blocks + 3, count(blocks, width, classes)[1]), "the layers"),
        (all_stages_begin_with_their_own_channels, "from half as many channels"),
        (puts_a_convolution_into_shortcuts, "yours     10"),
        (lambda blocks, width, classes: count(blocks, width, classes)[::-1], "the layers, the first of the two"),
        (
            lambda blocks, width, classes: count(blocks, width, classes, stem=1 / 3),
            "stage 1 22; stage 2 62; stage 3 232",
        ),
        (lambda blocks, width, classes: 6 * blocks + 2, "two: layers and weights"),
    ],
}
RIGHT = {}
