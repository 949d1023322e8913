"""Ways of using a backbone on a small target set: its features as they are, or trained further, or not at all.

    frozen        the backbone stays unchanged; only a linear classifier is fitted, on features computed once
    fine_tuned    that classifier becomes the new head, then everything is trained at a low rate (linear probing, then
                  fine-tuning: Kumar et al. 2022, "Fine-tuning can distort pretrained features")
    from_scratch  a fresh network of the same architecture is trained on the target alone

Each returns the accuracy on the target's test pictures. `frozen` with an untrained backbone is the control: how much
the architecture gives by itself.
"""

from __future__ import annotations

import copy

import numpy as np

from minicnn.data import DataLoader, TensorDataset
from minicnn.data.transforms import RandomHorizontalFlip
from minicnn.features.probe import LinearProbe, fit_linear_probe
from minicnn.grad_mode import no_grad
from minicnn.nn import Module, evaluation_mode
from minicnn.optim import SGD, CosineAnnealingLR
from minicnn.tensor import Tensor
from minicnn.training import evaluate, fit, reestimate_batch_norm
from minicnn.transfer.target import TransferTask


def cached_features(backbone: Module, images: np.ndarray, batch_size: int = 250) -> np.ndarray:
    """The features that a frozen backbone gives its classifier for each picture: (N, C, H, W) -> (N, num_features)."""
    pieces = []
    with evaluation_mode(backbone), no_grad():
        for start in range(0, len(images), batch_size):
            maps = backbone.forward_features(Tensor(images[start : start + batch_size]))
            pieces.append(backbone.forward_head(maps, pre_logits=True).data)
    return np.concatenate(pieces)


def probe_head(backbone: Module, target: TransferTask) -> LinearProbe:
    """The linear classifier fitted on the frozen backbone's features of the target's training pictures."""
    features = cached_features(backbone, target.train_images)
    return fit_linear_probe(features, target.train_labels, target.num_classes, l2=1e-2)


def frozen(backbone: Module, target: TransferTask) -> float:
    """The test accuracy of a linear classifier on the backbone's features, which stay as they are."""
    probe = probe_head(backbone, target)
    return probe.accuracy(cached_features(backbone, target.test_images), target.test_labels)


def fine_tuned(
    backbone: Module, target: TransferTask, *, epochs: int, learning_rate: float = 0.01, seed: int = 0
) -> float:
    """The test accuracy after a copy of the backbone, with the frozen recipe's classifier as head, was trained."""
    probe = probe_head(backbone, target)
    model = copy.deepcopy(backbone)
    model.reset_classifier(target.num_classes)
    head = model.get_classifier()
    # scores = ((x - mean) / scale) @ W + b  =  x @ (W / scale) + (b - (mean / scale) @ W)
    head.weight.copy_((probe.weight / probe.scale[:, None]).T)
    head.bias.copy_(probe.bias - (probe.mean / probe.scale) @ probe.weight)
    return _train_and_score(model, target, epochs, learning_rate, seed)


def from_scratch(
    fresh: Module, target: TransferTask, *, epochs: int, learning_rate: float = 0.1, seed: int = 0
) -> float:
    """The test accuracy after a copy of `fresh`, an untrained network, was trained on the target alone."""
    model = copy.deepcopy(fresh)
    model.reset_classifier(target.num_classes)
    return _train_and_score(model, target, epochs, learning_rate, seed)


def _train_and_score(model: Module, target: TransferTask, epochs: int, learning_rate: float, seed: int) -> float:
    train = TensorDataset(target.train_images, target.train_labels)
    loader = DataLoader(train, batch_size=50, shuffle=True, transform=RandomHorizontalFlip(), seed=seed)
    optimizer = SGD(model.parameters(), lr=learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = CosineAnnealingLR(optimizer, T_max=epochs * len(loader))
    fit(model, loader, optimizer, epochs=epochs, schedule=schedule, schedule_every="step", progress=False)
    # Few pictures mean few steps: the running statistics are older than the weights, so they are measured again.
    reestimate_batch_norm(model, loader)
    test = DataLoader(TensorDataset(target.test_images, target.test_labels), batch_size=250)
    return evaluate(model, test)["accuracy"]
