"""The backbone of a file of weights: options that the command line does not give are read from the file."""

import contextlib
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from minicnn import backbones, nn
from minicnn.backbones.backbone import Backbone
from minicnn.backbones.builders import own_classes, settings_of
from minicnn.backbones.identify import matching_backbones, stored_sizes
from minicnn.cli.train_parts import model_settings
from minicnn.files.plain_text import plain
from minicnn.files.suggestions import did_you_mean
from minicnn.weights import (
    WeightFile,
    WeightsInformation,
    downloadable,
    information_of,
    obtain_pretrained,
    open_weights,
    pretrained,
    shipped,
    shipped_path,
)
from minicnn.weights.files import OF_PYTORCH, SUFFIXES


class StoredModel(NamedTuple):
    """A backbone in evaluation mode, its name, and the size (C, H, W) of its training images."""

    model: Backbone
    name: str
    image_shape: tuple[int, int, int]


@dataclass(frozen=True)
class Described:
    """Weights before they are loaded: their place and their backbone; None for a fact that is not known."""

    weights: str  # the path of a file, or the name of a set for the backbone `name`
    name: str
    options: dict[str, Any]  # of the backbone
    image_shape: tuple[int, int, int] | None  # (C, H, W) of the images that they were trained on
    num_classes: int | None
    channels: int | None  # that the arrays are for
    information: WeightsInformation | None  # how images are prepared for them, and their classes


def described(
    weights: str, name: str | None, options: Mapping[str, Any], classes: int | None = None, example: str = ""
) -> Described:
    """The weights, a path or the name of a set; `name`, `options` and `classes` come before those of the file.

    The error output names a backbone that was recognised by its arrays. Raises ValueError where no backbone is
    named or recognised (`example` is how a command line names one), and where the file contradicts itself.
    """
    weights, name = _found(weights, name)
    with open_weights(weights) if _is_file(weights) else contextlib.nullcontext() as file:
        known = {} if file is None else _said_by(file)
        name = name or known.get("model") or _recognised(weights, file, example)
        settings_of(name)  # raises for an unknown one, and says which there are
        shape = known.get("image_shape")
        merged = model_settings(name, {**known.get("model_options", {}), **options}, shape and shape[1])
        there = (None, None) if file is None else stored_sizes(name, file.shapes)  # classes, input channels
        information = _of_set(name, weights) if file is None else information_of(file)
    classes = classes or known.get("num_classes") or there[0]
    if there[0] not in (None, classes):
        raise ValueError(f"{weights} has no classifier for {classes} classes, but one for {there[0]}")
    if shape is not None and there[1] not in (None, shape[0]):
        raise ValueError(f"{weights}: its metadata say image_shape={shape}, but its arrays are for {there[1]} channels")
    return Described(weights, name, merged, shape and (shape[0], shape[1], shape[2]), classes, there[1], information)


def load_model(
    weights: str,
    name: str | None,
    classes: int | None,
    channels: int | None,
    options: Mapping[str, Any],
    example: str,
) -> StoredModel:
    """The backbone with `weights`, a path or a set's name; `example` is how a command line names a backbone.

    The error output tells how weights were changed to fit the channels. Raises ValueError as `described` does, and
    where the file holds no classifier for so many classes.
    """
    about = described(weights, name, options, classes, example)
    if about.channels is not None and about.num_classes is None:
        raise _no_classifier(weights)
    channels = channels or about.channels or 3
    model = make_with_weights(about, about.num_classes or own_classes(about.name), channels)
    for path, change in (model.load_report or nn.LoadReport()).adapted.items():
        if path.startswith(model.classifier_name):
            raise _no_classifier(weights)
        if "input channels" in change:
            print(f"minicnn: {path}: {change}", file=sys.stderr)
    return StoredModel(model.eval(), about.name, about.image_shape or model.input_size)


def _no_classifier(weights: str) -> ValueError:
    return ValueError(
        f"{weights} has no classifier, only features; train one on pictures of your classes, as in "
        f"`minicnn train --weights {weights} --data DIR --out RUN`, and take RUN/weights.safetensors"
    )


def make_with_weights(about: Described, classes: int, channels: int, seed: int | None = None) -> Backbone:
    """The backbone for so many classes and input channels, filled by `backbones.create`."""
    try:
        return backbones.create(
            about.name, num_classes=classes, in_chans=channels, weights=about.weights, seed=seed, **about.options
        )
    except TypeError as error:  # an option of another type, such as width=wide
        raise ValueError(f"{about.name} cannot be made with {about.options}: {error}") from error


