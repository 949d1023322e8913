"""Which backbone do weights belong to? The names of the arrays tell; width and head do not change these names.

The names come from one narrow network of each kind. The network is made at its first use and kept.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from minicnn import nn, random
from minicnn.backbones.backbone import Backbone
from minicnn.backbones.builders import BUILDERS, settings_of
from minicnn.backbones.pretrained import Source, first_convolution
from minicnn.nn.state import COUNTER
from minicnn.weights.loading import renamed_entries, without_prefix

_MOST_PREFIXES = 20  # that are compared with every backbone


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


def misfit_message(report: nn.LoadReport, model: Backbone, name: str, source: Source, prefix: str | None = None) -> str:
    """The message for weights that do not fit the backbone `name`: their own backbone, arguments of create() that would
    make them fit, and the report."""
    if isinstance(source, Mapping):
        what, names = "the dictionary of weights", list(source)
    else:
        what, names = source.source, list(source.entries)
    if prefix is not None:
        names = list(renamed_entries(names, (), prefix, what)[0].values())
    advice = _owner(names, name) or _headless(report, model)
    classes = report.mismatched.get(f"{model.classifier_name}.weight")
    channels = report.mismatched.get(f"{first_convolution(model)}.weight")
    if classes and classes[0][1:] == classes[1][1:]:
        advice += f"; give num_classes={classes[0][0]} for the classes of the weights"
    if channels and len(channels[0]) == 4 and channels[0][0] == channels[1][0] and channels[0][1] != channels[1][1]:
        advice += f"; give in_chans={channels[0][1]} for the input channels of the weights"
    return f"{what} does not fit {name}{advice}. Nothing was loaded:\n{report!r}"


def _headless(report: nn.LoadReport, model: Backbone) -> str:
    """The part of the message for weights that lack nothing but the classifier."""
    heads = tuple(f"{path.partition('.')[0]}." for path in model.classifiers)
    of_heads = bool(report.missing) and all(each.startswith(heads) for each in report.missing)
    if not of_heads or report.unexpected or report.mismatched:
        return ""
    return (
        ": its classifier is missing; give num_classes=0 or features_only=True for the features alone, or the number "
        "of your classes, such as num_classes=10, for a fresh classifier"
    )


def _owner(names: Iterable[str], name: str) -> str:
    """The part of the message that names the backbone of the arrays `names`, and the prefix of their names."""
    there = list(names)
    others = matching_backbones(there)
    if others:
        return "" if name in others else f": its names are those of {' and '.join(map(repr, others))}"
    inside = {prefix: matching_backbones(_after(there, prefix)) for prefix in _prefixes(there)}
    fitting = [prefix for prefix, owners in inside.items() if owners]
    if not fitting:
        return ""
    prefix = next((each for each in fitting if name in inside[each]), fitting[0])
    others = [each for each in fitting if each != prefix]
    also = f" (and so they are after {' and '.join(map(repr, others))})" if others else ""
    condition = "" if all(each.startswith(prefix) for each in there) else f" if name.startswith({prefix!r})"
    return (
        f": after the prefix {prefix!r}, its names are those of {' and '.join(map(repr, inside[prefix]))}{also}; give "
        f"prefix={prefix!r}, or give a dictionary without it, {{name.removeprefix({prefix!r}): array for name, array "
        f"in minicnn.load(FILE).items(){condition}}}"
    )


def _prefixes(names: Iterable[str]) -> list[str]:
    """The beginnings before the name of a first convolution, as of a backbone inside another module."""
    anchors = {f"{first_convolution(_narrowest(name))}.weight" for name in BUILDERS}
    found = {name.removesuffix(anchor): None for name in names for anchor in anchors if name.endswith(f".{anchor}")}
    return sorted(found, key=lambda prefix: prefix.count("."))[:_MOST_PREFIXES]  # a block's first convolution is deeper


def _after(names: Iterable[str], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


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
