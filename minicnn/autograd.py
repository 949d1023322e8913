"""Gradients as values, and the modes around them: grad, no_grad, enable_grad, detect_anomaly, gradcheck."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from minicnn.anomaly import detect_anomaly
from minicnn.engine import Node, run_backward
from minicnn.grad_mode import enable_grad, is_grad_enabled, no_grad
from minicnn.gradcheck import gradcheck
from minicnn.tensor import Tensor, refuse_create_graph

__all__ = ["detect_anomaly", "enable_grad", "grad", "gradcheck", "is_grad_enabled", "no_grad"]


def grad(
    outputs: Tensor,
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | ArrayLike | None = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> list[Tensor | None]:
    """The gradients of `outputs`, one Tensor, with respect to `inputs`, in their order; no `.grad` changes.

    `inputs` may be leaves or results in between; `grad_outputs` has the output's shape and may be left out for a single
    element. Raises ValueError if an input was not used to make the output, unless `allow_unused=True`, which returns
    None; RuntimeError without a graph; and NotImplementedError for `create_graph=True`.
    """
    refuse_create_graph(create_graph)
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if outputs.node is None:
        raise RuntimeError(
            "grad() needs an output that requires a gradient; was it made inside no_grad(), or detached?"
        )
    for position, tensor in enumerate(wanted):
        if tensor.node is None:
            raise ValueError(f"input {position} of grad() (shape {tensor.shape}) does not require a gradient")
    found: dict[Node, np.ndarray] = {}
    nodes = {tensor.node for tensor in wanted}

    def keep_wanted(node: Node, gradient: np.ndarray) -> None:
        if node in nodes:
            found[node] = gradient

    run_backward(outputs.node, outputs.starting_gradient(grad_outputs), retain_graph, keep_wanted)
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
