"""Wrong and right answers to lesson 10's exercises: to each wrong one, words that the message must have."""

import numpy as np

from minicnn import Tensor, nn
from minicnn import functional as F
from minicnn.backbones import googlenet


def forgets_the_reductions(in_channels, row, height, width):
    one, _, three, _, five, pool = row
    weights = in_channels * (one + 9 * three + 25 * five + pool)
    return weights, weights * height * width


def reads_the_input_behind_the_reduction(in_channels, row, height, width):
    one, three_reduce, three, five_reduce, five, pool = row
    weights = in_channels * (one + three_reduce + 9 * three + five_reduce + 25 * five + pool)
    return weights, weights * height * width


def takes_the_kernel_for_its_side(in_channels, row, height, width):
    one, three_reduce, three, five_reduce, five, pool = row
    weights = in_channels * (one + three_reduce + five_reduce + pool) + 3 * three_reduce * three
    weights += 5 * five_reduce * five
    return weights, weights * height * width


def counts_a_window_of_three_for_five(in_channels, row, height, width):
    one, three_reduce, three, five_reduce, five, pool = row
    weights = in_channels * (one + three_reduce + five_reduce + pool)
    weights += 9 * (three_reduce * three + five_reduce * five)
    return weights, weights * height * width


def counts_one_place_only(in_channels, row, height, width):
    one, three_reduce, three, five_reduce, five, pool = row
    weights = in_channels * (one + three_reduce + five_reduce + pool)
    weights += 9 * three_reduce * three + 25 * five_reduce * five
    return weights, weights


def gives_the_weights_only(in_channels, row, height, width):
    one, three_reduce, three, five_reduce, five, pool = row
    weights = in_channels * (one + three_reduce + five_reduce + pool)
    return weights + 9 * three_reduce * three + 25 * five_reduce * five


def counts_nine_for_the_pooling(in_channels, row, height, width):
    weights = gives_the_weights_only(in_channels, row, height, width) + 8 * in_channels * row[5]
    return weights, weights * height * width


def counts_a_multiply_add_twice(in_channels, row, height, width):
    weights = gives_the_weights_only(in_channels, row, height, width)
    return weights, 2 * weights * height * width


def loses_the_borders(in_channels, row, height, width):
    one, three_reduce, three, five_reduce, five, pool = row
    at_all_places = in_channels * (one + three_reduce + five_reduce + pool) * height * width
    inside = 9 * three_reduce * three * (height - 2) * (width - 2)
    far_inside = 25 * five_reduce * five * (height - 4) * (width - 4)
    return gives_the_weights_only(in_channels, row, height, width), at_all_places + inside + far_inside


def block(x, kernels, padding=(1, 2, 1), relu=F.relu, pool=F.max_pool2d, axis=1):
    """What is right, for the answers that are wrong in one thing only."""
    three = relu(F.conv2d(x, kernels["three_reduce"]))
    five = relu(F.conv2d(x, kernels["five_reduce"]))
    branches = [
        F.relu(F.conv2d(x, kernels["one"])),
        F.relu(F.conv2d(three, kernels["three"], padding=padding[0])),
        F.relu(F.conv2d(five, kernels["five"], padding=padding[1])),
        F.relu(F.conv2d(pool(x, 3, 1, padding=padding[2]), kernels["pool"])),
    ]
    return F.concat(branches, axis).numpy()


def puts_the_pool_first(x, kernels):
    right = block(x, kernels)
    size = len(kernels["pool"])
    return F.concat([right[:, -size:], right[:, :-size]], 1)


def pools_behind_the_convolution(x, kernels):
    right, size = block(x, kernels), len(kernels["pool"])
    pooled = F.max_pool2d(F.relu(F.conv2d(x, kernels["pool"])), 3, 1, padding=1).numpy()
    return F.concat([right[:, :-size], pooled], 1)


def leaves_four_maps_in_a_list(x, kernels):
    right = block(x, kernels)
    return [right[:, :2], right[:, 2:6], right[:, 6:9], right[:, 9:]]


def pools_three_places_apart(x, kernels):
    return block(x, kernels, pool=lambda x, size, stride, padding: F.max_pool2d(x, size, padding=padding))


def leaves_the_reduction_out(x, kernels):
    return F.relu(F.conv2d(x, kernels["three"], padding=1)).numpy()


def right_weights(in_channels, row, height, width):
    """What is right, for the answers that are wrong in one thing only."""
    weights = gives_the_weights_only(in_channels, row, height, width)
    return weights, weights * height * width


def takes_the_map_for_square(in_channels, row, height, width):
    weights, _ = right_weights(in_channels, row, height, width)
    return weights, weights * height * height


def adds_biases(in_channels, row, height, width):
    weights, products = right_weights(in_channels, row, height, width)
    return weights + sum(row), products


def adds_batch_norms(in_channels, row, height, width):
    weights, products = right_weights(in_channels, row, height, width)
    return weights + 2 * sum(row), products


