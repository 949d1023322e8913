"""Where a run of `minicnn train` starts: its data, and a model with fresh weights or with those of a file.

A model that starts from weights gets its pictures as the weights want them (size, mean and standard deviation), keeps
their classifier if the classes are the same, and may be frozen up to a layer.
"""

import sys
from dataclasses import dataclass
from typing import Any

from minicnn.backbones.backbone import Backbone
from minicnn.cli.stored_model import described, make_with_weights
from minicnn.cli.train import HEAD
from minicnn.cli.train_parts import FIXED_SIZES, Data, Normalization, make_data, make_model, model_settings
from minicnn.files.plain_text import printable
from minicnn.random import stream
from minicnn.transfer.freezing import freeze


@dataclass(frozen=True)
class Start:
    """A model and its data before the first step; `name` and `options` make the model again."""

    name: str
    options: dict[str, Any]
    model: Backbone
    data: Data


def make_start(settings: dict[str, Any]) -> Start:
    """The model and the data that `settings` ask for. The error output tells of loaded and frozen arrays.

    Raises ValueError for settings that contradict each other, the data, or the weights.
    """
    start = _fresh(settings) if settings["weights"] is None else _from_weights(settings)
    if settings["freeze"] is not None:
        _freeze(start.model, settings)
    return start


def _fresh(settings: dict[str, Any]) -> Start:
    data = make_data(settings)
    channels, side, _ = data.image_shape
    name, given = settings["model"], dict(settings["model_options"])
    model = make_model(name, given, _num_classes(settings, data), channels, side, settings["seed"])
    return Start(name, model_settings(name, given, side), model, data)


def _from_weights(settings: dict[str, Any]) -> Start:
    example = f"`minicnn train --model resnet20 --weights {settings['weights']}`"
    about = described(settings["weights"], settings["model"], dict(settings["model_options"]), example=example)
    information = about.information
    size = settings["image_size"]
    if size is None and information is not None and settings["data"] not in FIXED_SIZES:
        size = information.crop
    normalization = None if information is None else (information.mean, information.std)
    data = make_data(settings | {"image_size": size}, normalization)
    _, height, width = data.image_shape
    classes = _num_classes(settings, data)
    model = make_with_weights(about, classes, data.image_shape[0], settings["seed"])
    says = f"pictures are {height}x{width}, with mean {_rounded(data.mean)} and std {_rounded(data.std)}"
    whose = _whose(data, normalization)
    _tell(f"starting from {settings['weights']}, of whose arrays are {model.load_report}\n{says}, {whose}")
    if information is not None and information.categories and information.categories != tuple(data.classes):
        model.reset_classifier(classes, stream("init", seed=settings["seed"]))
        _tell("the classifier begins with fresh weights, for the classes of the weights are others")
    return Start(about.name, about.options, model, data)


def _freeze(model: Backbone, settings: dict[str, Any]) -> None:
    to = None if settings["freeze"] == HEAD else settings["freeze"]
    if settings["weights"] is None:
        raise ValueError("--freeze keeps layers as they are in --weights, but no weights are given")
    try:
        frozen = freeze(model, to)
    except ValueError as error:
        raise ValueError(f"--freeze {settings['freeze']}: {error}") from error
    arrays = sum(1 for _ in model.parameters())
    if len(frozen) == arrays:
        raise ValueError(f"--freeze {settings['freeze']} leaves nothing to train: all {arrays} arrays would be frozen")
    _tell(f"{len(frozen)} of {arrays} arrays of weights are frozen, those before {to or model.classifier_name}")


def _num_classes(settings: dict[str, Any], data: Data) -> int:
    classes: int = settings["num_classes"] or len(data.classes)
    if classes < len(data.classes):
        raise ValueError(f"--num-classes is {classes}, but {settings['data']} has {len(data.classes)} classes")
    return classes


def _whose(data: Data, normalization: Normalization | None) -> str:
    if (data.mean, data.std) == normalization:
        return "as the weights want them"
    return "as the data set has them, for the weights do not tell theirs for these channels"


def _rounded(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _tell(text: str) -> None:
    print(f"minicnn: {printable(text)}", file=sys.stderr)
