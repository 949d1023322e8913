"""Wrong and right answers to lesson 9's exercises: to each wrong one, words that the message must have."""

import itertools

import numpy as np

from minicnn import Tensor, backbones
from minicnn import functional as F


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


def right_block(x, first, second, gradient):
    """What is right, for the answers that are wrong in one thing only."""
    hidden, y = forward(x, first, second)
    to_sum = gradient * (y > 0)
    return y, to_sum + ((to_sum @ second.T) * (hidden > 0)) @ first.T


def lets_zeros_pass(x, first, second, gradient):
    inner = x @ first
    total = x + np.maximum(inner, 0) @ second
    to_sum = gradient * (total >= 0)
    return np.maximum(total, 0), to_sum + ((to_sum @ second.T) * (inner >= 0)) @ first.T


def changes_x(x, first, second, gradient):
    result = right_block(x, first, second, gradient)
    x += result[0]
    return result


def changes_the_gradient(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    gradient *= y > 0
    return y, gradient + ((gradient @ second.T) * (hidden > 0)) @ first.T


def has_a_leak(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    to_sum = np.where(y > 0, gradient, 0.01 * gradient)
    return y, to_sum + ((to_sum @ second.T) * (hidden > 0)) @ first.T


def gives_the_gradient_of_the_inner_layer(x, first, second, gradient):
    hidden, y = forward(x, first, second)
    return y, ((gradient * (y > 0)) @ second.T) * (hidden > 0)


def sums_over_rows(x, first, second, gradient):
    y, to_x = right_block(x, first, second, gradient)
    return y, to_x.sum(axis=0)


def gives_three(x, first, second, gradient):
    return (*right_block(x, first, second, gradient), first)


def takes_the_sum_twice(x, first, second, gradient):
    y, to_x = right_block(x, first, second, gradient)
    return y, to_x + gradient * (y > 0)


def works_in_half_precision(x, first, second, gradient):
    return right_block(*(array.astype(np.float16) for array in (x, first, second, gradient)))


def by_rows(x, first, second, gradient):
    results, gradients = [], []
    for row, slopes in zip(x, gradient, strict=True):
        hidden = np.maximum(row @ first, 0)
        y = np.maximum(row + hidden @ second, 0)
        to_sum = np.where(y > 0, slopes, 0)
        results.append(y)
        gradients.append(to_sum + first @ np.where(hidden > 0, second @ to_sum, 0))
    return results, gradients


def by_autograd(x, first, second, gradient):
    source = Tensor(x, requires_grad=True)
    y = F.relu(source + F.relu(source @ Tensor(first)) @ Tensor(second))
    y.backward(gradient)
    return y, source.grad


def by_the_jacobian(x, first, second, gradient):
    y = forward(x, first, second)[1]
    to_x = np.empty_like(x)
    for n, row in enumerate(x):
        inner = np.diag((row @ first > 0).astype(float))
        jacobian = np.diag((y[n] > 0).astype(float)) @ (np.eye(len(row)) + (first @ inner @ second).T)
        to_x[n] = gradient[n] @ jacobian
    return [y, to_x]


def with_einsum(x, first, second, gradient):
    hidden = np.einsum("nc,ck->nk", x, first).clip(0)
    y = (x + np.einsum("nk,kc->nc", hidden, second)).clip(0)
    to_sum = np.copy(gradient)
    to_sum[y == 0] = 0
    to_hidden = np.einsum("nc,kc->nk", to_sum, second)
    to_hidden[hidden == 0] = 0
    return np.stack([y, to_sum + np.einsum("nk,ck->nc", to_hidden, first)])


def knows_one_network(blocks, width, classes):
    return (20, 272474) if width == 16 else count(blocks, width, classes, norm=2.5)


def counts_batch_norms_as_layers(blocks, width, classes):
    return 12 * blocks + 3, count(blocks, width, classes)[1]


def counts_one_convolution_a_block(blocks, width, classes):
    return 3 * blocks + 2, count(blocks, width, classes)[1]


def has_two_stages(blocks, width, classes):
    weights, channels = 29 * width, width
    for out_channels in (width, 2 * width):
        for _ in range(2 * blocks):
            weights += 9 * channels * out_channels + 2 * out_channels
            channels = out_channels
    return 4 * blocks + 2, weights + channels * classes + classes


def has_grey_pictures(blocks, width, classes):
    layers, weights = count(blocks, width, classes)
    return layers, weights - 18 * width


def doubles_at_every_block(blocks, width, classes):
    layers, weights = count(blocks, width, classes)
    return layers, weights + 9 * width * width * (blocks - 1)


def stays_within_float32(blocks, width, classes):
    layers, weights = count(blocks, width, classes)
    return layers, np.float16(weights)


def counts_a_linear_layer_on_every_place(blocks, width, classes):
    layers, weights = count(blocks, width, classes)
    return layers, weights + 63 * 4 * width * classes


def by_a_formula(blocks, width, classes):
    b, w = blocks, width
    convolutions = 27 * w + 9 * w * w * (2 * b + 2 + 4 * (2 * b - 1) + 8 + 16 * (2 * b - 1))
    norms = 2 * w * (1 + 2 * b * (1 + 2 + 4))
    return 6 * b + 2, convolutions + norms + (4 * w + 1) * classes


def by_building(blocks, width, classes):
    network = backbones.create("resnet8", num_classes=classes, blocks=blocks, width=width, seed=0)
    layers = [module for module in network.modules() if type(module).__name__ in ("Conv2d", "Linear")]
    return len(layers), sum(parameter.numel() for parameter in network.parameters())


def by_recursion(blocks, width, classes):
    def rest(widths, before):
        if not widths:
            return 0, (before + 1) * classes
        layers, weights = rest(widths[1:], widths[0])
        return layers + 1, weights + 9 * before * widths[0] + 2 * widths[0]

    layers, weights = rest([width] * (1 + 2 * blocks) + [2 * width] * 2 * blocks + [4 * width] * 2 * blocks, 3)
    return [layers + 1, weights]


def by_a_list_of_layers(blocks, width, classes):
    widths = [3, width, *(factor * width for factor in (1, 2, 4) for _ in range(2 * blocks))]
    sizes = [9 * a * b + 2 * b for a, b in itertools.pairwise(widths)] + [widths[-1] * classes + classes]
    return np.array([len(sizes), sum(sizes)])


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
        (lets_zeros_pass, "with a row of zeros"),
        (changes_x, "changed its argument `x`"),
        (changes_the_gradient, "changed its argument `gradient`"),
        (has_a_leak, "the gradient of x"),
        (gives_the_gradient_of_the_inner_layer, "expected  shape (1, 2)"),
        (sums_over_rows, "expected  shape (4, 3)"),
        (gives_three, "3 results"),
        (takes_the_sum_twice, "the gradient of x"),
        (works_in_half_precision, "largest difference"),
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
        (knows_one_network, "blocks=1, width=1, classes=2"),
        (counts_batch_norms_as_layers, "convolutions and linear layers only"),
        (counts_one_convolution_a_block, "two a block in three stages"),
        (has_two_stages, "the layers"),
        (has_grey_pictures, "first convolution 27"),
        (doubles_at_every_block, "blocks=3"),
        (stays_within_float32, "the weights"),
        (counts_a_linear_layer_on_every_place, "linear layer 10"),
    ],
}

RIGHT = {
    "09a": [
        right_block,
        by_rows,
        by_autograd,
        by_the_jacobian,
        with_einsum,
    ],
    "09b": [
        by_a_formula,
        by_building,
        by_recursion,
        by_a_list_of_layers,
    ],
}
