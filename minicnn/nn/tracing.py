"""Receptive fields of a real network, branches included: read off the graph that one forward pass leaves behind.

A hook on every layer with a window notes what its window is. The graph of the operations tells what was added to or
concatenated with what, so that a residual network needs no description: behind an operation that is no such layer, the
field is the largest of its inputs'. Windows of functions called directly, not through layers, can't be seen.
Normalisation over whole images (group, instance, layer norm) is passed over: it knows their mean, not their pixels.
"""

from __future__ import annotations

from typing import Any

from minicnn.functional.arguments import as_pair
from minicnn.nn.convolution import Conv2d, ConvTranspose2d
from minicnn.nn.module import Module
from minicnn.nn.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d
from minicnn.nn.receptive_field import ReceptiveField, largest
from minicnn.nn.shaping import Upsample
from minicnn.tensor import Node, Tensor

Fields = tuple[ReceptiveField, ReceptiveField]  # down the image, and across it


class FieldTracer:
    """The receptive fields of all that is made from one batch of images (N, C, H, W) that requires a gradient."""

    def __init__(self, image: Tensor):
        self._fields: dict[Node, Fields] = {}
        if image.node is not None and image.ndim == 4:
            self._fields[image.node] = (ReceptiveField(), ReceptiveField())

    def note(self, module: Module, input: Any, output: Any) -> Fields | None:
        """The field of a layer's output; called once for each layer that has no children, in the order of the pass."""
        input, output = (value[0] if isinstance(value, tuple) else value for value in (input, output))
        if not (isinstance(input, Tensor) and isinstance(output, Tensor) and output.node is not None):
            return None
        before = self.of(input.node)
        if before is None or input.ndim != 4 or output.ndim != 4 or input.node is output.node:
            return self.of(output.node)
        after = (
            _behind(module, 0, before[0], input.shape, output.shape),
            _behind(module, 1, before[1], input.shape, output.shape),
        )
        self._fields[output.node] = after
        return after

    def of(self, node: Node | None) -> Fields | None:
        """The field of an operation's result: noted, or the largest of its inputs'. None if no pixel is behind it."""
        if node is None:
            return None
        stack = [node]
        known: dict[Node, Fields | None] = {}
        while stack:  # iterative: a network may be deep
            top = stack[-1]
            if top in self._fields or top in known:
                stack.pop()
                continue
            inputs = [child for child in top.inputs if child is not None]
            waiting = [child for child in inputs if child not in self._fields and child not in known]
            if waiting:
                stack.extend(waiting)
                continue
            known[top] = _where_inputs_meet(
                top, {child: self._fields.get(child) or known.get(child) for child in inputs}
            )
            stack.pop()
        self._fields.update({found: fields for found, fields in known.items() if fields is not None})
        return self._fields.get(node)


def _where_inputs_meet(node: Node, inputs: dict[Node, Fields | None]) -> Fields | None:
    seen = []
    for child, fields in inputs.items():
        if fields is not None:
            joined = len(child.shape) == 4 and len(node.shape) != 4  # flattened or averaged: every place is seen
            sizes = child.shape[2:] if joined else (1, 1)
            seen.append((fields[0].after(sizes[0]), fields[1].after(sizes[1])))
    if not seen:
        return None
    return largest([fields[0] for fields in seen]), largest([fields[1] for fields in seen])


def _behind(module: Module, axis: int, field: ReceptiveField, shape: tuple, out_shape: tuple) -> ReceptiveField:
    """The field behind one layer, along axis 0 (down) or 1 (across)."""
    size, out_size = shape[2 + axis], out_shape[2 + axis]
    if isinstance(module, (AdaptiveAvgPool2d, AdaptiveMaxPool2d)):
        regions = [(i * size // out_size, -(-(i + 1) * size // out_size)) for i in range(out_size)]
        return field.after(max(end - begin for begin, end in regions), max(1, size // out_size))
    if isinstance(module, Upsample):
        return field.after_upsampling(1 if module.mode == "nearest" else 2 * out_size // size, out_size // size)
    if isinstance(module, ConvTranspose2d):
        window = (module.kernel_size, module.stride, module.padding, module.dilation)
        return field.after_upsampling(*(pair[axis] for pair in window))
    if not hasattr(module, "kernel_size") or not hasattr(module, "stride"):
        return field
    kernel, stride, dilation = (
        as_pair("layer", name, getattr(module, name, 1), 1)[axis] for name in ("kernel_size", "stride", "dilation")
    )
    edges = (
        module.edges()[axis][0] if isinstance(module, Conv2d) else as_pair("layer", "padding", module.padding, 0)[axis]
    )
    return field.after(kernel, stride, edges, dilation)
