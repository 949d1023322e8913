"""Tensor and Node: an array, its gradient, and the way back. Open this file first.

A Tensor is a NumPy array that remembers how it was made. An operation is a plain function (see functional/): it
computes its result from the arrays, defines its own backward as a local function beside it, and hands both over to
`make_result`. That builds this graph, in which Nodes point from results to inputs:

    x = Tensor(..., requires_grad=True)        Node("leaf")  <---+
    y = relu(x)                                Node("relu")  ----+  <---+
    loss = y.sum()                             Node("sum")   -----------+

`loss.backward()` walks the Nodes in topological order, latest first. Each Node receives the gradient of the loss with
respect to its own result, whole, before its backward turns it into the gradients of its inputs.

What to know before reading:
- A Node is apart from its Tensor and does not hold its array. An array lives on only if some backward names it.
- `Node.receive` is the one place where a gradient is summed over broadcast axes, cast, laid out in memory as its value
  is, and added to what came before. No backward has to think of these.
- A graph is freed as it is walked. A second backward over it says so, unless retain_graph=True kept it.
- Operators and methods such as `+` and `.sum()` are one-line calls into functional; they stand in operators.py.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import anomaly
from minicnn.kernels import layout
from minicnn.kernels.pointwise import elementwise
from minicnn.operators import Operators

Backward = Callable[[np.ndarray], "Sequence[np.ndarray | None]"]


class _Mode(threading.local):
    """Whether operations are recorded; one for each thread, so that a no_grad() in one stops no other's training."""

    grad_enabled = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """True while operations record how to go back, False inside `no_grad()`."""
    return _mode.grad_enabled


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """While this is open, operations record nothing: results require no gradients, and intermediates die at once."""
    before, _mode.grad_enabled = _mode.grad_enabled, False
    try:
        yield
    finally:
        _mode.grad_enabled = before


@contextlib.contextmanager
def enable_grad() -> Iterator[None]:
    """While this is open, operations are recorded, even inside `no_grad()`."""
    before, _mode.grad_enabled = _mode.grad_enabled, True
    try:
        yield
    finally:
        _mode.grad_enabled = before


class Node:
    """One operation of the graph, or one leaf: how to turn the result's gradient into those of the inputs."""

    __slots__ = (
        "backward",
        "channels_last",
        "dtype",
        "freed",
        "gradient",
        "hooks",
        "inputs",
        "leaf",
        "name",
        "path",
        "retained",
        "shape",
    )

    def __init__(
        self, name: str, value: np.ndarray, inputs: tuple[Node | None, ...] = (), backward: Backward | None = None
    ):
        self.name = name
        self.shape, self.dtype = value.shape, value.dtype
        self.channels_last = layout.is_channels_last(value)
        self.inputs = inputs  # one entry an input of the operation; None where that input requires no gradient
        self.backward = backward  # None for a leaf
        # The Tensor whose .grad is filled, if this is a leaf. Weak, for the Tensor holds its node: a cycle of strong
        # references would keep both until the garbage collector comes.
        self.leaf: weakref.ref[Tensor] | None = None
        self.retained: weakref.ref[Tensor] | None = None  # likewise, the result whose retain_grad() was called
        self.gradient: np.ndarray | None = None  # filled and emptied during one walk
        self.hooks: list[Callable[[Tensor], Tensor | None]] = []
        self.freed = False
        self.path = anomaly.module_path()  # "features.3" where anomaly detection is on, else ""

    def receive(self, gradient: np.ndarray) -> None:
        """Add one contribution to the gradient of this node's value, in the value's shape, dtype and memory order."""
        gradient = np.asarray(_sum_to_shape(gradient, self.shape), dtype=self.dtype)
        if gradient.ndim == 4:
            gradient = layout.match(gradient, self.channels_last)
        # Out of place: `gradient` may be shared with another input of the same operation.
        self.gradient = gradient if self.gradient is None else elementwise.add(self.gradient, gradient)

    def __repr__(self) -> str:
        return f"Node({self.name}, shape={self.shape})"


