"""Linear probes: how much of a property can be read off a layer by a linear classifier (Alain & Bengio 2016).

A probe is a multinomial logistic regression on features that stay as they are. Its accuracy measures how much is
*linearly* readable at the layer. This number means little alone: compare the accuracy with the same probe on an
untrained network and on raw pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LARGE_PRODUCT = 2**26  # multiply-adds from which a second thread is worth waking


@dataclass(frozen=True)
class LinearProbe:
    """A fitted linear classifier: class scores = ((features - mean) / scale) @ weight + bias."""

    mean: np.ndarray  # (D,)
    scale: np.ndarray  # (D,)
    weight: np.ndarray  # (D, K)
    bias: np.ndarray  # (K,)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The most likely class of each row: (N, D) -> (N,) int64."""
        result: np.ndarray = (((features - self.mean) / self.scale) @ self.weight + self.bias).argmax(axis=1)
        return result

    def accuracy(self, features: np.ndarray, labels: np.ndarray) -> float:
        """The share of rows whose most likely class is their label."""
        return float((self.predict(features) == labels).mean())


def fit_linear_probe(
    features: np.ndarray, labels: np.ndarray, num_classes: int, *, l2: float = 1e-3, max_iterations: int = 200
) -> LinearProbe:
    """The LinearProbe with the least mean cross-entropy plus `l2`/2 times the squared weights, found by L-BFGS.

    features: (N, D); labels: (N,) integers in 0..num_classes-1. Features are standardised first, by this set's mean and
    standard deviation, so that `l2` means the same for every layer. The problem is convex: no seed, no learning rate.
    Raises ValueError for shapes that don't match, labels out of range, and features that are not finite.
    """
    from scipy.optimize import minimize  # imported late: `import minicnn` is to be quick
    from threadpoolctl import threadpool_limits

    features = np.asarray(features, dtype=np.float64)
    labels = np.asarray(labels)
    _check(features, labels, num_classes)
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-8 * max(float(scale.max()), 1e-30), scale, 1.0)  # a dead channel stays at zero
    x = (features - mean) / scale
    n, d = x.shape
    target = np.eye(num_classes)[labels]  # (N, K)

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = flat[: d * num_classes].reshape(d, num_classes), flat[d * num_classes :]
        scores = x @ weight + bias
        scores -= scores.max(axis=1, keepdims=True)
        log_total = np.log(np.exp(scores).sum(axis=1, keepdims=True))
        loss = float((log_total[:, 0] - (scores * target).sum(axis=1)).mean() + 0.5 * l2 * np.square(weight).sum())
        error = (np.exp(scores - log_total) - target) / n
        return loss, np.concatenate([(x.T @ error + l2 * weight).ravel(), error.sum(axis=0)])

    start = np.zeros(d * num_classes + num_classes)
    options = {"maxiter": max_iterations, "ftol": 1e-7}
    # BLAS would wake a second thread for each of these small products, and wait for it: on two busy cores that took
    # 16 times as long as one thread does.
    with threadpool_limits(1 if x.size * num_classes < LARGE_PRODUCT else None, user_api="blas"):
        found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options).x
    return LinearProbe(mean, scale, found[: d * num_classes].reshape(d, num_classes), found[d * num_classes :])


def _check(features: np.ndarray, labels: np.ndarray, num_classes: int) -> None:
    if features.ndim != 2 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"a probe needs features (N, D) and labels (N,), but got shapes {features.shape} and {labels.shape}"
        )
    if not len(features):
        raise ValueError("a probe needs at least one row of features, but got none")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"labels must be integers, but their dtype is {labels.dtype}")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(f"labels must lie in 0..{num_classes - 1}, but reach from {labels.min()} to {labels.max()}")
    if not np.isfinite(features).all():
        raise ValueError(f"features hold {int((~np.isfinite(features)).sum())} values that are NaN or infinite")
