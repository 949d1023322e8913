"""Wrong answers to lesson 10's exercises, each with words that the message must have."""

from minicnn import functional as F


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
    ],
}
RIGHT = {}
