"""`minicnn evaluate`: the accuracy that training told, class by class, and refusals of sets with other classes."""

import json

import numpy as np
import pytest
from PIL import Image

from minicnn import backbones, weights
from minicnn.cli.evaluate import labels_of
from minicnn.cli.main import main
from minicnn.data import PartWorld
from minicnn.training import history
from minicnn.weights import load_metadata


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes that differ in brightness, 20 pictures each, of several sizes."""
    folder = tmp_path_factory.mktemp("pictures")
    stream = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 140)):
        (folder / name).mkdir()
        for place in range(20):
            pixels = stream.integers(low, low + 110, (30 + place, 40, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{place:02d}.png")
    return folder


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    options = ["--set", "width=4", "--image-size", "16", "--batch-size", "8", "--epochs", "3", "--quiet"]
    assert main(["train", "--model", "resnet8", "--data", str(pictures), *options, "--out", str(folder)]) == 0
    return folder


def test_a_network_has_the_accuracy_and_the_loss_of_its_training(pictures, trained, tmp_path, capsys):
    file = trained / "weights.safetensors"
    assert main(["evaluate", "--weights", str(file), "--data", str(pictures), "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    last = history.read_history(trained / "history.jsonl")[-1]
    assert results["split"] == "val"
    assert results["pictures"] == 8  # a fifth of 40
    assert results["accuracy"] == pytest.approx(load_metadata(file)["validation_accuracy"])
    assert results["loss"] == pytest.approx(last["validation_loss"], rel=1e-5)
    assert f"accuracy {results['accuracy']:.4f}" in told
    assert "shorter side to 16 (bilinear), centre of 16x16" in told


def test_the_results_agree_with_each_other(pictures, trained, tmp_path):
    command = ["evaluate", "--weights", str(trained / "weights.safetensors"), "--data", str(pictures)]
    assert main([*command, "--split", "all", "--batch-size", "7", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    answers = results["predictions"]
    assert len(answers) == results["pictures"] == 40
    assert {answer["picture"] for answer in answers} == {str(path) for path in pictures.rglob("*.png")}
    right = [answer["class"] == answer["predicted"] for answer in answers]
    assert results["accuracy"] == pytest.approx(np.mean(right))
    matrix = np.array(results["confusion_matrix"]["rows_are_true_classes"])
    assert matrix.sum() == 40
    for row, name in enumerate(results["confusion_matrix"]["classes"]):
        of_class = [each for each, answer in zip(right, answers, strict=True) if answer["class"] == name]
        assert matrix[row, row] == sum(of_class)
        assert results["accuracy_of_class"][name] == pytest.approx(np.mean(of_class))
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_of_any_size_are_prepared_one_by_one(pictures, tmp_path, capsys):
    information = weights.WeightsInformation("r", 20, 16, categories=("light", "other", "dark"))
    model = backbones.create("resnet8", width=4, num_classes=3, seed=0)
    about = {"model": "resnet8", "model_options": {"width": 4}, "num_classes": 3}
    weights.save(model, tmp_path / "w.safetensors", about | information.as_metadata())
    command = ["evaluate", "--weights", str(tmp_path / "w.safetensors"), "--data", str(pictures), "--split", "all"]
    assert main([*command, "--quick-limit", "10", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results["predictions"]) == 10
    assert {answer["class"] for answer in results["predictions"]} == {"light", "dark"}
    for answer in results["predictions"]:  # labels were matched by name: the classes lie in another order
        assert f"{answer['class']}/" in answer["picture"].replace("\\", "/")


def test_the_shipped_network_is_as_good_as_its_card_says(capsys):
    assert main(["evaluate", "--weights", "PARTWORLD_V1", "--data", "partworld", "--quick-limit", "300"]) == 0
    told = capsys.readouterr().out
    assert "resnet20 on partworld, split test: 300 pictures of 10 classes" in told
    accuracy = float(told.partition("accuracy ")[2].split()[0])
    assert accuracy > 0.95
    assert "confusion matrix" in told
    assert all(name in told for name in PartWorld(size=1).classes)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--data", "partworld-far"], "classes of partworld-far are not classes of PARTWORLD_V1, such as "),
        (["--data", "partworl"], "did you mean 'partworld'"),
        (["--data", "partworld", "--split", "all"], "--split all is for folders"),
    ],
)
def test_sets_that_do_not_fit_are_refused(options, complaint, capsys):
    assert main(["evaluate", "--weights", "PARTWORLD_V1", *options]) == 2
    output = capsys.readouterr()
    assert complaint in output.err
    assert output.out == ""


def test_classes_without_names_are_taken_in_their_order_if_there_are_as_many():
    files = type("Arguments", (), {"data": "D", "weights": "W"})
    assert labels_of(["a", "b"], (), 2, files).tolist() == [0, 1]
    with pytest.raises(ValueError, match="D has 2 classes, but the network of W has 3"):
        labels_of(["a", "b"], (), 3, files)
    with pytest.raises(ValueError, match="1 of the 2 classes of D are not classes of W, such as 'b'"):
        labels_of(["a", "b"], ("a", "b", "b"), 3, files)  # two classes of one name can't be told apart
