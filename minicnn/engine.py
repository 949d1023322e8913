"""The engine: a graph of Nodes, and the walk back over it. Open this file first.

The graph remembers how a number was computed. Each operation leaves one Node, which points to the nodes of its inputs;
leaves, such as weights, point to nothing:

    x = Tensor(..., requires_grad=True)        Node("leaf")  <---+
    y = relu(x)                                Node("relu")  ----+  <---+
    loss = y.sum()                             Node("sum")   -----------+

`run_backward` starts at the loss, with the gradient 1, and visits the nodes in topological order: each node after all
that used its value. So the gradient of a node's value is whole before `node.backward` turns it into the gradients of
the inputs. That is the chain rule, and the rest of this file is bookkeeping.

The engine knows arrays only. Tensor (tensor.py) makes the nodes, and hands in what becomes of a gradient (`visit`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import anomaly
from minicnn.kernels import layout
from minicnn.kernels.pointwise import elementwise

Backward = Callable[[np.ndarray], "Sequence[np.ndarray | None]"]
Hook = Callable[[np.ndarray], "np.ndarray | None"]


class Node:
    """One operation of the graph, or one leaf: how to turn the result's gradient into the gradients of the inputs.

    A Node describes the value that the operation made, but does not hold the array: an array lives on only if some
    backward needs that array.
    """

    __slots__ = (
        "backward", "channels_last", "dtype", "freed", "hooks", "inputs", "kept", "name", "owner", "path", "shape",
    )  # fmt: skip

    def __init__(
        self, name: str, value: np.ndarray, inputs: tuple[Node | None, ...] = (), backward: Backward | None = None
    ):
        self.name = name
        self.describe(value)
        self.inputs = inputs  # one entry an input of the operation; None where that input requires no gradient
        self.backward = backward  # None for a leaf
        # The Tensor whose .grad is filled: a leaf, or a result whose retain_grad() was called. Weak, for the Tensor
        # holds its node: a cycle of strong references would keep both until the garbage collector comes.
        self.owner: weakref.ref[Any] | None = None
        self.hooks: list[Hook] = []
        self.freed = False
        # For each input whose values `backward` needs: its count of changes, that count at present, and its shape.
        self.kept: list[tuple[list[int], int, tuple[int, ...]] | None] = []
        self.path = anomaly.module_path()  # "features.3" where anomaly detection is on, else ""

    def describe(self, value: np.ndarray) -> None:
        """Note the shape, the dtype and the memory order that a gradient of this value must have."""
        self.shape, self.dtype = value.shape, value.dtype
        self.channels_last = layout.is_channels_last(value)

    @property
    def is_leaf(self) -> bool:
        """True if no operation made the value."""
        return self.backward is None

    def receive(self, contribution: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
        """The gradient `before` plus one contribution, in the value's shape, dtype and memory order.

        This is the one place where a gradient is summed over broadcast axes, cast, laid out in memory and added up: no
        backward has to think of these. Raises ValueError unless broadcasting makes the contribution's shape of the
        value's.
        """
        gradient = contribution
        if gradient.shape != self.shape:
            gradient = _sum_to_shape(gradient, self)
        gradient = np.asarray(gradient, dtype=self.dtype)
        if gradient.ndim == 4:
            gradient = layout.match(gradient, self.channels_last)
        # Out of place: `contribution` may be shared with another input of the same operation.
        return gradient if before is None else elementwise.add(before, gradient)

    def __repr__(self) -> str:
        return f"Node({self.name}, shape={self.shape})"


def topological_order(root: Node, known: Container[Node | None] = ()) -> list[Node]:
    """All nodes from which `root` was made, `root` first, each node after every node that uses its value.

    Nodes in `known`, and what only they lead to, are left out. Iterative: a graph may be deep.
    """
    if root in known:
        return []
    order: list[Node] = []
    seen = {root}
    stack: list[tuple[Node, Iterator[Node | None]]] = [(root, iter(root.inputs))]
    while stack:
        node, remaining = stack[-1]
        for child in remaining:
            if child is not None and child not in seen and child not in known:
                seen.add(child)
                stack.append((child, iter(child.inputs)))
                break
        else:
            order.append(node)
            stack.pop()
    order.reverse()
    return order


def run_backward(
    root: Node, gradient: np.ndarray, retain_graph: bool, visit: Callable[[Node, np.ndarray], None]
) -> None:
    """Walk the graph back from `root`; `visit(node, gradient)` is told each node's whole gradient, after its hooks.

    Raises RuntimeError if an earlier backward freed the graph, or if values that a backward needs have changed.
    """
    order = topological_order(root)
    for node in order:
        _need_intact(node)
    gradients = {root: root.receive(gradient)}  # what has come together so far; this walk's own, for others may run
    try:
        for node in order:
            received = gradients.pop(node, None)
            if received is None:  # no later operation passed a gradient on, as with argmax
                continue
            for hook in tuple(node.hooks):  # a hook may remove itself
                received = _replaced(node, received, hook)
            visit(node, received)
            if node.backward is None:
                continue
            with np.errstate(all="ignore"):  # an infinity or a NaN is the right gradient of some values
                contributions = node.backward(received)
            anomaly.check_backward(node, received, contributions)
            for child, contribution in zip(node.inputs, contributions, strict=True):
                if child is not None and contribution is not None:
                    gradients[child] = child.receive(contribution, gradients.get(child))
            if not retain_graph:
                _free(node)
    finally:
        if not retain_graph:
            for node in order:
                _free(node)


def _need_intact(node: Node) -> None:
    """Raise RuntimeError if `node` was freed, or if values that its backward needs are no longer those of forward."""
    if node.freed:
        raise RuntimeError(
            f"backward came a second time over a graph that the first one freed (at operation {node.name!r}); "
            "pass retain_graph=True to the first backward, or compute the result again"
        )
    for position, entry in enumerate(node.kept):
        if entry is not None and entry[0][0] != entry[1]:
            raise RuntimeError(
                f"input {position} of {node.name!r}, of shape {entry[2]}, has changed since the forward pass (by an "
                "optimiser's step, a load, or a new .data), so that its gradient would be wrong; call backward() "
                "before the change, or compute the result again after it"
            )


def long_sum(array: np.ndarray, axis: tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """The sum over `axis`, taken in float64 and returned in the array's dtype: a float32 total would stop growing."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(array.sum(axis=axis, keepdims=keepdims, dtype=np.float64).astype(array.dtype))


