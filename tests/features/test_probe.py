import numpy as np
import pytest
from scipy.optimize import check_grad

from minicnn.features import probe as probe_module
from minicnn.features.probe import fit_linear_probe


def blobs(n=300, k=3, d=4, seed=0):
    """Classes around the corners of a simplex, far enough apart that a linear classifier makes no mistake."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % k
    return 8 * np.eye(k, d)[labels] + generator.standard_normal((n, d)), labels


def test_separable_classes_are_told_apart_on_new_points():
    probe = fit_linear_probe(*blobs(seed=0), num_classes=3)
    features, labels = blobs(seed=1)
    assert probe.accuracy(features, labels) == 1.0


def test_labels_that_have_nothing_to_do_with_the_features_stay_near_chance():
    generator = np.random.default_rng(0)
    features, labels = generator.standard_normal((2000, 5)), generator.integers(0, 4, 2000)
    probe = fit_linear_probe(features[:1000], labels[:1000], 4)
    assert 0.17 < probe.accuracy(features[1000:], labels[1000:]) < 0.33


def test_the_result_is_a_minimum_of_the_loss_as_written_out():
    """At the minimum the gradient of the written-out loss vanishes."""
    features, labels = blobs(n=90, seed=2)
    l2 = 0.1
    probe = fit_linear_probe(features, labels, 3, l2=l2, max_iterations=2000)
    x = (features - features.mean(0)) / features.std(0)

    def loss(flat):
        weight, bias = flat[:12].reshape(4, 3), flat[12:]
        scores = x @ weight + bias
        likelihood = scores[np.arange(90), labels] - np.log(np.exp(scores).sum(1))
        return -likelihood.mean() + 0.5 * l2 * (weight**2).sum()

    found = np.concatenate([probe.weight.ravel(), probe.bias])
    assert check_grad(loss, lambda flat: np.zeros_like(flat), found) < 1e-3


def test_the_scale_of_a_feature_does_not_matter():
    features, labels = blobs()
    scaled = features * np.array([1, 1e-3, 1e4, 1]) + np.array([0, 5, -3, 1e3])
    a, b = fit_linear_probe(features, labels, 3), fit_linear_probe(scaled, labels, 3)
    np.testing.assert_array_equal(a.predict(features), b.predict(scaled))


def test_a_dead_channel_does_no_harm():
    features, labels = blobs()
    dead = np.concatenate([features, np.full((len(features), 1), 7.0)], axis=1)
    assert fit_linear_probe(dead, labels, 3).accuracy(dead, labels) == 1.0


@pytest.mark.parametrize(
    ("features", "labels", "error", "message"),
    [
        (np.zeros((3, 2)), np.zeros(4, int), ValueError, r"\(3, 2\) and \(4,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), ValueError, "at least one row"),
        (np.zeros((3, 2)), np.zeros(3), TypeError, "integers"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), ValueError, r"0\.\.1"),
        (np.zeros((3, 2)), np.array([0, -1, 1]), ValueError, "from -1"),
        (np.array([[0.0], [np.nan]]), np.array([0, 1]), ValueError, "NaN or infinite"),
    ],
)
def test_bad_input_is_named(features, labels, error, message):
    with pytest.raises(error, match=message):
        fit_linear_probe(features, labels, 2)


def test_the_loss_has_the_gradient_it_claims(monkeypatch):
    """Catch the function that goes to the optimiser and compare its gradient with central differences."""
    caught = {}

    def minimize(function, start, **options):
        caught["function"] = function
        return type("Found", (), {"x": start})

    monkeypatch.setattr("scipy.optimize.minimize", minimize)
    features, labels = blobs(n=30)
    probe_module.fit_linear_probe(features, labels, 3, l2=0.3)
    point = np.random.default_rng(3).standard_normal(15)
    assert check_grad(lambda p: caught["function"](p)[0], lambda p: caught["function"](p)[1], point) < 1e-5