def _sum_to_shape(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient of a value that was broadcast: summed over every axis along which it was repeated."""
    if gradient.shape == shape:
        return gradient
    added = gradient.ndim - len(shape)  # axes that broadcasting put in front
    repeated = tuple(range(added)) + tuple(
        added + axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[added + axis] != 1
    )
    return np.asarray(long_sum(gradient, repeated, keepdims=True)).reshape(shape)


def long_sum(array: np.ndarray, axis: tuple[int, ...], keepdims: bool = False) -> np.ndarray:
    """The sum over `axis`, taken in float64 and returned in the array's dtype: a float32 total stops growing."""
    with np.errstate(over="ignore", invalid="ignore"):
        return array.sum(axis=axis, keepdims=keepdims, dtype=np.float64).astype(array.dtype)


def topological_order(root: Node) -> list[Node]:
    """All nodes from which `root` was made, each after every node that uses it. Iterative: a graph may be deep."""
    order: list[Node] = []
    seen: set[Node] = {root}
    stack: list[tuple[Node, Iterator[Node | None]]] = [(root, iter(root.inputs))]
    while stack:
        node, remaining = stack[-1]
        for child in remaining:
            if child is not None and child not in seen:
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

    Raises RuntimeError if the graph was freed by an earlier backward.
    """
    order = topological_order(root)
    for node in order:
        if node.freed:
            raise RuntimeError(
                f"backward came a second time over a graph that the first one freed (at operation {node.name!r}); "
                "pass retain_graph=True to the first backward, or compute the result anew"
            )
    root.receive(gradient)
    try:
        for node in order:
            received, node.gradient = node.gradient, None
            if received is None:  # no input of a later operation passed a gradient on, as with argmax
                continue
            for hook in node.hooks:
                replacement = hook(Tensor(received))
                if replacement is not None:
                    received = _checked_replacement(node, as_tensor(replacement).data)
            visit(node, received)
            if node.backward is None:
                continue
            contributions = node.backward(received)
            anomaly.check_backward(node, received, contributions)
            for child, contribution in zip(node.inputs, contributions, strict=True):
                if child is not None and contribution is not None:
                    child.receive(contribution)
            if not retain_graph:
                _free(node)
    finally:
        for node in order:
            node.gradient = None
            if not retain_graph:
                _free(node)


def refuse_create_graph(create_graph: bool) -> None:
    """Raise NotImplementedError if someone asks for gradients of gradients."""
    if create_graph:
        raise NotImplementedError(
            "create_graph=True (gradients of gradients) is not offered; use central differences of the gradient, "
            "as minicnn.gradcheck does"
        )


def _checked_replacement(node: Node, gradient: np.ndarray) -> np.ndarray:
    """What a hook returned, in the gradient's dtype. Raises ValueError unless it has the gradient's shape."""
    if gradient.shape != node.shape:
        raise ValueError(
            f"a hook on {node!r} returned a gradient of shape {gradient.shape}; it must have the shape of the one that "
            "it got, or be None to leave that as it is"
        )
    return gradient.astype(node.dtype, copy=False)


def _free(node: Node) -> None:
    """Let go of the arrays that a node's backward holds, and of the nodes before it."""
    if node.backward is not None:
        node.backward, node.inputs, node.freed = _already_freed, (), True


def _add_to_grad(node: Node, gradient: np.ndarray) -> None:
    """Add to the `.grad` of a leaf, or of a result that retains it.

    The array is always a new one, so that a user may change one .grad and no other with it.
    """
    keeper = node.leaf or node.retained
    tensor = None if keeper is None else keeper()
    if tensor is None:  # no Tensor asked, or it died before its gradient came and nobody can look at it
        return
    total = layout.copy(gradient) if tensor.grad is None else tensor.grad.data + gradient
    tensor.grad = Tensor(total)


def _already_freed(gradient: np.ndarray) -> Sequence[np.ndarray | None]:
    raise RuntimeError("this part of the graph was freed by an earlier backward")


class Tensor(Operators):
    """A NumPy array with a gradient and a memory of how it was made.

    `array` is anything NumPy can read. NumPy arrays keep their dtype and are not copied; Python floats, and lists of
    them, become float32, and Python integers int64. Only floating-point Tensors can require gradients (TypeError).
    """

    __slots__ = ("__weakref__", "_node", "_requires_grad", "data", "grad")

    def __init__(self, array: Any, requires_grad: bool = False):
        self.data: np.ndarray = _to_array(array)
        self.grad: Tensor | None = None
        self._node: Node | None = None
        self._requires_grad = False
        if requires_grad:
            self.requires_grad_()

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes; an image batch is (N, C, H, W)."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def requires_grad(self) -> bool:
        """True if a gradient flows to this Tensor: it is a leaf that asked for one, or was made from such a leaf.

        `tensor.requires_grad = False` does what `requires_grad_(False)` does.
        """
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, requires_grad: bool) -> None:
        self.requires_grad_(requires_grad)

    @property
    def is_leaf(self) -> bool:
        """True if no recorded operation made this Tensor; only leaves keep `.grad` without being asked."""
        return self._node is None or self._node.leaf is not None

    @property
    def node(self) -> Node | None:
        """The graph's node for this Tensor, or None if it requires no gradient."""
        return self._node

    @property
    def T(self) -> Tensor:
        """A matrix with its two axes exchanged. Raises ValueError unless there are two."""
        if self.ndim != 2:
            raise ValueError(f".T needs a matrix, but the shape is {self.shape}; use .permute(...) or .transpose(a, b)")
        return self.transpose(0, 1)

    def dim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    def numel(self) -> int:
        """The number of elements."""
        return int(self.data.size)

    def size(self, dim: int | None = None) -> tuple[int, ...] | int:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def numpy(self) -> np.ndarray:
        """The array itself, not a copy. Raises RuntimeError if the Tensor requires a gradient: detach() it first."""
        if self._requires_grad:
            raise RuntimeError(
                "numpy() of a Tensor that requires a gradient would cut the graph unseen; use .detach().numpy()"
            )
        return self.data

    def item(self) -> float | int | bool:
        """The one element as a Python number. Raises ValueError if there is not exactly one."""
        if self.data.size != 1:
            raise ValueError(
                f"item() needs a Tensor of one element, but the shape is {self.shape}: {self.data.size} elements"
            )
        return self.data.item()

    def tolist(self) -> Any:
        """The elements as nested Python lists."""
        return self.data.tolist()

    def __len__(self) -> int:
        if not self.data.ndim:
            raise TypeError("len() of a Tensor without axes")
        return self.data.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __repr__(self) -> str:
        values = np.array2string(self.data, precision=4, separator=", ", threshold=100, edgeitems=3, prefix="Tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        history = f", made by {self._node.name}" if self._node is not None and self._node.leaf is None else ""
        grad = ", requires_grad=True" if self._requires_grad and not history else ""
        return f"Tensor({values}, shape={self.shape}{dtype}{grad}{history})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle: the class, the array, and whether a gradient is required; like a copy, without the gradient."""
        if not self.is_leaf:
            raise RuntimeError(f"only leaves can be pickled, but {self._node!r} made this Tensor; pickle its .detach()")
        return _unpickled, (type(self), self.data, layout.is_channels_last(self.data), self._requires_grad)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(f"only leaves can be copied, but {self._node!r} made this Tensor; copy its .detach()")
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        Tensor.__init__(copy, self.data.copy(order="K"), self._requires_grad)
        return copy

    # Gradients

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """This Tensor, now a leaf that asks for its gradient (or no longer asks).

        Raises TypeError for integer or boolean data and RuntimeError if an operation made this Tensor.
        """
        if not self.is_leaf:
            raise RuntimeError(
                f"requires_grad_() is for leaves, but {self._node!r} made this Tensor; .detach() cuts it from its graph"
            )
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(
                f"only floating-point Tensors can require gradients, but the dtype is {self.dtype}; use .float()"
            )
        if requires_grad == self._requires_grad:  # the node stays, with its hooks and the graphs that lead to it
            return self
        self._requires_grad = requires_grad
        self._node = None
        if requires_grad:
            self._node = Node("leaf", self.data)
            self._node.leaf = weakref.ref(self)
        return self

    def detach(self) -> Tensor:
        """A Tensor over the same array that no gradient flows through."""
        return Tensor(self.data)

    def retain_grad(self) -> None:
        """Keep `.grad` of this Tensor although it is not a leaf. Raises RuntimeError if it requires no gradient."""
        node = self._differentiable_node("retain_grad()")
        if node.leaf is None:
            node.retained = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Call `hook(gradient)` when this Tensor's whole gradient is known; what it returns, if not None, replaces it.

        Returns a function that removes the hook. Raises RuntimeError if this Tensor requires no gradient.
        """
        node = self._differentiable_node("register_hook()")
        node.hooks.append(hook)

        def remove() -> None:
            if hook in node.hooks:
                node.hooks.remove(hook)

        return remove

    def _differentiable_node(self, what: str) -> Node:
        if self._node is None:
            raise RuntimeError(
                f"{what} needs a Tensor that requires a gradient, but this one (shape {self.shape}) does not: it was "
                "made inside no_grad(), was detached, or no input of its operations has requires_grad=True"
            )
        return self._node

    def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add this Tensor's gradient with respect to each leaf that it was made from to that leaf's `.grad`.

        `gradient` has this Tensor's shape and may be left out for a single element. `retain_graph=True` keeps the graph
        for a second walk. Raises RuntimeError without a graph, ValueError for a gradient of another shape, and
        NotImplementedError for `create_graph=True`: there are no gradients of gradients here.
        """
        refuse_create_graph(create_graph)
        node = self._differentiable_node("backward()")
        run_backward(node, self.starting_gradient(gradient), retain_graph, _add_to_grad)

    def starting_gradient(self, gradient: Any) -> np.ndarray:
        """The array that backward starts from: `gradient`, checked against this Tensor's shape, or a 1."""
        if gradient is None:
            if self.data.size != 1:
                raise ValueError(
                    f"backward() without `gradient` needs a Tensor of one element, such as a loss, but the shape is "
                    f"{self.shape}; pass a gradient of that shape, or reduce with .sum() or .mean() first"
                )
            return np.ones_like(self.data)
        array = np.asarray(_plain(gradient), dtype=self.dtype)
        if array.shape != self.shape:
            raise ValueError(
                f"gradient has shape {array.shape}, but the Tensor has shape {self.shape}; they must be equal"
            )
        return array

    # Comparisons: element by element, and no gradient flows

    def __eq__(self, other: Any) -> Any:
        if other is None:  # `tensor == None` is False, as in PyTorch: nothing to compare with, element by element
            return NotImplemented
        return Tensor(self.data == _plain(other))

    def __ne__(self, other: Any) -> Any:
        if other is None:
            return NotImplemented
        return Tensor(self.data != _plain(other))

    def __lt__(self, other: Any) -> Tensor:
        return Tensor(self.data < _plain(other))

    def __le__(self, other: Any) -> Tensor:
        return Tensor(self.data <= _plain(other))

    def __gt__(self, other: Any) -> Tensor:
        return Tensor(self.data > _plain(other))

    def __ge__(self, other: Any) -> Tensor:
        return Tensor(self.data >= _plain(other))

    __hash__ = object.__hash__  # == compares elements, so identity is what a dictionary may use

    def __invert__(self) -> Tensor:
        return Tensor(~self.data)

    def __and__(self, other: Any) -> Tensor:
        return Tensor(self.data & _plain(other))

    def __or__(self, other: Any) -> Tensor:
        return Tensor(self.data | _plain(other))


def make_result(data: np.ndarray, inputs: Sequence[Tensor], backward: Backward, name: str) -> Tensor:
    """The Tensor that an operation returns, with the way back to its inputs if any of them requires a gradient.

    `backward(gradient)` gets an array of `data`'s shape and returns one array or None for each of `inputs`: `gradient`
    itself, a view of it, or a fresh array, in any shape that broadcasting the input could have given. It must not
    change `gradient`, nor return an array that it keeps.
    """
    result = Tensor.__new__(Tensor)
    result.data = data = np.asarray(data)
    result.grad = result._node = None
    result._requires_grad = False
    anomaly.check_forward(name, data, inputs)
    if _mode.grad_enabled and data.dtype.kind == "f" and any(tensor._requires_grad for tensor in inputs):
        result._node = Node(name, data, tuple(_node_of(tensor) for tensor in inputs), backward)
        result._requires_grad = True
    return result


def _node_of(tensor: Tensor) -> Node | None:
    node = tensor._node
    if node is not None and node.leaf is not None:  # a leaf's array may have been replaced since the last use
        node.shape, node.dtype = tensor.data.shape, tensor.data.dtype
        node.channels_last = layout.is_channels_last(tensor.data)
    return node


def as_tensor(value: Any) -> Tensor:
    """`value` itself if it is a Tensor, else a Tensor of it that requires no gradient."""
    return value if isinstance(value, Tensor) else Tensor(value)


def _plain(value: Any) -> Any:
    """The array of anything a Tensor can hold; a Python number as it is, for NumPy gives it the other side's dtype."""
    return value if isinstance(value, (bool, int, float)) else as_tensor(value).data


def _to_array(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.data
    try:
        array = np.asarray(value)
    except ValueError as error:  # NumPy's message speaks of inhomogeneous shapes
        raise ValueError(
            f"a Tensor needs rows of equal lengths, but this {type(value).__name__} has parts of different shapes; "
            "bring pictures to one size first"
        ) from error
    if array.dtype == np.float64 and not isinstance(value, (np.ndarray, np.generic)):
        array = array.astype(np.float32)  # Python's floats say nothing of precision; the default is float32
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a Tensor holds numbers or booleans, but got {type(value).__name__} of dtype {array.dtype}")
    return array


def _unpickled(kind: type[Tensor], array: np.ndarray, channels_last: bool, requires_grad: bool) -> Tensor:
    """The Tensor that `__reduce__` took apart, in its former memory order, which a pickled array loses."""
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, layout.match(array, channels_last) if array.ndim == 4 else array, requires_grad)
    return tensor
