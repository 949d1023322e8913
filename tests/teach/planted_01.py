"""Wrong answers to lesson 1's exercises, each with words that the message must have."""

import numpy as np


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


PLANTED = {
    "01a": [
        (flips_the_kernel, "picture[i + a, j + b] * kernel[a, b]"),
        (forgets_the_last_place, "expected  shape (1, 1)"),
        (keeps_the_last_product_only, "largest difference"),
        (exchanges_the_axes, "are two axes exchanged?"),
        (forgets_to_return, "`return`"),
        (runs_over_the_border, "IndexError"),
    ],
    "01b": [
        (lambda: np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]), "yours     90"),
        (lambda: [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]], "yours     135"),
        (lambda: [[-1, -1, 0], [-1, 0, 1], [0, 1, 2]], "the sum of its weights"),
        (lambda: np.zeros((3, 3)), "all zero"),
        (lambda: [[-1, 0], [0, 1]], "(2, 2)"),
        (lambda: [[-2, -1, 0.5], [-1, 0, 1], [0, 1, 1.5]], "falling edges"),
    ],
}
RIGHT = {}
