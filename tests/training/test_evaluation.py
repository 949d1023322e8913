"""Evaluation measures every picture once and leaves the model as it was."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import minicnn.functional as F
from minicnn import Tensor, nn, no_grad
from minicnn.nn import evaluation_mode
from minicnn.training import evaluate, predict, reestimate_batch_norm, top_losses
from tests.training.parts import bits, dataset, loader, small_model

PLAIN = {"shuffle": False, "transform": None}


def reference(model, size=26):
    """Scores, loss and accuracy from one batch of all pictures."""
    images, labels = dataset(size).batch(np.arange(size))
    modes = [module.training for module in model.modules()]
    with no_grad():
        scores = model.eval()(Tensor(images))
        losses = F.cross_entropy(scores, Tensor(labels), reduction="none").data
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = mode
    return scores.data, labels, losses


def test_evaluate_weighs_every_picture_alike_whatever_the_batches():
    model = small_model()
    scores, labels, losses = reference(model)
    for batch_size in (1, 4, 25, 26):
        measured = evaluate(model, loader(batch_size=batch_size, **PLAIN))
        assert measured["loss"] == pytest.approx(losses.astype(float).mean(), rel=1e-5)
        assert measured["accuracy"] == np.mean(scores.argmax(axis=1) == labels)


def test_evaluate_changes_nothing_and_records_no_graph():
    model = small_model()
    model[1].eval()
    before = bits(model)
    recorded = []
    with model.register_forward_hook(lambda module, inputs, output: recorded.append(output.requires_grad)):
        for measure in (evaluate, predict, top_losses):
            measure(model, loader())
    assert not any(recorded)
    assert bits(model) == before
    assert [module.training for module in model.modules()] == [True, True, False, True, True, True, True, True]
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())


def test_modes_come_back_after_an_error_too():
    model = small_model()
    with pytest.raises(ValueError):
        evaluate(model, [(np.zeros((2, 5, 6, 5), np.float32), np.zeros(2, int))])
    assert all(module.training for module in model.modules())


def test_predict_keeps_the_order_of_the_loader():
    model = small_model()
    scores, labels, _ = reference(model)
    outputs, targets = predict(model, loader(**PLAIN))
    np.testing.assert_allclose(outputs, scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(targets, labels)


def test_top_losses_are_the_worst_pictures_worst_first():
    model = small_model()
    scores, labels, losses = reference(model)
    worst = top_losses(model, loader(**PLAIN), k=5)
    np.testing.assert_allclose(worst.losses, np.sort(losses)[::-1][:5], rtol=1e-5)
    np.testing.assert_allclose(losses[worst.indices], worst.losses, rtol=1e-5)
    np.testing.assert_array_equal(worst.targets, labels[worst.indices])
    np.testing.assert_array_equal(worst.predicted, scores.argmax(axis=1)[worst.indices])
    assert len(top_losses(model, loader(**PLAIN), k=1000).indices) == 26


def test_nothing_to_measure_is_an_error():
    model = small_model()
    for measure in (evaluate, predict, top_losses, reestimate_batch_norm):
        with pytest.raises(ValueError, match="the loader gave no batch"):
            measure(model, [])
    with pytest.raises(ValueError, match="k must be 1 or more"):
        top_losses(model, loader(), k=0)


def test_reestimated_statistics_are_the_mean_over_the_batches():
    model = small_model()
    batches = list(loader(batch_size=13, **PLAIN))
    weights = {name: value for name, value in bits(model).items() if "running" not in name and "tracked" not in name}
    model[1].running_mean.data[...] = 123
    model[1].num_batches_tracked.data[...] = 5
    model[1].eval()
    reestimate_batch_norm(model, batches)
    maps = [model[0](Tensor(images)).data for images, _ in batches]
    np.testing.assert_allclose(
        model[1].running_mean.data, np.mean([m.mean(axis=(0, 2, 3)) for m in maps], axis=0), rtol=1e-4
    )
    np.testing.assert_allclose(
        model[1].running_var.data, np.mean([m.var(axis=(0, 2, 3), ddof=1) for m in maps], axis=0), rtol=1e-4
    )
    assert {name: value for name, value in bits(model).items() if name in weights} == weights
    assert model[1].momentum == 0.1
    assert not model[1].training
    assert model[5].training


def test_reestimation_reads_as_many_batches_as_it_is_told_and_leaves_frozen_layers():
    model = small_model()
    batches = list(loader(batch_size=13, **PLAIN))
    reestimate_batch_norm(model, iter(batches), batches=1)
    first = model[0](Tensor(batches[0][0])).data
    np.testing.assert_allclose(model[1].running_mean.data, first.mean(axis=(0, 2, 3)), rtol=1e-4)
    model[1].freeze()
    before = bits(model)
    reestimate_batch_norm(model, batches)
    assert bits(model) == before
    with pytest.raises(ValueError, match="batches must be 1 or more"):
        reestimate_batch_norm(model, batches, batches=0)


@pytest.mark.parametrize(
    ("value", "mean"),
    [
        (Decimal("0.25"), 0.25),
        (True, 1.0),
        (np.float16(0.5), 0.5),
        (Tensor(np.array([0.5])), 0.5),
        (Fraction(1, 4), 0.25),
    ],
)
def test_a_metric_may_return_any_kind_of_one_number(value, mean):
    batches = [(np.zeros((size, 1, 2, 2), np.float32), np.zeros(size, np.int64)) for size in (3, 1)]
    assert evaluate(nn.Flatten(), batches, None, {"share": lambda outputs, targets: value}) == {"share": mean}


@pytest.mark.parametrize("value", ["0.5", b"1", None, 1j, [1, 2], np.zeros(2), Tensor(np.zeros(2)), {}])
def test_a_metric_that_does_not_return_one_number_is_named(value):
    batches = [(np.zeros((2, 1, 2, 2), np.float32), np.zeros(2, np.int64))]
    with pytest.raises(TypeError, match=r"'share' must be one number for a batch, its mean, but is"):
        evaluate(nn.Flatten(), batches, None, {"share": lambda outputs, targets: value})


def test_batches_of_unequal_size_count_by_their_pictures():
    batches = [(np.full((size, 1, 1, 1), size, np.float32), np.zeros(size, np.int64)) for size in (3, 1, 4)]
    measured = evaluate(nn.Flatten(), batches, None, {"mean": lambda outputs, targets: outputs.data.mean()})
    assert measured == {"mean": (3 * 3 + 1 * 1 + 4 * 4) / 8}
