"""fuse: the same network for evaluation, with fewer passes over memory.

In evaluation a batch norm multiplies each channel by a number and adds another. So does a convolution: it can take over
both, and its ReLU besides, which then costs nothing, for the sums are at hand when they are written.

    conv: w * x + b        bn: (y - mean) / sqrt(var + eps) * weight + bias

    scale  = weight / sqrt(var + eps)                     one number a channel
    w', b' = scale * w, scale * (b - mean) + bias         conv' = bn(conv): the same map, in one pass

Source: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference"
(2018), section 3.2; the arithmetic is that of torch.nn.utils.fuse_conv_bn_eval, here in float64.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np

from minicnn import functional as F
from minicnn.nn.activation import ReLU
from minicnn.nn.containers import Sequential
from minicnn.nn.convolution import Conv2d
from minicnn.nn.module import Module
from minicnn.nn.normalization import BatchNorm2d, BatchNormAct2d
from minicnn.nn.parameter import Parameter
from minicnn.nn.shaping import Identity
from minicnn.tensor import Tensor

M = TypeVar("M", bound=Module)

_PATTERNS: tuple[list[type[Module]], ...] = (
    [Conv2d, BatchNorm2d, ReLU],
    [Conv2d, BatchNormAct2d],
    [Conv2d, BatchNorm2d],
    [Conv2d, ReLU],
)


class ConvReLU2d(Conv2d):
    """A convolution whose result goes through ReLU while it is written: arguments and shapes as for Conv2d."""

    def forward(self, input: Tensor) -> Tensor:
        return self._convolve(F.conv2d_relu, input)


def fuse(model: M) -> M:
    """A copy of `model` for evaluation, with the same results up to rounding: each batch norm that follows a
    convolution is folded into it, and a ReLU that follows directly is taken in the convolution's own pass.

    Found are neighbours in a Sequential, and what a module's class declares in `fusable`. An Identity takes the place
    of what was folded away, so that all paths stay; a batch norm or a ReLU elsewhere stays as it is. The copy asks for
    no gradients of parameters, is in evaluation mode, and refuses train(True); as a part of another model it stays in
    evaluation. `model` is not touched, and may go on training.
    Raises TypeError for what is no Module; ValueError, with the path, for a batch norm behind a convolution that keeps
    no running statistics, for one of another number of channels, and while a hook is registered.
    """
    if not isinstance(model, Module):
        raise TypeError(f"fuse takes a Module, but got {type(model).__name__}: {model!r}")
    for path, module in model.named_modules():
        if module._forward_hooks:
            raise ValueError(
                f"fuse: {_named(path, module)} has a forward hook, which the copy would keep for good, and which could "
                "see another map there; call fuse() outside of the block that registered it"
            )
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for path, module in list(fused.named_modules()):
        for names in _rows(module):
            _fuse_row(module, path, names)
    for module in fused.modules():
        module.fused = True
    return fused


def _rows(module: Module) -> list[tuple[str, ...]]:
    """Rows of names of `module`'s children that its forward calls one behind the other."""
    if type(module).forward is Sequential.forward:
        names = tuple(name for name, _ in module.named_children())
        return [names[first : first + 3] for first in range(len(names))]
    for kind in type(module).__mro__:
        if "fusable" in vars(kind):
            return list(module.fusable)
        if "forward" in vars(kind) or "forward_features" in vars(kind):  # another order than the one declared above it
            return []
    return []


def _fuse_row(parent: Module, path: str, names: tuple[str, ...]) -> None:
    """Make one layer of the children `names` of `parent`, as far as they are a convolution and what it can take over.

    They must be of exactly these types: a subclass may compute something else. The layer is always a new one, for the
    convolution may stand in another place as well, with another batch norm behind it.
    """
    kinds = [type(parent._modules.get(name)) for name in names]
    for pattern in _PATTERNS:
        if kinds[: len(pattern)] == pattern:
            conv = parent.get_submodule(names[0])
            norm = None if pattern[1] is ReLU else parent.get_submodule(names[1])
            where = f"{path}.{names[1]}" if path else names[1]
            parent.add_module(names[0], _one_layer(conv, norm, pattern[-1] is not BatchNorm2d, where))
            for name in names[1 : len(pattern)]:
                parent.add_module(name, Identity().eval())
            return


def _one_layer(conv: Any, norm: Any, relu: bool, where: str) -> Conv2d:
    """A convolution that computes what `conv`, then `norm` unless it is None, then relu if asked for, compute."""
    weight, bias = conv.weight.data, None if conv.bias is None else conv.bias.data
    if norm is not None:
        weight, bias = _folded(weight, bias, norm, where)
    layer = (ConvReLU2d if relu else Conv2d)(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
        bias is not None,
        conv.padding_mode,
        generator=np.random.default_rng(0),  # replaced at once; fusing must not move the stream of manual_seed
    )
    layer.weight = Parameter(weight.copy())
    layer.bias = None if bias is None else Parameter(bias.copy())
    return layer.eval().requires_grad_(False)


def _folded(
    weight: np.ndarray, bias: np.ndarray | None, norm: BatchNorm2d, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (C_out, C_in / groups, KH, KW) and bias (C_out,) of the convolution with `norm` folded into it."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            f"fuse: BatchNorm2d({norm.extra_repr()}) at {where!r} keeps no running statistics: it normalises by each "
            "batch, which no fixed convolution can do; make it with track_running_stats=True and train, or leave it"
        )
    if norm.num_features != weight.shape[0]:
        raise ValueError(
            f"fuse: BatchNorm2d at {where!r} has num_features={norm.num_features}, but the convolution before it has "
            f"{weight.shape[0]} output channels"
        )
    mean, variance = norm.running_mean.data.astype(np.float64), norm.running_var.data.astype(np.float64)
    scale = 1 / np.sqrt(variance + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight.data
    shift = -mean * scale if bias is None else (bias - mean) * scale
    if norm.bias is not None:
        shift = shift + norm.bias.data
    return (weight * scale[:, None, None, None]).astype(weight.dtype), shift.astype(weight.dtype)


def _named(path: str, module: Module) -> str:
    return f"{type(module).__name__} at {path!r}" if path else type(module).__name__
