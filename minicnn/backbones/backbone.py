"""Backbone: the interface of every network for the models that build on it. Names and meanings are timm's.

image --- forward_features ---> last map (N, C, H, W) --- forward_head ---> logits (N, num_classes)
              |      |
            level  level  ...   maps on the way: feature_info describes them, forward_intermediates returns them
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minicnn import nn
from minicnn.backbones.advice import Advice
from minicnn.functional.arguments import are_ints
from minicnn.nn import init
from minicnn.random import next_stream
from minicnn.tensor import Tensor, as_tensor
from minicnn.weights import WeightsInformation

B = TypeVar("B", bound="Backbone")


@dataclass(frozen=True)
class FeatureLevel:
    """One map of a backbone: its channels, image size / map size, the module that makes it, its receptive field."""

    channels: int
    reduction: int
    module: str
    receptive_field: int


class FeatureInfo(Sequence[FeatureLevel]):
    """All levels of a backbone, from the image upwards, with timm's methods for one column.

    A column has the levels that a call returns, `out_indices`: all, unless features_only chose some. `idx` chooses
    other levels: a number gives the value of that level, a list gives a list.
    """

    def __init__(self, levels: Sequence[FeatureLevel], out_indices: Sequence[int] | None = None):
        self._levels = list(levels)
        self.out_indices = list(range(len(self._levels)) if out_indices is None else out_indices)

    def __len__(self) -> int:
        return len(self._levels)

    def __getitem__(self, index: Any) -> Any:
        return FeatureInfo(self._levels[index]) if isinstance(index, slice) else self._levels[index]

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:
        """The channels of every level."""
        return self._column("channels", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:
        """Image size divided by map size, for every level."""
        return self._column("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:
        """The path of the module whose output is the level, for every level."""
        return self._column("module", idx)

    def receptive_field(self, idx: int | Sequence[int] | None = None) -> Any:
        """The receptive field of every level: pixels along one axis."""
        return self._column("receptive_field", idx)

    def _column(self, name: str, idx: int | Sequence[int] | None) -> Any:
        if isinstance(idx, (int, np.integer)):
            return getattr(self[self.positions([int(idx)], "idx")[0]], name)
        chosen = self.out_indices if idx is None else self.positions(idx, "idx")
        return [getattr(self[position], name) for position in chosen]

    def positions(self, indices: int | Sequence[int] | None, argument: str = "indices") -> list[int]:
        """The positions of the chosen levels: all for None, the last n for an int n, or the members of a list.

        Raises ValueError for a level that does not exist, TypeError for an index that is not an int. The error names
        `argument` and the levels.
        """
        if indices is None:
            return list(range(len(self)))
        if isinstance(indices, (int, np.integer)) and not isinstance(indices, bool):
            if not 1 <= indices <= len(self):
                raise ValueError(
                    f"{argument}={indices} asks for that many last levels, but there are {len(self)}; choose one "
                    f"level with a list, [{indices}]"
                )
            return list(range(len(self) - int(indices), len(self)))
        if isinstance(indices, str) or not isinstance(indices, Iterable):
            raise TypeError(
                f"{argument} must be an int or a list of ints, but is {indices!r}; the levels are\n{self!r}"
            )
        chosen = list(indices)  # an iterator can be read only once
        for index in chosen:
            if not are_ints([index]):
                raise TypeError(f"{argument} must hold ints, but holds {index!r}; the levels are\n{self!r}")
            if not -len(self) <= index < len(self):
                raise ValueError(
                    f"{argument}: level {index} does not exist: there are {len(self)}, from 0 ({self[0].module}) to "
                    f"{len(self) - 1} ({self[-1].module}); negative numbers count from the end"
                )
        return [int(index) % len(self) for index in chosen]

    def __repr__(self) -> str:
        rows = (
            f"{i}  {level.module}: {level.channels} channels, 1/{level.reduction}, sees {level.receptive_field} pixels"
            for i, level in enumerate(self)
        )
        return "\n".join(rows)


class Backbone(nn.Module):
    """A network in two parts, features and head. A subclass builds both and sets:

    feature_info      the levels, from the image upwards
    num_features      channels of the last map
    classifier_name   the path of its last linear layer
    input_size        (C, H, W) of the images that the network is made for
    stem              "imagenet" if its first and last layers are for photographs; "small" is the default

    create(weights=...) sets two more. `load_report` lists every array of the file: loaded, missing, renamed.
    `weights_info` describes the weights: the preparation of their images, the names of their classes. Both are None if
    the weights are fresh.

    After create(features_only=True), which sets `out_indices`, a call returns the maps of those levels, not logits.
    """

    feature_info: FeatureInfo
    num_features: int
    num_classes: int
    classifier_name: str
    input_size: tuple[int, int, int]
    stem: str = "small"
    out_indices: list[int] | None
    load_report: nn.LoadReport | None
    weights_info: WeightsInformation | None

    def __init__(self) -> None:
        super().__init__()
        self.out_indices = self.load_report = self.weights_info = None
        self._advice = Advice()

    @property
    def weights(self) -> WeightsInformation | None:
        """Another name of `weights_info`."""
        return self.weights_info

    @weights.setter
    def weights(self, information: WeightsInformation | None) -> None:
        self.weights_info = information

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw all weights again: convolutions with variance 2 / fan_out (He et al. 2015), linear layers as usual."""
        stream = next_stream("init", generator)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=stream)
            elif isinstance(module, nn.Linear):
                module.reset_parameters(stream)

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map (N, num_features, H, W) of images (N, in_chans, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_features()")

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (N, num_classes) of the last map; with `pre_logits` the vectors (N, F) before the classifier."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_head()")

    def forward(self, x: Tensor) -> Any:
        if self.out_indices is not None:
            return self.forward_intermediates(x, self.out_indices, intermediates_only=True)
        return self.forward_head(self._checked_features(x))

    def forward_intermediates(
        self, x: Tensor, indices: int | Sequence[int] | None = None, intermediates_only: bool = False
    ) -> Any:
        """(last map, maps of the chosen levels), or only the second; `indices` as in FeatureInfo.positions."""
        positions = self.feature_info.positions(indices)
        with self._recording([self.feature_info[position].module for position in positions]) as maps:
            last = self._checked_features(x)
        intermediates = [maps[self.feature_info[position].module] for position in positions]
        return intermediates if intermediates_only else (last, intermediates)

    def _checked_features(self, x: Any) -> Tensor:
        """The last map of `x`; warns of probable mistakes in either."""
        images = self._batch(x)
        last = self.forward_features(images)
        self._advice.check(self, images, last)
        return last

    def _batch(self, x: Any) -> Tensor:
        """The images, checked: without a batch axis, some layers would use the channels as the batch."""
        images = as_tensor(x)
        if images.ndim != 4:
            advice = "; add the batch axis of one image with unsqueeze(0)" if images.ndim == 3 else ""
            raise ValueError(
                f"{type(self).__name__} takes a batch of images (N, C, H, W), but the shape is {images.shape}{advice}"
            )
        return images

    @contextlib.contextmanager
    def _recording(self, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """While this is open, a dictionary keeps the outputs of the named modules."""
        maps: dict[str, Tensor] = {}

        def keep(name: str) -> Any:
            def hook(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
                maps[name] = output

            return hook

        with contextlib.ExitStack() as stack:
            for name in dict.fromkeys(names):
                stack.enter_context(self.get_submodule(name).register_forward_hook(keep(name)))
            yield maps

    def fuse(self: B) -> B:
        """A copy for evaluation, with the same results in less time: convolutions take over batch norm and ReLU."""
        return nn.fuse(self)

    @property
    def out_channels(self) -> list[int]:
        """The channels of the maps that a call with features_only returns (of all levels without it)."""
        return list(self.feature_info.channels())

    @property
    def classifiers(self) -> list[str]:
        """The paths of all layers that return classes: the classifier's, and those of auxiliary heads."""
        return [self.classifier_name]

    def get_classifier(self) -> nn.Module:
        """The last linear layer (or the Identity in its place)."""
        return self.get_submodule(self.classifier_name)

    def reset_classifier(self, num_classes: int, generator: np.random.Generator | None = None) -> None:
        """Replace the last layer by a fresh one for another number of classes; by Identity if `num_classes` is 0."""
        path, _, name = self.classifier_name.rpartition(".")
        fresh = linear_or_identity(self.head_hidden_size, num_classes, generator)
        self.get_submodule(path).add_module(name, fresh.train(self.training))
        self.num_classes = num_classes

    @property
    def head_hidden_size(self) -> int:
        """The length F of the vectors (N, F) that forward_head(x, pre_logits=True) returns."""
        return self.num_features


def check_stem(stem: str) -> None:
    """Raise ValueError unless `stem` is "imagenet" (for photographs) or "small" (for small images)."""
    if stem not in ("imagenet", "small"):
        raise ValueError(f"stem must be 'imagenet' (for images of about 224x224) or 'small' (32x32), but is {stem!r}")


def scaled(width: float, channels: int) -> int:
    """`width` * channels, rounded, at least 1. Raises TypeError if `width` is not a number, ValueError if below 0."""
    if isinstance(width, bool) or not isinstance(width, (int, float)):
        raise TypeError(f"width must be a number that multiplies channels, such as 0.25, but is {width!r}")
    if not 0 < width < float("inf"):
        raise ValueError(f"width multiplies every number of channels and must be above 0, but is {width}")
    return max(1, round(width * channels))


def linear_or_identity(features: int, num_classes: int, generator: np.random.Generator | None = None) -> nn.Module:
    """A Linear layer, or Identity if `num_classes` is 0; ValueError if below 0, TypeError if not an int."""
    if not are_ints([num_classes]):
        raise TypeError(f"num_classes must be an int, but is {type(num_classes).__name__}: {num_classes!r}")
    if num_classes < 0:
        raise ValueError(f"num_classes must be 0 (no classifier) or more, but is {num_classes}")
    return nn.Linear(features, num_classes, generator=generator) if num_classes else nn.Identity()
