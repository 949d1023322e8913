"""Geometry: how the kernel of a convolution walks over an image.

`functional.conv2d` makes one Geometry of its arguments and hands the Geometry down: to dispatch.py, to the algorithm,
and in the end to the compiled loops, where it unpacks into the four words that the user typed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from minicnn.kernels.shapes import convolution_output_size

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """The arguments of a convolution as pairs (h, w), and the number of groups of channels."""

    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1

    def output_size(self, input_size: Sequence[int], kernel_size: Sequence[int]) -> Pair:
        """(OH, OW), the number of places where the kernel fits into the padded image; may be zero or negative.

        The caller raises if a number is not positive, because the caller knows the names of the user's arguments.
        """
        oh, ow = map(convolution_output_size, input_size, kernel_size, self.stride, self.padding, self.dilation)
        return oh, ow
