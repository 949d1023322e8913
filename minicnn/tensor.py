"""Tensor: an array, its gradient, and backward(). The engine that walks the graph back is in engine.py: read it first.

A Tensor is a NumPy array that remembers how it was made. An operation is a plain function (see functional/): it
computes its result from the arrays, defines its own backward as a local function beside the computation, and hands both
over to `make_result`, which adds a Node to the graph.

Operators and methods such as `+` and `.sum()` are one-line calls into functional; they stand in operators.py.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import anomaly
from minicnn.arrays import to_array
from minicnn.engine import Backward, Node, run_backward
from minicnn.grad_mode import mode
from minicnn.kernels import layout
from minicnn.operators import Operators


def refuse_create_graph(create_graph: bool) -> None:
    """Raise NotImplementedError if someone asks for gradients of gradients."""
    if create_graph:
        raise NotImplementedError(
            "create_graph=True (gradients of gradients) is not offered; use central differences of the gradient, "
            "as minicnn.gradcheck does"
        )


_filling = threading.RLock()  # held while a gradient is added to a .grad, which several threads may share


def _add_to_grad(node: Node, gradient: np.ndarray) -> None:
    """Add to the `.grad` of a leaf, or of a result that retains its gradient.

    The array is always a new one, so that a user may change one .grad and no other with it.
    """
    tensor = None if node.owner is None else node.owner()
    if tensor is None:  # no Tensor asked, or it died before its gradient came and nobody can look at it
        return
    with _filling:
        total = layout.copy(gradient) if tensor.grad is None else tensor.grad.data + gradient
        tensor.grad = Tensor(total)


class Tensor(Operators):
    """A NumPy array with a gradient and a memory of how it was made.

    `array` is anything NumPy can read. NumPy arrays keep their dtype and are not copied; Python floats, and lists of
    them, become float32, and Python integers int64. Only floating-point Tensors can require gradients (TypeError).
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_node", "_requires_grad", "_version")

    def __init__(self, array: Any, requires_grad: bool = False):
        self._array: np.ndarray = array._array if isinstance(array, Tensor) else to_array(array)
        self._grad: Tensor | None = None
        self._node: Node | None = None
        self._requires_grad = False
        self._version = [0]  # how often the values changed, in a list that views of the values share
        if requires_grad:
            self.requires_grad_()

    # What it is

    @property
    def data(self) -> np.ndarray:
        """The array. Another one may take its place, as in `p.data -= step`; a Tensor gives its array."""
        return self._array

    @data.setter
    def data(self, array: Any) -> None:
        self._array = array._array if isinstance(array, Tensor) else to_array(array)
        self._version[0] += 1

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward() has added up, or None. Raises TypeError if set to anything else."""
        return self._grad

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None and not isinstance(gradient, Tensor):
            raise TypeError(
                f"`grad` must be a Tensor or None, but is {type(gradient).__name__}; write tensor.grad = Tensor(array)"
            )
        self._grad = gradient

    def copy_(self, values: Any) -> Tensor:
        """This Tensor, with `values` (broadcast to its shape) written into its array; no gradient flows through it."""
        self._array[...] = _plain(values)
        self.increment_version()
        return self

    def increment_version(self) -> None:
        """Note that the values have changed in place: a backward that still needs the former ones must refuse."""
        self._version[0] += 1

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
        return self._node is None or self._node.is_leaf

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

    def __index__(self) -> int:
        if self._array.size != 1 or self.dtype.kind not in "iu":
            raise TypeError(
                f"an index must be one whole number, but this Tensor has shape {self.shape} and dtype {self.dtype}"
            )
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __repr__(self) -> str:
        values = np.array2string(self.data, precision=4, separator=", ", threshold=100, edgeitems=3, prefix="Tensor(")
        dtype = "" if self.dtype == np.float32 else f", dtype={self.dtype}"
        history = f", made by {self._node.name}" if not self.is_leaf and self._node is not None else ""
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
            self._node.owner = weakref.ref(self)
        return self

    def detach(self) -> Tensor:
        """A Tensor over the same array that no gradient flows through."""
        result = Tensor(self._array)
        result._version = self._version
        return result

    def retain_grad(self) -> None:
        """Keep `.grad` of this Tensor although it is not a leaf. Raises RuntimeError if it requires no gradient."""
        node = self._differentiable_node("retain_grad()")
        node.owner = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Call `hook(gradient)` when this Tensor's whole gradient is known; what it returns, if not None, replaces it.

        Returns a function that removes the hook. Raises RuntimeError if this Tensor requires no gradient.
        """
        node = self._differentiable_node("register_hook()")

        def call(gradient: np.ndarray) -> np.ndarray | None:
            replacement = hook(Tensor(gradient))
            return None if replacement is None else as_tensor(replacement).data

        node.hooks.append(call)

        def remove() -> None:
            if call in node.hooks:
                node.hooks.remove(call)

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
        if other is None or isinstance(other, str):  # as in PyTorch: nothing to compare with, element by element
            return NotImplemented
        return Tensor(self.data == _plain(other))

    def __ne__(self, other: Any) -> Any:
        if other is None or isinstance(other, str):
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

    def __xor__(self, other: Any) -> Tensor:
        return Tensor(self.data ^ _plain(other))

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__


