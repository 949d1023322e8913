"""Advice: warnings of three mistakes that let a network run and cost an afternoon, each given once a model.

an ImageNet stem on small images      the last map has a few places only, and accuracy is far below the usual
evaluation with batch statistics      a prediction depends on the other images of its batch
images that look unnormalised         weights meet numbers of another scale than in their training
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from minicnn.grad_mode import is_grad_enabled
from minicnn.nn.normalization import BatchNorm2d
from minicnn.tensor import Tensor

if TYPE_CHECKING:
    from minicnn.backbones.backbone import Backbone

SMALLEST_MAP = 4  # a stage whose input has fewer pixels than 4x4 has little to work on
PIXELS_ABOVE = 20  # a normalised image stays below this value, and nearly every photograph in 0..255 passes it
CONTRAST = 0.5  # of images in 0..1; a normalised image between 0 and 1 shows fog, and hardly has so much
OVERSHOOT = 0.05  # beyond 0 and 1: scaling an image rounds, and bicubic scaling goes further at its edges
ENOUGH = 1000  # values; from fewer values their range is unknown


class Advice:
    """The warnings that one model has given. Only the first call of each kind is examined."""

    def __init__(self) -> None:
        self._checked: set[tuple[object, ...]] = set()
        self._said: set[str] = set()

    def check(self, model: Backbone, images: Tensor, last: Tensor) -> None:
        """Warn of new mistakes in a call of `model` with `images` that ended in the map `last`.

        Images of one colour, such as nn.summary's, are ignored.
        """
        kind = (model.training, is_grad_enabled(), images.shape[1:])
        if kind in self._checked or images.data.size == 0 or images.data.min() == images.data.max():
            return
        self._checked.add(kind)
        self._say("map", _small_map(model, images, last))
        self._say("statistics", None if is_grad_enabled() else _batch_statistics(model))
        self._say("range", _unnormalised(model, images))

    def _say(self, topic: str, text: str | None) -> None:
        if text is not None and topic not in self._said:
            self._said.add(topic)
            warnings.warn(text, stacklevel=_calls_to_outside())


def _calls_to_outside() -> int:
    """The stacklevel, seen from the caller, of the innermost line outside minicnn, which the user can change."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("minicnn."):
        frame, level = frame.f_back, level + 1
    return level


def _small_map(model: Backbone, images: Tensor, last: Tensor) -> str | None:
    height, width = last.shape[2:]
    is_used = model.out_indices is None or len(model.feature_info) - 1 in model.out_indices
    if model.stem != "imagenet" or min(height, width) >= SMALLEST_MAP or not is_used:
        return None
    least = SMALLEST_MAP * model.feature_info[-1].reduction
    return (
        f"{type(model).__name__} with stem='imagenet' leaves a map of {height}x{width} of images of "
        f"{images.shape[2]}x{images.shape[3]}, less than {SMALLEST_MAP}x{SMALLEST_MAP}: accuracy will be poor. "
        f"Make the network with stem='small', or enlarge the images to {least}x{least} or more"
    )


def _batch_statistics(model: Backbone) -> str | None:
    """A warning for a call without gradients. A layer of momentum None is being measured (reestimate_batch_norm)."""
    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, BatchNorm2d)]
    by_batch = [
        name for name, norm in norms if norm.running_mean is None or (norm.training and norm.momentum is not None)
    ]
    if not by_batch:
        return None
    return (
        f"{len(by_batch)} of {len(norms)} batch norms of {type(model).__name__} (first: {by_batch[0]!r}) went by the "
        "statistics of this batch in a call without gradients: a prediction then depends on the other images. Call "
        "eval() before evaluating"
    )


def _unnormalised(model: Backbone, images: Tensor) -> str | None:
    if images.data.size < ENOUGH:
        return None
    low, high = float(images.data.min()), float(images.data.max())
    of_255 = (
        model.weights_info is not None and min(model.weights_info.std) < 1 / PIXELS_ABOVE
    )  # normalised to large numbers
    if low >= 0 and high > PIXELS_ABOVE and not of_255:
        advice = "divide them by 255, then subtract the mean and divide by the standard deviation (Normalize)"
    elif low >= -OVERSHOOT and high <= 1 + OVERSHOOT and high - low > CONTRAST and model.stem == "imagenet":
        advice = "subtract the mean and divide by the standard deviation (Normalize), as published weights expect"
    else:
        return None
    return f"images look unnormalised: their values lie between {low:.4g} and {high:.4g}; {advice}"
