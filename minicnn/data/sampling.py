"""Which pictures an epoch visits, and in which order. A sampler has a length and gives the indices of one epoch.

    sampler.indices(epoch, seed)   int64 (len(sampler),)

The order is keyed by (seed, epoch), not drawn from a shared stream: epoch 7 is the same whether epochs 0 to 6 ran in
this process, in another, or not at all.
"""

from collections.abc import Sequence

import numpy as np

from minicnn import random
from minicnn.data.split import k_per_class, shuffled


class Sampler:
    """The interface for `DataLoader(sampler=...)`: a length, and the indices of an epoch."""

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def indices(self, epoch: int, seed: int | None = None) -> np.ndarray:
        """int64 (len(self),): the places to visit in this epoch; `seed=None` means the one of `manual_seed`."""
        raise NotImplementedError(f"{type(self).__name__} must define indices")


class SequentialSampler(Sampler):
    """0, 1, 2, ... in every epoch, or the fixed `indices` given instead of a length."""

    def __init__(self, source: int | Sequence[int] | np.ndarray):
        order = np.arange(source) if isinstance(source, (int, np.integer)) else np.asarray(source)
        if order.ndim != 1 or (len(order) and order.dtype.kind not in "iu"):
            raise TypeError(f"SequentialSampler takes a length or a row of indices, but got {source!r}")
        self.order = order.astype(np.int64)

    def __len__(self) -> int:
        return len(self.order)

    def indices(self, epoch: int, seed: int | None = None) -> np.ndarray:
        return self.order


class RandomSampler(Sampler):
    """Every one of `length` places once an epoch, in an order keyed by (seed, "shuffle", epoch)."""

    def __init__(self, length: int):
        self.length = int(length)

    def __len__(self) -> int:
        return self.length

    def indices(self, epoch: int, seed: int | None = None) -> np.ndarray:
        return shuffled(np.arange(self.length), random.stream("shuffle", epoch, seed=seed))


class WeightedRandomSampler(Sampler):
    """`num_samples` places an epoch, each drawn with probability in proportion to its weight (N,).

    With `replacement=False` no place comes twice. `class_balanced_weights(labels)` gives the weights that make every
    class equally likely. Raises ValueError if weights are negative, not finite or all zero, or if more places are asked
    for than have a weight above zero, without replacement.
    """

    def __init__(self, weights: Sequence[float] | np.ndarray, num_samples: int, replacement: bool = True):
        self.weights = np.asarray(weights, dtype=np.float64)
        self.num_samples = int(num_samples)
        self.replacement = bool(replacement)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError("weights must be one row of finite numbers, 0 or more")
        available = int(np.count_nonzero(self.weights))
        if available == 0:
            raise ValueError("weights must not all be zero: nothing could be drawn")
        if self.num_samples < 1:
            raise ValueError(f"num_samples must be 1 or more, but is {num_samples}")
        if not self.replacement and self.num_samples > available:
            raise ValueError(
                f"num_samples is {num_samples}, but only {available} places have a weight above 0 and "
                "replacement=False draws each at most once"
            )

    def __len__(self) -> int:
        return self.num_samples

    def indices(self, epoch: int, seed: int | None = None) -> np.ndarray:
        generator = random.stream("weighted", epoch, seed=seed)
        if self.replacement:
            # Divide the line 0..1 into pieces as long as the weights, and see where a uniform draw falls.
            ends = np.cumsum(self.weights / self.weights.sum())
            ends /= ends[-1]
            return np.searchsorted(ends, _uniform(generator, self.num_samples), side="right")
        # Efraimidis and Spirakis 2006: u^(1/w) in descending order draws by weight without replacement.
        with np.errstate(divide="ignore"):
            keys = np.log(_uniform(generator, len(self.weights))) / self.weights
        keys[self.weights == 0] = -np.inf
        return np.argsort(-keys, kind="stable")[: self.num_samples]


class KPerClassSampler(Sampler):
    """`k` pictures of every class of `labels` (N,) an epoch, drawn again each time and mixed.

    Raises ValueError if a class has fewer than k pictures.
    """

    def __init__(self, labels: Sequence[int] | np.ndarray, k: int):
        self.labels = np.asarray(labels)
        self.k = int(k)
        self.length = len(k_per_class(self.labels, self.k))

    def __len__(self) -> int:
        return self.length

    def indices(self, epoch: int, seed: int | None = None) -> np.ndarray:
        generator = random.stream("k_per_class_sampler", epoch, seed=seed)
        order = shuffled(np.arange(len(self.labels)), generator)
        chosen = [order[self.labels[order] == value][: self.k] for value in np.unique(self.labels)]
        return shuffled(np.concatenate(chosen), generator)


def class_balanced_weights(labels: Sequence[int] | np.ndarray) -> np.ndarray:
    """float64 (N,): 1 / (pictures of that picture's class), so that every class has the same total weight."""
    _, places, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    return 1.0 / counts[places]


def _uniform(generator: np.random.Generator, count: int) -> np.ndarray:
    """float64 (count,) in 0 < u < 1 from raw words, the same for every NumPy version."""
    result: np.ndarray = ((generator.bit_generator.random_raw(count) >> np.uint64(11)) + 0.5) * 2.0**-53
    return result
