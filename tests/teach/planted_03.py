"""Wrong answers to lesson 3's exercises, each with words that the message must have."""

import numpy as np

from minicnn import Tensor
from minicnn.tensor import make_result


def with_backward(slopes):
    """The operation with another backward: slopes(difference, gradient) is what it returns."""

    def squared_difference(input, other):
        difference = input.data - other.data
        return make_result(difference**2, (input, other), lambda gradient: slopes(difference, gradient), "planted")

    return squared_difference


def changes_the_gradient(difference, gradient):
    gradient *= 2 * difference
    return gradient, -gradient


last_difference = {}


def keeps_what_the_last_call_had(input, other):
    last_difference["kept"] = input.data - other.data

    def backward(gradient):
        return 2 * last_difference["kept"] * gradient, -2 * last_difference["kept"] * gradient

    return make_result(last_difference["kept"] ** 2, (input, other), backward, "planted")


def cuts_the_graph(input, other):
    return Tensor((input.data - other.data) ** 2)


def is_made_of_two_operations(input, other):
    difference = input - other
    return difference * difference


def returns_an_array(input, other):
    return (input.data - other.data) ** 2


def names_one_input_only(input, other):
    difference = input.data - other.data
    return make_result(difference**2, (input,), lambda gradient: (2 * difference * gradient,), "planted")


def forgets_to_square(input, other):
    difference = input.data - other.data
    return make_result(difference, (input, other), lambda gradient: (gradient, -gradient), "planted")


def level_by_level(graph, root):
    order, level = [], [root]
    while level:
        order += [node for node in level if node not in order]
        level = [used for node in level for used in dict.fromkeys(graph[node]) if used not in order]
    return order


def on_the_way_down(graph, root):
    order, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if node not in order:
            order.append(node)
            waiting += reversed(graph[node])
    return order


def inputs_first(graph, root):
    order = []

    def visit(node):
        if node not in order:
            for used in graph[node]:
                visit(used)
            order.append(node)

    visit(root)
    return order


def by_recursion(graph, root):
    return inputs_first(graph, root)[::-1]


def once_a_way(graph, root):
    order, waiting = [], [root]
    while waiting:
        order.append(waiting.pop())
        waiting += graph[order[-1]]
    return order


def all_that_there_is(graph, root):
    order = []
    for start in [root, *graph]:
        order += [node for node in by_recursion(graph, start) if node not in order]
    return order


def without_leaves(graph, root):
    return [node for node in by_recursion(graph, root) if graph[node]]


PLANTED = {
    "03a": [
        (with_backward(lambda d, g: (d * g, -d * g)), "yours is 0.5 times what was expected"),
        (with_backward(lambda d, g: (2 * d * g, 2 * d * g)), "yours is -1 times what was expected"),
        (with_backward(lambda d, g: (2 * d, -2 * d)), "the slope in `input`"),
        (with_backward(lambda d, g: 2 * d * g), "two arrays, one for each input"),
        (with_backward(lambda d, g: (2 * d * g, None)), "an array for each of the two inputs"),
        (with_backward(lambda d, g: (2 * np.abs(d) * g, -2 * np.abs(d) * g)), "largest difference"),
        (with_backward(changes_the_gradient), "left as it was"),
        (keeps_what_the_last_call_had, "each call needs arrays of its own"),
        (cuts_the_graph, "the graph is cut here"),
        (is_made_of_two_operations, "is 'mul' made from"),
        (returns_an_array, "is a ndarray"),
        (names_one_input_only, "one operation with the two inputs"),
        (forgets_to_square, "the difference, times itself"),
    ],
    "03b": [
        (level_by_level, "with 'x' before 'a'"),
        (on_the_way_down, "with 'x' before"),
        (inputs_first, "with 'x' before 'y'"),
        (by_recursion, "RecursionError"),
        (once_a_way, "more than once"),
        (all_that_there_is, "only what the root was made from"),
        (without_leaves, "lacks 'x'"),
        (lambda graph, root: set(graph), "a list of names"),
    ],
}
RIGHT = {}
