"""Measures against counts made by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import Tensor
from minicnn.training import accuracy, binary_accuracy, confusion_matrix, topk_accuracy

SCORES = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [0.0, 5.0, 1.0], [2.0, 1.0, 0.0]], np.float32)
LABELS = np.array([0, 1, 1, 2])  # ranks of the target: 1, 2, 1, 3


def test_accuracy_counts_the_highest_score():
    assert accuracy(Tensor(SCORES), Tensor(LABELS)) == 2 / 4


def test_topk_counts_by_rank():
    assert [topk_accuracy(SCORES, LABELS, k) for k in (1, 2, 3)] == [2 / 4, 3 / 4, 1]


def test_accuracy_takes_soft_targets_and_pixels():
    soft = np.array([[0.6, 0.4, 0], [0.1, 0.9, 0], [0.5, 0.2, 0.3], [0, 0.2, 0.8]], np.float32)  # 0, 1, 0, 2
    assert accuracy(SCORES, soft) == 1 / 4
    pixels = SCORES.reshape(2, 2, 3).transpose(0, 2, 1)  # (N, K, pixels)
    assert accuracy(pixels, LABELS.reshape(2, 2)) == 2 / 4


def test_scores_all_alike_are_not_right_by_top1():
    assert topk_accuracy(np.zeros((5, 4)), np.zeros(5, int), k=1) == 0
    assert topk_accuracy(np.zeros((5, 4)), np.zeros(5, int), k=4) == 1
    assert topk_accuracy(np.full((5, 4), np.nan), np.zeros(5, int), k=1) == 0


def test_confusion_matrix_has_true_classes_in_rows():
    expected = [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert confusion_matrix(SCORES, LABELS).tolist() == expected
    assert confusion_matrix(np.array([0, 2, 1, 0]), LABELS, num_classes=3).tolist() == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64])
def test_confusion_matrix_takes_labels_of_few_bits(dtype):
    labels = np.arange(100, dtype=dtype)  # 99 * 100 + 99 does not fit into eight bits
    np.testing.assert_array_equal(confusion_matrix(labels, labels, num_classes=100), np.eye(100))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_confusion_matrix_counts_every_pair(pairs):
    predicted, targets = np.array(pairs).T
    matrix = confusion_matrix(predicted, targets, num_classes=5)
    assert matrix.shape == (5, 5)
    assert all(matrix[target, guess] == pairs.count((guess, target)) for guess in range(5) for target in range(5))


@pytest.mark.parametrize("measure", [accuracy, topk_accuracy, confusion_matrix])
def test_what_does_not_fit_is_named(measure):
    with pytest.raises(ValueError, match=r"\(4, 3\).*\(3,\)"):
        measure(SCORES, LABELS[:3])
    with pytest.raises(ValueError, match="labels must be integers"):
        measure(SCORES, LABELS.astype(float))
    with pytest.raises(ValueError, match="nothing to count"):
        measure(SCORES[:0], LABELS[:0])


def test_labels_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"0\.\.2.*to 7"):
        topk_accuracy(SCORES, np.array([0, 1, 7, 2]), k=1)
    with pytest.raises(ValueError, match=r"0\.\.2.*from -1"):
        confusion_matrix(SCORES, np.array([0, 1, -1, 2]))
    with pytest.raises(ValueError, match="num_classes must be given"):
        confusion_matrix(LABELS, LABELS)
    with pytest.raises(ValueError, match="k must be between 1 and the number of classes, 3"):
        topk_accuracy(SCORES, LABELS, k=4)


@pytest.mark.parametrize("targets", [np.zeros(4, int), np.zeros((4, 1)), np.ones((4, 1), np.float32)])
def test_one_column_is_refused_wherever_the_highest_score_would_decide(targets):
    scores = np.linspace(-1, 1, 4)[:, None]
    for measure in (accuracy, lambda outputs, labels: topk_accuracy(outputs, labels, 1), confusion_matrix):
        with pytest.raises(ValueError, match=r"one column, \(4, 1\).*binary_accuracy"):
            measure(scores, targets)


@pytest.mark.parametrize("targets", [[[1.0, 1.0], [0.0, 0.0]], [[2.0, -1.0], [0.5, 0.5]], [[3.2, 4.0], [1.0, 0.0]]])
def test_targets_that_are_no_probabilities_are_refused(targets):
    with pytest.raises(ValueError, match=r"must be probabilities that add to 1.*regression.*several classes"):
        accuracy(np.eye(2), np.array(targets))


def test_binary_accuracy_is_the_share_on_the_right_side_of_zero():
    scores = np.array([-2.0, 0.0, 3.0, 0.5])
    assert binary_accuracy(scores, np.array([0, 0, 1, 0])) == 0.75
    assert binary_accuracy(Tensor(scores[:, None]), Tensor(np.array([0, 1, 1, 1]))) == 0.75
    assert binary_accuracy(scores.reshape(2, 2), np.array([[1.0, 0.0], [1.0, 1.0]])) == 0.75


@pytest.mark.parametrize(
    ("scores", "targets", "complaint"),
    [
        (np.zeros(3), np.zeros(4), r"outputs \(3,\) and targets \(4,\)"),
        (np.zeros((2, 3)), np.zeros((3, 2)), r"outputs \(2, 3\) and targets \(3, 2\)"),
        (np.zeros(0), np.zeros(0), r"outputs \(0,\)"),
        (np.zeros(2), np.array([0.3, 1.0]), "0 or 1, but hold other values"),
    ],
)
def test_binary_accuracy_names_what_does_not_fit(scores, targets, complaint):
    with pytest.raises(ValueError, match=complaint):
        binary_accuracy(scores, targets)
