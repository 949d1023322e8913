"""Receptive fields: which pixels of the image a value of a feature map can see.

Along one axis, place i of a map sees the `size` pixels that begin at pixel `start + i * stride`. The image sees itself:
size 1, stride 1, start 0. A window of `kernel` places, `dilation` apart, taken every `stride` places after padding,
gives

    size   = size + (kernel - 1) * dilation * stride_before
    start  = start - padding * stride_before
    stride = stride_before * stride

A start below 0 means that the first windows reach into the padding. Where branches meet, the largest field counts.
Source: Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks" (Distill, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Number = int | Fraction


@dataclass(frozen=True)
class ReceptiveField:
    """What the places of a feature map see along one axis, in pixels of the image."""

    size: int = 1
    stride: Number = 1
    start: Number = 0

    def after(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> ReceptiveField:
        """The field behind a window that slides over this map."""
        size = self.size + int((kernel - 1) * dilation * self.stride)
        return ReceptiveField(size, self.stride * stride, self.start - padding * self.stride)

    def after_upsampling(self, kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> ReceptiveField:
        """The field behind a transposed convolution, in one output of which at most ceil(taps / stride) places meet."""
        taps = dilation * (kernel - 1) + 1
        places = -(-taps // stride)
        step = Fraction(self.stride) / stride
        finer = int(step) if step.denominator == 1 else step
        return ReceptiveField(
            self.size + int((places - 1) * self.stride),
            finer,
            self.start - (places - 1) * self.stride + padding * finer,
        )

    def window(self, place: int) -> tuple[int, int]:
        """(first, last + 1) pixel that place `place` sees; it may reach over the image's edges, into the padding."""
        first = int(self.start + place * self.stride)
        return first, first + self.size


def largest(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """The field where branches meet: from the earliest start to the latest end, at the coarsest stride."""
    start = min(field.start for field in fields)
    end = max(field.start + field.size for field in fields)
    return ReceptiveField(int(end - start), max(field.stride for field in fields), start)
