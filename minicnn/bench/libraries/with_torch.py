"""PyTorch in the measurements: in both of its memory layouts, the better of which counts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from minicnn.bench import twins
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
from minicnn.bench.libraries.with_minicnn import make_model

FORMATS = {"torch contiguous": torch.contiguous_format, "torch channels_last": torch.channels_last}

Runs = dict[str, Callable[[], Any]]


def start(threads: int) -> None:
    """Use that many threads."""
    torch.set_num_threads(threads)


def variants(case: Any) -> list[str]:
    """Both layouts."""
    return list(FORMATS)


def prepare(case: Any, variant: str) -> Runs:
    """The runs of a case, on arrays that lie in memory as the variant says."""
    memory_format = FORMATS[variant]
    if isinstance(case, Convolution):
        return _convolution(case, memory_format)
    if isinstance(case, Layer):
        return _layer(case, memory_format)
    return {TRAINING: _training(case, memory_format)} if case.mode == TRAINING else _inference(case, memory_format)


def _tensor(pixels: np.ndarray, memory_format: Any) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)


def _convolution(case: Convolution, memory_format: Any) -> Runs:
    arrays = case.arrays(case.batch)
    x, gradient = _tensor(arrays[0], memory_format), _tensor(arrays[2], memory_format)
    weight = torch.from_numpy(arrays[1]).contiguous(memory_format=memory_format)
    stride, padding = case.stride, case.padding
    image, kernel = x.clone().requires_grad_(), weight.clone().requires_grad_()

    def backward(*wanted: bool) -> Any:
        sizes = ([stride] * 2, [padding] * 2, [1, 1])
        return torch.ops.aten.convolution_backward(gradient, x, weight, None, *sizes, False, [0, 0], 1, wanted)

    def both() -> None:
        image.grad = kernel.grad = None
        F.conv2d(image, kernel, None, stride, padding).backward(gradient)  # type: ignore[no-untyped-call]

    return {
        FORWARD: lambda: F.conv2d(x, weight, None, stride, padding),
        INPUT_GRADIENT: lambda: backward(True, False, False),
        WEIGHT_GRADIENT: lambda: backward(False, True, False),
        BOTH: both,
    }


def _layer(case: Layer, memory_format: Any) -> Runs:
    arrays = [_tensor(array, memory_format) for array in islice(case.arrays(), 2 if case.kind == "addition" else 1)]
    apply, norm = layers(F)[case.kind], torch.nn.BatchNorm2d(case.size[1])
    inputs = [array.requires_grad_() for array in arrays]
    gradient = torch.ones_like(apply(norm, *inputs))

    def forward() -> None:
        with torch.no_grad():
            apply(norm.eval(), *inputs)

    def both() -> None:
        for tensor in [*inputs, *norm.parameters()]:
            tensor.grad = None
        apply(norm.train(), *inputs).backward(gradient)

    return {FORWARD: forward, BOTH: both}


def make_twin(case: Network) -> torch.nn.Module:
    """The network with the weights of minicnn's."""
    twin = TWINS[case.backbone, case.settings.get("stem")]()
    twin.load_state_dict({key: torch.from_numpy(array) for key, array in make_model(case).state_dict().items()})
    return twin


TWINS: dict[tuple[str, str | None], Callable[[], torch.nn.Module]] = {
    ("lenet5", None): twins.LeNet5,
    ("resnet8", None): lambda: twins.CifarResNet(1),
    ("resnet20", None): lambda: twins.CifarResNet(3),
    ("vgg6_bn", None): twins.vgg6_bn,
    ("vgg11_bn", "small"): twins.vgg11_bn,
    ("resnet18", "small"): lambda: twins.ResNet((2, 2, 2, 2), "small"),
    ("resnet18", None): lambda: twins.ResNet((2, 2, 2, 2), "imagenet"),
    ("resnet50", None): lambda: twins.ResNet((3, 4, 6, 3), "imagenet", bottleneck=True),
    ("vgg16", None): twins.vgg16,
    ("googlenet", None): twins.GoogLeNet,
}


def _model_and_images(case: Network, memory_format: Any) -> tuple[torch.nn.Module, torch.Tensor]:
    images = torch.from_numpy(case.arrays()[0]).contiguous(memory_format=memory_format)
    return make_twin(case).to(memory_format=memory_format), images  # type: ignore[call-overload]


def _training(case: Network, memory_format: Any) -> Callable[[], float]:
    model, images = _model_and_images(case, memory_format)
    labels = torch.from_numpy(case.arrays()[1])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.item()

    return step


def _inference(case: Network, memory_format: Any) -> Runs:
    model, images = _model_and_images(case, memory_format)
    model.eval()

    def infer() -> Any:
        with torch.no_grad():
            return model(images).numpy()

    return {INFERENCE: infer}
