"""The measurement runs on a small scale, and the record beside the generator bears out what the data set claims."""

import json
from importlib.resources import files

import numpy as np
import pytest

from minicnn import Tensor, no_grad
from minicnn.features import separation
from minicnn.features.separation import MODELS, Pictures, measure_separation, mlp, small_cnn


@pytest.fixture(scope="module")
def small():
    said = []
    results = measure_separation(5, Pictures.drawn(5, train=256, held_out=100), said.append, epochs=1, mlp_epochs=2)
    return results, said


@pytest.mark.slow
def test_every_model_is_measured_and_told_of(small):
    results, said = small
    assert tuple(results) == MODELS
    assert [line.split()[2] for line in said] == list(MODELS)
    for result in results.values():
        assert 0 <= result["test"] <= 1
        assert 0 <= result["validation"] <= 1


@pytest.mark.slow
def test_what_was_chosen_comes_from_the_grid(small):
    results, _ = small
    assert results["linear"]["l2"] in separation.L2
    assert tuple(results["mlp"]["hidden"]) in separation.MLP_HIDDEN
    assert results["mlp"]["rate"] in separation.MLP_RATES


def test_the_networks_have_the_sizes_that_are_told():
    assert sum(parameter.numel() for parameter in small_cnn().parameters()) == 49_090
    images = Tensor(np.zeros((2, 3, 32, 32), np.float32))
    with no_grad():
        assert small_cnn().eval()(images).shape == (2, 10)
        assert mlp((16, 8)).eval()(images).shape == (2, 10)


def test_lists_hold_what_is_there_and_not_where():
    pictures = Pictures.drawn(0, train=20, held_out=10).train
    lists = separation._lists(pictures)
    assert lists.shape == (20, 16)
    assert (lists[:, :6].sum(axis=1) == 3).all()  # three parts
    assert (lists[:, 6:12].argmax(axis=1) == pictures.factors["hue"]).all()
    assert (lists[:, 12:].argmax(axis=1) == pictures.factors["texture"]).all()


def test_shuffling_moves_the_pixels_of_all_pictures_alike():
    pictures = Pictures.drawn(0, train=3, held_out=1).train
    order = np.random.default_rng(0).permutation(32 * 32)
    shuffled = separation._reordered(pictures, order)
    for before, after in zip(pictures.images, shuffled.images, strict=True):
        np.testing.assert_array_equal(after.reshape(3, -1), before.reshape(3, -1)[:, order])


RECORD = json.loads((files("minicnn.data.partworld") / "separation.json").read_text())


def assert_separates(test):
    assert test["linear"] <= 0.20
    assert test["lists"] <= 0.30
    assert test["mlp"] <= 0.55
    assert test["cnn"] >= 0.88
    assert test["resnet20"] >= 0.96
    assert test["cnn"] - test["shuffled"] >= 0.5


@pytest.mark.parametrize("seed", sorted(RECORD["seeds"]))
def test_the_record_bears_out_the_claims(seed):
    assert_separates({model: RECORD["seeds"][seed][model]["test"] for model in MODELS})


def test_the_record_has_three_seeds_and_says_how_it_was_made():
    assert len(RECORD["seeds"]) == 3
    assert RECORD["command"].startswith("minicnn partworld --measure")


@pytest.mark.long
def test_the_claims_hold_when_they_are_measured_again():
    results = measure_separation(3)
    assert_separates({model: results[model]["test"] for model in MODELS})
