"""Wrong and right answers to lesson 2's exercises: to each wrong one, words that the message must have."""

import numpy as np

from minicnn import Tensor
from minicnn import functional as F


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


def takes_the_type_of_the_picture(picture, slopes):
    rows, columns = kernel_size(picture, slopes)
    return correlate(picture, slopes, rows, columns, lambda a, b: (a, b)).astype(picture.dtype)


def transposes_the_gradient(picture, slopes):
    return correlate(picture, slopes, *kernel_size(picture, slopes), lambda a, b: (a, b)).T


def takes_the_slopes_for_square(picture, slopes):
    return correlate(picture, slopes[:, : slopes.shape[0]], *kernel_size(picture, slopes), lambda a, b: (a, b))


def takes_the_size_of_the_slopes(picture, slopes):
    return slopes * picture[: slopes.shape[0], : slopes.shape[1]]


def gives_one_number_for_all_weights(picture, slopes):
    return correlate(picture, slopes, *kernel_size(picture, slopes), lambda a, b: (a, b)).sum()


def forgets_the_slopes(picture, slopes):
    return correlate(picture, np.ones_like(slopes), *kernel_size(picture, slopes), lambda a, b: (a, b))


def starts_one_pixel_late(picture, slopes):
    padded = np.pad(picture, ((0, 1), (0, 1)))
    return correlate(padded, slopes, *kernel_size(picture, slopes), lambda a, b: (a + 1, b + 1))


def normalises_the_gradient(picture, slopes):
    gradient = correlate(picture, slopes, *kernel_size(picture, slopes), lambda a, b: (a, b))
    return gradient / max(1e-12, np.abs(gradient).max())


def drops_negative_slopes(picture, slopes):
    return correlate(picture, np.maximum(slopes, 0), *kernel_size(picture, slopes), lambda a, b: (a, b))


def keeps_the_gradients_of_all_calls(picture, slopes, total={}):  # noqa: B006 (that is the slip)
    gradient = correlate(picture, slopes, *kernel_size(picture, slopes), lambda a, b: (a, b))
    total[gradient.shape] = total.get(gradient.shape, 0) + gradient
    return total[gradient.shape]


def four_loops(picture, slopes):
    rows, columns = kernel_size(picture, slopes)
    gradient = np.zeros((rows, columns))
    for i, j in np.ndindex(slopes.shape):
        for a, b in np.ndindex(rows, columns):
            gradient[a, b] += slopes[i, j] * picture[i + a, j + b]
    return gradient


def all_at_once(picture, slopes):
    return np.einsum("abij,ij->ab", np.lib.stride_tricks.sliding_window_view(picture, slopes.shape), slopes)


def shifted_pictures(picture, slopes):
    rows, columns = kernel_size(picture, slopes)
    return sum(slopes[i, j] * picture[i : i + rows, j : j + columns] for i, j in np.ndindex(slopes.shape))


def lists_of_numbers(picture, slopes):
    rows, columns = kernel_size(picture, slopes)
    lines = slopes.tolist()
    return [
        [
            sum(slope * float(picture[i + a, j + b]) for i, line in enumerate(lines) for j, slope in enumerate(line))
            for b in range(columns)
        ]
        for a in range(rows)
    ]


def by_autograd(picture, slopes):
    kernel = Tensor(np.zeros((1, 1, *kernel_size(picture, slopes))), requires_grad=True)
    F.conv2d(Tensor(picture[None, None].astype(float)), kernel).backward(slopes[None, None].astype(float))
    return kernel.grad


def changes_the_arrays_it_is_given(weight, gradient, velocity, lr, momentum):
    velocity *= momentum
    velocity += gradient
    weight -= lr * velocity
    return weight, velocity


def always_the_same_velocity(weight, gradient, velocity, lr, momentum, kept={}):  # noqa: B006 (that is the slip)
    kept.setdefault(weight.shape, np.zeros(weight.shape))[...] = momentum * velocity + gradient
    return weight - lr * kept[weight.shape], kept[weight.shape]


def multiplies_the_gradient_by_momentum(weight, gradient, velocity, lr, momentum):
    velocity = velocity + momentum * gradient
    return weight - lr * velocity, velocity


