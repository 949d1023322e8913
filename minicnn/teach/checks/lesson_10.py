"""The checks of lesson 10: what an Inception block costs, and what it computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minicnn import nn
from minicnn.backbones.googlenet import TABLE, BasicConv2d, Inception, Width
from minicnn.nn import summary
from minicnn.random import stream
from minicnn.teach.answers import call, compare, pair
from minicnn.tensor import Tensor


def count_block(answer: Callable) -> None:
    """10a: weights and multiply-adds, as the summary of the library's own block counts them."""
    rows = ((16, Width(1, 2, 3, 4, 5, 6), 4, 6), (192, TABLE["3a"], 28, 28), (480, TABLE["4a"], 14, 14))
    for in_channels, row, height, width in rows:
        counted = summary(Inception(in_channels, row, branch3_kernel=5), (in_channels, height, width))
        of_each = [layer.parameters for layer in counted.rows if layer.type == "Conv2d"]
        hint = (
            "a KxK convolution has K * K * C_in * C_out weights; here the six have, branch by branch, "
            f"{', '.join(f'{weights:,}' for weights in of_each)}"
        )
        what = f"count_block({in_channels}, {tuple(row)}, {height}, {width})"
        yours = call(answer, in_channels, tuple(row), height, width, hint=hint)
        yours = pair(yours, what, "weights and multiply-adds", hint)
        compare(yours[0], sum(of_each), f"{what}: the weights, the first of the two", hint, tolerance=1e-9)
        at_places = "each weight is used once at every place; the padding sees to it that no place is lost"
        compare(yours[1], counted.multiply_adds, f"{what}: the multiply-adds", at_places, tolerance=1e-9)


def inception(answer: Callable) -> None:
    """10b: the library's own block, with its batch norm made to change nothing."""
    hint = "padding that keeps the size is (K - 1) / 2; stack channels, which are axis 1, in the order 1, 3, 5, pool"
    hints = {
        "1x1": "one 1x1 of x, and a ReLU",
        "3x3": "a 1x1 of x, a ReLU, a 3x3 with padding 1 of what that gives, a ReLU; it is the second of the four",
        "5x5": "a 1x1 of x, a ReLU, a 5x5 with padding 2 of what that gives, a ReLU; it is the third of the four",
        "pooling": "first the maximum of 3x3 places of x, stride 1 and padding 1; then a 1x1 of that, and a ReLU",
    }
    generator = stream("check 10b", seed=0)
    row = Width(one=2, three_reduce=3, three=4, five_reduce=1, five=3, pool=2)
    for images, in_channels, size in ((1, 2, (4, 4)), (2, 4, (5, 6))):
        block = _without_batch_norm(Inception(in_channels, row, branch3_kernel=5))
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
        expected = block(Tensor(x)).detach().numpy()
        yours, what = call(answer, x, kernels, hint=hint), f"inception(x of {x.shape}, six kernels)"
        yours = yours.detach().numpy() if isinstance(yours, Tensor) else yours
        if not isinstance(yours, np.ndarray) or yours.shape != expected.shape:
            compare(yours, expected, what, hint, tolerance=1e-4)  # which says what is wrong with the shape, if anything
            continue
        ends = np.cumsum([row.one, row.three, row.five, row.pool])[:-1]
        by_branch = zip(hints.items(), *(np.split(each, ends, axis=1) for each in (yours, expected)), strict=True)
        for (branch, of_branch), mine, right in by_branch:
            compare(mine, right, f"{what}: the {right.shape[1]} channels of the {branch} branch", of_branch, 1e-4)


def _without_batch_norm(block: nn.Module) -> nn.Module:
    """The block in evaluation mode, its batch norm such that it gives what it gets."""
    statistics = dict(block.named_buffers())
    for name, module in block.named_modules():
        if isinstance(module, BasicConv2d):
            statistics[f"{name}.bn.running_var"].data[...] = 1 - module.bn.eps
    return block.eval()


CHECKS = {"10a": count_block, "10b": inception}
