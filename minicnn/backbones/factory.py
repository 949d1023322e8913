"""The one way to make a backbone by its name. The table below is all there is: names and functions that build."""

from __future__ import annotations

import builtins
import difflib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.backbones import cifar_resnet, lenet, resnet, vgg
from minicnn.backbones.backbone import Backbone
from minicnn.random import stream

BUILDERS: dict[str, Callable[..., Backbone]] = {
    "lenet5": lenet.lenet5,
    "resnet8": cifar_resnet.resnet8,
    "resnet14": cifar_resnet.resnet14,
    "resnet18": resnet.resnet18,
    "resnet20": cifar_resnet.resnet20,
    "resnet32": cifar_resnet.resnet32,
    "vgg6": vgg.vgg6,
    "vgg6_bn": vgg.vgg6_bn,
    "vgg11_bn": vgg.vgg11_bn,
}


def list() -> builtins.list[str]:
    """The names that create() knows."""
    return sorted(BUILDERS)


def create(
    name: str,
    *,
    num_classes: int = 10,
    in_chans: int = 3,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    seed: int | None = None,
    **settings: Any,
) -> Backbone:
    """A backbone with fresh weights.

    With `features_only` it has no classifier, and a call returns the list of maps (N, C, H, W) of the levels
    `out_indices` (all if None; negatives count from the end). `seed` draws the weights from a stream of their own: the
    same seed gives the same bits whatever was drawn before; None takes the next of the stream that manual_seed set.
    `settings` are those of the network, such as width=8 or shortcut="B".
    Raises ValueError for an unknown name (saying which are close), for a level out of range, and for out_indices
    without features_only; TypeError for a setting that this network has not.
    """
    if name not in BUILDERS:
        close = difflib.get_close_matches(str(name), BUILDERS, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {list()}"
        raise ValueError(f"no backbone is called {name!r}; {hint}")
    if out_indices is not None and not features_only:
        raise ValueError(f"out_indices={out_indices} is for features_only=True; a classifier returns logits")
    known = set(inspect.signature(BUILDERS[name]).parameters)
    if not known.issuperset(settings):
        unknown, offered = sorted(set(settings) - known), sorted(known - {"num_classes", "in_chans", "generator"})
        raise TypeError(f"{name} has no setting {unknown[0]!r}; beside those of every backbone it has {offered}")
    generator = None if seed is None else stream("init", seed=seed)
    model = BUILDERS[name](
        num_classes=0 if features_only else num_classes, in_chans=in_chans, generator=generator, **settings
    )
    if features_only:
        model.out_indices = model.feature_info.positions(out_indices)
    return model
