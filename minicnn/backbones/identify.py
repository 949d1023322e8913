"""Which backbone do weights belong to? The names of the arrays tell; width and head do not change these names.

The names come from one narrow network of each kind. The network is made at its first use and kept.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping

from minicnn import nn, random
from minicnn.backbones.backbone import Backbone
from minicnn.backbones.builders import BUILDERS, settings_of
from minicnn.backbones.pretrained import Source, first_convolution
from minicnn.nn.state import COUNTER
from minicnn.weights.loading import without_prefix


def matching_backbones(names: Iterable[str]) -> list[str]:
    """The backbones whose arrays have the names `names`, those of a file. Widths and heads may differ."""
    there = _without_module(names).values()
    return [name for name in BUILDERS if _without_heads(there, name) == _own_names(name)]


def stored_sizes(name: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int | None, int | None]:
    """(classes, input channels) of a backbone `name` whose arrays have `shapes`; None in place of a missing array."""
    here = {new: shapes[old] for old, new in _without_module(shapes).items()}
    head = _narrowest(name).classifier_name.partition(".")[0]
    in_head = [path for path in here if path.startswith(f"{head}.") and path.endswith(".weight")]
    classifier = here[max(in_head, key=lambda path: (len(path), path))] if in_head else ()  # classifier.6 of 0, 3 and 6
    first = here.get(f"{first_convolution(_narrowest(name))}.weight", ())
    return classifier[0] if classifier else None, first[1] if len(first) == 4 else None


def misfit_message(report: nn.LoadReport, model: Backbone, name: str, source: Source) -> str:
    """The message for weights that do not fit the backbone `name`: their own backbone, arguments of create() that would
    make them fit, and the report."""
    if isinstance(source, Mapping):
        what, names = "the dictionary of weights", list(source)
    else:
        what, names = source.source, list(source.entries)
    advice = _owner(names, name)
    classes = report.mismatched.get(f"{model.classifier_name}.weight")
    channels = report.mismatched.get(f"{first_convolution(model)}.weight")
    if classes and classes[0][1:] == classes[1][1:]:
        advice += f"; give num_classes={classes[0][0]} for the classes of the weights"
    if channels and len(channels[0]) == 4 and channels[0][0] == channels[1][0] and channels[0][1] != channels[1][1]:
        advice += f"; give in_chans={channels[0][1]} for the input channels of the weights"
    return f"{what} does not fit {name}{advice}. Nothing was loaded:\n{report!r}"


def _owner(names: Iterable[str], name: str) -> str:
    """The part of the message that names the backbone of the arrays `names`, and the prefix of their names."""
    there = list(_without_module(names).values())
    others = matching_backbones(there)
    if others:
        return "" if name in others else f": its names are those of {' and '.join(map(repr, others))}"
    first_and_last = zip(*(each.split(".") for each in (min(there, default=""), max(there, default=""))), strict=False)
    prefix = "".join(f"{part}." for part, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], first_and_last))
    others = matching_backbones(each.removeprefix(prefix) for each in there)
    if not others:
        return ""
    return (
        f": after the prefix {prefix!r}, its names are those of {' and '.join(map(repr, others))}; give a dictionary "
        f"{{name.removeprefix({prefix!r}): array for name, array in minicnn.load(FILE).items()}}"
    )


def _without_module(names: Iterable[str]) -> dict[str, str]:
    """Old name -> new name."""
    old = list(names)
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
    """The narrowest network of a kind, with the names of a wide one. The state of the random streams is restored."""
    width = {} if "width" not in settings_of(name) else {"width": 1 if name.startswith("resnet") else 0.001}
    before = random.get_state()
    model = BUILDERS[name](num_classes=1, **width)
    random.set_state(before)
    return model
