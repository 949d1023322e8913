"""cross_entropy and nll_loss: every form of target, weight and reduction; labels that are wrong are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout


@pytest.fixture(scope="module")
def torch_functional():
    return pytest.importorskip("torch").nn.functional


reductions = st.sampled_from(["none", "mean", "sum"])
both = pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])


@both
@settings(max_examples=40)
@given(
    classes=st.integers(1, 5),
    places=st.lists(st.integers(0, 4), max_size=3),
    reduction=reductions,
    weighted=st.booleans(),
    ignore_index=st.sampled_from([-100, 0, 1, 255]),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    seed=st.integers(0, 2**20),
)
def test_class_numbers_agree_with_torch(
    name, classes, places, reduction, weighted, ignore_index, smoothing, seed, same_as_torch, torch_functional
):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((*places[:1], classes, *places[1:])) * 3
    target = generator.integers(0, classes, places)
    target = np.asarray(np.where(generator.random(places) < 0.2, ignore_index, target))
    options = {"reduction": reduction, "ignore_index": ignore_index}
    if name == "cross_entropy":
        options["label_smoothing"] = smoothing
    weight = generator.uniform(0.5, 2, classes) if weighted else None
    ours, theirs = getattr(F, name), getattr(torch_functional, name)
    torch = pytest.importorskip("torch")
    same_as_torch(
        lambda x, t: ours(x, t, None if weight is None else Tensor(weight), **options),
        lambda x, t: theirs(x, t, None if weight is None else torch.tensor(weight), **options),
        x,
        target,
        seed=seed,
    )


@settings(max_examples=30)
@given(
    classes=st.integers(1, 5),
    places=st.lists(st.integers(0, 4), max_size=3),
    reduction=reductions,
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    seed=st.integers(0, 2**20),
)
def test_class_probabilities_agree_with_torch(
    classes, places, reduction, weighted, smoothing, seed, same_as_torch, torch_functional
):
    generator = np.random.default_rng(seed)
    shape = (*places[:1], classes, *places[1:])
    torch = pytest.importorskip("torch")
    weight = generator.uniform(0.5, 2, classes) if weighted else None
    options = {"reduction": reduction, "label_smoothing": smoothing}
    same_as_torch(
        lambda x, t: F.cross_entropy(x, t, None if weight is None else Tensor(weight), **options),
        lambda x, t: torch_functional.cross_entropy(x, t, None if weight is None else torch.tensor(weight), **options),
        generator.standard_normal(shape) * 3,
        generator.uniform(0, 1, shape),
        seed=seed,
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_gradient_is_the_slope(reduction):
    generator = np.random.default_rng(0)
    x = Tensor(generator.standard_normal((4, 2, 3, 5)).transpose(1, 3, 2, 0), requires_grad=True)  # (2, 5, 3, 4)
    target = generator.integers(0, 5, (2, 3, 4))
    target[0, 1, 2] = -100
    weight = generator.uniform(0.5, 2, 5)
    assert gradcheck(lambda t: F.cross_entropy(t, target, weight, reduction=reduction, label_smoothing=0.2), x)
    assert gradcheck(lambda t: F.nll_loss(t, target, weight, reduction=reduction), x)
    soft = Tensor(generator.uniform(0, 1, x.shape), requires_grad=True)
    assert gradcheck(lambda t, p: F.cross_entropy(t, p, weight, reduction=reduction, label_smoothing=0.2), [x, soft])


def test_the_loss_of_equal_scores_is_the_logarithm_of_the_number_of_classes():
    assert abs(F.cross_entropy(Tensor(np.zeros((3, 7))), [0, 3, 6]).item() - np.log(7)) < 1e-12


def test_huge_scores_do_not_overflow():
    x = Tensor(np.array([[1e30, -1e30]], np.float32), requires_grad=True)
    F.cross_entropy(x, [0]).backward()
    assert x.grad.tolist() == [[0, 0]]


def test_a_score_of_minus_infinity_matters_only_where_it_is_the_target():
    x = np.array([[0.0, -np.inf], [0.0, -np.inf], [-np.inf, 0.0]])
    losses = F.cross_entropy(Tensor(x), [0, 1, -100], reduction="none")
    assert losses.tolist() == [0, np.inf, 0]


def test_nan_is_carried_and_ignored_places_hide_it():
    x = np.array([[np.nan, 0.0], [1.0, 1.0]])
    assert np.isnan(F.cross_entropy(Tensor(x), [0, 1]).item())
    assert abs(F.cross_entropy(Tensor(x), [-100, 1]).item() - np.log(2)) < 1e-12


def test_the_mean_over_nothing_is_nan_and_its_sum_is_zero():
    for x, target in (
        (np.zeros((0, 3)), np.zeros(0, int)),
        (np.zeros((2, 3)), np.full(2, -100)),
        (np.zeros((0, 3, 4, 4)), np.zeros((0, 4, 4), int)),
    ):
        assert np.isnan(F.cross_entropy(Tensor(x), target).item())
        assert F.cross_entropy(Tensor(x), target, reduction="sum").item() == 0


def test_the_loss_of_a_large_float32_batch_does_not_drift():
    losses = np.full((2_000_000, 1), np.float32(-1 / 255))
    total = F.nll_loss(Tensor(losses), np.zeros(len(losses), int), reduction="sum").item()
    assert abs(total / (len(losses) * float(np.float32(1 / 255))) - 1) < 1e-6


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64])
def test_any_integer_dtype_will_do_for_labels(dtype):
    x = Tensor(np.random.default_rng(1).standard_normal((3, 4)))
    expected = F.cross_entropy(x, np.array([3, 0, 2])).item()
    assert F.cross_entropy(x, np.array([3, 0, 2], dtype)).item() == expected
    assert F.cross_entropy(x, Tensor(np.array([3, 0, 2], dtype))).item() == expected


def test_dense_gradients_stay_channels_last_and_float32(to_channels_last):
    x = Tensor(to_channels_last(np.random.default_rng(2).standard_normal((2, 5, 3, 4)).astype(np.float32)), True)
    before = layout.conversions()
    loss = F.cross_entropy(x, np.ones((2, 3, 4), int))
    loss.backward()
    assert layout.is_channels_last(x.grad.data)
    assert loss.dtype == x.grad.dtype == np.float32
    assert layout.conversions() == before


X = np.zeros((2, 3))
DENSE = np.zeros((2, 3, 4, 5))


@both
@pytest.mark.parametrize(
    ("x", "target", "message"),
    [
        (
            X,
            [0, 3],
            r"label 3 at index \(1,\) of the target is out of range: 3 classes allow 0 to 2, or ignore_index = -100",
        ),
        (X, [-1, 0], r"label -1 at index \(0,\)"),
        (DENSE, np.where(np.arange(40).reshape(2, 4, 5) == 33, 7, 0), r"label 7 at index \(1, 2, 3\)"),
        (X[0], np.array(5), r"label 5 at index \(\)"),
        (X, [0, 1, 2], r"input \(2, 3\) must have the shape \(2,\).*the target has \(3,\)"),
        (X, [[0], [1]], r"must have the shape \(2,\).*has \(2, 1\); take the last axis off with \.squeeze\(-1\)"),
        (DENSE, np.zeros((2, 5, 4), int), r"must have the shape \(2, 4, 5\).*has \(2, 5, 4\)"),
    ],
)
def test_labels_that_do_not_fit_are_named(name, x, target, message):
    with pytest.raises(ValueError, match=f"^{name}: .*{message}"):
        getattr(F, name)(Tensor(x), target)


@both
@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_labels_that_are_not_integers_are_refused(name, dtype):
    with pytest.raises(TypeError, match=rf"^{name}: class numbers must be integers, but .* dtype is \w+; convert with"):
        getattr(F, name)(Tensor(X), np.zeros(2, dtype))


def test_a_target_of_the_whole_shape_must_hold_probabilities():
    with pytest.raises(TypeError, match=r"floating-point target of the input's shape \(class probabilities\)"):
        F.cross_entropy(Tensor(X), np.zeros((2, 3), int))


@both
def test_options_that_make_no_sense_are_named(name):
    function = getattr(F, name)
    with pytest.raises(ValueError, match=r"reduction must be one of 'none', 'mean', 'sum', but is 'average'"):
        function(Tensor(X), [0, 1], reduction="average")
    with pytest.raises(ValueError, match=r"weight must have shape \(3,\), one number a class, but its shape is \(2,\)"):
        function(Tensor(X), [0, 1], np.ones(2))
    with pytest.raises(TypeError, match="needs a floating-point input"):
        function(Tensor(np.zeros((2, 3), int)), [0, 1])


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, float("nan")])
def test_label_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing must lie in \[0, 1\]"):
        F.cross_entropy(Tensor(X), [0, 1], label_smoothing=smoothing)


def test_a_single_score_is_not_enough():
    with pytest.raises(ValueError, match="it has no axes"):
        F.cross_entropy(Tensor(np.array(1.0)), np.array(0))
