"""Wrong answers to lesson 2's exercises, each with words that the message must have."""

import numpy as np


def correlate(picture, slopes, rows, columns, at):
    """The array (rows, columns) of sums of slopes times picture, the picture's corner being at(a, b)."""
    gradient = np.zeros((rows, columns))
    for a in range(rows):
        for b in range(columns):
            i, j = at(a, b)
            gradient[a, b] = (slopes * picture[i : i + slopes.shape[0], j : j + slopes.shape[1]]).sum()
    return gradient


def kernel_size(picture, slopes):
    return picture.shape[0] - slopes.shape[0] + 1, picture.shape[1] - slopes.shape[1] + 1


def flips_the_gradient(picture, slopes):
    rows, columns = kernel_size(picture, slopes)
    return correlate(picture, slopes, rows, columns, lambda a, b: (rows - 1 - a, columns - 1 - b))


def flips_the_slopes(picture, slopes):
    return correlate(picture, slopes[::-1, ::-1], *kernel_size(picture, slopes), lambda a, b: (a, b))


def takes_the_mean_over_places(picture, slopes):
    return correlate(picture, slopes, *kernel_size(picture, slopes), lambda a, b: (a, b)) / slopes.size


def forgets_the_last_weights(picture, slopes):
    rows, columns = kernel_size(picture, slopes)
    return correlate(picture, slopes, rows - 1, columns - 1, lambda a, b: (a, b))


def thinks_every_kernel_is_3x3(picture, slopes):
    gradient = np.zeros((3, 3))
    for i in range(slopes.shape[0]):
        for j in range(slopes.shape[1]):
            gradient += slopes[i, j] * picture[i : i + 3, j : j + 3]
    return gradient


def keeps_the_last_place_only(picture, slopes):
    rows, columns = kernel_size(picture, slopes)
    for i in range(slopes.shape[0]):
        for j in range(slopes.shape[1]):
            gradient = slopes[i, j] * picture[i : i + rows, j : j + columns]
    return gradient


def goes_downhill_already(picture, slopes):
    return -correlate(picture, slopes, *kernel_size(picture, slopes), lambda a, b: (a, b))


def has_no_memory(weight, gradient, velocity, lr, momentum):
    return weight - lr * gradient, gradient


def puts_the_rate_into_the_velocity(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity - lr * gradient
    return weight + velocity, velocity


def moves_by_the_old_velocity(weight, gradient, velocity, lr, momentum):
    return weight - lr * velocity, momentum * velocity + gradient


def takes_the_mean_of_old_and_new(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + (1 - momentum) * gradient
    return weight - lr * velocity, velocity


def goes_uphill(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return weight + lr * velocity, velocity


def looks_ahead_as_nesterov_did(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return weight - lr * (gradient + momentum * velocity), velocity


def gives_the_weight_alone(weight, gradient, velocity, lr, momentum):
    return weight - lr * (momentum * velocity + gradient)


def exchanges_the_two(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return velocity, weight - lr * velocity


PLANTED = {
    "02a": [
        (flips_the_gradient, "slopes[i, j] times that pixel"),
        (flips_the_slopes, "largest difference"),
        (takes_the_mean_over_places, "yours is 0.25 times what was expected"),
        (forgets_the_last_weights, "expected  shape (2, 3)"),
        (thinks_every_kernel_is_3x3, "ValueError"),
        (keeps_the_last_place_only, "largest difference"),
        (goes_downhill_already, "yours is -1 times what was expected"),
    ],
    "02b": [
        (has_no_memory, "step 2"),
        (puts_the_rate_into_the_velocity, "yours is -0.1 times what was expected"),
        (moves_by_the_old_velocity, "the weight after momentum_step(...), step 1"),
        (takes_the_mean_of_old_and_new, "velocity = momentum * velocity + gradient"),
        (goes_uphill, "weight - lr * velocity"),
        (looks_ahead_as_nesterov_did, "the weight after momentum_step(...), step 1"),
        (gives_the_weight_alone, "two arrays"),
        (exchanges_the_two, "the weight after"),
    ],
}
RIGHT = {}
