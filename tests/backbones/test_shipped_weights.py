"""The weights that come with minicnn are there, say what they are, and do what they say."""

import numpy as np
import pytest

from minicnn import backbones, training, weights
from minicnn.data import DataLoader, PartWorld
from minicnn.weights import shipped, shipped_path

MOST_BYTES = 1_000_000  # of all: they are in every clone and every installed package


def test_they_are_small_and_few():
    assert shipped()
    assert sum(shipped_path(*name.split(".")).stat().st_size for name in shipped()) < MOST_BYTES
    assert shipped_path("resnet20", "PARTWORLD_V7") is None


@pytest.mark.parametrize("name", shipped())
def test_each_reaches_what_its_file_says(name):
    model_name, variant = name.split(".")
    about = weights.load_metadata(shipped_path(model_name, variant))
    model = backbones.create(model_name, num_classes=about["num_classes"], weights=variant).eval()
    assert model.load_report
    assert set(model.load_report.converted.values()) == {"float16 to float32"}
    assert model.weights_info.name == name
    assert about["command"].startswith(f"minicnn train --model {model_name} ")
    pictures = PartWorld("test", 500)
    assert model.weights_info.categories == tuple(pictures.classes)
    reached = training.evaluate(model, DataLoader(pictures, 250, transform=prepared(model.weights_info)))["accuracy"]
    claimed = about["test_accuracy"]
    error = np.sqrt(claimed * (1 - claimed) / 500)
    assert reached == pytest.approx(claimed, abs=4 * error)
    assert claimed > 0.95


def prepared(information):
    prepare = information.transforms()
    return lambda images, generator: prepare(images)


def test_another_number_of_classes_makes_a_backbone_of_them():
    model = backbones.create("resnet20", num_classes=4, weights="PARTWORLD_V1")
    assert set(model.load_report.adapted) == {"linear.weight", "linear.bias"}
    with pytest.raises(ValueError, match=r"does not fit resnet20; give num_classes=10 for the classes of the weights"):
        backbones.create("resnet20", weights="PARTWORLD_V1")
    body = backbones.create("resnet20", features_only=True, weights="PARTWORLD_V1").eval()
    assert [maps.shape[1] for maps in body(np.zeros((1, 3, 32, 32), np.float32))] == [16, 16, 32, 64]
