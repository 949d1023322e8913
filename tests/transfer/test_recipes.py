import numpy as np
import pytest

from minicnn import Tensor, backbones, no_grad
from minicnn.transfer.recipes import cached_features, fine_tuned, from_scratch, frozen, probe_head
from minicnn.transfer.target import TransferTask


def bright_or_dark(n, seed):
    """Two classes that the mean brightness tells apart."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return (generator.standard_normal((n, 3, 32, 32)) + 2 * labels[:, None, None, None] - 1).astype(np.float32), labels


@pytest.fixture
def target():
    return TransferTask("brightness", *bright_or_dark(40, 0), *bright_or_dark(30, 1), num_classes=2)


@pytest.fixture
def backbone():
    return backbones.create("resnet8", num_classes=5, width=8, seed=0)


def test_every_recipe_learns_what_is_easy_and_leaves_the_backbone_alone(backbone, target):
    before = backbone.state_dict()
    assert frozen(backbone, target) > 0.9
    assert fine_tuned(backbone, target, epochs=2) > 0.9
    assert from_scratch(backbone, target, epochs=8, learning_rate=0.02) > 0.8
    after = backbone.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert backbone.get_classifier().weight.shape == (5, 32)


def test_fine_tuning_starts_from_the_classifier_that_was_fitted(backbone, target, monkeypatch):
    """With training left out, what remains is exactly the frozen recipe."""
    from minicnn.transfer import recipes

    kept = {}
    monkeypatch.setattr(recipes, "fit", lambda model, *args, **kwargs: kept.setdefault("model", model))
    monkeypatch.setattr(recipes, "reestimate_batch_norm", lambda model, loader: None)
    fine_tuned(backbone, target, epochs=1)
    probe = probe_head(backbone, target)
    features = cached_features(backbone, target.test_images)
    kept["model"].eval()
    with no_grad():
        scores = kept["model"](Tensor(target.test_images)).data
    np.testing.assert_allclose(scores, ((features - probe.mean) / probe.scale) @ probe.weight + probe.bias, atol=1e-4)


def test_cached_features_are_those_before_the_classifier(backbone, target):
    features = cached_features(backbone, target.test_images, batch_size=7)
    backbone.eval()
    with no_grad():
        logits = backbone(Tensor(target.test_images)).data
    head = backbone.get_classifier()
    np.testing.assert_allclose(features @ head.weight.data.T + head.bias.data, logits, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_accuracy(backbone, target):
    assert fine_tuned(backbone, target, epochs=1, seed=4) == fine_tuned(backbone, target, epochs=1, seed=4)


def test_a_target_checks_its_parts():
    images, labels = bright_or_dark(4, 0)
    with pytest.raises(ValueError, match="4 train images and 3 train labels"):
        TransferTask("t", images, labels[:3], images, labels, 2)
    with pytest.raises(ValueError, match=r"0\.\.0"):
        TransferTask("t", images, labels, images, labels, 1)
