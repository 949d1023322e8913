"""Splitting a data set by class: held-out parts with the same share of every class, and k pictures of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import random
from minicnn.data.dataset import Dataset, Subset, as_array


def stratified_split(dataset: Any, sizes: Sequence[int | float], seed: int = 0) -> list[Any]:
    """Disjoint parts of these sizes, each with the same share of every class, as far as whole pictures allow.

    `dataset` is a Dataset, and Subsets come back; or an array of labels (N,), and index arrays come back. `sizes` are
    counts (ints) or fractions of the whole (floats); they may leave a rest. The same seed gives the same parts,
    whatever else was drawn; indices come in ascending order.

    Raises ValueError if sizes are negative, mix counts with fractions, or ask for more than there is.
    """
    labels = dataset.labels if isinstance(dataset, Dataset) else _check_labels_array(dataset)
    counts = _counts(sizes, len(labels))
    # Each class in an order of its own; part after part takes the next pictures of every class.
    by_class = [
        shuffled(np.flatnonzero(labels == value), random.stream("split", place, seed=seed))
        for place, value in enumerate(np.unique(labels))
    ]
    taken = np.zeros(len(by_class), dtype=np.int64)
    parts = []
    for count in counts:
        remaining = np.array([len(members) for members in by_class], dtype=np.int64) - taken
        share = _proportional(count, remaining)
        chosen = [members[t : t + s] for members, t, s in zip(by_class, taken, share, strict=True)]
        parts.append(np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, dtype=np.int64))
        taken += share
    return [Subset(dataset, part) for part in parts] if isinstance(dataset, Dataset) else parts


def k_per_class(labels: Any, k: int, seed: int = 0) -> np.ndarray:
    """Indices, ascending, of k pictures of every class that occurs in `labels` (N,): a small balanced set.

    With one seed, the pictures for k are among those for any larger k, so that curves over k compare nested sets.
    Raises ValueError if k is below 1 or a class has fewer than k pictures.
    """
    labels = labels.labels if isinstance(labels, Dataset) else _check_labels_array(labels)
    if k < 1:
        raise ValueError(f"k must be 1 or more pictures per class, but is {k}")
    values, counts = np.unique(labels, return_counts=True)
    if len(values) == 0:
        raise ValueError("k_per_class needs labels, but there are none")
    if counts.min() < k:
        raise ValueError(f"k is {k}, but class {values[counts.argmin()]} has only {counts.min()} pictures")
    chosen = [
        shuffled(np.flatnonzero(labels == value), random.stream("k_per_class", int(value), seed=seed))[:k]
        for value in values
    ]
    return np.sort(np.concatenate(chosen))


def shuffled(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """`values` in random order, from raw 64-bit words: `Generator.permutation` may change between NumPy versions."""
    return values[np.argsort(generator.bit_generator.random_raw(len(values)), kind="stable")]


def _check_labels_array(labels: Any) -> np.ndarray:
    labels = as_array("labels", labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise ValueError(
            f"expected a Dataset or integer labels of shape (N,), but got dtype {labels.dtype} and shape {labels.shape}"
        )
    result: np.ndarray = labels
    return result


def _counts(sizes: Sequence[int | float], total: int) -> list[int]:
    """Sizes as counts; fractions are rounded at their running sum, so that fractions which add to 1 use every item."""
    if not all(size >= 0 for size in sizes):  # NaN is not
        raise ValueError(f"sizes must be 0 or more, but are {list(sizes)}")
    fractional = [isinstance(size, (float, np.floating)) for size in sizes]
    if all(fractional):
        if sum(sizes) > 1 + 1e-9:
            raise ValueError(f"fractions must add to 1 at most, but {list(sizes)} add to {sum(sizes):g}")
        ends = np.rint(np.cumsum(sizes) * total).astype(np.int64)
        return [int(count) for count in np.diff(ends, prepend=0)]
    if any(fractional):
        raise ValueError(f"sizes must be all counts (ints) or all fractions (floats), but are {list(sizes)}")
    if sum(sizes) > total:
        raise ValueError(f"sizes {list(sizes)} add to {sum(sizes)}, but there are only {total} items")
    return [int(size) for size in sizes]


def _proportional(count: int, remaining: np.ndarray) -> np.ndarray:
    """`count` shared out over classes in proportion to the remaining pictures of each; the largest remainders get the
    odd ones."""
    if count == 0:
        return np.zeros_like(remaining)
    whole, rest = np.divmod(count * remaining, remaining.sum())
    odd = count - whole.sum()
    whole[np.argsort(-rest, kind="stable")[:odd]] += 1
    return whole
