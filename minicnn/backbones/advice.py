"""Advice: three mistakes that let a network run and cost an afternoon. Each is said once a model, through `warnings`.

an ImageNet stem on small images      the last map has a few places only, and accuracy is far below the usual
evaluation with batch statistics      a prediction depends on the other images of its batch
images that look unnormalised         weights meet numbers of another scale than those they were trained on
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from minicnn.nn.normalization import BatchNorm2d
from minicnn.tensor import Tensor, is_grad_enabled

if TYPE_CHECKING:
    from minicnn.backbones.backbone import Backbone

SMALLEST_MAP = 4  # a stage that sees fewer places than 4x4 has little left to look at
PIXELS_ABOVE = 20  # no normalised image reaches this, and hardly a photograph in 0..255 stays below it
CONTRAST = 0.5  # of images in 0..1; a normalised one between 0 and 1 is of fog, and hardly has so much
OVERSHOOT = 0.05  # beyond 0 and 1: scaling an image rounds, and bicubic scaling goes further at its edges
ENOUGH = 1000  # values; fewer tell nothing about their range


class Advice:
    """What one model has been told. It looks closely at the first call of each kind only."""

    def __init__(self) -> None:
        self._looked: set[tuple] = set()
        self._said: set[str] = set()

    def look(self, model: Backbone, images: Tensor, last: Tensor) -> None:
        """Warn of what is new and looks wrong in a call of `model` with `images` that ended in the map `last`.

        Images of one colour, such as nn.summary's, tell nothing and are passed by.
        """
        kind = (model.training, is_grad_enabled(), images.shape[1:])
        if kind in self._looked or images.data.size == 0 or images.data.min() == images.data.max():
            return
        self._looked.add(kind)
        self._say("map", _small_map(model, images, last))
        self._say("statistics", None if is_grad_enabled() else _batch_statistics(model))
        self._say("range", _unnormalised(model, images))

    def _say(self, topic: str, text: str | None) -> None:
        if text is not None and topic not in self._said:
            self._said.add(topic)
            warnings.warn(text, stacklevel=_calls_to_outside())


def _calls_to_outside() -> int:
    """The stacklevel, seen from the caller, of the innermost line that is not minicnn's: the one that can be mended."""
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
        f"Make it with stem='small', or enlarge the images to {least}x{least} or more"
    )


def _batch_statistics(model: Backbone) -> str | None:
    """Of a call without gradients. Layers of momentum None are being measured, by reestimate_batch_norm say."""
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
    of_255 = model.weights is not None and min(model.weights.std) < 1 / PIXELS_ABOVE  # normalised to such numbers
    if low >= 0 and high > PIXELS_ABOVE and not of_255:
        advice = "divide them by 255, then subtract the mean and divide by the standard deviation (Normalize)"
    elif low >= -OVERSHOOT and high <= 1 + OVERSHOOT and high - low > CONTRAST and model.stem == "imagenet":
        advice = "subtract the mean and divide by the standard deviation (Normalize), as published weights expect"
    else:
        return None
    return f"images look unnormalised: their values lie between {low:.4g} and {high:.4g}; {advice}"