def make_result(
    data: np.ndarray,
    inputs: Sequence[Tensor | None],
    backward: Backward,
    name: str,
    keeps_inputs: bool = True,
) -> Tensor:
    """The Tensor that an operation returns, with the way back to its inputs if any of them requires a gradient.

    An input that was not given, such as a missing bias, is None. `backward(gradient)` gets an array of `data`'s shape
    and returns one array or None for each of `inputs`: `gradient` itself, a view of `gradient`, or a fresh array, in
    any shape that broadcasting the input could have given. It must not change `gradient`, nor return an array that it
    keeps. With `keeps_inputs` the way back is refused once the values of an input have changed; `backward` of an
    operation such as a sum does not look at them.
    """
    result = Tensor.__new__(Tensor)
    result._array = data = np.asarray(data)
    result._grad = result._node = None
    result._requires_grad = False
    result._version = [0]
    if not keeps_inputs and len(inputs) == 1 and inputs[0] is not None and np.may_share_memory(data, inputs[0]._array):
        result._version = inputs[0]._version  # a view: what changes the input changes the result
    anomaly.check_forward(name, data, inputs)
    if mode.grad_enabled and data.dtype.kind == "f" and any(t is not None and t._requires_grad for t in inputs):
        node = Node(name, data, tuple(None if t is None else _node_of(t) for t in inputs), backward)
        if keeps_inputs:
            node.kept = [None if t is None else (t._version, t._version[0], t._array.shape) for t in inputs]
        result._node = node
        result._requires_grad = True
    return result


def _node_of(tensor: Tensor) -> Node | None:
    node = tensor._node
    if node is not None and node.is_leaf:  # a leaf's array may have been replaced since the last use
        node.describe(tensor.data)
    return node


def as_tensor(value: Any) -> Tensor:
    """`value` itself if it is a Tensor, else a Tensor of it that requires no gradient."""
    return value if isinstance(value, Tensor) else Tensor(value)


def optional_tensor(value: Any) -> Tensor | None:
    """`value` as a Tensor, or None if it was not given."""
    return None if value is None else as_tensor(value)


def _plain(value: Any) -> Any:
    """The array of anything a Tensor can hold; a Python number as it is, for NumPy gives it the other side's dtype."""
    return value if isinstance(value, (bool, int, float)) else as_tensor(value).data


def _unpickled(kind: type[Tensor], array: np.ndarray, channels_last: bool, requires_grad: bool) -> Tensor:
    """The Tensor that `__reduce__` took apart, in its former memory order, which a pickled array loses."""
    tensor = kind.__new__(kind)
    Tensor.__init__(tensor, layout.match(array, channels_last) if array.ndim == 4 else array, requires_grad)
    return tensor
