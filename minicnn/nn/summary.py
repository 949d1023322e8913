"""summary: a network layer by layer, in numbers: shapes, parameters, multiply-adds, receptive fields and memory."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.nn.convolution import Conv2d, ConvTranspose2d
from minicnn.nn.linear import Linear
from minicnn.nn.mode import evaluation_mode
from minicnn.nn.module import Module
from minicnn.nn.tracing import FieldTracer
from minicnn.tensor import Tensor, enable_grad


@dataclass(frozen=True)
class LayerSummary:
    """One call of one layer, for one picture."""

    path: str
    type: str
    output_shape: tuple[int, ...]  # without the batch axis
    parameters: int  # 0 where the layer was called before in the same pass
    multiply_adds: int
    receptive_field: tuple[int, int] | None  # pixels (down, across); None if the output depends on no image
    activation_bytes: int


@dataclass(frozen=True)
class Summary:
    """The layers of a model in the order in which they were called, and their totals; str() is a table."""

    model: str
    input_shape: tuple[int, ...]
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
            f"{self.model} for an input of {_sizes(self.input_shape)}: {self.parameters:,} parameters "
            f"({self.trainable_parameters:,} trainable), {self.multiply_adds / 1e6:,.2f} M multiply-adds, "
            f"{self.activation_bytes / 2**20:.2f} MiB of activations a picture"
        )
        return "\n".join([lines[0], rule, *lines[1:], rule, totals])


def summary(model: Module, input_shape: Sequence[int]) -> Summary:
    """The layers of `model` for one input of `input_shape`, (C, H, W) for an image, without the batch axis.

    Runs one forward pass over zeros, in evaluation mode, and restores every mode. A layer is a module without children.
    Operations between layers (sums, reshapes) appear only in the receptive field, which may be larger than the image.
    Raises ValueError for a shape with a batch axis, or a shape that the model does not take.
    """
    if not isinstance(model, Module) or not isinstance(input_shape, Sequence):
        raise TypeError(
            f"summary takes a model and a shape such as (3, 32, 32), but got {type(model).__name__} and {input_shape!r}"
        )
    shape = tuple(int(size) for size in input_shape)
    if len(shape) > 3 or any(size < 1 for size in shape):
        raise ValueError(
            f"input_shape must be of one input, such as (C, H, W), without the batch axis, but is {tuple(input_shape)}"
        )
    dtype = next((parameter.dtype for parameter in model.parameters()), np.dtype(np.float32))
    image = Tensor(np.zeros((1, *shape), dtype), requires_grad=True)
    tracer, rows, counted = FieldTracer(image), [], set()

    def note(path: str) -> Any:
        def hook(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
            result = output[0] if isinstance(output, tuple) else output
            fields = tracer.note(module, inputs[0], output)
            parameters = 0 if module in counted else sum(p.numel() for p in module.parameters())
            counted.add(module)
            rows.append(
                LayerSummary(
                    path,
                    type(module).__name__,
                    result.shape[1:],
                    parameters,
                    multiply_adds(module, inputs[0].shape, result.shape) // result.shape[0],
                    None if fields is None else (fields[0].size, fields[1].size),
                    result.data.nbytes // result.shape[0],
                )
            )

        return hook

    with evaluation_mode(model), enable_grad(), contextlib.ExitStack() as stack:
        for path, module in model.named_modules():
            if not list(module.children()):
                stack.enter_context(module.register_forward_hook(note(path)))
        model(image)
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    total, trainable = sum(size for size, _ in sizes), sum(size for size, asks in sizes if asks)
    return Summary(type(model).__name__, shape, rows, total, trainable)


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


def _sizes(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line of the table: names flush left, numbers flush right."""
    return "  ".join(
        cell.ljust(width) if column < 3 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
