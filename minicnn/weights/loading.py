"""Weights from a file, or from a dictionary, into a network; names and shapes are adapted on request.

    with nn.init.deferred():                        # the file's parameters are not drawn first
        model = ResNet(num_classes=10, in_chans=1)
        report = load_weights(model, "resnet50-0676ba61.pth", classifiers=["fc"], first_convolution="conv1")
    print(report)                                   # loaded, missing, unexpected, renamed, adapted

Only the requested parts are adapted, and the report lists every change.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np

from minicnn import nn
from minicnn.files.plain_text import plain
from minicnn.tensor import Tensor
from minicnn.weights.files import open_weights
from minicnn.weights.information import WeightsInformation
from minicnn.weights.stored import WeightFile, kind_of
from minicnn.weights.torchvision_files import known_by_file_name

PARALLEL = "module."  # torch.nn.DataParallel puts this before every name


def load_weights(
    model: nn.Module,
    source: str | os.PathLike[str] | WeightFile | Mapping[str, Any],
    *,
    key: str | None = None,
    prefix: str | None = None,
    strict: bool = True,
    classifiers: Sequence[str] = (),
    first_convolution: str | None = None,
) -> nn.LoadReport:
    """A report, after filling `model` from a file (its path, or an open one) or from a dictionary of arrays.

    key                chooses one of several states in a file of PyTorch, such as "state_dict_ema"
    prefix             beginning of the names to load, such as "module.encoder."; removed from them, and arrays without
                       it are left out
    classifiers        dotted names of layers that keep their fresh weights if the source has another number of classes;
                       and of parts, such as a whole head, that the model or the source may lack
    first_convolution  dotted name of the convolution whose weights are summed or repeated if the source has another
                       number of input channels (adapt_input_channels)
    strict             as in Module.load_state_dict

    Without `prefix`, if all names of the source begin with "module.", this beginning is removed. Numbers are converted
    to the model's dtype; half and bfloat16 are widened to float32 without rounding. As in torch, a row of one number
    fills a scalar. Parts without usable values in a known file keep their fresh weights too.

    Raises the errors of open_weights and Module.load_state_dict, and ValueError if no name begins with `prefix` or if
    `key` is given without a path. Nothing is loaded then.
    """
    if isinstance(source, (str, os.PathLike)):
        with open_weights(source, key=key) as file:
            return load_weights(
                model,
                file,
                prefix=prefix,
                strict=strict,
                classifiers=classifiers,
                first_convolution=first_convolution,
            )
    if key is not None:
        raise ValueError(f"key={key!r} chooses a state in a file, but source is not a path; give one state of it")
    file = source if isinstance(source, WeightFile) else _in_memory(source)
    shapes = {name: tensor.shape for name, tensor in model.state_tensors().items()}
    renamed, left_out = renamed_entries(list(file.entries), shapes, prefix, file.source)
    file = file.with_entries(
        {renamed.get(name, name): entry for name, entry in file.entries.items() if name not in left_out}
    )
    kinds = {name: kind_of(entry) for name, entry in file.entries.items()}
    adapted = left_out | _scalars_from_rows(file, shapes)
    _leave_out_void(file, shapes, adapted)
    for name in classifiers:
        _leave_out_classifier(file, shapes, name, adapted)
    fresh = [name for name in adapted if name in shapes and name not in file.entries]
    if first_convolution is not None:
        _adapt_convolution(file, shapes, f"{first_convolution}.weight", adapted)
    tensors = model.state_tensors()
    report = model.load_state_dict(file, strict, may_be_missing=fresh)
    report.renamed, report.adapted = renamed, adapted
    types = {name: (kinds[name], tensors[name].dtype.name) for name in report.loaded}
    report.converted = {name: f"{there} to {here}" for name, (there, here) in types.items() if there != here}
    return report


def information_of(file: WeightFile) -> WeightsInformation | None:
    """The information about an open file, from its metadata or by its name; None if both are unknown.

    Raises ValueError if the metadata contradict themselves.
    """
    try:
        return WeightsInformation.from_metadata(file.metadata) or known_by_file_name(PurePath(file.source).name)
    except ValueError as error:
        raise ValueError(f"{file.source}: {error}") from error


def adapt_input_channels(weight: np.ndarray, in_chans: int) -> np.ndarray:
    """A convolution's weight (C_out, C_in, KH, KW) for `in_chans` input channels: (C_out, in_chans, KH, KW).

    For one channel the weights are summed: a grey image gets the result of the colour weights on three equal channels.
    Otherwise the weights are repeated in their order and scaled by C_in / in_chans, so that the sum over the channels
    stays about equal. Source: timm's adapt_input_conv. Raises ValueError unless the weight has four axes and `in_chans`
    is at least 1.
    """
    if weight.ndim != 4 or in_chans < 1:
        raise ValueError(f"needs a weight (C_out, C_in, KH, KW) and in_chans >= 1, but got {weight.shape}, {in_chans}")
    if in_chans == 1:
        return np.asarray(weight.sum(axis=1, keepdims=True))
    channels = weight.shape[1]
    repeated = weight[:, np.arange(in_chans) % channels]  # (C_out, C_in, KH, KW) -> (C_out, in_chans, KH, KW)
    return np.asarray(repeated * weight.dtype.type(channels / in_chans))


def _in_memory(state: Mapping[str, Any]) -> WeightFile:
    if not isinstance(state, Mapping):
        raise TypeError(f"source must be a path or a dictionary of arrays, but is {type(state).__name__}")
    entries: dict[str, Any] = {
        name: value.data if isinstance(value, Tensor) else np.asarray(value) for name, value in state.items()
    }
    for name, array in entries.items():
        if array.dtype.kind not in "biuf":
            raise TypeError(f"entry {name!r} of the source is not an array of numbers, but {array.dtype}")
    return WeightFile("the dictionary", "memory", sum(array.nbytes for array in entries.values()), entries)


def renamed_entries(
    names: Sequence[str], taken: Collection[str], prefix: str | None, source: str
) -> tuple[dict[str, str], dict[str, str]]:
    """(old name -> new name, name -> why it is left out) of the arrays `names` of `source`; see load_weights."""
    renamed = without_prefix(names, taken)
    if prefix is None:
        return renamed, {}
    if not any(name.startswith(prefix) for name in names):  # it may be meant without the usual "module."
        names_now = renamed
    else:
        names_now = {name: name for name in names}
    inside = {old: new.removeprefix(prefix) for old, new in names_now.items() if new.startswith(prefix)}
    if not inside:
        few = ", ".join(map(plain, names[:5]))
        raise ValueError(f"{source}: no name begins with prefix={prefix!r}; its names are {few}, ...")
    why = f"left out: its name does not begin with {prefix!r}"
    return inside, {name: why for name in names if name not in inside}


def without_prefix(names: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """Old name -> new name without "module.", if all names begin so and none of them is in `taken`."""
    stripped = list(names)
    while stripped and all(name.startswith(PARALLEL) for name in stripped) and not any(n in taken for n in stripped):
        stripped = [name.removeprefix(PARALLEL) for name in stripped]
    return {old: new for old, new in zip(names, stripped, strict=True) if old != new}


def _scalars_from_rows(file: WeightFile, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Name -> change, where the source has a row (1,) for a scalar: some programs cannot write scalars."""
    rows = [name for name, entry in file.entries.items() if entry.shape == (1,) and shapes.get(name) == ()]
    for name in rows:
        entry = file.entries[name]
        file.entries[name] = (
            entry.reshape(()) if isinstance(entry, np.ndarray) else replace(entry, shape=(), strides=())
        )
    return dict.fromkeys(rows, "a row of one number in the source, a scalar in the model")


