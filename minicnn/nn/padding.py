"""Padding layers: rows and columns added around an image (N, C, H, W) -> (N, C, H + top + bottom, W + left + right).

`padding` is one number for all sides, or (left, right, top, bottom), in torch's order.
"""

from __future__ import annotations

from collections.abc import Sequence

from minicnn import functional as F
from minicnn.nn.module import Module
from minicnn.tensor import Tensor


class _Padding2d(Module):
    """The part that all paddings share: the sizes, and the mode of F.pad."""

    mode = "constant"

    def __init__(self, padding: int | Sequence[int]):
        super().__init__()
        sides = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
        if len(sides) != 4:
            raise ValueError(
                f"{type(self).__name__}: padding must be an int or (left, right, top, bottom), but is {padding!r}"
            )
        self.padding = sides

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class ConstantPad2d(_Padding2d):
    """Padded with one value."""

    def __init__(self, padding: int | Sequence[int], value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ZeroPad2d(ConstantPad2d):
    """Padded with zeros."""

    def __init__(self, padding: int | Sequence[int]):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ReflectionPad2d(_Padding2d):
    """Padded with the image's own reflection, without a second copy of the edge."""

    mode = "reflect"


class CircularPad2d(_Padding2d):
    """Padded with the image's opposite side, as on a torus."""

    mode = "circular"


class ReplicationPad2d(_Padding2d):
    """Padded with the image's edge pixels, repeated."""

    mode = "replicate"
