"""The one way to make a backbone by its name. The table below is all there is: names and functions that build."""

from __future__ import annotations

import builtins
import difflib
import functools
import inspect
import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from minicnn import nn
from minicnn.backbones import cifar_resnet, googlenet, lenet, resnet, vgg
from minicnn.backbones.backbone import Backbone, FeatureInfo
from minicnn.backbones.pretrained import explained, fill, first_convolution, opened, own_settings
from minicnn.functional.arguments import need_count
from minicnn.nn.state import COUNTER, MisfitError
from minicnn.random import stream
from minicnn.weights.loading import without_prefix

BUILDERS: dict[str, Callable[..., Backbone]] = {
    "lenet5": lenet.lenet5,
    "vgg6": vgg.vgg6,
    "vgg6_bn": vgg.vgg6_bn,
    "vgg11": vgg.vgg11,
    "vgg11_bn": vgg.vgg11_bn,
    "vgg13": vgg.vgg13,
    "vgg13_bn": vgg.vgg13_bn,
    "vgg16": vgg.vgg16,
    "vgg16_bn": vgg.vgg16_bn,
    "vgg19": vgg.vgg19,
    "vgg19_bn": vgg.vgg19_bn,
    "googlenet": googlenet.googlenet,
    "resnet8": cifar_resnet.resnet8,
    "resnet14": cifar_resnet.resnet14,
    "resnet20": cifar_resnet.resnet20,
    "resnet32": cifar_resnet.resnet32,
    "resnet44": cifar_resnet.resnet44,
    "resnet56": cifar_resnet.resnet56,
    "resnet110": cifar_resnet.resnet110,
    "resnet18": resnet.resnet18,
    "resnet34": resnet.resnet34,
    "resnet50": resnet.resnet50,
    "resnet101": resnet.resnet101,
    "resnet152": resnet.resnet152,
}
OF_EVERY_BACKBONE = ("num_classes", "in_chans", "generator")
SAID_BY_THE_NAME = ("block", "batch_norm")  # of a class: its functions choose them
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
            whose = whose_names(source if isinstance(source, Mapping) else source.entries, name)
            raise ValueError(explained(error.report, model, name, source, whose)) from None
    if features_only:
        model.out_indices = model.feature_info.positions(out_indices, "out_indices")
        model.feature_info = FeatureInfo(model.feature_info, model.out_indices)
    return model


def settings_of(name: str) -> set[str]:
    """What create() takes for this network alone: the arguments of its function, and of its class behind `**settings`.

    Raises ValueError for an unknown name, saying which are close.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be text, such as 'resnet50', but is {name!r}")
    if name not in BUILDERS:
        close = difflib.get_close_matches(name.lower(), BUILDERS, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {list()}"
        raise ValueError(f"no backbone is called {name!r}; {hint}")
    signature = inspect.signature(BUILDERS[name], eval_str=True)
    names = set(signature.parameters)
    if "settings" in names:
        names |= set(inspect.signature(signature.return_annotation).parameters)
    return names - {"settings", *OF_EVERY_BACKBONE, *SAID_BY_THE_NAME}


def own_classes(name: str) -> int:
    """How many classes a network's own function gives it: 1000 for photographs, 10 for small images."""
    return inspect.signature(BUILDERS[name]).parameters["num_classes"].default


def recognised(names: Iterable[str]) -> builtins.list[str]:
    """The backbones whose arrays are called so: `names` of a file of weights. Widths and heads may be others."""
    there = _without_module(names).values()
    return [name for name in BUILDERS if _without_heads(there, name) == _own_names(name)]


def whose_names(names: Iterable[str], name: str) -> str:
    """What to tell of names of arrays that do not fit the backbone `name`: whose they are, and behind what."""
    there = builtins.list(_without_module(names).values())
    others = recognised(there)
    if others:
        return "" if name in others else f": its names are those of {' and '.join(map(repr, others))}"
    first_and_last = zip(*(each.split(".") for each in (min(there, default=""), max(there, default=""))), strict=False)
    prefix = "".join(f"{part}." for part, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], first_and_last))
    others = recognised(each.removeprefix(prefix) for each in there)
    if not others:
        return ""
    return (
        f": behind {prefix!r}, its names are those of {' and '.join(map(repr, others))}; give a dictionary without it, "
        f"{{name.removeprefix({prefix!r}): array for name, array in minicnn.load(FILE).items()}}"
    )


def stored_sizes(name: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int | None, int | None]:
    """(classes, input channels) of the backbone `name` whose arrays have these `shapes`; None for what is not there."""
    here = {new: shapes[old] for old, new in _without_module(shapes).items()}
    head = _narrowest(name).classifier_name.partition(".")[0]
    in_head = [path for path in here if path.startswith(f"{head}.") and path.endswith(".weight")]
    classifier = here[max(in_head, key=lambda path: (len(path), path))] if in_head else ()  # classifier.6 of 0, 3 and 6
    first = here.get(f"{first_convolution(_narrowest(name))}.weight", ())
    return classifier[0] if classifier else None, first[1] if len(first) == 4 else None


def _without_module(names: Iterable[str]) -> dict[str, str]:
    """Old name -> new name."""
    old = builtins.list(names)
    renamed = without_prefix(old, ())
    return {name: renamed.get(name, name) for name in old}


@functools.cache
def _own_names(name: str) -> frozenset[str]:
    return _without_heads(_narrowest(name).state_tensors(), name)


def _without_heads(names: Iterable[str], name: str) -> frozenset[str]:
    heads = {path.partition(".")[0] for path in _narrowest(name).classifiers}
    return frozenset(each for each in names if each.partition(".")[0] not in heads and not each.endswith(COUNTER))


@functools.cache
def _narrowest(name: str) -> Backbone:
    """One of few weights, which are called as those of a wide one."""
    width = {} if "width" not in settings_of(name) else {"width": 1 if name.startswith("resnet") else 0.001}
    return BUILDERS[name](num_classes=1, generator=stream("init", seed=0), **width)
