"""The one way to make a backbone by its name."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping, Sequence
from typing import Any

from minicnn import nn
from minicnn.backbones.backbone import Backbone, FeatureInfo
from minicnn.backbones.builders import BUILDERS, settings_of
from minicnn.backbones.identify import explained
from minicnn.backbones.pretrained import fill, opened, own_settings
from minicnn.functional.arguments import need_count
from minicnn.nn.state import MisfitError
from minicnn.random import stream

IMAGENET_CLASSES, COLOURS = 1000, 3  # what published weights are for


def list() -> builtins.list[str]:
    """The names that create() knows, family by family: the residual networks for small images before the others."""
    return builtins.list(BUILDERS)


def create(
    name: str,
    *,
    num_classes: int = IMAGENET_CLASSES,
    in_chans: int = COLOURS,
    weights: Mapping[str, Any] | str | os.PathLike | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    stem: str | None = None,
    seed: int | None = None,
    **settings: Any,
) -> Backbone:
    """A backbone with fresh weights, or with `weights`: a state_dict, the path of a file, or the name of a set.

    "PARTWORLD_V1" comes with minicnn (weights.shipped() lists what does); torchvision's sets, such as "IMAGENET1K_V1",
    are downloaded into the cache unless they are there. What was loaded is told by the
    backbone's `load_report`; how images are to be prepared, and what the classes are, by its `weights` (a
    WeightsInformation; None if nothing is known of the file). Another `num_classes` than 1000, or `in_chans` than 3,
    asks for weights to be adapted: a classifier stays fresh if the file's has other classes, and the first convolution
    is summed or repeated over its input channels.

    With `features_only` it has no classifier, whatever num_classes says, and a call returns the list of maps (N, C, H,
    W) of the levels `out_indices` (all if None; the last n for an int n; negatives count from the end). `stem` is
    "imagenet" or "small"; None takes the network's own. `seed` draws the weights from a stream of their own: the same
    seed gives the same bits whatever was drawn before; None takes the next of the stream that manual_seed set.
    `settings` are those of the network, such as width=8 or shortcut="B".
    Raises ValueError for an unknown name (saying which are close), a level out of range, out_indices without
    features_only, a stem that the network can't have, and weights that are damaged or don't fit; TypeError for a
    setting that this network has not; FileNotFoundError where there is no such file.
    """
    if out_indices is not None and not features_only:
        raise ValueError(f"out_indices={out_indices} is for features_only=True; a classifier returns logits")
    known = settings_of(name)
    need_count(name, "in_chans", in_chans)
    if not known.issuperset(settings):
        unknown = sorted(set(settings) - known)[0]
        raise TypeError(f"{name} has no setting {unknown!r}; beside those of every backbone it has {sorted(known)}")
    if "stem" in known and stem is not None:
        settings["stem"] = stem
    elif stem not in (None, "small"):
        raise ValueError(f"{name} has one stem, for small images; leave out stem={stem!r}")
    if "head" in known and features_only:
        settings.setdefault("head", False)
    settings["generator"] = None if seed is None else stream("init", seed=seed)
    classes = 0 if features_only else num_classes
    if weights is None:
        model = BUILDERS[name](num_classes=classes, in_chans=in_chans, **settings)
    else:
        try:
            with opened(name, weights) as source, nn.init.postponed():
                of_weights = {key: value for key, value in own_settings(source).items() if key in known}
                model = BUILDERS[name](num_classes=classes, in_chans=in_chans, **(of_weights | settings))
                fill(model, source, other_classes=num_classes != IMAGENET_CLASSES, other_channels=in_chans != COLOURS)
        except MisfitError as error:
            raise ValueError(explained(error.report, model, name, source)) from None
    if features_only:
        model.out_indices = model.feature_info.positions(out_indices, "out_indices")
        model.feature_info = FeatureInfo(model.feature_info, model.out_indices)
    return model
