"""Weights from elsewhere, into a backbone: found, fitted to its classes and channels where asked for, reported.

file, dictionary or "IMAGENET1K_V1" --- opened ---> source --- filled ---> backbone, with its load_report
                                                                           and what is known of the weights
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minicnn import nn, weights
from minicnn.backbones.backbone import Backbone
from minicnn.nn import deferred_init

Source = weights.WeightFile | Mapping[str, Any]


def opened(name: str, given: Mapping[str, Any] | str | os.PathLike) -> contextlib.AbstractContextManager[Source]:
    """A context manager that gives the weights for the backbone `name` as load_weights takes them.

    A dictionary is given as it is, a file is open meanwhile. A name without an ending that is no file is that of a set
    of weights: one that comes with minicnn, or torchvision's, such as "IMAGENET1K_V1", whose file is looked for in
    MINICNN_DATA and in the cache, and downloaded. Raises TypeError for anything else, ValueError for a set that neither
    has, and as open_weights does.
    """
    if isinstance(given, Mapping):
        return contextlib.nullcontext(given)
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(
            "weights must be the path of a file, a dictionary of arrays as state_dict() returns it, or a set of "
            f"torchvision's such as 'IMAGENET1K_V1', but is {type(given).__name__}"
        )
    if isinstance(given, str) and re.fullmatch(r"\w+", given) and not Path(given).exists():
        own = weights.shipped_path(name, given)
        if own is not None:
            return weights.open_weights(own)
        try:
            information = weights.pretrained(name, given)
        except ValueError as error:
            raise ValueError(
                f"weights={given!r}: there is no such file, minicnn comes with {weights.shipped()}, and {error}"
            ) from None
        return weights.open_weights(weights.obtain_pretrained(information))
    return weights.open_weights(given)


def own_settings(source: Source) -> dict[str, Any]:
    """The settings that a network must have for these weights, whatever their shapes."""
    information = None if isinstance(source, Mapping) else weights.information_of(source)
    return {"transform_input": True} if information and information.name.startswith("googlenet.") else {}


def fill(model: Backbone, source: Source, other_classes: bool, other_channels: bool) -> None:
    """Load the weights into the model; sets its `load_report` and its `weights`.

    With `other_classes` the source may have another number of classes, and the classifiers then stay as they are; with
    `other_channels` its first convolution is fitted to the model's input channels. Heads that the model is without are
    left aside. Raises MisfitError, and loads nothing, where something else does not fit: the model is then of no use,
    for weights whose initialisation was postponed are not drawn.
    """
    there = [name.partition(".")[0] for name in model.state_tensors()]
    heads = {name.partition(".")[0] for name in model.classifiers}
    try:
        model.load_report = weights.load_weights(
            model,
            source,
            classifiers=[*(model.classifiers if other_classes else ()), *sorted(heads.difference(there))],
            first_convolution=first_convolution(model) if other_channels else None,
        )
    except BaseException:
        deferred_init.cross_off(
            model.state_tensors().values()
        )  # nobody will get this model: its weights need not be drawn
        raise
    model.weights = None if isinstance(source, Mapping) else weights.information_of(source)


def first_convolution(model: Backbone) -> str | None:
    """The path of the convolution that takes the images."""
    return next((name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)), None)