def forgets_the_pooling_branch(in_channels, row, height, width):
    return right_weights(in_channels, (*row[:5], 0), height, width)


def forgets_the_first_branch(in_channels, row, height, width):
    return right_weights(in_channels, (0, *row[1:]), height, width)


def exchanges_the_windows(in_channels, row, height, width):
    return right_weights(in_channels, (row[0], *row[3:5], *row[1:3], row[5]), height, width)


def stays_within_float32(in_channels, row, height, width):
    return np.float32(right_weights(in_channels, row, height, width))


def puts_the_outputs_into_every_branch(in_channels, row, height, width):
    weights = in_channels * sum(row) * 9
    return weights, weights * height * width


def exchanges_the_two(in_channels, row, height, width):
    return right_weights(in_channels, row, height, width)[::-1]


def counts_pooling_as_multiply_adds(in_channels, row, height, width):
    weights, products = right_weights(in_channels, row, height, width)
    return weights, products + 9 * in_channels * height * width


def branch_by_branch(in_channels, row, height, width):
    one, three_reduce, three, five_reduce, five, pool = row
    branches = [[(in_channels, one, 1)], [(in_channels, three_reduce, 1), (three_reduce, three, 3)]]
    branches += [[(in_channels, five_reduce, 1), (five_reduce, five, 5)], [(in_channels, pool, 1)]]
    weights = sum(a * b * side**2 for branch in branches for a, b, side in branch)
    return [weights, height * width * weights]


def by_numpy(in_channels, row, height, width):
    inputs = np.array([in_channels, in_channels, row[1], in_channels, row[3], in_channels])
    weights = (inputs * np.array(row) * np.array([1, 1, 9, 1, 25, 1])).sum()
    return np.array([weights, weights * height * width])


def by_the_library(in_channels, row, height, width):
    counted = nn.summary(googlenet.Inception(in_channels, googlenet.Width(*row), branch3_kernel=5), (in_channels, 9, 9))
    weights = sum(layer.parameters for layer in counted.rows if layer.type == "Conv2d")
    return weights, weights * height * width


def by_going_through_the_places(in_channels, row, height, width):
    weights = gives_the_weights_only(in_channels, row, height, width)
    return weights, sum(weights for _ in range(height) for _ in range(width))


def forgets_the_relu_of_the_first(x, kernels):
    right = block(x, kernels)
    return F.concat([F.conv2d(x, kernels["one"]), right[:, len(kernels["one"]) :]], 1)


def forgets_the_relu_of_the_pooling(x, kernels):
    right, size = block(x, kernels), len(kernels["pool"])
    return F.concat([right[:, :-size], F.conv2d(F.max_pool2d(x, 3, 1, padding=1), kernels["pool"])], 1)


def pads_the_pooling_with_zeros(x, kernels):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return block(x, kernels, pool=lambda x, size, stride, padding: F.max_pool2d(padded, size, stride))


def changes_x(x, kernels):
    right = block(x, kernels)
    x[x < 0] = 0
    return right


def changes_a_kernel(x, kernels):
    right = block(x, kernels)
    kernels["one"][...] = 0
    return right


def exchanges_three_and_five(x, kernels):
    right, three, five = block(x, kernels), len(kernels["three"]), len(kernels["five"])
    one, of_three, of_five, pool = np.split(right, np.cumsum([len(kernels["one"]), three, five]), axis=1)
    return F.concat([one, of_five, of_three, pool], 1)


def adds_the_branches(x, kernels):
    right = block(x, kernels)
    return right[:, :2] + right[:, 2:4] + right[:, 6:8] + right[:, -2:]


def leaves_the_pooling_out(x, kernels):
    return block(x, kernels, pool=lambda x, size, stride, padding: x)


def puts_channels_last(x, kernels):
    return block(x, kernels).transpose(0, 2, 3, 1)


def takes_the_first_picture_only(x, kernels):
    return block(x[:1], kernels)


def reads_x_in_every_branch(x, kernels):
    three = F.conv2d(F.relu(x), kernels["three_reduce"])
    right = block(x, kernels)
    three = F.relu(F.conv2d(F.relu(three), kernels["three"], padding=1)).numpy()
    return F.concat([right[:, :2], three, right[:, 6:]], 1)


def gives_a_tensor(x, kernels):
    return Tensor(block(x, kernels))


