"""The checks of lesson 10: what an Inception block costs, and what it computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn import nn
from minicnn.backbones.googlenet import TABLE, BasicConv2d, Inception, Width
from minicnn.nn import summary
from minicnn.random import stream
from minicnn.teach.answers import call, compare
from minicnn.tensor import Tensor


def count_block(answer: Callable) -> None:
    """10a: weights and multiply-adds, as the summary of the library's own block counts them."""
    hint = "a KxK convolution has K * K * C_in * C_out weights, and uses each of them once at every place"
    rows = ((16, Width(1, 2, 3, 4, 5, 6), 4, 6), (192, TABLE["3a"], 28, 28), (480, TABLE["4a"], 14, 14))
    for in_channels, row, height, width in rows:
        counted = summary(Inception(in_channels, row, branch3_kernel=5), (in_channels, height, width))
        weights = sum(layer.parameters for layer in counted.rows if layer.type == "Conv2d")
        yours = call(answer, in_channels, tuple(row), height, width, hint=hint)
        what = f"count_block({in_channels}, {tuple(row)}, {height}, {width}): weights, multiply-adds"
        compare(yours, [weights, counted.multiply_adds], what, hint, tolerance=1e-9)


def inception(answer: Callable) -> None:
    """10b: the library's own block, with its batch norm made to change nothing."""
    hint = "padding that keeps the size is (K - 1) / 2; stack channels, which are axis 1, in the order 1, 3, 5, pool"
    generator = stream("check 10b", seed=0)
    for images, in_channels, size in ((1, 2, (4, 4)), (2, 4, (5, 6))):
        block = _without_batch_norm(Inception(in_channels, Width(2, 3, 4, 1, 3, 2), branch3_kernel=5))
        layers = {
            "one": block.branch1,
            "three_reduce": block.branch2[0],
            "three": block.branch2[1],
            "five_reduce": block.branch3[0],
            "five": block.branch3[1],
            "pool": block.branch4[1],
        }
        for layer in layers.values():
            layer.conv.weight.data[...] = generator.standard_normal(layer.conv.weight.shape)
        kernels = {name: layer.conv.weight.data.copy() for name, layer in layers.items()}
        x = generator.standard_normal((images, in_channels, *size)).astype(np.float32)
        expected = block(Tensor(x)).detach()
        yours = call(answer, x, kernels, hint=hint)
        compare(yours, expected, f"inception(x of {x.shape}, six kernels)", hint, tolerance=1e-4)


def _without_batch_norm(block: nn.Module) -> nn.Module:
    """The block in evaluation mode, its batch norm such that it gives what it gets."""
    statistics = dict(block.named_buffers())
    for name, module in block.named_modules():
        if isinstance(module, BasicConv2d):
            statistics[f"{name}.bn.running_var"].data[...] = 1 - module.bn.eps
    return block.eval()


CHECKS = {"10a": count_block, "10b": inception}
