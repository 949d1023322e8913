"""`minicnn predict`: the network's own answers, prepared as its file says, and refusals that say what to do."""

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor, backbones, no_grad, weights
from minicnn import functional as F
from minicnn.cli.main import main
from minicnn.data.folder import read_image


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def written(path, information, channels=3, **metadata):
    model = backbones.create("resnet8", width=4, num_classes=3, in_chans=channels, seed=5).eval()
    model.get_classifier().weight.data *= 5  # probabilities that differ
    about = {"model": "resnet8", "model_options": {"width": 4}, "num_classes": 3, "image_shape": [channels, 16, 16]}
    weights.save(model, path, about | metadata | information.as_metadata())
    return model


@pytest.mark.parametrize("channels", [3, 1])
def test_the_most_probable_classes_are_named(channels, picture, tmp_path, capsys):
    information = weights.WeightsInformation(
        "r", 24, 16, mean=(0.4,) * channels, std=(0.2,) * channels, categories=("ant", "bee", "cow")
    )
    model = written(tmp_path / "w.safetensors", information, channels)
    assert (
        main(["predict", str(picture), str(picture), "--weights", str(tmp_path / "w.safetensors"), "--top", "2"]) == 0
    )
    pixels = read_image(picture).transpose(2, 0, 1)
    if channels == 1:
        pixels = np.asarray(Image.open(picture).convert("L"))[None]
    with no_grad():
        expected = F.softmax(model(Tensor(information.transforms()(pixels)[None])), 1).numpy()[0]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == lines[3:]
    assert lines[0] == str(picture)
    order = expected.argsort()[::-1]
    for line, place in zip(lines[1:3], order, strict=False):
        probability, name = line.split()
        assert name == ("ant", "bee", "cow")[place]
        assert float(probability) == pytest.approx(expected[place], abs=0.002)


def test_what_the_file_does_not_say_is_given_or_assumed_aloud(picture, tmp_path, capsys):
    model = backbones.create("resnet8", width=4, num_classes=10, seed=5)
    file = tmp_path / "w.safetensors"
    weights.save(model, file)
    assert main(["predict", str(picture), "--weights", str(file)]) == 2
    assert "name it, as in `--model resnet50`" in capsys.readouterr().err
    assert main(["predict", str(picture), "--weights", str(file), "--model", "resnet8", "--set", "width=4"]) == 0
    output = capsys.readouterr()
    assert "assuming resize 32, crop 32" in output.err
    assert len(output.out.splitlines()) == 6
    assert "class " in output.out


def test_a_classifier_that_is_not_in_the_file_predicts_nothing(picture, tmp_path, capsys):
    file = tmp_path / "w.safetensors"
    written(file, weights.WeightsInformation("r", 16, 16), num_classes=4)
    assert main(["predict", str(picture), "--weights", str(file)]) == 2
    assert "no classifier for 4 classes" in capsys.readouterr().err
    assert main(["predict", str(tmp_path / "none.png"), "--weights", str(file), "--num-classes", "3"]) == 2
    assert "none.png" in capsys.readouterr().err