def _sum_to_shape(gradient: np.ndarray, node: Node) -> np.ndarray:
    """The gradient of a value that was broadcast: summed over every axis along which the value was repeated."""
    shape = node.shape
    added = gradient.ndim - len(shape)  # axes that broadcasting put in front
    if added < 0 or any(
        size not in (1, found) for size, found in zip(shape, gradient.shape[max(added, 0) :], strict=False)
    ):
        raise ValueError(
            f"a backward returned a gradient of shape {gradient.shape} for {node!r}; the gradient must have the shape "
            "of the input, or a shape that the input is broadcast to"
        )
    repeated = tuple(range(added)) + tuple(
        added + axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[added + axis] != 1
    )
    return long_sum(gradient, repeated, keepdims=True).reshape(shape)


def _replaced(node: Node, gradient: np.ndarray, hook: Hook) -> np.ndarray:
    """The gradient that a hook returned, or changed in place. Raises ValueError for another shape."""
    gradient = layout.copy(gradient)  # other nodes may hold the array, which the hook may change
    replacement = hook(gradient)
    if replacement is None:
        return gradient
    if replacement.shape != node.shape:
        raise ValueError(
            f"a hook on {node!r} returned a gradient of shape {replacement.shape}; a hook must return the shape of the "
            "gradient that it got, or None to leave the gradient as it is"
        )
    return replacement.astype(node.dtype, copy=False)


def _free(node: Node) -> None:
    """Let go of the arrays that a node's backward holds, and of the nodes before it."""
    if not node.is_leaf:
        node.backward, node.inputs, node.kept, node.freed = _already_freed, (), [], True


def _already_freed(gradient: np.ndarray) -> Sequence[np.ndarray | None]:
    raise RuntimeError("this part of the graph was freed by an earlier backward")
