"""How far does one value of a feature map see? In theory, by the windows of the layers; in effect, by gradients.

The theoretical receptive field is the smallest square around all pixels that can change the value at all. This field
follows from kernels, strides and padding alone, and is the same for any weights. The effective receptive field is the
part of it that matters: how much does the value change when a pixel changes a little? That is a gradient, and depends
on the weights. Luo et al. found it to be a blob in the middle of the theoretical field, whose width grows like the
square root of the number of layers where the theoretical one grows like their number. Source: Luo, Li, Urtasun and
Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks" (2016); for the arithmetic,
nn/receptive_field.py.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from minicnn import autograd
from minicnn.functional.arguments import are_ints
from minicnn.grad_mode import enable_grad
from minicnn.kernels import layout
from minicnn.kernels.convolution.algorithm import use_algorithm
from minicnn.nn import Module, evaluation_mode
from minicnn.nn.receptive_field import ReceptiveField
from minicnn.nn.tracing import FieldTracer
from minicnn.random import next_stream
from minicnn.tensor import Tensor

# A pixel counts as seen if its share of the largest gradient is above this: 1 - 95.45 %, as in the paper (section 3.1).
THRESHOLD = 1 - 0.9545


@dataclass(frozen=True)
class LayerField:
    """The theoretical receptive field of one module's output, in pixels of the image; pairs are (down, across).

    `size` is that of places in the middle of the map, and may be larger than the image. At the edges a place sees less:
    a part of its window lies on padding.
    """

    path: str
    type: str
    output_shape: tuple[int, ...]  # without the batch axis
    down: ReceptiveField
    across: ReceptiveField

    @property
    def size(self) -> tuple[int, int]:
        """Pixels that one place sees."""
        return self.down.size, self.across.size

    @property
    def stride(self) -> tuple[int | Fraction, int | Fraction]:
        """Pixels between the fields of two neighbouring places (also called jump)."""
        return self.down.stride, self.across.stride

    @property
    def first_centre(self) -> tuple[float, float]:
        """The middle of the field of the place in the upper left corner; the first pixel has its own at (0, 0)."""
        return self.down.first_centre, self.across.first_centre

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the field of the place at `row`, `column`; bottom and right are the first
        beyond.

        It may reach over the edges of the image, into the padding.
        """
        (top, bottom), (left, right) = self.down.window(row), self.across.window(column)
        return top, left, bottom, right

    def __str__(self) -> str:
        return (
            f"layer {self.path!r} ({self.type}) sees {self.size[0]}x{self.size[1]} pixels, one every "
            f"{self.stride[0]}x{self.stride[1]}, the first around {self.first_centre}"
        )


