"""Wrong and right answers to lesson 3's exercises: to each wrong one, words that the message must have."""

import collections
import graphlib
import sys

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


def right_slopes(difference):
    return lambda gradient: (2 * difference * gradient, -2 * difference * gradient)


def divides_by_two(difference, gradient):
    return difference * gradient / 2, -difference * gradient / 2


def exchanges_the_two(difference, gradient):
    return -2 * difference * gradient, 2 * difference * gradient


def forgets_the_difference(difference, gradient):
    return 2 * gradient, -2 * gradient


def squares_once_more(difference, gradient):
    return 2 * difference**2 * gradient, -2 * difference**2 * gradient


def sums_the_gradient(difference, gradient):
    return 2 * difference * gradient.sum(), -2 * difference * gradient.sum()


def turns_them_to_numbers(difference, gradient):
    return float((2 * difference * gradient).sum()), float((-2 * difference * gradient).sum())


def wraps_them_in_a_table(difference, gradient):
    return {"input": 2 * difference * gradient, "other": -2 * difference * gradient}


def uses_up_what_it_keeps(difference, gradient):
    difference *= 2 * gradient
    return difference, -difference


def changes_its_input(input, other):
    difference = input.data - other.data
    input.data[...] = 0
    return make_result(difference**2, (input, other), right_slopes(difference), "planted")


def computes_in_float64(input, other):
    difference = input.data.astype(np.float64) - other.data
    return make_result(difference**2, (input, other), right_slopes(difference), "planted")


def cannot_broadcast(input, other):
    difference = np.array([a - b for a, b in zip(input.data.flat, other.data.flat, strict=True)])
    difference = difference.reshape(input.data.shape)
    return make_result(difference**2, (input, other), right_slopes(difference), "planted")


def has_no_backward(input, other):
    return make_result((input.data - other.data) ** 2, (input, other), None, "planted")


def names_them_in_the_other_order(input, other):
    difference = input.data - other.data
    return make_result(difference**2, (other, input), right_slopes(difference), "planted")


def as_a_method(input, other):
    difference = np.subtract(input.data, other.data)

    def backward(gradient):
        to_input = np.multiply(gradient, difference) * 2
        return [to_input, np.negative(to_input)]

    return make_result(np.square(difference), (input, other), backward, "squared_difference")


def from_the_two_products(input, other):
    a, b = input.data, other.data
    return make_result(a * a - 2 * a * b + b * b, (input, other), lambda g: (2 * (a - b) * g, 2 * (b - a) * g), "mine")


def sums_up_itself(input, other):
    difference = input.data - other.data

    def to(shape, slope):
        slope = slope.sum(axis=tuple(range(slope.ndim - len(shape))))
        axes = tuple(axis for axis, length in enumerate(shape) if length == 1 != slope.shape[axis])
        return slope.sum(axis=axes, keepdims=True)

    def backward(gradient):
        slope = 2 * difference * gradient
        return to(input.shape, slope), to(other.shape, -slope)

    return make_result(difference**2, (input, other), backward, "squared_difference")


class SquaredDifference:
    def __init__(self, difference):
        self.difference = difference

    def __call__(self, gradient):
        return 2 * self.difference * gradient, -2 * self.difference * gradient


def by_a_class(input, other):
    difference = input.data - other.data
    return make_result(difference * difference, (input, other), SquaredDifference(difference), "squared_difference")


def all_ways_one_by_one(graph, root):
    ways, order = [[root]], []
    while ways:
        ways = [[*way, used] for way in ways for used in graph[way[-1]]] or order.append(root) or []
    return by_counting(graph, root)


def by_longest_way_without_a_memory(graph, root):
    def longest(node):
        return 0 if node == root else 1 + max(longest(user) for user in users[node])

    users = {}
    for node in by_counting(graph, root):
        for used in graph[node]:
            users.setdefault(used, []).append(node)
    return sorted(by_counting(graph, root), key=longest)


def in_the_order_of_the_table(graph, root):
    reached = set(by_counting(graph, root))
    return [node for node in graph if node in reached]


def in_the_order_of_names(graph, root):
    return sorted(by_counting(graph, root), reverse=True)


def without_the_root(graph, root):
    return by_counting(graph, root)[1:]


def root_at_the_end(graph, root):
    return by_counting(graph, root)[::-1]


def uses_up_the_graph(graph, root):
    order = by_counting(graph, root)
    for inputs in graph.values():
        inputs.clear()
    return order


