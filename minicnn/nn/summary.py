"""summary: a network layer by layer, in numbers: shapes, parameters, multiply-adds, receptive fields and memory."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.grad_mode import enable_grad
from minicnn.nn.convolution import Conv2d, ConvTranspose2d
from minicnn.nn.linear import Linear
from minicnn.nn.mode import evaluation_mode
from minicnn.nn.module import Module
from minicnn.nn.tracing import FieldTracer
from minicnn.tensor import Tensor


@dataclass(frozen=True)
class LayerSummary:
    """One call of one layer, for one picture."""

    path: str
    type: str
    output_shape: tuple[int, ...]  # of the first Tensor in the output, without the batch axis; () without a Tensor
    parameters: int  # 0 where the layer was called before in the same pass
    multiply_adds: int
    receptive_field: tuple[int, int] | None  # pixels (down, across); None if the output depends on no image
    activation_bytes: int  # of all Tensors in the output


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order in which they were called, and their totals; str() is a table."""

    model: str
    input_shape: tuple[int, ...] | tuple[tuple[int, ...], ...]  # as given: of one input, or of each
    rows: list[LayerSummary]
    parameters: int
    trainable_parameters: int

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of convolutions and linear layers, for one picture."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all layers' outputs, for one picture."""
        return sum(row.activation_bytes for row in self.rows)

    def __str__(self) -> str:
        header = ("layer", "type", "output", "parameters", "multiply-adds", "sees", "KiB")
        table = [header, *(_cells(row) for row in self.rows)]
        widths = [max(len(row[column]) for row in table) for column in range(len(header))]
        lines = [_line(row, widths) for row in table]
        rule = "-" * len(lines[0])
        totals = (
            f"{self.model} for {_inputs(self.input_shape)}: {self.parameters:,} parameters "
            f"({self.trainable_parameters:,} trainable), {self.multiply_adds / 1e6:,.2f} M multiply-adds, "
            f"{self.activation_bytes / 2**20:.2f} MiB of activations a picture"
        )
        return "\n".join([lines[0], rule, *lines[1:], rule, totals])


def summary(model: Module, input_shape: Sequence[int] | Sequence[Sequence[int]]) -> Summary:
    """The layers of `model` for one input of `input_shape`, (C, H, W) for an image, without the batch axis.

    A list of shapes, such as [(3, 32, 32), (4,)], is for a model that takes several inputs. Runs one forward pass over
    zeros, in evaluation mode, and restores every mode. A layer is a module without children; it may take and return
    anything, and the Tensors in tuples, lists and dictionaries are counted. Operations between layers (sums, reshapes)
    appear only in the receptive field, which may be larger than the image.

    Raises TypeError for something other than a model and shapes, and for another number of inputs than the model takes;
    ValueError for a shape with a batch axis, or a shape that the model does not take.
    """
    if not isinstance(model, Module) or not isinstance(input_shape, Sequence):
        raise TypeError(
            f"summary takes a model and a shape such as (3, 32, 32), but got {type(model).__name__} and {input_shape!r}"
        )
    several = bool(input_shape) and all(
        isinstance(each, Sequence) and not isinstance(each, str) for each in input_shape
    )
    shapes = [_checked(each) for each in (input_shape if several else [input_shape])]
    dtype = next((parameter.dtype for parameter in model.parameters()), np.dtype(np.float32))
    images = [Tensor(np.zeros((1, *shape), dtype), requires_grad=True) for shape in shapes]
    tracer, rows, counted = FieldTracer(*images), [], set()

    def note(path: str) -> Any:
        def hook(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
            taken, results = _tensors_in(inputs), _tensors_in(output)
            fields = tracer.note(module, taken[0] if taken else None, results[0] if results else None)
            of_pair = multiply_adds(module, taken[0].shape, results[0].shape) if taken and results else 0
            parameters = 0 if module in counted else sum(p.numel() for p in module.parameters())
            counted.add(module)
            rows.append(
                LayerSummary(
                    path,
                    type(module).__name__,
                    results[0].shape[1:] if results else (),
                    parameters,
                    of_pair,
                    None if fields is None else (fields[0].size, fields[1].size),
                    sum(result.data.nbytes for result in results),
                )
            )

        return hook

    with evaluation_mode(model), enable_grad(), contextlib.ExitStack() as stack:
        for path, module in model.named_modules():
            if not list(module.children()):
                stack.enter_context(module.register_forward_hook(note(path)))
        try:
            model(*images)
        except TypeError as error:
            if "positional argument" not in str(error):
                raise
            raise TypeError(
                f"{error}; summary gave {len(images)} input{'s' if len(images) > 1 else ''}, one for each shape: give "
                "a list of shapes, such as [(3, 32, 32), (4,)], for a model that takes several inputs"
            ) from error
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    total, trainable = sum(size for size, _ in sizes), sum(size for size, asks in sizes if asks)
    return Summary(type(model).__name__, tuple(shapes) if several else shapes[0], rows, total, trainable)


def _checked(input_shape: Any) -> tuple[int, ...]:
    sizes = tuple(input_shape)
    if not all(isinstance(size, (int, np.integer)) for size in sizes):
        raise TypeError(f"input_shape must be a shape such as (3, 32, 32), or a list of such shapes, but has {sizes}")
    if len(sizes) > 3 or any(size < 1 for size in sizes):
        raise ValueError(f"input_shape must be of one input, such as (C, H, W), without the batch axis, but is {sizes}")
    return tuple(int(size) for size in sizes)


def _tensors_in(value: Any) -> list[Tensor]:
    """The Tensors in what a layer takes or returns, in their order."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for each in value for tensor in _tensors_in(each)]
    return []


def multiply_adds(module: Module, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
    """Multiply-adds of one call, counted as in papers: of convolutions and linear layers, without the bias."""
    if isinstance(module, Conv2d):
        return math.prod(output_shape) * math.prod(module.weight.shape[1:])
    if isinstance(module, ConvTranspose2d):
        return math.prod(input_shape) * math.prod(module.weight.shape[1:])
    if isinstance(module, Linear):
        return math.prod(output_shape) * module.in_features
    return 0


def _cells(row: LayerSummary) -> tuple[str, ...]:
    field = "" if row.receptive_field is None else _sizes(row.receptive_field)
    if row.receptive_field is not None and row.receptive_field[0] == row.receptive_field[1]:
        field = str(row.receptive_field[0])
    counts = (f"{row.parameters:,}" if row.parameters else "", f"{row.multiply_adds:,}" if row.multiply_adds else "")
    return (row.path, row.type, _sizes(row.output_shape), *counts, field, f"{row.activation_bytes / 1024:.1f}")


def _inputs(shape: Sequence[Any]) -> str:
    if shape and isinstance(shape[0], tuple):
        return f"inputs of {' and '.join(map(_sizes, shape))}"
    return f"an input of {_sizes(shape)}"


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line of the table: names flush left, numbers flush right."""
    return "  ".join(
        cell.ljust(width) if column < 3 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