def receptive_fields(model: Module, input_shape: Sequence[int]) -> dict[str, LayerField]:
    """A dictionary from a module's path to its LayerField, for images of `input_shape` (C, H, W), in order of the pass.

    Blocks are there beside their layers ("layer1" beside "layer1.0.conv1"); for a module that is called more than once,
    the last call counts. One forward pass over zeros, in evaluation mode; the places before and after a layer in the
    graph tell about branches and sums. Normalisation over whole images is passed over (see nn/tracing.py). Raises
    ValueError for a shape that is not (C, H, W), and for a network that calls a window as a function (F.max_pool2d in
    place of nn.MaxPool2d), because its graph does not tell the window.
    """
    if not isinstance(model, Module):
        raise TypeError(f"receptive_fields takes a model and the shape of its images, but got a {type(model).__name__}")
    shape = tuple(input_shape)
    if len(shape) != 3 or not are_ints(shape) or min(shape) < 1:
        raise ValueError(f"input_shape must be (C, H, W), such as (3, 32, 32), but is {input_shape!r}")
    dtype = next((parameter.dtype for parameter in model.parameters()), np.dtype(np.float32))
    image = Tensor(layout.zeros((1, *shape), dtype), requires_grad=True)
    tracer = FieldTracer(image)
    found: dict[str, LayerField] = {}

    def note(path: str) -> Any:
        def hook(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
            result = output[0] if isinstance(output, tuple) else output
            if not isinstance(result, Tensor):
                return
            whole = bool(list(module.children()))
            fields = tracer.of(result.node) if whole else tracer.note(module, inputs[0], output)
            if fields is not None:
                found.pop(path, None)
                found[path] = LayerField(path, type(module).__name__, result.shape[1:], *fields)

        return hook

    with evaluation_mode(model), enable_grad(), contextlib.ExitStack() as stack:
        for path, module in model.named_modules():
            stack.enter_context(module.register_forward_hook(note(path)))
        model(image)
    if tracer.unseen:
        names = " and ".join(sorted(set(tracer.unseen)))
        raise ValueError(
            f"the network calls {names} outside of a layer, where the window can't be known; put a layer in its place, "
            "such as nn.MaxPool2d for F.max_pool2d"
        )
    return found


@dataclass(frozen=True)
class EffectiveField:
    """How much each pixel matters to one place of a layer's map.

    `map` (H, W) holds every pixel's share of the largest gradient, from 0 to 1. Outside of the theoretical field it is
    exactly 0.
    """

    map: np.ndarray
    place: tuple[int, int]
    theoretical: LayerField

    @property
    def in_use(self) -> np.ndarray:
        """(H, W), True at the pixels above the paper's threshold: 4.55 % of the largest gradient."""
        return self.map > THRESHOLD

    @property
    def width(self) -> float:
        """The side, in pixels, of a square with as many pixels as are in use: the paper's size of the field."""
        return math.sqrt(self.in_use.sum())

    @property
    def share(self) -> float:
        """`width` over the side of the theoretical field (of a square with its area): how much of it is in use."""
        return self.width / math.sqrt(math.prod(self.theoretical.size))

    def __str__(self) -> str:
        height, width = self.theoretical.size
        return f"layer {self.theoretical.path!r} uses {self.width:.1f} pixels of {height}x{width}: {self.share:.0%}"


def effective_field(
    model: Module,
    images: np.ndarray,
    layer: str,
    *,
    place: tuple[int, int] | None = None,
    batch_size: int = 50,
    generator: np.random.Generator | None = None,
) -> EffectiveField:
    """The EffectiveField of one place of the map that module `layer` puts out; `place` is the middle one if None.

    For each of `images` (N, C, H, W), a random normal gradient is put on all channels of that place, 0 on all others,
    and sent back to the image; with one channel, that is the paper's gradient of 1 times a random number. The map is
    the root of the mean square over images, summed over colours, divided by its maximum. (The paper divides by the
    centre, where its maps peak; after a stride the peak may be beside the centre.) Evaluation mode; no `.grad` is
    touched. Raises ValueError for images that are not (N, C, H, W), a layer that does not exist or whose output is not
    a map, a place outside of the map, and where no gradient reaches any pixel.
    """
    images = np.asarray(images)
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"images must be (N, C, H, W) with N at least 1, but have shape {images.shape}")
    fields = receptive_fields(model, images.shape[1:])
    if layer not in fields or len(fields[layer].output_shape) != 3:
        maps = [path for path, field in fields.items() if len(field.output_shape) == 3]
        raise ValueError(f"layer {layer!r} puts out no map (N, C, H, W) made from the image; these do: {maps}")
    field = fields[layer]
    row, column = _checked_place(field, place)
    stream = next_stream("effective_field", generator)
    total = np.zeros(images.shape[2:])
    for start in range(0, len(images), batch_size):
        pixels = Tensor(images[start : start + batch_size], requires_grad=True)
        with use_algorithm("direct"):  # winograd would leave rounding errors where the gradient is 0
            output = _output_of(model, layer, pixels)
            signal = layout.zeros(output.shape, output.dtype)  # (N, C, h, w)
            signal[:, :, row, column] = stream.standard_normal(output.shape[:2])
            (gradient,) = autograd.grad(output, pixels, signal, allow_unused=True)
        if gradient is not None:
            total += np.square(gradient.data, dtype=np.float64).sum(axis=(0, 1))  # (N, C, H, W) -> (H, W)
    if total.max() == 0:
        raise ValueError(
            f"no gradient of layer {layer!r} at place {(row, column)} reaches the image; either every path to it goes "
            "through a ReLU that lets nothing pass, or an operation in between has no gradient"
        )
    return EffectiveField(np.sqrt(total / total.max()), (row, column), field)


def _checked_place(field: LayerField, place: tuple[int, int] | None) -> tuple[int, int]:
    _, height, width = field.output_shape
    if place is None:
        return height // 2, width // 2
    if len(place) != 2 or not are_ints(place) or not (0 <= place[0] < height and 0 <= place[1] < width):
        raise ValueError(f"place must be (row, column) of a map of {height}x{width} places, but is {place!r}")
    return int(place[0]), int(place[1])


def _output_of(model: Module, layer: str, images: Tensor) -> Tensor:
    """The output of module `layer` for a batch of images, with its graph."""
    kept: list[Tensor] = []

    def keep(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    with evaluation_mode(model), enable_grad(), model.get_submodule(layer).register_forward_hook(keep):
        model(images)
    return kept[-1]
