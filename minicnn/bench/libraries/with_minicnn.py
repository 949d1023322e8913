"""minicnn in the measurements: every algorithm by its name, and "minicnn" for the chooser's own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numba

import minicnn
from minicnn import Tensor, backbones, nn, optim
from minicnn import functional as F
from minicnn.bench import peak
from minicnn.bench.cases import (
    BOTH,
    FORWARD,
    INFERENCE,
    INPUT_GRADIENT,
    TRAINING,
    WEIGHT_GRADIENT,
    Convolution,
    Layer,
    Network,
    layers,
)
from minicnn.kernels import layout
from minicnn.kernels.compiling.compile import set_num_threads
from minicnn.kernels.convolution import dispatch
from minicnn.kernels.convolution.algorithm import use_algorithm
from minicnn.kernels.convolution.geometry import Geometry

Runs = dict[str, Callable[[], Any]]


def start(threads: int) -> None:
    """Use that many threads."""
    set_num_threads(threads)


def variants(case: Any) -> list[str]:
    """For convolutions all algorithms too, and the processor's peak beside them; for inference the result of fuse()."""
    if isinstance(case, Convolution):
        return ["minicnn", "peak", *(f"minicnn {name}" for name in case.algorithms)]
    if isinstance(case, Network) and case.mode == INFERENCE:
        return ["minicnn", "minicnn fused"]
    return ["minicnn"]


def prepare(case: Any, variant: str) -> Runs:
    """The runs of a case."""
    if variant == "peak":
        return {FORWARD: lambda: peak.run_peak(numba.get_num_threads())}
    if isinstance(case, Convolution):
        return _convolution(case, variant.removeprefix("minicnn").strip() or "auto")
    if isinstance(case, Layer):
        return _layer(case)
    if case.mode == TRAINING:
        return {TRAINING: _training(case)}
    return {INFERENCE: _inference(case, fused=variant == "minicnn fused")}


def _convolution(case: Convolution, algorithm: str) -> Runs:
    x, weight, gradient = case.arrays(case.batch_for(algorithm))
    geometry = Geometry(stride=(case.stride,) * 2, padding=(case.padding,) * 2)
    image, kernel = Tensor(layout.from_kernel(x), requires_grad=True), Tensor(weight, requires_grad=True)
    output_gradient = layout.from_kernel(gradient)

    def both() -> None:
        image.grad = kernel.grad = None
        F.conv2d(image, kernel, stride=case.stride, padding=case.padding).backward(output_gradient)

    def with_algorithm(run: Callable[[], Any]) -> Callable[[], Any]:
        def chosen() -> None:
            with use_algorithm(algorithm):
                run()

        return chosen

    size, out_size, kernel_size = (case.side,) * 2, (case.out_side,) * 2, (case.kernel,) * 2
    runs = {
        FORWARD: lambda: dispatch.conv2d(x, weight, None, out_size, geometry),
        INPUT_GRADIENT: lambda: dispatch.conv2d_input_gradient(gradient, weight, size, geometry),
        WEIGHT_GRADIENT: lambda: dispatch.conv2d_weight_gradient(x, gradient, kernel_size, geometry),
        BOTH: both,
    }
    return {operation: with_algorithm(run) for operation, run in runs.items()}


def _layer(case: Layer) -> Runs:
    x, y = (layout.from_kernel(array) for array in islice(case.arrays(), 2))
    apply, arrays = layers(F)[case.kind], [x, y] if case.kind == "addition" else [x]
    channels = case.size[1]
    norm = nn.BatchNorm2d(channels)
    inputs = [Tensor(array, requires_grad=True) for array in arrays]
    gradient = layout.empty(apply(norm, *inputs).shape)
    gradient[...] = 1

    def forward() -> None:
        with minicnn.no_grad():
            apply(norm.eval(), *inputs)

    def both() -> None:
        for tensor in [*inputs, *norm.parameters()]:
            tensor.grad = None
        apply(norm.train(), *inputs).backward(gradient)

    return {FORWARD: forward, BOTH: both}


def make_model(case: Network) -> backbones.Backbone:
    """The backbone that all libraries' networks get their weights from."""
    return backbones.create(case.backbone, num_classes=10, in_chans=case.image[0], seed=0, **case.settings)


def _training(case: Network) -> Callable[[], float]:
    images, labels = case.arrays()
    model, batch = make_model(case), Tensor(layout.as_channels_last(images))
    optimizer = optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch), labels)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def _inference(case: Network, fused: bool) -> Callable[[], Any]:
    model, batch = make_model(case).eval(), Tensor(layout.as_channels_last(case.arrays()[0]))
    if fused:
        model = nn.fuse(model)

    def infer() -> Any:
        with minicnn.no_grad():
            return model(batch).data

    return infer
