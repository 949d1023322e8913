"""Wrong and right answers to lesson 1's exercises: to each wrong one, words that the message must have."""

import numpy as np

from minicnn import Tensor
from minicnn import functional as F


def flips_the_kernel(picture, kernel):
    kernel = kernel[::-1, ::-1]
    rows, columns = picture.shape[0] - kernel.shape[0] + 1, picture.shape[1] - kernel.shape[1] + 1
    return [
        [(picture[i : i + kernel.shape[0], j : j + kernel.shape[1]] * kernel).sum() for j in range(columns)]
        for i in range(rows)
    ]


def forgets_the_last_place(picture, kernel):
    height, width = kernel.shape
    answers = np.zeros((picture.shape[0] - height, picture.shape[1] - width))
    for i in range(answers.shape[0]):
        for j in range(answers.shape[1]):
            answers[i, j] = (picture[i : i + height, j : j + width] * kernel).sum()
    return answers


def keeps_the_last_product_only(picture, kernel):
    height, width = kernel.shape
    answers = np.zeros((picture.shape[0] - height + 1, picture.shape[1] - width + 1))
    for i in range(answers.shape[0]):
        for j in range(answers.shape[1]):
            for a in range(height):
                for b in range(width):
                    answers[i, j] = picture[i + a, j + b] * kernel[a, b]
    return answers


def exchanges_the_axes(picture, kernel):
    height, width = kernel.shape
    answers = np.zeros((picture.shape[1] - width + 1, picture.shape[0] - height + 1))
    for i in range(answers.shape[0]):
        for j in range(answers.shape[1]):
            answers[i, j] = (picture[j : j + height, i : i + width] * kernel).sum()
    return answers


def forgets_to_return(picture, kernel):
    np.zeros((picture.shape[0] - kernel.shape[0] + 1, picture.shape[1] - kernel.shape[1] + 1))


def runs_over_the_border(picture, kernel):
    answers = np.zeros(picture.shape)
    for i in range(picture.shape[0]):
        for j in range(picture.shape[1]):
            for a in range(kernel.shape[0]):
                for b in range(kernel.shape[1]):
                    answers[i, j] += picture[i + a, j + b] * kernel[a, b]
    return answers


def slid(picture, kernel, rows, columns, dtype=np.float64):
    """The sums of products at that many places, in an array of that type."""
    height, width = kernel.shape
    answers = np.zeros((rows, columns), dtype)
    for i in range(rows):
        for j in range(columns):
            answers[i, j] = (picture[i : i + height, j : j + width] * kernel).sum()
    return answers


def places(picture, kernel):
    return picture.shape[0] - kernel.shape[0] + 1, picture.shape[1] - kernel.shape[1] + 1


def keeps_whole_numbers_only(picture, kernel):
    return slid(picture, kernel, *places(picture, kernel), dtype=int)


def takes_the_type_of_the_picture(picture, kernel):
    return slid(picture, kernel, *places(picture, kernel), dtype=picture.dtype)


def keeps_half_precision(picture, kernel):
    return slid(picture, kernel, *places(picture, kernel), dtype=np.float16)


def takes_every_kernel_for_3x3(picture, kernel):
    padded = np.zeros((3, 3))
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel[:3, :3]
    return slid(picture, padded, picture.shape[0] - 2, picture.shape[1] - 2)


def takes_the_picture_for_square(picture, kernel):
    rows = picture.shape[0] - kernel.shape[0] + 1
    return slid(picture, kernel, rows, rows)


def takes_the_kernel_for_square(picture, kernel):
    rows, columns = picture.shape[0] - kernel.shape[0] + 1, picture.shape[1] - kernel.shape[0] + 1
    return slid(picture, kernel, rows, columns)


def pads_the_picture(picture, kernel):
    padded = np.pad(picture, 1)
    return slid(padded, kernel, *places(padded, kernel))


def takes_the_mean(picture, kernel):
    return slid(picture, kernel / kernel.size, *places(picture, kernel))


def adds_a_relu(picture, kernel):
    return np.maximum(slid(picture, kernel, *places(picture, kernel)), 0)


def moves_on_by_two(picture, kernel):
    return slid(picture, kernel, *places(picture, kernel))[::2, ::2]


def multiplies_matrices(picture, kernel):
    height, width = kernel.shape
    rows, columns = places(picture, kernel)
    return [[(picture[i : i + height, j : j + width] @ kernel.T).sum() for j in range(columns)] for i in range(rows)]


def transposes_the_kernel(picture, kernel):
    return slid(picture, kernel.T, *places(picture, kernel.T))


def returns_one_number(picture, kernel):
    return slid(picture, kernel, *places(picture, kernel)).sum()


def takes_only_the_diagonal_of_the_window(picture, kernel):
    rows, columns = places(picture, kernel)
    return [
        [sum(picture[i + a, j + a] * kernel[a, a] for a in range(min(kernel.shape))) for j in range(columns)]
        for i in range(rows)
    ]


def four_loops(picture, kernel):
    rows, columns = places(picture, kernel)
    answers = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            for a in range(kernel.shape[0]):
                for b in range(kernel.shape[1]):
                    answers[i, j] += picture[i + a, j + b] * kernel[a, b]
    return answers


def all_at_once(picture, kernel):
    return np.einsum("ijab,ab->ij", np.lib.stride_tricks.sliding_window_view(picture, kernel.shape), kernel)


