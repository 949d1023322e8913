"""one_hot: values against PyTorch; class numbers that don't fit are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F


@settings(max_examples=20)
@given(shape=st.lists(st.integers(1, 4), max_size=3), extra=st.sampled_from([None, 0, 3]), seed=st.integers(0, 2**20))
def test_agrees_with_torch(shape, extra, seed, same_as_torch):
    torch = pytest.importorskip("torch")
    labels = np.asarray(np.random.default_rng(seed).integers(0, 6, shape))
    classes = -1 if extra is None else int(labels.max()) + 1 + extra
    result = same_as_torch(F.one_hot, torch.nn.functional.one_hot, labels, classes)
    assert not result.requires_grad


def test_no_labels_at_all_need_the_number_of_classes():
    assert F.one_hot(np.zeros((2, 0), int), 5).shape == (2, 0, 5)
    with pytest.raises(ValueError, match="without any class number, num_classes must be given"):
        F.one_hot(np.zeros(0, int))


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([[0, 1], [2, 3]], 3, r"class number 3 at index \(1, 1\) is out of range: 3 classes allow 0 to 2"),
        ([0, -1], -1, r"class number -1 at index \(1,\) is out of range"),
        ([0], 0, "num_classes must be positive, or -1 for the largest number \\+ 1, but is 0"),
        ([0], -2, "but is -2"),
    ],
)
def test_what_does_not_fit_is_named(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        F.one_hot(np.array(labels), classes)


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_only_integers_are_class_numbers(dtype):
    with pytest.raises(TypeError, match="class numbers must be integers, but their dtype is"):
        F.one_hot(np.zeros(3, dtype), 2)
