"""The checks of lesson 3: an operation with its backward, and the order in which backward calls the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.teach.answers import Answer, attempt, call, compare, need
from minicnn.tensor import Tensor

_SECONDS = 5.0  # for one graph; the longest takes milliseconds
_FORM = "return make_result(array, (input, other), backward, name), with backward(gradient) returning two arrays"


def squared_difference(answer: Answer) -> None:
    """03a: values by NumPy, slopes by its central differences, with random slopes in the result and broadcasting."""
    hint = "slope in `input`: 2 * (input - other) * gradient; in `other`: its negative"
    generator = np.random.default_rng()
    for shapes in (((2, 3), (2, 3)), ((2, 3), (2, 1)), ((4, 1, 2), (3, 2)), ((), (2,))):
        a, b = (generator.uniform(-2, 2, shape) for shape in shapes)
        result = _one_operation(answer, a, b, f"squared_difference(array of {shapes[0]}, array of {shapes[1]})")
        slopes = generator.uniform(-2, 2, result.shape)
        received, slopes_after = _attempt_walk_back(answer, result, slopes)
        inputs = {"input": (a, lambda a, b=b: (a - b) ** 2), "other": (b, lambda b, a=a: (a - b) ** 2)}
        for (name, (array, function)), contribution in zip(inputs.items(), received, strict=True):
            what = f"the slope in `{name}`, whose shape is {array.shape}, where the result's is {slopes.shape}"
            compare(contribution, _by_differences(function, array, slopes), what, hint)
        aside = "work on copies: 2 * difference * gradient makes a new array, gradient *= ... does not"
        kept = np.array_equal(slopes_after, slopes)
        need(kept, "the gradient that backward was given", "changed by it", "left as it was", aside)
        again = _attempt_walk_back(answer, result, slopes)[0]
        more = "backward may be called twice: it must not change what it keeps"
        for first, second, name in zip(received, again, inputs, strict=True):
            compare(second, first, f"the slope in `{name}` of the same result, when backward is called once more", more)
    _need_float32_kept(answer)
    _need_calls_apart(answer, generator)


def _need_float32_kept(answer: Answer) -> None:
    """Raise WrongAnswer if the result or a slope for float32 inputs is of another type."""
    first, second = (Tensor(np.array([[1.5, 2.5]], np.float32), requires_grad=True) for _ in range(2))
    result = call(answer, first, second, hint=_FORM)
    what = "squared_difference(Tensor of float32, Tensor of float32): the type of its numbers"
    need(
        result.dtype == np.float32, what, result.dtype, "float32", "NumPy keeps float32 unless a float64 array meets it"
    )


def _need_calls_apart(answer: Answer, generator: np.random.Generator) -> None:
    """Raise WrongAnswer if a call disturbs the backward of another one."""
    x, y = generator.uniform(-2, 2, (2, 3)), generator.uniform(-2, 2, (2, 3))

    def twice_in_one_graph() -> Tensor | None:
        leaf = Tensor(x, requires_grad=True)
        answer(answer(leaf, Tensor(y)), leaf).sum().backward()
        return leaf.grad

    expected = _by_differences(lambda x: ((x - y) ** 2 - x) ** 2, x, np.ones(x.shape))
    what = "x.grad after squared_difference(squared_difference(x, y), x).sum().backward()"
    own = "each call needs arrays of its own: its backward comes long after, and other calls in between"
    compare(attempt(twice_in_one_graph, answer, what, _FORM), expected, what, own)


def _attempt_walk_back(answer: Answer, result: Tensor, slopes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    given = slopes.copy()
    received: list[np.ndarray] = attempt(lambda: walk_back(result, given), answer, "backward(gradient)", _FORM)
    return received, given


def backward_order(answer: Answer) -> None:
    """03b: any order that is right, by its properties; and graphs on which slow or recursive ways end."""
    hint = "a node's turn comes when all nodes that use it have had theirs: count its uses, and count down"
    for name, (graph, root) in _graphs().items():
        result = call(answer, graph, root, hint=hint, seconds=_SECONDS)
        what = f"backward_order(...) of {name}" + (f", {graph}, {root!r}" if len(graph) < 10 else "")
        _need_right_order(result, graph, root, what, hint)
    graph, root = _graphs()["the lesson's graph"]
    first = call(answer, graph, root, hint=hint)
    call(answer, {"x": []}, "x", hint=hint)
    own = "each call begins from its arguments alone, and returns a list of its own"
    what = "backward_order(...) of the lesson's graph, looked at after another call"
    _need_right_order(first, graph, root, what, own)
    _need_right_order(call(answer, graph, root, hint=hint), graph, root, f"{what}, and asked once more", own)


def _need_right_order(result: Any, graph: dict[str, list[str]], root: str, what: str, hint: str) -> None:
    listed = isinstance(result, (list, tuple))
    need(listed, what, f"{type(result).__name__}: {result!r:.80}", "a list of names", hint)
    order = list(result)
    reached = _reached(graph, root)
    unknown = [node for node in order if not isinstance(node, str) or node not in reached]
    from_root = f"only nodes from which {root!r} was made: begin with {root!r}, and go on to inputs"
    need(not unknown, what, f"has {_some(unknown)}", "only what the root was made from", from_root)
    once = "keep a set of the nodes that were reached, so that each is entered once"
    twice = sorted({node for node in order if order.count(node) > 1}) if len(order) != len(set(order)) else []
    need(not twice, what, f"has {_some(twice)} more than once", "each node once", once)
    missing = sorted(reached - set(order))
    need(not missing, what, f"lacks {_some(missing)}", "all nodes that the root was made from, leaves too", hint)
    place = {node: position for position, node in enumerate(order)}
    for node in order:
        early = [used for used in graph[node] if place[used] < place[node]]
        shown = order if len(order) < 10 else "an order"
        need(not early, what, f"{shown}, with {_some(early)} before {node!r}", f"{node!r} first, it uses it", hint)


def _one_operation(answer: Answer, a: np.ndarray, b: np.ndarray, what: str) -> Tensor:
    """The reader's result, which must have the right values and be one node with two inputs."""
    first, second = Tensor(a.copy(), requires_grad=True), Tensor(b.copy(), requires_grad=True)
    result: Tensor = call(answer, first, second, hint=_FORM)
    need(isinstance(result, Tensor), what, f"is a {type(result).__name__}", "a Tensor", _FORM)
    compare(result.data, (a - b) ** 2, what, "the difference, times itself")
    untouched = np.array_equal(first.data, a) and np.array_equal(second.data, b)
    need(
        untouched,
        f"the inputs of {what}",
        "changed by it",
        "left as they were",
        "input.data - other.data is a new array",
    )
    node = result.node
    need(node is not None, what, "remembers no operation: the graph is cut here", "a Tensor with a way back", _FORM)
    if node is not None:
        found = node.inputs == (first.node, second.node)
        expected = "one operation with the two inputs (input, other)"
        need(found, what, f"is {node.name!r} made from {node.inputs}", expected, _FORM)
    return result


