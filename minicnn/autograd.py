"""Gradients as values, and the modes around them: grad, no_grad, detect_anomaly, gradcheck."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.anomaly import detect_anomaly
from minicnn.gradcheck import gradcheck
from minicnn.tensor import Node, Tensor, is_grad_enabled, no_grad, run_backward

__all__ = ["detect_anomaly", "grad", "gradcheck", "is_grad_enabled", "no_grad"]


def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor],
    gradient: Any = None,
    retain_graph: bool = False,
    allow_unused: bool = False,
) -> list[Tensor | None]:
    """The gradients of `output` with respect to `inputs`, in their order; no `.grad` is touched.

    `inputs` may be leaves or results in between; `gradient` has output's shape and may be left out for one element.
    Raises ValueError if an input was not used to make the output, unless `allow_unused=True`, which gives None for it.
    """
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if output.node is None:
        raise RuntimeError(
            "grad() needs an output that requires a gradient; was it made inside no_grad(), or detached?"
        )
    for position, tensor in enumerate(wanted):
        if tensor.node is None:
            raise ValueError(f"input {position} of grad() (shape {tensor.shape}) does not require a gradient")
    found: dict[Node, np.ndarray] = {}
    hooks = []
    for tensor in wanted:
        node = tensor.node
        if node is not None and node.leaf is None:
            hooks.append((node, _recorder(node, found)))
            node.hooks.append(hooks[-1][1])
    try:
        run_backward(output.node, output.starting_gradient(gradient), retain_graph, found.__setitem__)
    finally:
        for node, hook in hooks:
            node.hooks.remove(hook)
    results: list[Tensor | None] = []
    for position, tensor in enumerate(wanted):
        array = found.get(tensor.node) if tensor.node is not None else None
        if array is None and not allow_unused:
            raise ValueError(
                f"input {position} of grad() (shape {tensor.shape}) was not used to make the output; "
                "pass allow_unused=True to get None for it"
            )
        results.append(None if array is None else Tensor(array.copy(order="K")))
    return results


def _recorder(node: Node, found: dict[Node, np.ndarray]):
    def record(gradient: Tensor) -> None:
        found[node] = gradient.data

    return record
