"""fuse: the same network for evaluation, with fewer passes over memory.

In evaluation a batch norm multiplies each channel by one number and adds another one. The convolution before can do
this with its own weights and bias. It can apply the ReLU too, at no cost, while it writes its sums.

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
    """A convolution that applies ReLU while it writes its result: arguments and shapes as for Conv2d."""

    def forward(self, input: Tensor) -> Tensor:
        return self._convolve(F.conv2d_relu, input)


def fuse(model: M) -> M:
    """A copy of `model` for evaluation, with the same results up to rounding: each batch norm that follows a
    convolution is merged into the convolution, and so is a ReLU that follows directly.

    Neighbours in a Sequential are merged, and the rows that a module's class declares in `fusable`. An Identity takes
    the place of a merged layer, so that all paths stay. Other batch norms and ReLUs stay unchanged. The copy requires
    no gradients of parameters, is in evaluation mode, and refuses train(True); as a part of another model the copy
    stays in evaluation mode. `model` is not changed, and may go on training.

    Raises TypeError if `model` is not a Module. Raises ValueError, with the path, if a batch norm after a convolution
    keeps no running statistics or has another number of channels, and while a forward hook is registered.
    """
    if not isinstance(model, Module):
        raise TypeError(f"fuse takes a Module, but got {type(model).__name__}: {model!r}")
    for path, module in model.named_modules():
        if module._forward_hooks:
            raise ValueError(
                f"fuse: {_named(path, module)} has a forward hook, which the copy would keep, and which could get "
                "another map there; remove the hook, or call fuse() outside of the block that registered it"
            )
    fused = copy.deepcopy(model).eval().requires_grad_(False)
    for path, module in list(fused.named_modules()):
        for names in _rows(module):
            _fuse_row(module, path, names)
    for module in fused.modules():
        module._fused = True
    return fused


def _rows(module: Module) -> list[tuple[str, ...]]:
    """Rows of names of `module`'s children that its forward calls one after the other."""
    if type(module).forward is Sequential.forward:
        names = tuple(name for name, _ in module.named_children())
        return [names[first : first + 3] for first in range(len(names))]
    for kind in type(module).__mro__:
        if "fusable" in vars(kind):
            return list(vars(kind)["fusable"])
        if "forward" in vars(kind) or "forward_features" in vars(
            kind
        ):  # its order may differ from the order that a parent class declares
            return []
    return []


def _fuse_row(parent: Module, path: str, names: tuple[str, ...]) -> None:
    """Merge the children `names` of `parent` into one layer, if they are a convolution and layers that it can merge.

    The types must match exactly, because a subclass may compute something else. The layer is always new, because the
    convolution may have a second place in the model, with another batch norm after it.
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
    """One convolution in place of `conv`, then `norm` (unless None), then ReLU (if `relu`)."""
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
        generator=np.random.default_rng(0),  # replaced below; fuse() must not draw from the stream of manual_seed
    )
    layer.weight = Parameter(weight.copy())
    layer.bias = None if bias is None else Parameter(bias.copy())
    return layer.eval().requires_grad_(False)


def _folded(
    weight: np.ndarray, bias: np.ndarray | None, norm: BatchNorm2d, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """Weight (C_out, C_in / groups, KH, KW) and bias (C_out,) of the convolution after `norm` is merged into them."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            f"fuse: BatchNorm2d({norm.extra_repr()}) at {where!r} keeps no running statistics and normalises by each "
            "batch, which a fixed convolution cannot do; make it with track_running_stats=True and train the model"
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
