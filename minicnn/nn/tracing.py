"""Receptive fields of a real network, with its branches, from the graph of one forward pass.

A hook on every layer with a window notes the window. The graph of the operations shows sums and concatenations, so that
a residual network needs no description: the result of any other operation has the largest field of its inputs. Windows
of functions that are called without a layer are unknown; `unseen` names them. Normalisation over whole images (group,
instance, layer norm) is ignored, because only mean and variance depend on the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import functional as F
from minicnn.engine import Node, topological_order
from minicnn.functional.arguments import as_pair
from minicnn.nn.convolution import Conv2d, ConvTranspose2d
from minicnn.nn.module import Module
from minicnn.nn.normalization import GroupNorm, InstanceNorm2d, LayerNorm
from minicnn.nn.padding import CircularPad2d, ConstantPad2d, ReflectionPad2d, ReplicationPad2d
from minicnn.nn.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, MaxUnpool2d
from minicnn.nn.receptive_field import ReceptiveField, largest
from minicnn.nn.shaping import PixelShuffle, PixelUnshuffle, Upsample
from minicnn.tensor import Tensor

Fields = tuple[ReceptiveField, ReceptiveField]  # down the image, and across it

_OVER_WHOLE_IMAGES = (GroupNorm, InstanceNorm2d, LayerNorm)
_PADDINGS = (CircularPad2d, ConstantPad2d, ReflectionPad2d, ReplicationPad2d)
_WITH_WINDOWS = (AdaptiveAvgPool2d, AdaptiveMaxPool2d, PixelShuffle, PixelUnshuffle, Upsample, *_PADDINGS)
_SLIDING = ("conv2d", "conv2d_relu", "conv_transpose2d", "max_pool2d", "avg_pool2d")  # operations that keep a size


class FieldTracer:
    """The receptive fields of all results of one or several batches of images (N, C, H, W) that require a gradient."""

    def __init__(self, *images: Tensor):
        self.unseen: list[str] = []  # operations with a window, called without a layer
        self._fields: dict[Node, Fields] = {}
        for image in images:
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
        if isinstance(module, _OVER_WHOLE_IMAGES):
            after = before
        elif isinstance(module, _WITH_WINDOWS) or hasattr(module, "kernel_size"):
            after = (
                _after_layer(module, 0, before[0], input.shape, output.shape),
                _after_layer(module, 1, before[1], input.shape, output.shape),
            )
        else:
            return self.of(output.node)
        self._fields[output.node] = after
        return after

    def of(self, node: Node | None) -> Fields | None:
        """The field of an operation's result: noted, or the largest of its inputs. None if it depends on no pixel."""
        if node is None:
            return None
        known: dict[Node, Fields | None] = {}
        for below in reversed(topological_order(node, self._fields)):  # inputs come before the nodes that use them
            inputs = [child for child in below.inputs if child is not None]
            known[below] = self._where_inputs_meet(
                below, {child: self._fields.get(child) or known.get(child) for child in inputs}
            )
        self._fields.update({found: fields for found, fields in known.items() if fields is not None})
        return self._fields.get(node)

    def _where_inputs_meet(self, node: Node, inputs: dict[Node, Fields | None]) -> Fields | None:
        seen = []
        for child, fields in inputs.items():
            if fields is None:
                continue
            before, after = _map_size(child), _map_size(node)
            if node.name in _SLIDING or any(n != m and 1 not in (n, m) for n, m in zip(before, after, strict=True)):
                self.unseen.append(node.name)
            seen.append([_between(field, n, m) for field, n, m in zip(fields, before, after, strict=True)])
        if not seen:
            return None
        return largest([fields[0] for fields in seen]), largest([fields[1] for fields in seen])


def _map_size(node: Node) -> tuple[int, ...]:
    """(H, W) of a map; (1, 1) after a flatten or a mean, where one place sees the whole image."""
    return node.shape[2:] if len(node.shape) == 4 else (1, 1)


def _between(field: ReceptiveField, size: int, out_size: int) -> ReceptiveField:
    """The field after an operation without a window, from `size` places along an axis to `out_size`."""
    if out_size == 1 and size > 1:  # averaged or flattened: the one place sees all places
        return field.after_places([range(size)], size)
    if size == 1 and out_size > 1:  # broadcast: all places see the one place
        return field.after_places([[0]] * out_size, 1)
    return field


def _after_layer(
    module: Module, axis: int, field: ReceptiveField, shape: tuple[int, ...], out_shape: tuple[int, ...]
) -> ReceptiveField:
    """The field after one layer, along axis 0 (down) or 1 (across)."""
    size, out_size = shape[2 + axis], out_shape[2 + axis]
    if isinstance(module, (AdaptiveAvgPool2d, AdaptiveMaxPool2d)):
        regions = [range(i * size // out_size, -(-(i + 1) * size // out_size)) for i in range(out_size)]
        return field.after_places(regions, size)
    if isinstance(module, Upsample):
        return field.after_places(_looked_at(module, axis, size), size)
    if isinstance(module, PixelShuffle):
        return field.after_upsampling(module.upscale_factor, module.upscale_factor)
    if isinstance(module, PixelUnshuffle):
        return field.after(module.downscale_factor, module.downscale_factor)
    if isinstance(module, _PADDINGS):
        left, _, top, _ = module.padding
        return field.after(1, padding=(top, left)[axis])
    kernel, stride, dilation = (
        as_pair("layer", name, getattr(module, name, 1), 1)[axis] for name in ("kernel_size", "stride", "dilation")
    )
    edges = (
        module.edges()[axis][0] if isinstance(module, Conv2d) else as_pair("layer", "padding", module.padding, 0)[axis]
    )
    if isinstance(module, (ConvTranspose2d, MaxUnpool2d)):
        return field.after_upsampling(kernel, stride, edges, dilation)
    return field.after(kernel, stride, edges, dilation)


def _looked_at(module: Upsample, axis: int, size: int) -> list[list[int]]:
    """For each place of the result along one axis, the places of the input that contribute."""
    asked = module.size[axis] if isinstance(module.size, Sequence) else module.size
    factor = module.scale_factor[axis] if isinstance(module.scale_factor, Sequence) else module.scale_factor
    mode = "linear" if module.mode == "bilinear" else module.mode
    marks = Tensor(np.eye(size, dtype=np.float32)[None])  # row p is 1 at place p, and its result wherever p counts
    shares = F.interpolate(marks, asked, factor, mode, module.align_corners).data[0]  # (1, size, out) -> (size, out)
    return [np.flatnonzero(column).tolist() for column in shares.T]
