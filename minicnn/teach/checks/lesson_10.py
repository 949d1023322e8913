"""The checks of lesson 10: the cost and the result of an Inception block."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.backbones.googlenet import TABLE, BasicConv2d, Inception, Width
from minicnn.nn import summary
from minicnn.teach.answers import Answer, agree, call, compare, pair
from minicnn.tensor import Tensor

_ROW = Width(one=2, three_reduce=3, three=4, five_reduce=1, five=3, pool=2)
_OF_BRANCH = {
    "1x1": "one 1x1 of x, and a ReLU",
    "3x3": "a 1x1 of x, a ReLU, a 3x3 with padding 1 of what that gives, a ReLU; it is the second of the four",
    "5x5": "a 1x1 of x, a ReLU, a 5x5 with padding 2 of what that gives, a ReLU; it is the third of the four",
    "pooling": "first the maximum of 3x3 places of x, stride 1 and padding 1; then a 1x1 of that, and a ReLU",
}


def count_block(answer: Answer) -> None:
    """10a: weights and multiply-adds, as the summary of the library's own block counts them."""
    fresh = np.random.default_rng()
    widths = Width(*map(int, fresh.permutation(20)[:6] + 1))
    drawn = (int(fresh.integers(5, 40)), widths, 5, int(fresh.integers(6, 12)))
    first = (16, Width(1, 2, 3, 4, 5, 6), 4, 6)
    large = (479, Width(192, 97, 209, 17, 49, 65), 15, 13)  # an odd number that float32 does not have
    cases = (first, (192, TABLE["3a"], 28, 28), (480, TABLE["4a"], 14, 14), large, drawn, first)
    for in_channels, row, height, width in cases:
        counted = summary(Inception(in_channels, row, branch3_kernel=5), (in_channels, height, width))
        of_each = [layer.parameters for layer in counted.rows if layer.type == "Conv2d"]
        hint = (
            "a KxK convolution has K * K * C_in * C_out weights; here the six have, branch by branch, "
            f"{', '.join(f'{weights:,}' for weights in of_each)}"
        )
        what = f"count_block({in_channels}, {tuple(row)}, {height}, {width})"
        yours = call(answer, in_channels, tuple(row), height, width, hint=hint)
        yours = pair(yours, what, "weights and multiply-adds", hint)
        compare(yours[0], sum(of_each), f"{what}: the weights, the first of the two", hint, tolerance=0)
        at_places = "each weight is used once at every place; the padding sees to it that no place is lost"
        compare(yours[1], counted.multiply_adds, f"{what}: the multiply-adds", at_places, tolerance=0)


def inception(answer: Answer) -> None:
    """10b: the library's own block, with a batch norm that changes nothing."""
    hint = "padding that keeps the size is (K - 1) / 2; stack channels, which are axis 1, in the order 1, 3, 5, pool"
    generator = np.random.default_rng()
    cases = []
    for images, in_channels, size in ((1, 2, (4, 4)), (2, 4, (5, 6)), (3, 3, (4, 7))):
        x = generator.standard_normal((images, in_channels, *size)).astype(np.float32)
        kernels = {
            name: generator.standard_normal((out, channels, side, side)).astype(np.float32)
            for name, out, channels, side in (
                ("one", _ROW.one, in_channels, 1),
                ("three_reduce", _ROW.three_reduce, in_channels, 1),
                ("three", _ROW.three, _ROW.three_reduce, 3),
                ("five_reduce", _ROW.five_reduce, in_channels, 1),
                ("five", _ROW.five, _ROW.five_reduce, 5),
                ("pool", _ROW.pool, in_channels, 1),
            )
        }
        cases.append((x, kernels))
    cases.append((-np.abs(cases[-1][0]), cases[-1][1]))  # of which a maximum with zeros of the padding shows
    _block_result(*cases[0])  # compiles the kernels that an answer needs, before its time begins
    agree(answer, cases, _block_result, hint, _block_case, judge=_judge_branches)


def _block_result(x: np.ndarray, kernels: dict[str, np.ndarray]) -> np.ndarray:
    block = _without_batch_norm(Inception(x.shape[1], _ROW, branch3_kernel=5))
    layers = {
        "one": block.branch1,
        "three_reduce": block.branch2[0],
        "three": block.branch2[1],
        "five_reduce": block.branch3[0],
        "five": block.branch3[1],
        "pool": block.branch4[1],
    }
    for name, layer in layers.items():
        layer.conv.weight.data[...] = kernels[name]
    return np.asarray(block(Tensor(x)).detach().numpy())


def _block_case(x: np.ndarray, kernels: dict[str, np.ndarray]) -> str:
    return f"inception(x of {x.shape}{', all below 0' if x.max() <= 0 else ''}, six kernels)"


def _judge_branches(yours: Any, expected: np.ndarray, what: str, hint: str) -> None:
    yours = yours.detach().numpy() if isinstance(yours, Tensor) else yours
    if not isinstance(yours, np.ndarray) or yours.shape != expected.shape:
        compare(yours, expected, what, hint, tolerance=1e-4)  # which says what is wrong with the shape, if anything
        return
    ends = np.cumsum([_ROW.one, _ROW.three, _ROW.five, _ROW.pool])[:-1]
    by_branch = zip(_OF_BRANCH.items(), *(np.split(each, ends, axis=1) for each in (yours, expected)), strict=True)
    for (branch, of_branch), mine, right in by_branch:
        compare(mine, right, f"{what}: the {right.shape[1]} channels of the {branch} branch", of_branch, 1e-4)


def _without_batch_norm(block: Inception) -> Inception:
    """The block in evaluation mode, with a batch norm that changes nothing."""
    statistics = dict(block.named_buffers())
    for name, module in block.named_modules():
        if isinstance(module, BasicConv2d):
            statistics[f"{name}.bn.running_var"].data[...] = 1 - module.bn.eps
    block.eval()
    return block


CHECKS = {"10a": count_block, "10b": inception}