def shifted_pictures(picture, kernel):
    rows, columns = places(picture, kernel)
    return sum(kernel[a, b] * picture[a : a + rows, b : b + columns] for a, b in np.ndindex(kernel.shape))


def lists_of_numbers(picture, kernel):
    picture, kernel = picture.tolist(), kernel.tolist()
    rows, columns = len(picture) - len(kernel) + 1, len(picture[0]) - len(kernel[0]) + 1
    return [
        [
            sum(w * picture[i + a][j + b] for a, line in enumerate(kernel) for b, w in enumerate(line))
            for j in range(columns)
        ]
        for i in range(rows)
    ]


def row_by_row_recursively(picture, kernel):
    if picture.shape[0] < kernel.shape[0]:
        return []
    first = slid(picture[: kernel.shape[0]], kernel, 1, places(picture, kernel)[1])[0]
    return [first, *row_by_row_recursively(picture[1:], kernel)]


def by_the_library(picture, kernel):
    return F.conv2d(Tensor(picture[None, None].astype(float)), Tensor(kernel[None, None].astype(float)))


def in_single_precision(picture, kernel):
    return slid(picture, kernel, *places(picture, kernel), dtype=np.float32)


PLANTED = {
    "01a": [
        (flips_the_kernel, "picture[i + a, j + b] * kernel[a, b]"),
        (forgets_the_last_place, "expected  shape (1, 1)"),
        (keeps_the_last_product_only, "largest difference"),
        (exchanges_the_axes, "are two axes exchanged?"),
        (forgets_to_return, "`return`"),
        (runs_over_the_border, "IndexError"),
        (keeps_whole_numbers_only, "their numbers uint8 and float64"),
        (takes_the_type_of_the_picture, "their numbers uint8 and float64"),
        (keeps_half_precision, "largest difference"),
        (takes_every_kernel_for_3x3, "kernel of (2, 3)"),
        (takes_the_picture_for_square, "kernel of (3, 3)"),
        (takes_the_kernel_for_square, "raised ValueError"),
        (pads_the_picture, "expected  shape (1, 1)"),
        (takes_the_mean, "yours -0.555556, expected -5"),
        (adds_a_relu, "largest difference"),
        (moves_on_by_two, "expected  shape (2, 4)"),
        (multiplies_matrices, "largest difference"),
        (transposes_the_kernel, "largest difference"),
        (returns_one_number, "expected  shape (2, 4)"),
        (takes_only_the_diagonal_of_the_window, "largest difference"),
    ],
    "01b": [
        (lambda: np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]), "yours     90"),
        (lambda: [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]], "yours     135"),
        (lambda: [[-1, -1, 0], [-1, 0, 1], [0, 1, 2]], "the sum of its weights"),
        (lambda: np.zeros((3, 3)), "all zero"),
        (lambda: [[-1, 0], [0, 1]], "(2, 2)"),
        (lambda: [[-2, -1, 0.5], [-1, 0, 1], [0, 1, 1.5]], "falling edges"),
        (lambda: np.array([[-1, 0, 1], [0, 0, 0], [1, 0, -1]]), "results at edges of all directions"),
        (lambda: np.ones((3, 3)), "the sum of its weights"),
        (lambda: [[-2, -1, 0], [-1, 0, 1], [0, 1, np.nan]], "yours is not finite everywhere"),
        (lambda: [[-np.inf, -1, 0], [-1, 0, 1], [0, 1, np.inf]], "yours is not finite everywhere"),
        (lambda: [[-2, -1, 0], [-1, 0, 1]], "(2, 3)"),
        (lambda: [-2, -1, 0, -1, 0, 1, 0, 1, 2], "yours     (9,)"),
        (lambda: [[-2, -1, 0], [-1, 0, 1], [0, 1]], "rows of several lengths"),
        (lambda: [[["-2", "-1", "0"], ["-1", "0", "1"], ["0", "1", "2"]]], "(1, 3, 3)"),
        (lambda: [["-2", "-1", "0"], ["-1", "0", "1"], ["0", "1", "2"]], "expected  numbers"),
        (lambda: np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]]) > 0, "expected  numbers"),
        (lambda: np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]), "yours     0"),
        (lambda: np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]])[::-1], "yours     135"),
        (lambda: [[-2, -1, 0], [-1, 1e-3, 1], [0, 1, 2]], "the sum of its weights"),
        (lambda: [[0, 0, 0], [-1, 0, 1], [0, 0, 0]], "yours     90"),
        (lambda: [[-3, 0, 0], [0, 0, 1], [0, 1, 1]], "in each diagonal"),
        (lambda: [[0, -1, 0], [-1, 4, -1], [0, -1, 0]], "results at edges of all directions"),
        (lambda: np.random.default_rng().standard_normal((3, 3)), "rising_kernel()"),
    ],
}

RIGHT = {
    "01a": [
        four_loops,
        all_at_once,
        shifted_pictures,
        lists_of_numbers,
        row_by_row_recursively,
        by_the_library,
        in_single_precision,
    ],
    "01b": [
        lambda: np.array([[-1, 0, 0], [0, 0, 0], [0, 0, 1]]),
        lambda: ((0, -1, 0), (-1, 0, 1), (0, 1, 0)),
        lambda: Tensor(np.array([[2.0, 1, 0], [1, 0, -1], [0, -1, -2]], np.float32)),
        lambda: np.add.outer([-1, 0, 1], [-1, 0, 1]) / 7,
        lambda: [[i + j - 2 for j in range(3)] for i in range(3)],
    ],
}
