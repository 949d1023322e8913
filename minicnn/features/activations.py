"""Activations of named modules inside a model: `extract` runs the model and returns the outputs of the taps.

The hooks are context managers: whatever happens inside, they are gone afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.grad_mode import no_grad
from minicnn.nn import Module, evaluation_mode
from minicnn.tensor import Tensor

Reduce = Callable[[np.ndarray, slice], np.ndarray]


def extract(
    model: Module,
    images: np.ndarray | Tensor,
    taps: Sequence[str],
    *,
    reduce: Reduce | None = None,
    batch_size: int = 250,
) -> dict[str, np.ndarray]:
    """A dictionary from tap to the output of that module for `images` (N, C, H, W): evaluation mode, no gradients.

    `taps` are dotted module names ("layer2", "features.3"). Whole activations, (N, C, h, w), are large; `reduce(maps,
    pictures)` may shrink each batch's, given the slice of its pictures, before the next batch is computed. Raises
    ValueError for a name that the model does not have, for a module that does not run in evaluation or puts out more
    than one map, and for no images at all; TypeError for taps that are not a list of names.
    """
    if isinstance(taps, str):
        raise TypeError(f"taps must be a list of module names, but is text: write [{taps!r}]")
    images = images.data if isinstance(images, Tensor) else np.asarray(images)
    if len(images) == 0:
        raise ValueError(f"images must hold at least one, but has shape {images.shape}")
    names = dict(model.named_modules())
    unknown = [tap for tap in taps if tap not in names]
    if unknown:
        raise ValueError(f"taps {unknown} are not modules of this model; it has {[name for name in names if name]}")
    pieces: dict[str, list[np.ndarray]] = {tap: [] for tap in taps}
    with evaluation_mode(model), no_grad():
        for start in range(0, len(images), batch_size):
            pictures = slice(start, min(start + batch_size, len(images)))
            with contextlib.ExitStack() as hooks:
                seen: dict[str, np.ndarray] = {}
                for tap in taps:
                    hooks.enter_context(names[tap].register_forward_hook(_keep_output(seen, tap)))
                model(Tensor(images[pictures]))
            for tap in taps:
                if tap not in seen:
                    raise ValueError(f"tap {tap!r} was not run: the model does not use that module in evaluation")
                pieces[tap].append(seen[tap] if reduce is None else reduce(seen[tap], pictures))
    return {tap: np.concatenate(arrays) for tap, arrays in pieces.items()}


def _keep_output(seen: dict[str, np.ndarray], tap: str) -> Callable[..., None]:
    def hook(module: Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor):
            raise ValueError(f"tap {tap!r} puts out {type(output).__name__}; tap the modules inside it")
        seen[tap] = output.data

    return hook


def average_pool(maps: np.ndarray, pictures: slice) -> np.ndarray:
    """The mean of every channel over the picture: (N, C, h, w) -> (N, C)."""
    result: np.ndarray = maps.mean(axis=(2, 3), dtype=np.float64)
    return result


def pool_under_masks(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The mean of every channel under a mask: maps (N, C, h, w) and masks (N, K, H, W) -> (N, K, C).

    A mask is brought to the maps' size by averaging, so that a cell that the mask covers by half counts half. H and W
    must be multiples of h and w (ValueError). A mask without a single pixel gives zeros.
    """
    n, c, h, w = maps.shape
    _, k, height, width = masks.shape
    if height % h or width % w:
        raise ValueError(f"masks of {height}x{width} can't be averaged to maps of {h}x{w}: not a multiple")
    blocks = masks.reshape(n, k, h, height // h, w, width // w)  # (N, K, H, W) -> (N, K, h, H/h, w, W/w)
    weights = blocks.mean(axis=(3, 5), dtype=np.float64).reshape(n, k, h * w)
    pixels = maps.transpose(0, 2, 3, 1).reshape(n, h * w, c)  # (N, C, h, w) -> (N, h*w, C)
    total = weights.sum(axis=2, keepdims=True)
    result: np.ndarray = weights @ pixels / np.maximum(total, 1e-12)  # (N, K, h*w) @ (N, h*w, C) -> (N, K, C)
    return result
