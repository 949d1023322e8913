"""The one way to make a backbone by its name."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping, Sequence
from typing import Any

from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo
from minicnn.backbones.builders import BUILDERS, settings_of
from minicnn.backbones.identify import misfit_message
from minicnn.backbones.pretrained import load_into_backbone, open_source, required_settings
from minicnn.functional.arguments import need_count
from minicnn.nn.state import MisfitError
from minicnn.random import stream

IMAGENET_CLASSES, COLOURS = 1000, 3  # the classes and input channels of published weights


def list() -> builtins.list[str]:
    """The names that create() accepts, family by family: residual networks for small images before the large ones."""
    return builtins.list(BUILDERS)


def create(
    name: str,
    *,
    num_classes: int = IMAGENET_CLASSES,
    in_chans: int = COLOURS,
    weights: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    key: str | None = None,
    prefix: str | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    stem: str | None = None,
    seed: int | None = None,
    **settings: Any,
) -> Backbone:
    """A backbone with fresh weights, or with `weights`: a state_dict, the path of a file, or the name of a set.

    "PARTWORLD_V1" comes with minicnn (weights.shipped() lists all such sets). torchvision's sets, such as
    "IMAGENET1K_V1", are downloaded into the cache if they are not there yet. The backbone's `load_report` lists the
    loaded arrays. Its `weights_info` (a WeightsInformation; None if the file is unknown) describes the preparation of
    images and the classes. If `num_classes` is not 1000, or `in_chans` is not 3, the weights are adapted: a classifier
    stays fresh if the file has other classes or none, and the first convolution is summed or repeated over its input
    channels. `key` chooses one of several states in a file of PyTorch, such as "state_dict_ema". `prefix` is the
    beginning of the names to load, such as "module.encoder."; other arrays are left out.

    With `features_only` the backbone has no classifier, whatever `num_classes` is, and a call returns the list of maps
    (N, C, H, W) of the levels `out_indices` (all if None; the last n for an int n; negative numbers count from the
    end). `stem` is "imagenet" or "small"; None takes the network's default. With `seed` the weights are drawn from a
    stream of their own: the same seed gives the same bits whatever was drawn before. None takes the next numbers of the
    stream that manual_seed set. `settings` are the network's own, such as width=8 or shortcut="B".

    Raises ValueError for an unknown name (with similar names), a level out of range, `out_indices` without
    `features_only`, a stem that the network does not offer, and weights that are damaged or do not fit; TypeError for
    an unknown setting; FileNotFoundError if the file does not exist.
    """
    if out_indices is not None and not features_only:
        raise ValueError(f"out_indices={out_indices} is for features_only=True; a classifier returns logits")
    known = settings_of(name)
    need_count(name, "in_chans", in_chans)
    if not known.issuperset(settings):
        unknown = sorted(set(settings) - known)[0]
        raise TypeError(f"{name} has no setting {unknown!r}; beside the common settings it has {sorted(known)}")
    if "stem" in known and stem is not None:
        settings["stem"] = stem
    elif stem not in (None, "small"):
        raise ValueError(f"{name} has one stem, for small images; leave out stem={stem!r}")
    if "head" in known and features_only:
        settings.setdefault("head", False)
    settings["generator"] = None if seed is None else stream("init", seed=seed)
    classes = 0 if features_only else num_classes
    if weights is None:
        if key is not None or prefix is not None:
            raise ValueError(f"key={key!r} and prefix={prefix!r} say what to load of weights; give weights=FILE too")
        model = BUILDERS[name](num_classes=classes, in_chans=in_chans, **settings)
    else:
        try:
            with open_source(name, weights, key) as source, nn.init.deferred():
                required = required_settings(name, source, settings)
                of_weights = {setting: value for setting, value in required.items() if setting in known}
                model = BUILDERS[name](num_classes=classes, in_chans=in_chans, **(of_weights | settings))
                load_into_backbone(
                    model,
                    source,
                    other_classes=num_classes != IMAGENET_CLASSES,
                    other_channels=in_chans != COLOURS,
                    prefix=prefix,
                )
        except MisfitError as error:
            raise ValueError(misfit_message(error.report, model, name, source, prefix)) from None
    if features_only:
        model.out_indices = model.feature_info.positions(out_indices, "out_indices")
        model.feature_info = FeatureInfo(model.feature_info, model.out_indices)
    return model
