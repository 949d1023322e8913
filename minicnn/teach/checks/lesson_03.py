"""The checks of lesson 3: an operation with its backward, and the order in which backward calls the nodes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn.random import stream
from minicnn.teach.answers import call, compare, need
from minicnn.tensor import Tensor

_FORM = "return make_result(array, (input, other), backward, name), with backward(gradient) returning two arrays"


def squared_difference(answer: Callable) -> None:
    """03a: values by NumPy, slopes by its central differences, with random slopes in the result and broadcasting."""
    hint = "slope in `input`: 2 * (input - other) * gradient; in `other`: its negative"
    generator = stream("check 03a", seed=0)
    for shapes in (((2, 3), (2, 3)), ((2, 3), (2, 1)), ((4, 1, 2), (3, 2))):
        a, b = (generator.uniform(-2, 2, shape) for shape in shapes)
        result = _one_operation(answer, a, b, f"squared_difference(array of {shapes[0]}, array of {shapes[1]})")
        slopes = generator.uniform(-2, 2, result.shape)
        inputs = {"input": (a, lambda a, b=b: (a - b) ** 2), "other": (b, lambda b, a=a: (a - b) ** 2)}
        received, slopes_after = call(walk_back, result, slopes, hint=_FORM)
        for (name, (array, function)), contribution in zip(inputs.items(), received, strict=True):
            what = f"the slope in `{name}`, whose shape is {array.shape}, where the result's is {slopes.shape}"
            compare(contribution, _by_differences(function, array, slopes), what, hint)
        aside = "work on copies: 2 * difference * gradient makes a new array, gradient *= ... does not"
        kept = np.array_equal(slopes_after, slopes)
        need(kept, "the gradient that backward was given", "changed by it", "left as it was", aside)
    x, y = generator.uniform(-2, 2, (2, 3)), generator.uniform(-2, 2, (2, 3))

    def twice_in_one_graph() -> Tensor | None:
        leaf = Tensor(x, requires_grad=True)
        answer(answer(leaf, Tensor(y)), leaf).sum().backward()
        return leaf.grad

    expected = _by_differences(lambda x: ((x - y) ** 2 - x) ** 2, x, np.ones(x.shape))
    what = "x.grad after squared_difference(squared_difference(x, y), x).sum().backward()"
    own = "each call needs arrays of its own: its backward comes long after, and other calls in between"
    compare(call(twice_in_one_graph, hint=_FORM), expected, what, own)


def backward_order(answer: Callable) -> None:
    """03b: any order that is right, by its properties; and graphs on which slow or recursive ways end."""
    hint = "a node's turn comes when all nodes that use it have had theirs: count its uses, and count down"
    once = "keep a set of the nodes that were reached, so that each is entered once"
    for name, (graph, root) in _graphs().items():
        result = call(answer, {node: list(inputs) for node, inputs in graph.items()}, root, hint=hint)
        what = f"backward_order(...) of {name}" + (f", {graph}, {root!r}" if len(graph) < 10 else "")
        listed = isinstance(result, (list, tuple))
        need(listed, what, f"{type(result).__name__}: {result!r:.80}", "a list of names", hint)
        order = list(result)
        reached = _reached(graph, root)
        unknown = [node for node in order if node not in reached]
        from_root = f"only nodes from which {root!r} was made: begin with {root!r}, and go on to inputs"
        need(not unknown, what, f"has {_some(unknown)}", "only what the root was made from", from_root)
        twice = sorted({node for node in order if order.count(node) > 1}) if len(order) != len(set(order)) else []
        need(not twice, what, f"has {_some(twice)} more than once", "each node once", once)
        missing = sorted(reached - set(order))
        need(not missing, what, f"lacks {_some(missing)}", "all nodes that the root was made from, leaves too", hint)
        place = {node: position for position, node in enumerate(order)}
        for node in order:
            early = [used for used in graph[node] if place[used] < place[node]]
            shown = order if len(order) < 10 else "an order"
            need(not early, what, f"{shown}, with {_some(early)} before {node!r}", f"{node!r} first, it uses it", hint)


def _one_operation(answer: Callable, a: np.ndarray, b: np.ndarray, what: str) -> Tensor:
    """The reader's result, after asserting that its values are right and that it is one node with its two inputs."""
    first, second = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    result = call(answer, first, second, hint=_FORM)
    need(isinstance(result, Tensor), what, f"is a {type(result).__name__}", "a Tensor", _FORM)
    compare(result.data, (a - b) ** 2, what, "the difference, times itself")
    node = result.node
    need(node is not None, what, "remembers no operation: the graph is cut here", "a Tensor with a way back", _FORM)
    if node is not None:
        found = node.inputs == (first.node, second.node)
        expected = "one operation with the two inputs (input, other)"
        need(found, what, f"is {node.name!r} made from {node.inputs}", expected, _FORM)
    return result


def walk_back(result: Tensor, slopes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """What each input receives, as arrays of the inputs' shapes; and `slopes` as backward leaves it."""
    node = result.node
    if node is None or node.backward is None:
        raise RuntimeError("there is no way back")
    contributions = node.backward(slopes)
    if not isinstance(contributions, (tuple, list)) or len(contributions) != 2:
        raise TypeError(f"backward must return two arrays, one for each input, but returned {contributions!r:.100}")
    received = []
    for child, contribution in zip(node.inputs, contributions, strict=True):
        if child is None or contribution is None:
            raise TypeError("backward must return an array for each of the two inputs")
        child.receive(np.array(contribution))
        received.append(np.asarray(child.gradient))
        child.gradient = None
    return received, slopes


def _by_differences(function: Callable, array: np.ndarray, slopes: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The slope of sum(slopes * function(array)) in each element, by central differences."""
    gradient = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        offset = np.zeros(array.shape)
        offset[place] = step
        gradient[place] = (slopes * (function(array + offset) - function(array - offset))).sum() / (2 * step)
    return gradient


def _graphs() -> dict[str, tuple[dict[str, list[str]], str]]:
    """Graphs and roots: from the lesson's to those with a short and a long way, with many ways, and with a long one."""
    sums = {f"y{i}": [f"y{i - 1}"] * 2 for i in range(1, 15)} | {"y0": []}
    chain = {f"n{i}": [f"n{i - 1}"] for i in range(1, 3000)} | {"n0": []}
    return {
        "a chain": ({"loss": ["y"], "y": ["x"], "x": []}, "loss"),
        "the lesson's graph": (
            {"loss": ["total"], "total": ["product", "x"], "product": ["x", "w"], "x": [], "w": []},
            "loss",
        ),
        "a short and a long way": (
            {"loss": ["x", "c"], "x": [], "a": ["x"], "b": ["a"], "c": ["b"]},
            "loss",
        ),
        "a graph of which a part is not wanted": (
            {"accuracy": ["y"], "loss": ["y", "z"], "y": ["x", "x"], "z": ["x"], "x": [], "label": []},
            "loss",
        ),
        "14 sums y = y + y": (sums, "y14"),
        "a chain of 3,000": (chain, "n2999"),
    }


def _reached(graph: dict[str, list[str]], root: str) -> set[str]:
    """All nodes from which `root` was made, and itself."""
    reached, fresh = {root}, {root}
    while fresh:
        fresh = {used for node in fresh for used in graph[node]} - reached
        reached |= fresh
    return reached


def _some(nodes: list) -> str:
    """The first three names."""
    return ", ".join(map(repr, nodes[:3])) + (" and more" if len(nodes) > 3 else "")


CHECKS = {"03a": squared_difference, "03b": backward_order}