def path_of(weights: str) -> Path:
    """The file of weights that a path, or the whole name of a set, stands for; torchvision's are downloaded once."""
    name, _, variant = weights.partition(".")
    if Path(weights).exists() or weights not in (*shipped(), *downloadable()):
        return Path(weights)
    return shipped_path(name, variant) or obtain_pretrained(pretrained(name, variant))


def _of_set(name: str, variant: str) -> WeightsInformation | None:
    """The preparation and the classes of a set of weights; None if the backbone does not have the set."""
    own = shipped_path(name, variant)
    if own is not None:
        with open_weights(own) as file:
            return information_of(file)
    return pretrained(name, variant) if f"{name}.{variant}" in downloadable() else None


def _is_file(weights: str) -> bool:
    """True for the path of a file, which may be missing: it has an ending such as .npz, or a folder's name before."""
    path = Path(weights)
    return path.exists() or path.suffix.lower() in SUFFIXES + OF_PYTORCH or len(path.parts) > 1


def _found(weights: str, name: str | None) -> tuple[str, str | None]:
    """The path or the set, and the backbone if one is named: ("IMAGENET1K_V1", "vgg11") of "vgg11.IMAGENET1K_V1".

    Raises ValueError for text that is neither, with the names of sets that are close to it.
    """
    sets = [*shipped(), *downloadable()]
    if not Path(weights).exists() and weights in sets:
        of, _, variant = weights.partition(".")
        if name not in (None, of):
            raise ValueError(f"the weights {weights} are for {of}, not for {name}: leave out --model {name}")
        return variant, of
    variants = {each.partition(".")[2] for each in sets}
    if _is_file(weights):
        return weights, name
    if weights in variants:
        if name is not None and f"{name}.{weights}" not in sets:
            settings_of(name)  # raises for an unknown one, and says which there are
            raise ValueError(f"{name} does not have weights {weights}; `minicnn list weights` shows all that there are")
        return weights, name
    known = [each.partition(".")[2] if each.partition(".")[0] == name else each for each in sets]
    raise ValueError(f"{weights!r} is not a file or a set of weights; {did_you_mean(weights, known)}")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


# Keys that `minicnn train` writes into the metadata: a check of the value, and the value that is expected.
_SAID: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (lambda value: isinstance(value, str), "the name of a backbone"),
    "model_options": (lambda value: isinstance(value, dict), "a dictionary of its options"),
    "num_classes": (_is_count, "a whole number of 1 or more"),
    "image_shape": (
        lambda value: isinstance(value, list) and len(value) == 3 and all(map(_is_count, value)),
        "three whole numbers, (C, H, W)",
    ),
}


def _said_by(file: WeightFile) -> dict[str, Any]:
    """The metadata of the file about its network, checked."""
    if "checkpoint" in file.metadata:
        raise ValueError(
            f"{file.source} is a checkpoint, to resume a training from; the network alone is in the file "
            "weights.safetensors beside it"
        )
    known = {key: file.metadata[key] for key in _SAID if file.metadata.get(key) is not None}
    for key, value in known.items():
        can_be_right, wanted = _SAID[key]
        if not can_be_right(value):
            raise ValueError(f"{file.source}: its metadata say {key}={plain(repr(value))}, but it must be {wanted}")
    _check_options(known.get("model_options", {}), file)
    return known


def _check_options(options: dict[str, Any], file: WeightFile) -> None:
    """Raise ValueError for options of a network that is too large for the arrays in the file: such a network could take
    all memory before the arrays are compared."""
    numbers = re.findall(r"(?<![\d.])\d+", json.dumps(options))  # without the digits after a decimal point
    largest = max([len(file.entries), *(size for shape in file.shapes.values() for size in shape)])
    if len(numbers) > 10 + len(file.entries) or any(len(number) > 9 or int(number) > largest for number in numbers):
        raise ValueError(
            f"{file.source}: its metadata say model_options={plain(options)}, but the largest number of anything in "
            f"the file is {largest:,}"
        )


def _recognised(weights: str, file: WeightFile | None, example: str) -> str:
    """The one backbone whose arrays are called as those in the file, or that has a shipped set `weights`."""
    if file is not None:
        names = matching_backbones(file.entries)
    else:
        names = [name.partition(".")[0] for name in shipped() if name.partition(".")[2] == weights]
    if len(names) != 1:
        raise ValueError(f"which backbone? The weights do not say; name it, as in {example}")
    print(f"minicnn: no backbone is named; the weights have the names of {names[0]}", file=sys.stderr)
    return names[0]
