"""onnxruntime in the measurements: inference only, batch norm folded and ReLU fused by its own optimisations."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import onnxruntime
import torch

from minicnn.bench.cases import INFERENCE, Network
from minicnn.bench.libraries.with_torch import make_twin

_options = onnxruntime.SessionOptions()


def start(threads: int) -> None:
    """Use that many threads; everything else has onnxruntime's defaults, graph optimisations included."""
    _options.intra_op_num_threads = threads


def variants(case: Any) -> list[str]:
    """One, and only for inference."""
    return ["onnxruntime"] if isinstance(case, Network) and case.mode == INFERENCE else []


def prepare(case: Network, variant: str) -> dict[str, Callable[[], Any]]:
    """The network with minicnn's weights, exported by way of its torch twin."""
    images = case.arrays()[0]
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # the exporter that needs no further package warns that there is a newer one
        warnings.simplefilter("ignore")
        export: Any = torch.onnx.export
        export(make_twin(case).eval(), torch.from_numpy(images), buffer, dynamo=False)
    session = onnxruntime.InferenceSession(buffer.getvalue(), _options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return {INFERENCE: lambda: session.run(None, {name: images})[0]}