def decays_the_weight(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return momentum * weight - lr * velocity, velocity


def takes_a_rate_of_its_own(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return weight - 0.1 * velocity, velocity


def takes_a_momentum_of_its_own(weight, gradient, velocity, lr, momentum):
    velocity = 0.5 * velocity + gradient
    return weight - lr * velocity, velocity


def gives_the_old_velocity(weight, gradient, velocity, lr, momentum):
    return weight - lr * (momentum * velocity + gradient), velocity


def moves_without_a_rate(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return weight - velocity, velocity


def gives_the_step_for_the_velocity(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return weight - lr * velocity, lr * velocity


def gives_three_results(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return weight - lr * velocity, velocity, gradient


def forgets_the_gradient(weight, gradient, velocity, lr, momentum):
    return weight - lr * momentum * velocity, momentum * velocity


def rounds_the_weight(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    return np.round(weight - lr * velocity, 3), velocity


def updates_the_first_number_only(weight, gradient, velocity, lr, momentum):
    velocity = momentum * velocity + gradient
    weight = weight.copy()
    weight.flat[0] -= lr * velocity.flat[0]
    return weight, velocity


def loops_over_numbers(weight, gradient, velocity, lr, momentum):
    new_weight, new_velocity = np.empty_like(weight), np.empty_like(velocity)
    for place in np.ndindex(weight.shape):
        new_velocity[place] = momentum * velocity[place] + gradient[place]
        new_weight[place] = weight[place] - lr * new_velocity[place]
    return new_weight, new_velocity


def works_on_copies(weight, gradient, velocity, lr, momentum):
    velocity = velocity.copy()
    velocity *= momentum
    velocity += gradient
    return [weight - lr * velocity, velocity]


def gives_lists(weight, gradient, velocity, lr, momentum):
    weight, velocity = works_on_copies(weight, gradient, velocity, lr, momentum)
    return weight.tolist(), velocity.tolist()


def gives_tensors(weight, gradient, velocity, lr, momentum):
    velocity = Tensor(velocity) * momentum + Tensor(gradient)
    return Tensor(weight) - velocity * lr, velocity


def gives_one_array(weight, gradient, velocity, lr, momentum):
    return np.stack(works_on_copies(weight, gradient, velocity, lr, momentum))


PLANTED = {
    "02a": [
        (flips_the_gradient, "slopes[i, j] times that pixel"),
        (flips_the_slopes, "largest difference"),
        (takes_the_mean_over_places, "yours is 0.25 times what was expected"),
        (forgets_the_last_weights, "expected  shape (2, 3)"),
        (thinks_every_kernel_is_3x3, "ValueError"),
        (keeps_the_last_place_only, "largest difference"),
        (goes_downhill_already, "yours is -1 times what was expected"),
        (takes_the_type_of_the_picture, "their numbers uint8 and float64"),
        (transposes_the_gradient, "are two axes exchanged?"),
        (takes_the_slopes_for_square, "slopes of (2, 4)"),
        (takes_the_size_of_the_slopes, "expected  shape (2, 3)"),
        (gives_one_number_for_all_weights, "expected  shape (2, 3)"),
        (forgets_the_slopes, "largest difference"),
        (starts_one_pixel_late, "largest difference"),
        (normalises_the_gradient, "times what was expected, everywhere"),
        (drops_negative_slopes, "largest difference"),
        (keeps_the_gradients_of_all_calls, "largest difference"),
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
        (changes_the_arrays_it_is_given, "changed its argument `weight`"),
        (always_the_same_velocity, "the velocity of step 1, looked at after step 3"),
        (multiplies_the_gradient_by_momentum, "the weight after"),
        (decays_the_weight, "the weight after"),
        (takes_a_rate_of_its_own, "step 2 with lr=0.4"),
        (takes_a_momentum_of_its_own, "momentum=0.9"),
        (gives_the_old_velocity, "the velocity after"),
        (moves_without_a_rate, "the weight after"),
        (gives_the_step_for_the_velocity, "yours is 0.1 times what was expected"),
        (gives_three_results, "3 results"),
        (forgets_the_gradient, "the weight after"),
        (rounds_the_weight, "the weight after"),
        (updates_the_first_number_only, "the weight after"),
    ],
}

RIGHT = {
    "02a": [
        four_loops,
        all_at_once,
        shifted_pictures,
        lists_of_numbers,
        by_autograd,
    ],
    "02b": [
        loops_over_numbers,
        works_on_copies,
        gives_lists,
        gives_tensors,
        gives_one_array,
    ],
}
