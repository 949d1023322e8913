"""Receptive fields: the pixels of the image that a value of a feature map depends on, "sees".

Along one axis, place i of a map sees the `size` pixels that begin at pixel `start + i * stride`. Of the image itself:
size 1, stride 1, start 0. A window of `kernel` places, `dilation` apart, taken every `stride` places after padding,
gives

    size   = size + (kernel - 1) * dilation * stride_before
    start  = start - padding * stride_before
    stride = stride_before * stride

A start below 0 means that the first windows reach into the padding. Where branches meet, the largest field counts.

After a transposed convolution three numbers are not enough: with stride 2, even and odd places see differently. So a
field is a list with the window of each of the first few places, and the number of pixels after which the same pattern
begins again. After convolutions and pooling the list has one entry, and the three formulas follow.
Source: Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks" (Distill, 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Window = tuple[int, int]  # (first, last + 1) pixel; the two are equal where no pixel is seen


@dataclass(frozen=True)
class ReceptiveField:
    """The windows of the places of a feature map along one axis, in pixels of the image.

    windows     of places 0, 1, ..., to the end of the pattern (one entry: all places have windows of one form)
    advance     the number of pixels from one pattern to the next
    """

    windows: tuple[Window, ...] = ((0, 1),)
    advance: int = 1

    @property
    def size(self) -> int:
        """Pixels that a place sees; the maximum if places differ."""
        return max(end - first for first, end in self.windows)

    @property
    def stride(self) -> int | Fraction:
        """Pixels from the window of one place to that of its neighbour; a fraction after an upsampling."""
        step = Fraction(self.advance, len(self.windows))
        return int(step) if step.denominator == 1 else step

    @property
    def start(self) -> int:
        """The first pixel that place 0 sees; below 0 in the padding."""
        return self.windows[0][0]

    @property
    def first_centre(self) -> float:
        """The middle of the window of place 0; the middle of pixel 0 is 0.0."""
        first, end = self.windows[0]
        return (first + end - 1) / 2

    def window(self, place: int) -> Window:
        """(first, last + 1) pixel that place `place` sees; the window may reach into the padding."""
        patterns, position = divmod(place, len(self.windows))
        first, end = self.windows[position]
        return first + patterns * self.advance, end + patterns * self.advance

    def after(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> ReceptiveField:
        """The field after a window that slides over this map."""
        return self.after_places([[tap * dilation - padding for tap in range(kernel)]], stride)

    def after_upsampling(self, kernel: int, stride: int, padding: int = 0, dilation: int = 1) -> ReceptiveField:
        """The field after a transposed convolution, whose input p goes to the outputs p*stride - padding + taps."""
        taps = [tap * dilation - padding for tap in range(kernel)]
        return self.after_places(
            [[(i - tap) // stride for tap in taps if (i - tap) % stride == 0] for i in range(stride)], 1
        )

    def after_places(self, looks_at: Sequence[Sequence[int]], advance: int) -> ReceptiveField:
        """The field of a map whose place i depends on the places `looks_at[i]` of this map.

        After the last entry the list begins again, `advance` places of this map farther on.
        """
        repeats = len(self.windows) // math.gcd(len(self.windows), advance)
        windows = [
            _around([self.window(place + advance * repeat) for place in places])
            for repeat in range(repeats)
            for places in looks_at
        ]
        return ReceptiveField(tuple(windows), self.advance * advance * repeats // len(self.windows))


def largest(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    """The field where branches meet: at every place from the first to the last pixel seen; the coarsest stride."""
    period = math.lcm(*(len(field.windows) for field in fields))
    windows = [_around([field.window(place) for field in fields]) for place in range(period)]
    return ReceptiveField(tuple(windows), max(field.advance * period // len(field.windows) for field in fields))


def _around(windows: Sequence[Window]) -> Window:
    """The smallest window around all of these."""
    seen = [(first, end) for first, end in windows if first < end]
    return (min(first for first, _ in seen), max(end for _, end in seen)) if seen else (0, 0)
