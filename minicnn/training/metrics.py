"""How often a classifier is right: accuracy, top-k accuracy, the confusion matrix. Arrays or Tensors in, numbers out.

Scores are (N, K) or (N, K, ...), a row of K classes for each picture or pixel; of a tuple, which networks with
auxiliary heads return in training, the first counts. Targets are labels (N, ...), or probabilities of the scores'
shape, as mixup makes them: then the most probable class is the right one.
"""

from typing import Any

import numpy as np

from minicnn.tensor import Tensor


def accuracy(outputs: Any, targets: Any) -> float:
    """The share of places, 0 to 1, at which the highest score (the first, on a tie) is that of the target.

    Raises ValueError if the shapes don't fit, there is nothing to count, or the outputs are not scores of classes: a
    single column, or targets of the outputs' shape that are not probabilities. `binary_accuracy` is for one column.
    """
    scores, labels = _scores_and_labels(outputs, targets)
    return float(np.mean(scores.argmax(axis=1) == labels))


def binary_accuracy(outputs: Any, targets: Any) -> float:
    """The share of places, 0 to 1, at which a score is above 0 exactly if its target is 1.

    Scores and targets, 0 or 1, have the same number of values: (N,), (N, 1) or several yes-or-no answers (N, K).
    The scores are those for `binary_cross_entropy_with_logits`; subtract 0.5 from probabilities first.
    Raises ValueError if the numbers of values differ, there is nothing to count, or a target is neither 0 nor 1.
    """
    scores, labels = _array(outputs), _array(targets)
    if scores.size != labels.size or scores.shape[:1] != labels.shape[:1] or not labels.size:
        raise ValueError(
            f"outputs {scores.shape} and targets {labels.shape} must have the same number of values, not 0"
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("targets must be 0 or 1, but hold other values; for a regression pass metrics={}")
    return float(np.mean((scores.reshape(-1) > 0) == (labels.reshape(-1) == 1)))


def topk_accuracy(outputs: Any, targets: Any, k: int = 5) -> float:
    """The share of places, 0 to 1, at which fewer than k other classes score at least as high as the target.

    A tie counts against the target: a network that gives all classes the same score is not right. Raises ValueError if
    the shapes don't fit, there is nothing to count, or k is not between 1 and the number of classes.
    """
    scores, labels = _scores_and_labels(outputs, targets)
    classes = scores.shape[1]
    if not 1 <= k <= classes:
        raise ValueError(f"k must be between 1 and the number of classes, {classes}, but is {k}")
    _check_range(labels, classes)
    at_target = np.take_along_axis(scores, labels[:, np.newaxis], axis=1)  # (N, K, ...) -> (N, 1, ...)
    not_below = (scores >= at_target).sum(axis=1) - 1  # without the target itself; NaN counts as below
    return float(np.mean((not_below < k) & np.isfinite(at_target[:, 0])))


def confusion_matrix(predictions: Any, targets: Any, num_classes: int | None = None) -> np.ndarray:
    """int64 (K, K): how many places of true class `row` were taken for class `column`.

    `predictions` are scores (N, K, ...) or predicted labels (N, ...). The default of `num_classes` is that of the
    scores; for predicted labels the number must be given. Raises ValueError if the number is missing, shapes don't fit
    or a label is out of range.
    """
    predicted, labels = _array(predictions), _array(targets)
    if predicted.dtype.kind == "f":
        num_classes = predicted.shape[1] if num_classes is None and predicted.ndim > 1 else num_classes
        scores, labels = _scores_and_labels(predicted, labels)
        predicted = scores.argmax(axis=1)
    if num_classes is None:
        raise ValueError("num_classes must be given where the predictions are labels: a class may never be predicted")
    if predicted.shape != labels.shape:
        raise ValueError(f"predictions {predicted.shape} and targets {labels.shape} must have the same shape")
    _check_range(predicted, num_classes)
    _check_range(labels, num_classes)
    rows, columns = (array.reshape(-1).astype(np.int64) for array in (labels, predicted))  # uint8 would overflow
    counts = np.bincount(rows * num_classes + columns, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def _array(value: Any) -> np.ndarray:
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def _scores_and_labels(outputs: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = _array(outputs[0] if isinstance(outputs, tuple) else outputs), _array(targets)
    if scores.ndim < 2:
        raise ValueError(f"outputs must be scores (N, K) or (N, K, ...), but have the shape {scores.shape}")
    if scores.shape[1] == 1:
        raise ValueError(
            f"accuracy needs a score for each class, but the outputs have one column, {scores.shape}; for two classes "
            "by one score pass metrics={'accuracy': training.binary_accuracy}, for a regression metrics={}"
        )
    if labels.shape == scores.shape and labels.dtype.kind == "f":
        if labels.size and not (labels.min() >= 0 and np.allclose(labels.sum(axis=1), 1, atol=1e-3)):
            raise ValueError(
                f"targets {labels.shape} of the outputs' shape must be probabilities that add to 1 over the classes, "
                "but are other numbers; for a regression, or several classes a picture, pass metrics={} or your own"
            )
        labels = labels.argmax(axis=1)
    if labels.shape != (scores.shape[0], *scores.shape[2:]):
        raise ValueError(
            f"for outputs {scores.shape}, targets must be labels {(scores.shape[0], *scores.shape[2:])} or "
            f"probabilities {scores.shape}, but are {labels.dtype} {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be integers, but are {labels.dtype}")
    if not labels.size:
        raise ValueError(f"there is nothing to count: outputs have the shape {scores.shape}")
    return scores, labels


def _check_range(labels: np.ndarray, classes: int) -> None:
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(f"labels must be in 0..{classes - 1}, but run from {labels.min()} to {labels.max()}")