def takes_two_inputs_for_two_nodes(graph, root):
    uses, order, ready = {}, [], [root]
    for inputs in graph.values():  # those of nodes that are not wanted, too
        for used in inputs:
            uses[used] = uses.get(used, 0) + 1
    while ready:
        order.append(ready.pop())
        for used in graph[order[-1]]:
            uses[used] -= 1
            if uses[used] == 0:
                ready.append(used)
    return order


def counts_each_user_once(graph, root):
    uses, order, ready = {}, [], [root]
    reached = set(by_counting(graph, root))
    for node in reached:
        for used in set(graph[node]):
            uses[used] = uses.get(used, 0) + 1
    while ready:
        order.append(ready.pop())
        for used in graph[order[-1]]:
            uses[used] -= 1
            if uses[used] == 0:
                ready.append(used)
    return order


def gives_numbers(graph, root):
    return list(range(len(by_counting(graph, root))))


def keeps_the_nodes_of_all_calls(graph, root, order=[]):  # noqa: B006 (that is the slip)
    order += [node for node in by_counting(graph, root) if node not in order]
    return order


def joins_the_names(graph, root):
    return ", ".join(by_counting(graph, root))


def by_counting(graph, root):
    """What is right, for the answers that are wrong in one thing only."""
    uses, waiting = {root: 0}, [root]
    while waiting:
        for node in graph[waiting.pop()]:
            if node not in uses:
                uses[node] = 0
                waiting.append(node)
            uses[node] += 1
    order, ready = [], [root]
    while ready:
        order.append(ready.pop())
        for node in graph[order[-1]]:
            uses[node] -= 1
            if uses[node] == 0:
                ready.append(node)
    return order


def depth_first_with_a_stack(graph, root):
    done, order, stack = set(), [], [(root, False)]
    while stack:
        node, left = stack.pop()
        if left:
            order.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            stack += [(used, False) for used in graph[node]]
    return order[::-1]


def by_recursion_with_a_higher_limit(graph, root):
    order, seen = [], set()
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)

    def visit(node):
        if node not in seen:
            seen.add(node)
            for used in graph[node]:
                visit(used)
            order.append(node)

    try:
        visit(root)
    finally:
        sys.setrecursionlimit(before)
    return order[::-1]


def by_the_standard_library(graph, root):
    reached = by_counting(graph, root)
    return tuple(reversed(list(graphlib.TopologicalSorter({node: graph[node] for node in reached}).static_order())))


def breadth_first_by_counting(graph, root):
    uses = dict.fromkeys(by_counting(graph, root), 0)
    for node in uses:
        for used in graph[node]:
            uses[used] += 1
    order, ready = [], collections.deque([root])
    while ready:
        node = ready.popleft()
        order.append(node)
        for used in graph[node]:
            uses[used] -= 1
            if not uses[used]:
                ready.append(used)
    return order


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
        (with_backward(divides_by_two), "yours is 0.25 times what was expected"),
        (with_backward(exchanges_the_two), "yours is -1 times what was expected"),
        (with_backward(forgets_the_difference), "the slope in `input`"),
        (with_backward(squares_once_more), "the slope in `input`"),
        (with_backward(sums_the_gradient), "the slope in `input`"),
        (with_backward(turns_them_to_numbers), "backward(gradient) raised"),
        (with_backward(wraps_them_in_a_table), "two arrays, one for each input"),
        (with_backward(uses_up_what_it_keeps), "when backward is called once more"),
        (changes_its_input, "the inputs of squared_difference(array of (2, 3)"),
        (computes_in_float64, "expected  float32"),
        (cannot_broadcast, "raised ValueError"),
        (has_no_backward, "the result has no backward"),
        (names_them_in_the_other_order, "one operation with the two inputs"),
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
        (all_ways_one_by_one, "was still running after 5 s"),
        (by_longest_way_without_a_memory, "was still running after 5 s"),
        (in_the_order_of_the_table, "first, it uses it"),
        (in_the_order_of_names, "first, it uses it"),
        (without_the_root, "lacks 'loss'"),
        (root_at_the_end, "first, it uses it"),
        (uses_up_the_graph, "changed its argument `graph`"),
        (takes_two_inputs_for_two_nodes, "lacks 'x'"),
        (counts_each_user_once, "backward_order(...) of"),
        (gives_numbers, "only what the root was made from"),
        (keeps_the_nodes_of_all_calls, "only what the root was made from"),
        (joins_the_names, "a list of names"),
    ],
}

RIGHT = {
    "03a": [
        as_a_method,
        from_the_two_products,
        sums_up_itself,
        by_a_class,
    ],
    "03b": [
        depth_first_with_a_stack,
        by_recursion_with_a_higher_limit,
        by_the_standard_library,
        breadth_first_by_counting,
    ],
}