def in_a_loop(x, kernels):
    def convolve(x, name):
        return F.relu(F.conv2d(x, kernels[name], padding=kernels[name].shape[2] // 2))

    ways = [["one"], ["three_reduce", "three"], ["five_reduce", "five"], ["pool"]]
    results = []
    for way in ways:
        result = Tensor(x) if way != ["pool"] else F.max_pool2d(Tensor(x), 3, 1, padding=1)
        for name in way:
            result = convolve(result, name)
        results.append(result)
    return F.concat(results, 1)


def in_plain_numpy(x, kernels):
    def convolve(x, kernel):
        edge = kernel.shape[2] // 2
        padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], axis=(2, 3))
        return np.maximum(np.einsum("ncijab,ocab->noij", windows, kernel), 0)

    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    pooled = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3)).max(axis=(4, 5))
    three = convolve(convolve(x, kernels["three_reduce"]), kernels["three"])
    five = convolve(convolve(x, kernels["five_reduce"]), kernels["five"])
    return np.concatenate([convolve(x, kernels["one"]), three, five, convolve(pooled, kernels["pool"])], axis=1)


def with_layers(x, kernels):
    def layer(name):
        out, inputs, side, _ = kernels[name].shape
        convolution = nn.Conv2d(inputs, out, side, padding=side // 2, bias=False)
        convolution.weight.data[...] = kernels[name]
        return nn.Sequential(convolution, nn.ReLU())

    x = Tensor(x)
    three = layer("three")(layer("three_reduce")(x))
    five = layer("five")(layer("five_reduce")(x))
    return F.concat([layer("one")(x), three, five, layer("pool")(nn.MaxPool2d(3, 1, padding=1)(x))], 1)


def in_nested_lists(x, kernels):
    return in_plain_numpy(x, kernels).tolist()


PLANTED = {
    "10a": [
        (forgets_the_reductions, "K * K * C_in * C_out"),
        (reads_the_input_behind_the_reduction, "largest difference"),
        (takes_the_kernel_for_its_side, "K * K * C_in * C_out"),
        (counts_a_window_of_three_for_five, "largest difference"),
        (counts_one_place_only, "once at every place"),
        (gives_the_weights_only, "expected  two: weights and multiply-adds"),
        (counts_nine_for_the_pooling, "16, 32, 54, 64, 500, 96"),
        (counts_a_multiply_add_twice, "the multiply-adds"),
        (loses_the_borders, "no place is lost"),
        (takes_the_map_for_square, "the multiply-adds"),
        (adds_biases, "the weights, the first of the two"),
        (adds_batch_norms, "the weights, the first of the two"),
        (forgets_the_pooling_branch, "the weights, the first of the two"),
        (forgets_the_first_branch, "the weights, the first of the two"),
        (exchanges_the_windows, "the weights, the first of the two"),
        (stays_within_float32, "the multiply-adds"),
        (puts_the_outputs_into_every_branch, "the weights, the first of the two"),
        (exchanges_the_two, "the weights, the first of the two"),
        (counts_pooling_as_multiply_adds, "the multiply-adds"),
    ],
    "10b": [
        (lambda x, kernels: block(x, kernels, padding=(0, 0, 0)), "padding that keeps the size"),
        (lambda x, kernels: block(x, kernels, padding=(1, 1, 1)), "padding that keeps the size"),
        (lambda x, kernels: block(x, kernels, relu=lambda map: map), "the 4 channels of the 3x3 branch"),
        (lambda x, kernels: block(x, kernels, pool=F.avg_pool2d), "first the maximum of 3x3 places"),
        (lambda x, kernels: block(x, kernels, axis=0), "stack channels, which are axis 1"),
        (puts_the_pool_first, "the 2 channels of the 1x1 branch"),
        (pools_behind_the_convolution, "the 2 channels of the pooling branch"),
        (leaves_four_maps_in_a_list, "stack channels"),
        (pools_three_places_apart, "{'one': (2, 2, 1, 1), 'three_reduce': (3, 2, 1, 1),"),
        (leaves_the_reduction_out, 'kernels["three"], padding=1)).numpy()'),
        (lambda x, kernels: block(x, kernels)[:, :2], "expected  shape (1, 11, 4, 4)"),
        (forgets_the_relu_of_the_first, "the 2 channels of the 1x1 branch"),
        (forgets_the_relu_of_the_pooling, "the 2 channels of the pooling branch"),
        (pads_the_pooling_with_zeros, "the 2 channels of the pooling branch"),
        (changes_x, "changed its argument `x`"),
        (changes_a_kernel, "changed its argument `kernels`"),
        (exchanges_three_and_five, "the 4 channels of the 3x3 branch"),
        (adds_the_branches, "expected  shape (1, 11, 4, 4)"),
        (leaves_the_pooling_out, "the 2 channels of the pooling branch"),
        (puts_channels_last, "are two axes exchanged?"),
        (takes_the_first_picture_only, "expected  shape (2, 11, 5, 6)"),
        (reads_x_in_every_branch, "the 4 channels of the 3x3 branch"),
    ],
}

RIGHT = {
    "10a": [
        branch_by_branch,
        by_numpy,
        by_the_library,
        by_going_through_the_places,
    ],
    "10b": [
        gives_a_tensor,
        in_a_loop,
        in_plain_numpy,
        with_layers,
        in_nested_lists,
    ],
}
