"""`minicnn predict`: the network's own answers, prepared as its file says, and refusals that say what to do."""

import csv
import json
import os
import re

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor, backbones, no_grad, weights
from minicnn import functional as F
from minicnn.backbones.identify import stored_sizes
from minicnn.cli import preparation
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
    assert main(["predict", str(picture), "--weights", str(file), "--set", "width=4"]) == 0
    output = capsys.readouterr()
    assert "the weights have the names of resnet8" in output.err
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


def test_a_file_that_names_no_backbone_and_has_the_names_of_none_is_refused(picture, tmp_path, capsys):
    weights.save({"a": np.zeros(3)}, tmp_path / "w.npz")
    for file in (str(tmp_path / "w.npz"), "IMAGENET1K_V1"):
        assert main(["predict", str(picture), "--weights", file]) == 2
        assert "name it, as in `--model resnet50`" in capsys.readouterr().err
    assert main(["predict", str(picture), "--weights", str(tmp_path / "none.npz")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_classes_and_channels_are_those_of_the_arrays_where_the_file_does_not_say(picture, tmp_path, capsys):
    model = backbones.create("resnet18", width=4, num_classes=7, in_chans=1, seed=5)
    state = {f"module.{name}": array for name, array in model.state_dict().items()}
    weights.save(state, tmp_path / "w.npz")
    assert main(["predict", str(picture), "--weights", str(tmp_path / "w.npz"), "--set", "width=4", "--top", "9"]) == 0
    output = capsys.readouterr()
    assert "mean (0.449,), std (0.226,)" in output.err
    assert "ImageNet" not in output.err
    assert len(output.out.splitlines()) == 1 + 7


def test_a_thousand_classes_of_photographs_are_taken_for_imagenets_aloud(picture, tmp_path, capsys):
    weights.save(backbones.create("resnet18", width=4, seed=5), tmp_path / "w.npz")
    assert main(["predict", str(picture), "--weights", str(tmp_path / "w.npz"), "--set", "width=4"]) == 0
    output = capsys.readouterr()
    assert (
        "resize 256, crop 224, mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225), and the classes of ImageNet"
        in (output.err)
    )
    assert "class " not in output.out


def test_one_bad_picture_does_not_keep_the_others_back(picture, tmp_path, capsys):
    written(tmp_path / "w.safetensors", weights.WeightsInformation("r", 16, 16))
    (tmp_path / "broken.jpg").write_bytes(picture.read_bytes()[:100])
    Image.new("RGB", (3000, 2)).save(tmp_path / "thin.png")
    names = ["broken.jpg", "none.png", "thin.png", "bad\x1b[31m.png"]
    paths = [str(picture), *(str(tmp_path / name) for name in names), str(picture)]
    assert main(["predict", *paths, "--weights", str(tmp_path / "w.safetensors")]) == 2
    output = capsys.readouterr()
    assert output.out.splitlines().count(str(picture)) == 2
    assert len(output.out.splitlines()) == 2 * (1 + 3)
    *errors, last = output.err.splitlines()
    assert len(errors) == 4
    assert last == "minicnn: 4 of 6 pictures got no answer"
    for name, error in zip(
        ("broken.jpg is a broken picture", "none.png", "3000x2 pixels", r"bad\x1b[31m.png"), errors, strict=True
    ):
        assert error.startswith("minicnn: error: ")
        assert name in error


def test_names_of_classes_cannot_drive_the_terminal(picture, tmp_path, capsys):
    information = weights.WeightsInformation("r", 16, 16, categories=("a\x1b[2J", "b\nc", "d"))
    written(tmp_path / "w.safetensors", information)
    assert main(["predict", str(picture), "--weights", str(tmp_path / "w.safetensors")]) == 0
    out = capsys.readouterr().out
    assert r"a\x1b[2J" in out
    assert r"b\nc" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"checkpoint": 1}, r"is a checkpoint, to resume .* weights\.safetensors beside it"),
        ({"num_classes": "many"}, r"num_classes='many', but it must be a whole number of 1 or more"),
        ({"num_classes": -1}, "num_classes=-1"),
        ({"image_shape": 7}, r"image_shape=7, but it must be three whole numbers"),
        ({"image_shape": [3, 16]}, "image_shape="),
        ({"model": ["resnet8"]}, "but it must be the name of a backbone"),
        ({"model": "resnet9"}, "no backbone is called 'resnet9'"),
        ({"model_options": "width"}, "but it must be a dictionary"),
        ({"model_options": {"features_only": True}}, "resnet8 has no option 'features_only'"),
        ({"model_options": {"weights": "other.npz"}}, "resnet8 has no option 'weights'"),
        ({"model_options": {"width": "wide"}}, "cannot be made with"),
        ({"model_options": {"width": 8}}, "does not fit resnet8"),
        ({"model_options": {"width": 5000}}, r"model_options=.* largest number of anything in the file is [0-9]+\n"),
        ({"model_options": {"blocks": 10**30}}, "largest number"),
        ({"model_options": {"blocks": [1] * 1000}}, "largest number"),
        ({"num_classes": 10**12}, "no classifier for 1000000000000 classes, but one for 3"),
        (
            {"image_shape": [10**12, 16, 16]},
            r"image_shape=\[1000000000000, 16, 16\], but its arrays are for 3 channels",
        ),
    ],
)
def test_what_a_file_says_of_itself_is_checked(metadata, complaint, picture, tmp_path, capsys):
    written(tmp_path / "w.safetensors", weights.WeightsInformation("r", 16, 16), **metadata)
    assert main(["predict", str(picture), "--weights", str(tmp_path / "w.safetensors")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("minicnn: error: ")
    assert re.search(complaint, error)


def test_options_with_fractions_are_no_large_numbers(picture, tmp_path):
    model = backbones.create("vgg6", width=0.1234567890123, num_classes=3, dropout=0.25)
    about = {"model": "vgg6", "model_options": {"width": 0.1234567890123, "dropout": 0.25}}
    weights.save(model, tmp_path / "w.safetensors", about)
    assert main(["predict", str(picture), "--weights", str(tmp_path / "w.safetensors")]) == 0


def test_a_mean_of_other_channels_and_weights_that_are_no_numbers_are_refused(picture, tmp_path, capsys):
    written(tmp_path / "w.safetensors", weights.WeightsInformation("r", 16, 16, mean=(0.5,), std=(0.5,)))
    assert main(["predict", str(picture), "--weights", str(tmp_path / "w.safetensors")]) == 2
    assert "tells the mean of 1 channels, but its network takes images of 3" in capsys.readouterr().err
    state = backbones.create("resnet8", width=4, num_classes=3).state_dict() | {"linear.bias": np.full(3, np.nan)}
    weights.save(state, tmp_path / "nan.npz")
    assert main(["predict", str(picture), "--weights", str(tmp_path / "nan.npz"), "--set", "width=4"]) == 2
    assert "the network gives NaN or infinity" in capsys.readouterr().err


def test_pictures_have_one_channel_or_three(picture, tmp_path, capsys):
    written(tmp_path / "w.safetensors", weights.WeightsInformation("r", 16, 16), channels=2)
    assert main(["predict", str(picture), "--weights", str(tmp_path / "w.safetensors")]) == 2
    assert "takes images of 2 channels, but pictures have 3" in capsys.readouterr().err


@pytest.mark.parametrize("stem", ["imagenet", "small"])
def test_classes_and_channels_are_found_behind_any_head(stem):
    model = backbones.create("vgg11", width=0.02, num_classes=6, in_chans=2, stem=stem)
    shapes = {f"module.{name}": array.shape for name, array in sorted(model.state_dict().items())}
    assert stored_sizes("vgg11", shapes) == (6, 2)
    assert stored_sizes("vgg11", {"a": (3,)}) == (None, None)


def test_a_set_that_comes_along_needs_no_backbone_named(picture, capsys):
    assert main(["predict", str(picture), "--weights", "PARTWORLD_V1", "--top", "1"]) == 0
    output = capsys.readouterr()
    assert output.out.splitlines()[1].split()[1] in ("stack", "peak", "valley")
    assert "names of resnet20" in output.err


def folder_of_pictures(folder):
    """Pictures in a folder and below it, beside files that are not pictures and hidden ones."""
    for name in ("b.png", "a.png", "below/c.PNG", ".hidden.png", ".cache/d.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (len(name), 90, 30)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_gives_all_its_pictures_in_order(tmp_path, capsys):
    folder = folder_of_pictures(tmp_path / "pictures")
    assert main(["predict", str(folder), "--weights", "PARTWORLD_V1", "--top", "1"]) == 0
    output = capsys.readouterr()
    shown = [line for line in output.out.splitlines() if not line.startswith(" ")]
    assert shown == [str(folder / name) for name in ("a.png", "b.png", os.path.join("below", "c.PNG"))]
    assert "other files passed over: 1" in output.err


def test_a_broken_picture_of_a_folder_is_listed_and_is_fatal_only_if_none_is_left(tmp_path, capsys):
    folder = folder_of_pictures(tmp_path / "pictures")
    (folder / "b.png").write_bytes(b"broken")
    command = ["predict", str(folder), "--weights", "PARTWORLD_V1", "--top", "1"]
    assert main(command) == 0
    output = capsys.readouterr()
    assert f"{folder / 'b.png'} is a broken picture" in output.err
    assert "1 of 3 pictures got no answer" in output.err
    assert len(output.out.splitlines()) == 2 * 2
    for name in ("a.png", "below/c.PNG"):
        (folder / name).write_bytes(b"broken")
    assert main(command) == 2
    assert capsys.readouterr().out == ""


def test_a_folder_without_pictures_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("not a picture")
    assert main(["predict", str(tmp_path), "--weights", "PARTWORLD_V1"]) == 2
    assert f"the folder {tmp_path} holds no pictures (1 other files); they end in .jpg" in capsys.readouterr().err


def test_a_pattern_that_the_shell_left_is_expanded(tmp_path, capsys):
    folder = folder_of_pictures(tmp_path / "pictures")
    assert main(["predict", str(folder / "*.png"), "--weights", "PARTWORLD_V1", "--top", "1"]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert shown == [str(folder / "a.png"), str(folder / "b.png")]
    assert main(["predict", str(folder / "*.jpg"), "--weights", "PARTWORLD_V1"]) == 2
    assert "No such file" in capsys.readouterr().err


def test_csv_and_json_hold_the_same_answers(picture, capsys):
    command = ["predict", str(picture), "--weights", "resnet20.PARTWORLD_V1", "--top", "3", "--format"]
    assert main([*command, "json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["picture"] == str(picture)
    probabilities = [each["probability"] for each in answer["classes"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert main([*command, "csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    for row, each in zip(rows, answer["classes"], strict=True):
        assert (row["picture"], row["class"], int(row["index"])) == (str(picture), each["class"], each["index"])
        assert float(row["probability"]) == pytest.approx(each["probability"], abs=1e-6)


def test_a_large_picture_is_prepared_strip_by_strip_to_the_same_numbers(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    information = weights.WeightsInformation("r", 24, 20, mean=(0.4,) * 3, std=(0.2,) * 3)
    monkeypatch.setattr(preparation, "STRIP", 70 * 7)  # 13 strips, the last one of 6 rows
    prepared = preparation.prepared_picture(tmp_path / "large.png", information, 3)
    np.testing.assert_allclose(prepared, information.transforms()(pixels.transpose(2, 0, 1)), atol=2e-6)


def test_another_image_size_keeps_the_margin_of_the_weights(picture, tmp_path, monkeypatch):
    seen = []
    written(tmp_path / "w.safetensors", weights.WeightsInformation("r", 24, 16))
    prepare = preparation.prepared_picture
    monkeypatch.setattr(
        preparation,
        "prepared_picture",
        lambda path, known, channels: seen.append(known) or prepare(path, known, channels),
    )
    command = ["predict", str(picture), "--weights", str(tmp_path / "w.safetensors"), "--image-size", "32"]
    assert main(command) == 0
    assert (seen[0].resize, seen[0].crop) == (48, 32)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("resnet20.PARTWORLD_v1", "is not a file or a set of weights; did you mean 'resnet20.PARTWORLD_V1'"),
        ("PARTWORLD_V2", "did you mean 'resnet20.PARTWORLD_V1'"),
        ("none.safetensors", "no such file"),
    ],
)
def test_weights_that_are_not_there_are_named_with_those_that_were_meant(name, complaint, picture, capsys):
    assert main(["predict", str(picture), "--weights", name]) == 2
    assert re.search(complaint, capsys.readouterr().err)


def test_a_set_of_another_backbone_is_refused(picture, capsys):
    assert main(["predict", str(picture), "--weights", "resnet20.PARTWORLD_V1", "--model", "vgg6"]) == 2
    assert "are for resnet20, not for vgg6" in capsys.readouterr().err
    assert main(["predict", str(picture), "--weights", "PARTWORLD_V1", "--model", "vgg6"]) == 2
    assert "vgg6 does not have weights PARTWORLD_V1" in capsys.readouterr().err


def test_weights_without_a_classifier_are_refused_with_what_to_do(tmp_path, capsys):
    network = backbones.create("resnet8", num_classes=0)
    weights.save(network, tmp_path / "features.safetensors")
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    command = ["predict", str(tmp_path / "a.png"), "--weights", str(tmp_path / "features.safetensors")]
    for more in ([], ["--num-classes", "10"]):
        assert main([*command, "--model", "resnet8", *more]) == 2
        error = capsys.readouterr().err
        assert "features.safetensors has no classifier, only features; train one on pictures" in error
        assert f"`minicnn train --weights {tmp_path / 'features.safetensors'} --data DIR" in error
