"""A network as a list of steps: the operations of one forward pass, in their order, from the graph of that pass.

A hook on every layer (a module without children) notes the layer of each result. The graph shows the operations between
layers: sums, concatenations, reshapes. A layer is one step, whatever operations it contains.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from minicnn.engine import Node, topological_order
from minicnn.grad_mode import enable_grad
from minicnn.nn import Module, evaluation_mode
from minicnn.tensor import Tensor

IMAGES = "images"  # the name of the input


@dataclass(frozen=True)
class Step:
    """One step: a layer of the network, or an operation between layers. Shapes are for a batch of two."""

    name: str  # of the step and of its result: the layer's path or the operation's name, numbered from the second on
    operation: str  # the layer's type, or the operation's name: "add_relu", "concat", "reshape" ...
    layer: Module | None
    inputs: tuple[str, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]


def steps_of(model: Module, input_size: Sequence[int]) -> tuple[list[Step], list[str]]:
    """(steps, names of the outputs) of `model` for images of `input_size` (C, H, W), in evaluation mode.

    Runs one forward pass of two blank images, so that sizes that depend on the batch differ from those of one image.
    Raises TypeError if the model does not return a Tensor, or a list or tuple of Tensors. Raises ValueError if an
    output does not depend on the images, or depends on them outside the graph.
    """
    images = Tensor(np.zeros((2, *input_size), np.float32), requires_grad=True)
    recorder = _Recorder(images)
    with evaluation_mode(model), enable_grad(), contextlib.ExitStack() as hooks:
        for path, module in model.named_modules():
            if not list(module.children()):
                hooks.enter_context(module.register_forward_hook(recorder.hook(path)))
        result = model(images)
        outputs = list(result) if isinstance(result, (list, tuple)) else [result]
        for number, output in enumerate(outputs):
            _check_output(output, number, type(result).__name__)
        return recorder.steps, [recorder.name_of(output) for output in outputs]


def _check_output(output: Any, number: int, kind: str) -> None:
    if not isinstance(output, Tensor):
        inside = "" if type(output).__name__ == kind else f", whose item {number} is a {type(output).__name__}"
        raise TypeError(
            f"the model returns a {kind}{inside}; a model that returns a Tensor, or a list or tuple of Tensors, can be "
            "exported"
        )


def with_other_names(
    steps: Sequence[Step], results: Sequence[str], taken: Collection[str]
) -> tuple[list[Step], list[str]]:
    """The steps and the results with other names in place of those in `taken`: a layer may be called "logits"."""
    names = {IMAGES, *taken, *(step.name for step in steps)}
    other: dict[str, str] = {}
    for step in steps:
        if step.name in taken:
            other[step.name] = free_name(step.name, names)
            names.add(other[step.name])
    renamed = [
        replace(step, name=other.get(step.name, step.name), inputs=tuple(other.get(name, name) for name in step.inputs))
        for step in steps
    ]
    return renamed, [other.get(name, name) for name in results]


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, with a number at its end if it is in `taken`."""
    free, number = name, 1
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


class _Recorder:
    """Names for all values of one pass, and the steps that make them."""

    def __init__(self, images: Tensor):
        self.steps: list[Step] = []
        self._names: dict[Node | None, str] = {images.node: IMAGES}
        self._taken = {IMAGES}

    def hook(self, path: str) -> Any:
        """A forward hook for the layer at `path`."""

        def note(layer: Module, inputs: tuple[Any, ...], output: Any) -> None:
            kind = type(layer).__name__
            name = path or kind
            if not isinstance(output, Tensor):
                raise ValueError(f"layer {name!r} returns {type(output).__name__}, which can't be exported")
            if len(inputs) != 1 or not isinstance(inputs[0], Tensor):
                taken = ", ".join(type(each).__name__ for each in inputs) or "nothing"
                raise ValueError(f"layer {name!r} takes {taken}; layers that take one Tensor can be exported")
            before = self.name_of(inputs[0])
            if output.node is not inputs[0].node:  # else the layer is Identity, or dropout in evaluation
                self._add(name, kind, layer, (before,), (inputs[0].shape,), output.node)

        return note

    def name_of(self, value: Tensor) -> str:
        """The name of a value; adds the steps that lead from named values to this value."""
        if value.node is None:
            raise ValueError(f"a value of shape {value.shape} does not come from the images, and can't be exported")
        if value.node.is_leaf and value.node not in self._names:
            raise ValueError(f"a parameter of shape {value.shape} does not come from the images, and can't be exported")
        order = topological_order(value.node, self._names)
        for node in order:
            if any(child not in self._names and (child is None or child.is_leaf) for child in node.inputs):
                raise ValueError(
                    f"operation {node.name!r} takes a parameter or a constant outside of a layer; give it a Module of "
                    "its own, so that it can be exported"
                )
        for node in reversed(order):  # inputs come before the nodes that use them
            names = tuple(self._names[child] for child in node.inputs)
            self._add(node.name, node.name, None, names, tuple(child.shape for child in node.inputs if child), node)
        return self._names[value.node]

    def _add(
        self,
        name: str,
        operation: str,
        layer: Module | None,
        inputs: tuple[str, ...],
        shapes: tuple[tuple[int, ...], ...],
        node: Node | None,
    ) -> None:
        if node is None:
            raise ValueError(f"layer {name!r} gives a result that does not come from the images")
        unique = free_name(name, self._taken)
        self._taken.add(unique)
        self._names[node] = unique
        self.steps.append(Step(unique, operation, layer, inputs, shapes, node.shape))
