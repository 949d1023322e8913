"""PartWorld's separation: which kinds of model can learn it, and which can't. The claim of the data set, measured.

A data set for teaching how features go from low to high level must not yield to a model that has no such features. So
each of these is trained on the same pictures, with its settings chosen on a validation split, and scored once on the
test split:

    lists     logistic regression on the true lists of parts, colours and textures: the limit of counting
    linear    logistic regression on the pixels
    mlp       the best of a grid of multi-layer perceptrons, each trained to its plateau
    cnn       a small convolutional network
    shuffled  the same network on pictures whose pixels were all moved in one fixed, random order
    resnet20  the residual network

`minicnn partworld --measure` runs this measurement and writes the record beside the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import minicnn
from minicnn import backbones, nn
from minicnn.data import DataLoader, PartWorld, TensorDataset
from minicnn.data.transforms import Compose, Normalize, RandomHorizontalFlip
from minicnn.features.probe import fit_linear_probe
from minicnn.nn import Module
from minicnn.optim import SGD, OneCycleLR
from minicnn.training import EarlyStopping, evaluate, fit, reestimate_batch_norm

MODELS = ("lists", "linear", "mlp", "cnn", "shuffled", "resnet20")
NORMALIZE = Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))

# The grids from which the validation split chooses.
L2 = (1e-3, 1e-2, 1e-1)
MLP_HIDDEN = ((512,), (512, 512))
MLP_RATES = (0.01, 0.03)


@dataclass(frozen=True)
class Pictures:
    """The three splits of one seed."""

    train: PartWorld
    validation: PartWorld
    test: PartWorld

    @classmethod
    def drawn(cls, seed: int, train: int = 10_000, held_out: int = 2_000) -> Pictures:
        """`train` pictures to learn from, and `held_out` each to choose by and to report on."""
        return cls(
            PartWorld("train", train, seed=seed),
            PartWorld("val", held_out, seed=seed),
            PartWorld("test", held_out, seed=seed),
        )


def measure_separation(
    seed: int,
    pictures: Pictures | None = None,
    say: Callable[[str], Any] = print,
    epochs: int = 8,
    mlp_epochs: int = 50,
) -> dict[str, dict[str, Any]]:
    """For each of MODELS its test accuracy, its validation accuracy, and the settings chosen on the latter.

    `epochs` is for the convolutional networks; an MLP stops earlier than `mlp_epochs` once its validation accuracy has
    not risen for eight.
    """
    minicnn.manual_seed(seed)
    pictures = pictures or Pictures.drawn(seed)
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "lists": lambda: _logistic(pictures, _lists),
        "linear": lambda: _logistic(pictures, _pixels),
        "mlp": lambda: _best_mlp(pictures, seed, mlp_epochs),
        "cnn": lambda: _network(small_cnn, pictures, seed, epochs),
        "shuffled": lambda: _network(small_cnn, pictures, seed, epochs, shuffle_pixels=True),
        "resnet20": lambda: _network(_resnet20, pictures, seed, epochs),
    }
    results = {}
    for model in MODELS:
        results[model] = measures[model]()
        say(f"seed {seed}: {model:9s} test {results[model]['test']:.3f}  {results[model]}")
    return results


def small_cnn(num_classes: int = 10) -> Module:
    """Three convolutions and a linear layer: 49,090 parameters for ten classes.

    3x3, 24 -- pool -- 3x3, 48 -- pool -- 3x3, 80 -- mean over a 2x2 grid -- linear
    """
    layers: list[Module] = []
    for channels_in, channels_out, pool in ((3, 24, True), (24, 48, True), (48, 80, False)):
        layers += [
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        ]
        if pool:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(320, num_classes))


def mlp(hidden: tuple[int, ...], num_classes: int = 10) -> Module:
    """A multi-layer perceptron on the 3 * 32 * 32 pixels of a picture, with batch norm, as the other networks have."""
    layers: list[Module] = [nn.Flatten()]
    for size_in, size_out in zip((3 * 32 * 32, *hidden), hidden, strict=False):
        layers += [nn.Linear(size_in, size_out, bias=False), nn.BatchNorm1d(size_out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], num_classes))


def _resnet20() -> Module:
    return backbones.create("resnet20", num_classes=10)


def _lists(dataset: PartWorld) -> np.ndarray:
    """Which parts, which colour, which texture: (N, 6 + 6 + 4), without where anything is."""
    parts = np.eye(len(dataset.parts))[dataset.factors["parts"]].sum(axis=1)  # (N, 3) -> (N, 3, 6) -> (N, 6)
    hue = np.eye(len(dataset.hues))[dataset.factors["hue"]]
    texture = np.eye(len(dataset.textures))[dataset.factors["texture"]]
    return np.concatenate([parts, hue, texture], axis=1)


def _pixels(dataset: PartWorld) -> np.ndarray:
    return dataset.images.reshape(len(dataset), -1) / 255.0  # (N, 3, H, W) -> (N, 3*H*W)


def _logistic(pictures: Pictures, features_of: Callable[[PartWorld], np.ndarray]) -> dict[str, Any]:
    train, validation, test = pictures.train, pictures.validation, pictures.test
    features, held_out = features_of(train), features_of(validation)
    fitted = {l2: fit_linear_probe(features, train.labels, len(train.classes), l2=l2, max_iterations=100) for l2 in L2}
    scores = {l2: probe.accuracy(held_out, validation.labels) for l2, probe in fitted.items()}
    best = max(scores, key=scores.__getitem__)
    return {"test": fitted[best].accuracy(features_of(test), test.labels), "validation": scores[best], "l2": best}


def _best_mlp(pictures: Pictures, seed: int, epochs: int) -> dict[str, Any]:
    """Train the whole grid, keep the best on the validation split, and score only that on the test split."""
    best: dict[str, Any] = {"validation": -1.0}
    chosen: Any = None  # a Module, after the first of the grid
    for hidden in MLP_HIDDEN:
        for rate in MLP_RATES:
            model = mlp(hidden)
            # Mirroring helps an MLP too: its best accuracy is the one to beat.
            loader = _loader(pictures.train, seed, augment=True)
            optimizer = SGD(model.parameters(), lr=rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
            stopping = EarlyStopping("validation_accuracy", patience=8, mode="max")
            records = fit(
                model,
                loader,
                optimizer,
                epochs=epochs,
                validation=_loader(pictures.validation),
                early_stopping=stopping,
                progress=False,
            )
            accuracy = evaluate(model, _loader(pictures.validation))["accuracy"]
            if accuracy > best["validation"]:
                best = {"validation": accuracy, "hidden": list(hidden), "rate": rate, "epochs": len(records)}
                chosen = model
    return {"test": evaluate(chosen, _loader(pictures.test))["accuracy"], **best}


def _network(
    build: Callable[[], Module], pictures: Pictures, seed: int, epochs: int, shuffle_pixels: bool = False
) -> dict[str, Any]:
    order = np.random.Generator(np.random.Philox(seed)).permutation(32 * 32) if shuffle_pixels else None
    train, validation, test = (_reordered(one, order) for one in (pictures.train, pictures.validation, pictures.test))
    model = build()
    # Mirroring keeps the class; once the pixels are shuffled it would mean nothing.
    loader = _loader(train, seed, augment=not shuffle_pixels)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = OneCycleLR(optimizer, max_lr=0.2, total_steps=epochs * len(loader), pct_start=0.25)
    fit(model, loader, optimizer, epochs=epochs, schedule=schedule, schedule_every="step", progress=False)
    reestimate_batch_norm(model, _loader(train), batches=10)
    return {
        "test": evaluate(model, _loader(test))["accuracy"],
        "validation": evaluate(model, _loader(validation))["accuracy"],
        "epochs": epochs,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def _reordered(dataset: PartWorld, order: np.ndarray | None) -> TensorDataset:
    if order is None:
        return dataset
    n, c, h, w = dataset.images.shape
    flat = dataset.images.reshape(n, c, h * w)[:, :, order]  # (N, C, H, W) -> (N, C, H*W)
    return TensorDataset(flat.reshape(n, c, h, w), dataset.labels, classes=dataset.classes)


def _loader(dataset: TensorDataset, seed: int | None = None, augment: bool = False) -> DataLoader:
    """Batches for training, shuffled, if `seed` is given; else for measuring, in order."""
    if seed is None:
        return DataLoader(dataset, batch_size=250, transform=NORMALIZE)
    transform = Compose([RandomHorizontalFlip(), NORMALIZE]) if augment else NORMALIZE
    return DataLoader(dataset, batch_size=128, shuffle=True, drop_last=True, transform=transform, seed=seed)