def _leave_out_void(file: WeightFile, shapes: Mapping[str, tuple[int, ...]], adapted: dict[str, str]) -> None:
    information = information_of(file)
    if information is None or not information.void:
        return
    for name in list({**file.entries, **shapes}):
        if name.startswith(information.void):
            file.entries.pop(name, None)
            adapted[name] = f"keeps its fresh weights: {information.name} has none for it"


def _leave_out_classifier(
    file: WeightFile, shapes: Mapping[str, tuple[int, ...]], name: str, adapted: dict[str, str]
) -> None:
    """Drop the entries of a part that the model lacks, or of a layer with another number of classes in the model.

    A part that the source lacks keeps its fresh weights.
    """
    weight, dot = f"{name}.weight", f"{name}."
    there = file.entries[weight].shape if weight in file.entries else ()
    here = shapes.get(weight, ())
    fresh = [other for other in shapes if other.startswith(dot)]
    if not fresh:
        what = "left out: the model lacks this part"
    elif not any(entry.startswith(dot) for entry in file.entries):
        for path in fresh:
            adapted.setdefault(path, "keeps its fresh weights: the source lacks this part")
        return
    elif there and here and there[1:] == here[1:] and there != here:
        what = f"keeps its fresh weights: {there[0]} classes in the source, {here[0]} in the model"
    else:
        return
    for entry in [entry for entry in file.entries if entry.startswith(dot)]:
        del file.entries[entry]
        adapted[entry] = what


def _adapt_convolution(
    file: WeightFile, shapes: Mapping[str, tuple[int, ...]], name: str, adapted: dict[str, str]
) -> None:
    entry, here = file.entries.get(name), shapes.get(name)
    if entry is None or here is None or len(entry.shape) != 4 or len(here) != 4:
        return
    there = entry.shape
    if there[1] == here[1] or (there[0], *there[2:]) != (here[0], *here[2:]):
        return
    weight = file.read([name])[name]
    weight = weight.astype(np.result_type(weight, np.float32))  # sums in half precision would be rounded
    file.entries[name] = adapt_input_channels(weight, here[1])
    how = "summed" if here[1] == 1 else f"repeated and scaled by {there[1]}/{here[1]}"
    adapted[name] = f"{there[1]} input channels in the source, {here[1]} in the model: {how}"
