"""Weights from a file or a dictionary, loaded into a backbone; fitted to its classes and channels if asked.

file, dictionary or "IMAGENET1K_V1" --- open_source ---> source --- load_into_backbone ---> backbone, with its
                                                                                            load_report, weights_info
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minicnn import nn, weights
from minicnn.backbones.backbone import Backbone
from minicnn.nn import deferred_init

Source = weights.WeightFile | Mapping[str, Any]


def open_source(
    name: str, given: Mapping[str, Any] | str | os.PathLike[str], key: str | None = None
) -> contextlib.AbstractContextManager[Source]:
    """A context manager that returns the weights for the backbone `name` in the form that load_weights takes.

    A dictionary is returned unchanged; a file stays open during the block. A name without an ending, if no file has
    that name, is a set of weights: of minicnn, or of torchvision, such as "IMAGENET1K_V1". The file of torchvision's
    set is searched in MINICNN_DATA and in the cache, and downloaded if absent. `key` chooses one of several states in a
    file of PyTorch. Raises TypeError for another type, ValueError for an unknown set and for a `key` of a dictionary,
    and the errors of open_weights.
    """
    if isinstance(given, Mapping):
        if key is not None:
            raise ValueError(f"key={key!r} is for files; of a dictionary of states give one, weights=states[{key!r}]")
        return contextlib.nullcontext(given)
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(
            "weights must be the path of a file, a dictionary of arrays as state_dict() returns it, or the name of a "
            f"set such as 'IMAGENET1K_V1', but is {type(given).__name__}"
        )
    if isinstance(given, str) and re.fullmatch(r"\w+", given) and not Path(given).exists():
        own = weights.shipped_path(name, given)
        if own is not None:
            return weights.open_weights(own, key=key)
        try:
            information = weights.pretrained(name, given)
        except ValueError as error:
            raise ValueError(
                f"weights={given!r}: the file does not exist, minicnn comes with {weights.shipped()}, and {error}"
            ) from None
        return weights.open_weights(weights.obtain_pretrained(information), key=key)
    return weights.open_weights(given, key=key)


def required_settings(name: str, source: Source, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that the backbone `name` must have for these weights, whatever their shapes.

    Warns where the settings `given` leave open what the file does not say: torchvision's GoogLeNet needs
    transform_input=True, but a renamed copy cannot be told from a GoogLeNet that was trained in another way.
    """
    if isinstance(source, Mapping):
        return {}
    information = weights.information_of(source)
    if information is not None:
        return {"transform_input": True} if information.name.startswith("googlenet.") else {}
    classes = [shape[0] for path, shape in source.shapes.items() if path.endswith("fc.weight") and len(shape) == 2]
    of_imagenet = weights.pretrained("resnet18").categories
    may_be_torchvisions = len(of_imagenet) in classes and source.form.startswith("PyTorch")
    if name == "googlenet" and may_be_torchvisions and "transform_input" not in given:
        warnings.warn(
            f"{source.source} may be torchvision's GoogLeNet under another name, whose probabilities are wrong "
            "without transform_input=True; give transform_input=True for torchvision's weights, or "
            "transform_input=False for others",
            stacklevel=3,
        )
    return {}


def load_into_backbone(
    model: Backbone, source: Source, other_classes: bool, other_channels: bool, prefix: str | None = None
) -> None:
    """Load the weights into the model; sets its `load_report` and its `weights_info`.

    With `other_classes` the source may have another number of classes, or no head; the classifiers stay fresh then.
    With `other_channels` its first convolution is fitted to the model's input channels. Arrays of heads that the model
    does not have are ignored. `prefix` is as in load_weights. Raises MisfitError, and loads nothing, if anything else
    does not fit. The model is useless after that error, because deferred initialisation is not carried out.
    """
    there = [name.partition(".")[0] for name in model.state_tensors()]
    heads = {name.partition(".")[0] for name in model.classifiers}
    try:
        model.load_report = weights.load_weights(
            model,
            source,
            prefix=prefix,
            classifiers=[*model.classifiers, *sorted(heads)] if other_classes else sorted(heads.difference(there)),
            first_convolution=first_convolution(model) if other_channels else None,
        )
    except BaseException:
        deferred_init.cancel(model.state_tensors().values())  # the caller does not return this model
        raise
    model.weights_info = None if isinstance(source, Mapping) else weights.information_of(source)


def first_convolution(model: Backbone) -> str | None:
    """The path of the first convolution, whose input is the image."""
    return next((name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)), None)
