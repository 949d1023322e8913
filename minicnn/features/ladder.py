"""The feature ladder, first rungs: the levels that are linearly readable at each stage of a backbone.

PartWorld gives the ground truth of every picture at each level, so each level can be probed in its place:

    level         label                          features pooled over
    orientation   of strokes and stripes         the whole picture
    colour        hue of the object              the object
    texture       fill of the object             the object
    part          which part this is             that part (three samples a picture)
    object        arrangement of the parts       the whole picture

A global average hides colours and textures, which are on the object only, in the average of the whole picture; hence
the masks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from minicnn.data.partworld import PartWorld
from minicnn.features.activations import average_pool, extract, pool_under_masks
from minicnn.features.probe import fit_linear_probe
from minicnn.nn import Module

LEVELS = ("orientation", "colour", "texture", "part", "object")

Preprocess = Callable[[np.ndarray], np.ndarray]


def level_sizes(dataset: PartWorld) -> dict[str, int]:
    """How many values the label of each level can take; its chance level is one over that."""
    counts = map(len, (dataset.orientations, dataset.hues, dataset.textures, dataset.parts, dataset.classes))
    return dict(zip(LEVELS, counts, strict=True))


def level_labels(dataset: PartWorld) -> dict[str, np.ndarray]:
    """The label of every sample at each level: (N,), and (3N,) for parts, picture by picture."""
    return {
        "orientation": dataset.factors["orientation"],
        "colour": dataset.factors["hue"],
        "texture": dataset.factors["texture"],
        "part": dataset.factors["parts"].reshape(-1),  # (N, 3) -> (3N,)
        "object": dataset.labels,
    }


def pooled_levels(dataset: PartWorld, maps: np.ndarray, pictures: slice) -> np.ndarray:
    """The features of each picture, pooled in five ways: maps (B, C, h, w) -> (B, 5, C).

    In the five rows: over the whole picture, over the object, and over its parts in slots 0, 1, 2.
    """
    truth = dataset.truth(np.arange(pictures.start, pictures.stop))
    masks = np.concatenate([truth.object_mask[:, None], truth.part_masks], axis=1)  # (B, 1 + 3, H, W)
    return np.concatenate([average_pool(maps, pictures)[:, None], pool_under_masks(maps, masks)], axis=1)


def level_features(pooled: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of `pooled_levels` (N, 5, C) as the features of each level: (N, C), and (3N, C) for parts."""
    whole, on_object = pooled[:, 0], pooled[:, 1]
    on_parts = pooled[:, 2:].reshape(-1, pooled.shape[2])  # (N, 3, C) -> (3N, C)
    return {"orientation": whole, "colour": on_object, "texture": on_object, "part": on_parts, "object": whole}


def probe_ladder(
    model: Module, stages: Sequence[str], train: PartWorld, test: PartWorld, normalize: Preprocess
) -> dict[str, list[float]]:
    """For each level, the test accuracy of a linear probe on each of `stages` (dotted module names of `model`).

    `normalize` brings images (N, 3, H, W) of 0..1 to the scale that the model was trained on. Probes are fitted on
    `train`.
    """
    features = {}
    for name, dataset in (("train", train), ("test", test)):
        images = normalize(dataset.batch(np.arange(len(dataset)))[0])
        features[name] = extract(model, images, stages, reduce=functools.partial(pooled_levels, dataset))
    return _probe(stages, features, train, test)


def probe_pixels(train: PartWorld, test: PartWorld) -> dict[str, float]:
    """For each level, the test accuracy of the same probe on the pixels, pooled as a stage's features are."""
    features = {
        name: {"pixels": pooled_levels(data, data.batch(np.arange(len(data)))[0], slice(0, len(data)))}
        for name, data in (("train", train), ("test", test))
    }
    return {level: accuracies[0] for level, accuracies in _probe(["pixels"], features, train, test).items()}


def _probe(
    stages: Sequence[str], features: dict[str, dict[str, np.ndarray]], train: PartWorld, test: PartWorld
) -> dict[str, list[float]]:
    labels, test_labels, sizes = level_labels(train), level_labels(test), level_sizes(train)
    results: dict[str, list[float]] = {level: [] for level in LEVELS}
    for stage in stages:
        fitted_on, scored_on = level_features(features["train"][stage]), level_features(features["test"][stage])
        for level in LEVELS:
            probe = fit_linear_probe(fitted_on[level], labels[level], sizes[level])
            results[level].append(probe.accuracy(scored_on[level], test_labels[level]))
    return results
