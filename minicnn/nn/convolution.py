"""Convolution layers: Conv2d and ConvTranspose2d."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn import functional as F
from minicnn.functional.arguments import IntOrPair, as_pair, need_count
from minicnn.nn.linear import draw_weight_and_bias
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.tensor import Tensor

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class Conv2d(Module):
    """A convolution with learned kernels: (N, C_in, H, W) -> (N, C_out, OH, OW).

    OH = (H + 2*padding - dilation*(KH - 1) - 1) // stride + 1, and OW in the same way.
    Weight (C_out, C_in / groups, KH, KW), bias (C_out,). `padding` is an int, a pair, "same" (stride 1 only) or
    "valid"; `padding_mode` is "zeros", "reflect", "replicate" or "circular". Raises
    ValueError for sizes below 1 and `groups` that do not divide the channels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair | str = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        _check_channels("Conv2d", in_channels, out_channels, groups)
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"Conv2d: padding_mode must be one of {_PADDING_MODES}, but is {padding_mode!r}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = as_pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = as_pair("Conv2d", "stride", stride, 1)
        self.padding: tuple[int, int] | str = _checked_padding(padding, self.stride)
        self.dilation = as_pair("Conv2d", "dilation", dilation, 1)
        self.groups, self.padding_mode = groups, padding_mode
        self.weight = Parameter(np.empty((out_channels, in_channels // groups, *self.kernel_size), np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_channels, np.float32)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the parameters again, as torch does."""
        draw_weight_and_bias(self.weight, self.bias, generator)

    def forward(self, input: Tensor) -> Tensor:
        return self._convolve(F.conv2d, input)

    def _convolve(self, conv2d: Callable[..., Tensor], input: Tensor) -> Tensor:
        """`conv2d` of the input and this layer's parameters; F.pad pads first in a mode other than zeros."""
        padding = self.padding
        if self.padding_mode != "zeros":
            (top, bottom), (left, right) = self.edges()
            input = F.pad(input, (left, right, top, bottom), mode=self.padding_mode)
            padding = 0, 0
        return conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def edges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((top, bottom), (left, right)): the pixels that `padding` adds on each side."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if isinstance(self.padding, tuple):
            (vertical, horizontal) = self.padding
            return (vertical, vertical), (horizontal, horizontal)
        totals = [dilation * (kernel - 1) for kernel, dilation in zip(self.kernel_size, self.dilation, strict=True)]
        (height, width) = totals  # "same": an odd pixel goes to the bottom and to the right
        return (height // 2, height - height // 2), (width // 2, width - width // 2)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding!r}"
        return text + _rest_of_repr(self.dilation, self.groups, self.bias, self.padding_mode)


class ConvTranspose2d(Module):
    """A transposed convolution, which is a convolution's input gradient: (N, C_in, H, W) -> (N, C_out, OH, OW).

    OH = (H - 1)*stride - 2*padding + dilation*(KH - 1) + output_padding + 1, and OW in the same way. Weight
    (C_in, C_out / groups, KH, KW), bias (C_out,). Raises ValueError for sizes below 1, `groups` that do not divide the
    channels, and a padding_mode other than "zeros".
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: IntOrPair = 0,
        output_padding: IntOrPair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntOrPair = 1,
        padding_mode: str = "zeros",
        *,
        generator: np.random.Generator | None = None,
    ):
        super().__init__()
        _check_channels("ConvTranspose2d", in_channels, out_channels, groups)
        if padding_mode != "zeros":
            raise ValueError(f"ConvTranspose2d: padding_mode must be 'zeros', but is {padding_mode!r}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = as_pair("ConvTranspose2d", "kernel_size", kernel_size, 1)
        self.stride = as_pair("ConvTranspose2d", "stride", stride, 1)
        self.padding = as_pair("ConvTranspose2d", "padding", padding, 0)
        self.output_padding = as_pair("ConvTranspose2d", "output_padding", output_padding, 0)
        self.dilation = as_pair("ConvTranspose2d", "dilation", dilation, 1)
        self.groups, self.padding_mode = groups, padding_mode
        self.weight = Parameter(np.empty((in_channels, out_channels // groups, *self.kernel_size), np.float32))
        self.register_parameter("bias", Parameter(np.empty(out_channels, np.float32)) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the parameters again, as torch does (its fan_in is the size of axis 1, C_out / groups)."""
        draw_weight_and_bias(self.weight, self.bias, generator)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.output_padding != (0, 0):
            text += f", output_padding={self.output_padding}"
        return text + _rest_of_repr(self.dilation, self.groups, self.bias, self.padding_mode)


def _check_channels(name: str, in_channels: int, out_channels: int, groups: int) -> None:
    for argument, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
        need_count(name, argument, value)
    for argument, value in (("in_channels", in_channels), ("out_channels", out_channels)):
        if value % groups:
            raise ValueError(f"{name}: groups must divide {argument}, but {value} % {groups} = {value % groups}")


def _checked_padding(padding: IntOrPair | str, stride: tuple[int, int]) -> tuple[int, int] | str:
    if not isinstance(padding, str):
        return as_pair("Conv2d", "padding", padding, 0)
    if padding not in ("same", "valid"):
        raise ValueError(f"Conv2d: padding must be an int, a pair, 'same' or 'valid', but is {padding!r}")
    if padding == "same" and stride != (1, 1):
        raise ValueError(f"Conv2d: padding='same' needs stride 1, but stride is {stride}; give the padding as a number")
    return padding


def _rest_of_repr(dilation: tuple[int, int], groups: int, bias: Parameter | None, padding_mode: str) -> str:
    text = f", dilation={dilation}" if dilation != (1, 1) else ""
    text += f", groups={groups}" if groups != 1 else ""
    text += ", bias=False" if bias is None else ""
    return text + (f", padding_mode={padding_mode!r}" if padding_mode != "zeros" else "")
