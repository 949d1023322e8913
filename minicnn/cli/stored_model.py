"""The backbone of a file of weights, for `predict` and `export`: what is not given is what the file says of itself."""

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minicnn import backbones, nn
from minicnn.backbones.backbone import Backbone
from minicnn.backbones.builders import own_classes, settings_of
from minicnn.backbones.identify import recognised, stored_sizes
from minicnn.cli.train_parts import model_settings
from minicnn.files.plain_text import plain
from minicnn.weights import WeightFile, open_weights, shipped


class StoredModel(NamedTuple):
    """A backbone in evaluation mode, its name, and the size (C, H, W) of the images that it was trained on."""

    model: Backbone
    name: str
    image_shape: tuple[int, int, int]


def load_model(
    weights: str,
    name: str | None,
    classes: int | None,
    channels: int | None,
    options: Mapping[str, Any],
    example: str,
) -> StoredModel:
    """The backbone with `weights`, a path or a set of torchvision's; `example` is how a command line names a backbone.

    The error output tells which backbone was recognised where nothing names it, and what was done to weights so that
    they fit the channels. Raises ValueError where no backbone is named or recognised, where the file says of itself
    what can't be, and where it holds no classifier for so many classes.
    """
    # What is no file is the name of a set, or is missing: create() tells, or this if only the file names the backbone.
    is_file = Path(weights).exists() or (name is None and Path(weights).suffix)
    with open_weights(weights) if is_file else contextlib.nullcontext() as file:
        known = {} if file is None else _said_by(file)
        name = name or known.get("model") or _recognised(weights, file, example)
        settings_of(name)  # raises for an unknown one, and says what there is
        shape = known.get("image_shape")
        options = model_settings({"model": name, "model_options": {**known.get("model_options", {}), **options}}, shape)
        there = (None, None) if file is None else stored_sizes(name, file.shapes)  # classes, input channels
    classes = classes or known.get("num_classes") or there[0] or own_classes(name)
    channels = channels or there[1] or 3
    if there[0] not in (None, classes):
        raise ValueError(f"{weights} has no classifier for {classes} classes, but one for {there[0]}")
    if shape is not None and there[1] not in (None, shape[0]):
        raise ValueError(f"{weights}: its metadata say image_shape={shape}, but its arrays are for {there[1]} channels")
    try:
        model = backbones.create(name, num_classes=classes, in_chans=channels, weights=weights, **options)
    except TypeError as error:  # an option of another type, such as width=wide
        raise ValueError(f"{name} cannot be made with {options}: {error}") from error
    for path, what in (model.load_report or nn.LoadReport()).adapted.items():
        if path.startswith(model.classifier_name):
            raise ValueError(f"{weights} has no classifier: {path} {what}")
        if "input channels" in what:
            print(f"minicnn: {path}: {what}", file=sys.stderr)
    return StoredModel(model.eval(), name, tuple(shape or model.input_size))


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


# What `minicnn train` writes into the metadata: whether a value can be right, and what it should be.
_SAID = {
    "model": (lambda value: isinstance(value, str), "the name of a backbone"),
    "model_options": (lambda value: isinstance(value, dict), "a dictionary of its options"),
    "num_classes": (_is_count, "a whole number of 1 or more"),
    "image_shape": (
        lambda value: isinstance(value, list) and len(value) == 3 and all(map(_is_count, value)),
        "three whole numbers, (C, H, W)",
    ),
}


def _said_by(file: WeightFile) -> dict[str, Any]:
    """What the metadata of the file tell of its network."""
    if "checkpoint" in file.metadata:
        raise ValueError(
            f"{file.source} is a checkpoint, to resume a training from; the network alone is in the file "
            "weights.safetensors beside it"
        )
    known = {key: file.metadata[key] for key in _SAID if file.metadata.get(key) is not None}
    for key, value in known.items():
        can_be_right, what = _SAID[key]
        if not can_be_right(value):
            raise ValueError(f"{file.source}: its metadata say {key}={plain(repr(value))}, but it must be {what}")
    _check_options(known.get("model_options", {}), file)
    return known


def _check_options(options: dict[str, Any], file: WeightFile) -> None:
    """Raise ValueError for options of a network that is too large for the arrays in the file: making it could take all
    memory, before it turned out that they do not fit."""
    numbers = re.findall(r"(?<![\d.])\d+", json.dumps(options))  # without what stands behind a decimal point
    largest = max([len(file.entries), *(size for shape in file.shapes.values() for size in shape)])
    if len(numbers) > 10 + len(file.entries) or any(len(number) > 9 or int(number) > largest for number in numbers):
        raise ValueError(
            f"{file.source}: its metadata say model_options={plain(options)}, but the largest number of anything in "
            f"the file is {largest:,}"
        )


def _recognised(weights: str, file: WeightFile | None, example: str) -> str:
    """The one backbone whose arrays are called as those in the file, or that has a set of the name `weights`."""
    if file is not None:
        names = recognised(file.entries)
    else:
        names = [name.partition(".")[0] for name in shipped() if name.partition(".")[2] == weights]
    if len(names) != 1:
        raise ValueError(f"which backbone? The weights do not say; name it, as in {example}")
    print(f"minicnn: no backbone is named; the weights have the names of {names[0]}", file=sys.stderr)
    return names[0]