def walk_back(result: Tensor, slopes: np.ndarray) -> list[np.ndarray]:
    """The slope that each input receives, as an array of the input's shape. `slopes` is the argument of backward."""
    node = result.node
    if node is None or node.backward is None:
        raise RuntimeError("the result has no backward")
    contributions = node.backward(slopes)
    if not isinstance(contributions, (tuple, list)) or len(contributions) != 2:
        raise TypeError(f"backward must return two arrays, one for each input, but returned {contributions!r:.100}")
    received = []
    for child, contribution in zip(node.inputs, contributions, strict=True):
        if child is None or contribution is None:
            raise TypeError("backward must return an array for each of the two inputs")
        received.append(child.receive(np.array(contribution)))
    return received


def _by_differences(
    function: Callable[[np.ndarray], np.ndarray], array: np.ndarray, slopes: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """The slope of sum(slopes * function(array)) in each element, by central differences."""
    gradient = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        offset = np.zeros(array.shape)
        offset[place] = step
        gradient[place] = (slopes * (function(array + offset) - function(array - offset))).sum() / (2 * step)
    return gradient


def _graphs() -> dict[str, tuple[dict[str, list[str]], str]]:
    """Graphs and roots: from the lesson's to those with a short and a long way, with many ways, and with a long one."""
    sums = {f"y{i}": [f"y{i - 1}"] * 2 for i in range(1, 61)} | {"y0": []}
    ladder = {f"a{i}": [f"a{i - 1}", f"b{i - 1}"] for i in range(1, 41)} | {"a0": []}
    ladder |= {f"b{i}": [f"a{i - 1}", f"b{i - 1}"] for i in range(1, 40)} | {"b0": []}
    square = {"a": ["x", "x"], "d": ["c"], "c": ["x"], "x": []}
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
        "a square beside a long way": ({"loss": ["a", "d"], **square}, "loss"),
        "a long way beside a square": ({"loss": ["d", "a"], **square}, "loss"),
        "a graph of which a part is not wanted": (
            {"accuracy": ["y"], "loss": ["y", "z"], "y": ["x", "x"], "z": ["x"], "x": [], "label": []},
            "loss",
        ),
        "a node without inputs": ({"x": [], "y": ["x"]}, "x"),
        "a graph drawn at random": _drawn(np.random.default_rng(), 9),
        "a large graph drawn at random": _drawn(np.random.default_rng(), 60),
        "60 sums y = y + y": (sums, "y60"),
        "40 steps with two ways each": (ladder, "a40"),
        "a chain of 3,000": (chain, "n2999"),
    }


def _drawn(generator: np.random.Generator, nodes: int) -> tuple[dict[str, list[str]], str]:
    """A graph in which each node uses up to three later ones, its table in any order, and the root."""
    graph = {}
    for i in range(nodes):
        uses = int(generator.integers(1, 4)) if i + 1 < nodes else 0
        graph[f"n{i}"] = [f"n{generator.integers(i + 1, nodes)}" for _ in range(uses)]
    names = list(graph)
    generator.shuffle(names)
    return {name: graph[name] for name in names}, "n0"


def _reached(graph: dict[str, list[str]], root: str) -> set[str]:
    """All nodes from which `root` was made, and itself."""
    reached, fresh = {root}, {root}
    while fresh:
        fresh = {used for node in fresh for used in graph[node]} - reached
        reached |= fresh
    return reached


def _some(nodes: list[Any]) -> str:
    """The first three names."""
    return ", ".join(map(repr, nodes[:3])) + (" and more" if len(nodes) > 3 else "")


CHECKS = {"03a": squared_difference, "03b": backward_order}
