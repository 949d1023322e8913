"""Convolution and its transpose: the sum of a weighted window at every place, and the same map turned around.

Notation: input (N, C_in, H, W), weight (C_out, C_in/groups, KH, KW), result (N, C_out, OH, OW). The loops are in
kernels/: reference.py has them as anyone can follow, dispatch.py chooses the algorithm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.arguments import IntOrPair, as_pair, check_floats, check_image, need_windows
from minicnn.functional.checks import need_size
from minicnn.functional.padding import pad
from minicnn.functional.shaping import squeeze, unsqueeze
from minicnn.kernels import layout
from minicnn.kernels.convolution import dispatch as kernels
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.normalization import channel_sum
from minicnn.kernels.pointwise.elementwise import scale_below_zero
from minicnn.tensor import Tensor, as_tensor, make_result


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """The convolution (strictly, the cross-correlation) of `input` with `weight`, plus `bias` for each output channel.

    input (N, C_in, H, W) or (C_in, H, W), weight (C_out, C_in/groups, KH, KW), bias (C_out,) or None; the result is
    (N, C_out, OH, OW) with OH = (H + 2*padding - dilation*(KH-1) - 1)//stride + 1. `padding` is an int, a pair (h, w),
    "valid" (none) or "same" (OH = H; needs stride 1; an odd pixel goes to the bottom and the right).
    Raises ValueError where shapes don't fit together, TypeError for integers or for floats of different dtypes.
    """
    return _conv2d(input, weight, bias, stride, padding, dilation, groups, relu=False)


def conv2d_relu(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair | str = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """relu(conv2d(...)), taken while the sums are at hand: one pass over the result less. `nn.fuse` makes use of it.

    Arguments, shapes and errors are those of conv2d; NaN stays NaN, and the slope of relu at 0 is 0.
    """
    return _conv2d(input, weight, bias, stride, padding, dilation, groups, relu=True)


def _conv2d(
    input: Any,
    weight: Any,
    bias: Any,
    stride: IntOrPair,
    padding: IntOrPair | str,
    dilation: IntOrPair,
    groups: int,
    relu: bool,
) -> Tensor:
    x, kernel = as_tensor(input), as_tensor(weight)
    b = None if bias is None else as_tensor(bias)
    check_floats("conv2d", input=x, weight=kernel, bias=b)
    check_image("conv2d", x)
    if x.ndim == 3:
        return squeeze(_conv2d(unsqueeze(x, 0), kernel, b, stride, padding, dilation, groups, relu), 0)
    _check_weight("conv2d", kernel)
    stride, dilation = as_pair("conv2d", "stride", stride, 1), as_pair("conv2d", "dilation", dilation, 1)
    if isinstance(padding, str):
        x, padding = _named_padding(x, kernel, stride, padding, dilation)
    else:
        padding = as_pair("conv2d", "padding", padding, 0)
    _check_groups("conv2d", x, kernel, b, groups)
    geometry = Geometry(stride, padding, dilation, groups)
    input_size, kernel_size = x.shape[2:], kernel.shape[2:]
    output_size = geometry.output_size(input_size, kernel_size)
    need_windows("conv2d", output_size, input_size, kernel_size, stride, padding, dilation)

    pixels, w = layout.to_kernel(x.data), np.ascontiguousarray(kernel.data)
    # (N, H, W, C_in) -> (N, OH, OW, C_out)
    y = kernels.conv2d(pixels, w, None if b is None else b.data, output_size, geometry, relu)
    needs_x, needs_weight, needs_bias = x.requires_grad, kernel.requires_grad, b is not None and b.requires_grad
    pixels_kept = pixels if needs_weight else None
    w_kept = w if needs_x else None
    y_kept = y if relu else None

    def backward(gradient: np.ndarray):  # keeps the input for the weight's gradient, the weight for the input's
        g = layout.to_kernel(gradient)  # (N, C_out, OH, OW) -> (N, OH, OW, C_out)
        if relu:  # and the result, whose sign tells where relu let its input pass
            g = scale_below_zero(g, y_kept, 0)
        gx = gw = gb = None
        if needs_x:
            gx = layout.from_kernel(kernels.conv2d_input_gradient(g, w_kept, input_size, geometry))
        if needs_weight:
            gw = kernels.conv2d_weight_gradient(pixels_kept, g, kernel_size, geometry)
        if needs_bias:
            gb = channel_sum(g.reshape(-1, g.shape[3]))  # (N, OH, OW, C_out) -> (N*OH*OW, C_out) -> (C_out,)
        return (gx, gw) if b is None else (gx, gw, gb)

    name = "conv2d_relu" if relu else "conv2d"
    return make_result(layout.from_kernel(y), (x, kernel) if b is None else (x, kernel, b), backward, name)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
) -> Tensor:
    """The transpose of conv2d: each input pixel adds its own multiple of the kernel to the result.

    It is conv2d's gradient with respect to its input, so the two share their kernels. input (N, C_in, H, W) or
    (C_in, H, W), weight (C_in, C_out/groups, KH, KW), bias (C_out,) or None; the result is (N, C_out, OH, OW) with
    OH = (H-1)*stride - 2*padding + dilation*(KH-1) + output_padding + 1. `output_padding` chooses among the sizes that
    conv2d would have rounded down to H, and must be smaller than stride or dilation.
    Raises ValueError where shapes don't fit together, TypeError for integers or for floats of different dtypes.
    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter 4.
    """
    name = "conv_transpose2d"
    x, kernel = as_tensor(input), as_tensor(weight)
    b = None if bias is None else as_tensor(bias)
    check_floats(name, input=x, weight=kernel, bias=b)
    check_image(name, x)
    if x.ndim == 3:
        batch = unsqueeze(x, 0)
        return squeeze(conv_transpose2d(batch, kernel, b, stride, padding, output_padding, groups, dilation), 0)
    _check_weight(name, kernel)
    stride, dilation = as_pair(name, "stride", stride, 1), as_pair(name, "dilation", dilation, 1)
    padding, extra = as_pair(name, "padding", padding, 0), as_pair(name, "output_padding", output_padding, 0)
    _check_transposed_groups(x, kernel, b, groups)
    geometry, kernel_size = Geometry(stride, padding, dilation, groups), kernel.shape[2:]
    output_size = _transposed_size(x.shape[2:], kernel_size, extra, geometry)
    # conv2d over `output_size` has more places than the input where output_padding >= stride: those places are zeros.
    missing = extra[0] // stride[0], extra[1] // stride[1]
    if any(missing):
        x = pad(x, (0, missing[1], 0, missing[0]))

    input_size = x.shape[2:]
    pixels, w = layout.to_kernel(x.data), np.ascontiguousarray(kernel.data)
    # (N, H, W, C_in) -> (N, OH, OW, C_out)
    y = kernels.conv2d_input_gradient(pixels, w, output_size, geometry)
    if b is not None:
        y += b.data
    needs_x, needs_weight, needs_bias = x.requires_grad, kernel.requires_grad, b is not None and b.requires_grad
    pixels_kept = pixels if needs_weight else None
    w_kept = w if needs_x else None

    def backward(gradient: np.ndarray):  # keeps the input for the weight's gradient, the weight for the input's
        g = layout.to_kernel(gradient)  # (N, C_out, OH, OW) -> (N, OH, OW, C_out)
        gx = gw = gb = None
        if needs_x:
            gx = layout.from_kernel(kernels.conv2d(g, w_kept, None, input_size, geometry))
        if needs_weight:
            gw = kernels.conv2d_weight_gradient(g, pixels_kept, kernel_size, geometry)
        if needs_bias:
            gb = channel_sum(g.reshape(-1, g.shape[3]))  # (N, OH, OW, C_out) -> (N*OH*OW, C_out) -> (C_out,)
        return (gx, gw) if b is None else (gx, gw, gb)

    return make_result(layout.from_kernel(y), (x, kernel) if b is None else (x, kernel, b), backward, name)


def _check_weight(name: str, weight: Tensor) -> None:
    if weight.ndim != 4 or 0 in weight.shape:
        first, second = ("C_out", "C_in") if name == "conv2d" else ("C_in", "C_out")
        raise ValueError(
            f"{name}: weight must have 4 axes ({first}, {second}/groups, KH, KW), none of them empty, but has shape "
            f"{weight.shape}"
        )


def _check_groups(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    if groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            f"{name}: groups must be positive and divide C_out, but groups is {groups} and weight has C_out="
            f"{weight.shape[0]} (shape {weight.shape})"
        )
    if x.shape[1] != weight.shape[1] * groups:
        raise ValueError(
            f"{name}: input has {x.shape[1]} channels (shape {x.shape}), but weight {weight.shape} with groups="
            f"{groups} needs {weight.shape[1]} * {groups} = {weight.shape[1] * groups}"
            f"{_channels_last_advice(x, weight.shape[1] * groups)}"
        )
    _check_bias(name, bias, weight.shape[0])


def _check_transposed_groups(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    if groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            f"conv_transpose2d: groups must be positive and divide C_in, but groups is {groups} and weight has C_in="
            f"{weight.shape[0]} (shape {weight.shape})"
        )
    if x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"conv_transpose2d: input has {x.shape[1]} channels (shape {x.shape}), but weight {weight.shape}, which is "
            f"(C_in, C_out/groups, KH, KW), needs {weight.shape[0]}{_channels_last_advice(x, weight.shape[0])}"
        )
    _check_bias("conv_transpose2d", bias, weight.shape[1] * groups)


def _channels_last_advice(x: Tensor, channels: int) -> str:
    """Advice for images in the axis order of files, (N, H, W, C); empty if that is not the likely mistake."""
    if x.shape[3] != channels:
        return ""
    return f"; the last axis has {channels}: if these are (N, H, W, C), turn them with permute(0, 3, 1, 2)"


def _check_bias(name: str, bias: Tensor | None, c_out: int) -> None:
    if bias is not None:
        need_size(name, "bias", bias.data, c_out, "one for each output channel")


def _named_padding(
    x: Tensor, weight: Tensor, stride: tuple[int, int], padding: str, dilation: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    """The input, with an odd pixel of padding added if need be, and the symmetric padding (h, w) that is left."""
    if padding == "valid":
        return x, (0, 0)
    if padding != "same":
        raise ValueError(f'conv2d: padding must be "same", "valid", an int or a pair of ints, but is {padding!r}')
    if stride != (1, 1):
        raise ValueError(f'conv2d: padding="same" needs stride 1, but stride is {stride}; give the padding as numbers')
    total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if total[0] % 2 or total[1] % 2:
        x = pad(x, (0, total[1] % 2, 0, total[0] % 2))
    return x, (total[0] // 2, total[1] // 2)


def _transposed_size(
    size: tuple[int, ...], kernel_size: tuple[int, ...], output_padding: tuple[int, int], geometry: Geometry
) -> tuple[int, int]:
    stride, padding, dilation, _ = geometry
    result = []
    for axis, letter, side in ((0, "H", "height"), (1, "W", "width")):
        n, k, s, p, d, e = (pair[axis] for pair in (size, kernel_size, stride, padding, dilation, output_padding))
        if e >= max(s, d):
            raise ValueError(
                f"conv_transpose2d: output_padding must be smaller than stride or dilation, but is {e} for {letter}"
                f", with stride {s} and dilation {d}"
            )
        count = (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        if count < 1:
            raise ValueError(
                f"conv_transpose2d: output {side} ({letter}-1)*stride - 2*padding + dilation*(K{letter}-1) + "
                f"output_padding + 1 = ({n}-1)*{s} - 2*{p} + {d}*({k}-1) + {e} + 1 = {count} with {letter}={n}: "
                "use less padding or a larger kernel"
            )
        result.append(count)
    return result[0], result[1]
