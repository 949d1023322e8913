"""`minicnn train`: a run in a folder, from nothing to a tested network, and on again after it was stopped."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from minicnn import Tensor, backbones, no_grad
from minicnn.cli import train_parts
from minicnn.cli.main import main
from minicnn.training import accuracy, read_history
from minicnn.weights import load, load_metadata

SMALL = ["--model", "lenet5", "--data", "partworld", "--image-size", "24", "--quick-limit", "40", "--batch-size", "16"]


def train(folder, *options):
    return main(["train", *SMALL, "--epochs", "2", "--quiet", "--out", str(folder), *options])


def arrays(folder):
    return {name: array.tobytes() for name, array in load(folder / "weights.safetensors").items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    assert train(folder) == 0
    return folder


def test_the_folder_holds_all_of_the_run(finished):
    assert sorted(os.listdir(finished)) == [
        "checkpoint.safetensors",
        "history.jsonl",
        "settings.json",
        "weights.safetensors",
    ]
    assert [record["epoch"] for record in read_history(finished / "history.jsonl")] == [1, 2]
    metadata = load_metadata(finished / "weights.safetensors")
    assert metadata["model"] == "lenet5"
    assert metadata["image_shape"] == [3, 24, 24]
    assert len(metadata["weights"]["categories"]) == metadata["num_classes"] == 10
    assert metadata["settings"]["seed"] == 0
    assert {"python", "minicnn", "numpy", "numba"} <= set(metadata["versions"])
    assert metadata["command"].startswith("minicnn train --model lenet5 --data partworld")


def test_the_file_alone_is_enough_to_repeat_its_accuracy(finished):
    """Model, classes, mean and standard deviation travel with the weights."""
    from minicnn.data import PartWorld

    metadata = load_metadata(finished / "weights.safetensors")
    model = backbones.create(
        metadata["model"],
        num_classes=metadata["num_classes"],
        in_chans=metadata["image_shape"][0],
        weights=finished / "weights.safetensors",
        **metadata["model_options"],
    )
    for split in ("val", "test"):
        pictures = PartWorld(split, size=40, image_size=24)
        images, labels = pictures.batch(np.arange(40))
        with no_grad():
            scores = model.eval()(Tensor(model.weights.transforms()(images)))
        name = {"val": "validation_accuracy", "test": "test_accuracy"}[split]
        assert metadata[name] == pytest.approx(accuracy(scores, labels))


def test_the_same_command_gives_the_same_bits_whatever_the_threads(finished, tmp_path):
    assert train(tmp_path / "again", "--threads", "1") == 0
    assert arrays(tmp_path / "again") == arrays(finished)
    assert train(tmp_path / "other", "--seed", "1") == 0
    assert arrays(tmp_path / "other") != arrays(finished)


def test_a_line_is_printed_for_every_epoch_and_the_test_comes_once_at_the_end(tmp_path, capsys, monkeypatch):
    asked, create = [], train_parts.create
    monkeypatch.setattr(
        train_parts, "create", lambda name, split, **options: asked.append(split) or create(name, split, **options)
    )
    assert main(["train", *SMALL, "--epochs", "2", "--out", str(tmp_path / "run")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert all("validation" in line and "accuracy" in line for line in lines[:2])
    assert "test accuracy" in lines[2]
    assert len(lines) == 3
    assert asked == ["train", "val", "test"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_is_resumed_to_the_same_bits(tmp_path, number):
    long = [*SMALL, "--epochs", "30", "--quiet", "--checkpoint-every", "1"]
    folder = tmp_path / "stopped"
    program = [sys.executable, "-m", "minicnn.cli.main", "train", *long, "--out", str(folder)]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    checkpoint, deadline = folder / "checkpoint.safetensors", time.monotonic() + 100
    while process.poll() is None and not (checkpoint.exists() and load_metadata(checkpoint)["epoch"] >= 1):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == (130 if number == signal.SIGINT else -number), errors
    assert load_metadata(checkpoint)["epoch"] < 30
    if number == signal.SIGINT:
        assert "resume" in errors
        assert "Traceback" not in errors
    assert main(["train", *long, "--out", str(folder), "--resume"]) == 0
    assert main(["train", *long, "--out", str(tmp_path / "whole")]) == 0
    assert arrays(folder) == arrays(tmp_path / "whole")
    assert [record["epoch"] for record in read_history(folder / "history.jsonl")] == list(range(1, 31))


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(finished):
    before = arrays(finished)
    assert train(finished, "--resume") == 0
    assert arrays(finished) == before


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "holds a run already: add --resume"),
        (["--resume", "--lr", "0.5"], "lr was 0.05, is 0.5"),
        (["--resume", "--model", "resnet8"], "model was 'lenet5', is 'resnet8'"),
    ],
)
def test_a_folder_is_not_used_for_another_run(finished, capsys, options, complaint):
    before = arrays(finished)
    assert train(finished, *options) == 2
    assert complaint in capsys.readouterr().err
    assert arrays(finished) == before


def test_there_must_be_a_run_to_resume(tmp_path, capsys):
    assert train(tmp_path / "absent", "--resume") == 2
    assert "holds no run to resume" in capsys.readouterr().err


def test_damaged_settings_are_named(tmp_path, capsys):
    (tmp_path / "settings.json").write_text("{")
    assert train(tmp_path, "--resume") == 2
    assert "settings.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--model", "lenet6"], "did you mean 'lenet5'"),
        (["--data", "partwold"], "did you mean 'partworld'"),
        (["--num-classes", "3"], "--num-classes is 3, but partworld has 10 classes"),
        (["--set", "colour=3"], "colour"),
        (["--set", "image_size=large"], "lenet5 cannot be made with {'image_size': 'large'}"),
        (["--data", "mnist"], "the pictures of mnist have one size: leave out --image-size"),
        (["--lr", "1e30"], "the loss is"),
        (["--threads", "1000"], "threads"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(tmp_path, capsys, options, complaint):
    assert train(tmp_path / "run", *options) == 2
    errors = capsys.readouterr().err
    assert complaint in errors
    assert errors.startswith("minicnn: error: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("options", [["--model", "lenet6"], ["--data", "partwold"], ["--num-classes", "3"]])
def test_a_run_that_could_not_begin_leaves_no_folder(tmp_path, options):
    assert train(tmp_path / "run", *options) == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--lr", "--label-smoothing", "--set"])
def test_values_out_of_range_are_refused_at_once(capsys, option):
    with pytest.raises(SystemExit):
        main(["train", *SMALL, option, "-1"])
    assert option in capsys.readouterr().err


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("sgd", "onecycle"), ("adam", "step"), ("adamw", "constant"), ("rmsprop", "cosine")]
)
def test_every_optimiser_and_every_schedule_runs_to_the_end(tmp_path, optimizer, schedule):
    assert train(tmp_path / "run", "--optimizer", optimizer, "--schedule", schedule, "--augment", "flip+crop") == 0


def test_pictures_of_several_sizes_ask_for_the_option_that_brings_them_to_one(tmp_path, capsys):
    for place in range(20):
        path = tmp_path / "pictures" / ("cat", "dog")[place % 2] / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30 + place, 30)).save(path)
    assert main(["train", "--model", "resnet8", "--data", str(tmp_path / "pictures"), "--out", str(tmp_path)]) == 2
    assert "--image-size" in capsys.readouterr().err


def test_unwritable_places_are_named(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train(tmp_path / "file" / "run") == 2
    assert "cannot make this folder (a part of the path is a file, not a folder)" in capsys.readouterr().err
    assert train(tmp_path / "file") == 2
    message = capsys.readouterr().err
    assert "cannot make this folder (there is a file of this name: choose another folder)" in message
    assert str(tmp_path / "file") in message


def test_training_and_test_pictures_are_normalised_alike():
    settings = {
        "data": "partworld",
        "image_size": 24,
        "quick_limit": 40,
        "seed": 0,
        "batch_size": 40,
        "augment": "none",
    }
    data = train_parts.make_data(settings)
    for loader, tolerance in ((data.train, 1e-3), (data.validation, 0.3), (data.make_test(), 0.3)):
        ((images, _),) = loader
        np.testing.assert_allclose(images.mean(axis=(0, 2, 3)), 0, atol=tolerance)
        np.testing.assert_allclose(images.std(axis=(0, 2, 3)), 1, atol=tolerance)


def test_settings_are_readable(finished):
    assert json.loads((finished / "settings.json").read_text())["lr"] == 0.05


FINE_TUNING = ["--data", "partworld-near", "--quick-limit", "100", "--batch-size", "20", "--quiet", "--no-test"]


def test_training_starts_from_weights_and_frozen_arrays_keep_every_bit(tmp_path, capsys):
    options = ["--weights", "resnet20.PARTWORLD_V1", "--freeze", "layer3", "--epochs", "2", "--augment", "flip"]
    assert main(["train", *FINE_TUNING, *options, "--out", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().err
    assert "116 loaded" in told
    assert "as the weights want them" in told
    assert "the classifier begins with fresh weights" in told
    assert "arrays of weights are frozen, those before layer3" in told
    before = backbones.create("resnet20", num_classes=10, weights="PARTWORLD_V1").state_dict()
    after = load(tmp_path / "run" / "weights.safetensors")
    same = {name for name in before if before[name].tobytes() == after[name].tobytes()}
    frozen = {name for name in before if not name.startswith(("layer3.", "linear."))}
    assert frozen <= same
    trained = {name for name in before if name not in frozen and not name.endswith("num_batches_tracked")}
    assert not trained & same
    metadata = load_metadata(tmp_path / "run" / "weights.safetensors")
    assert metadata["model"] == "resnet20"
    shipped = backbones.create("resnet20", num_classes=10, weights="PARTWORLD_V1").weights
    assert tuple(metadata["weights"]["mean"]) == shipped.mean


def test_freeze_alone_trains_only_the_classifier(tmp_path):
    options = ["--weights", "PARTWORLD_V1", "--freeze", "--epochs", "1"]
    assert main(["train", *FINE_TUNING, *options, "--out", str(tmp_path / "run")]) == 0
    before = backbones.create("resnet20", num_classes=10, weights="PARTWORLD_V1").state_dict()
    after = load(tmp_path / "run" / "weights.safetensors")
    assert {name for name in before if before[name].tobytes() != after[name].tobytes()} == {
        "linear.weight",
        "linear.bias",
    }


def test_a_frozen_run_is_resumed_to_the_same_bits(tmp_path):
    options = ["--weights", "PARTWORLD_V1", "--freeze", "layer2", "--schedule", "constant"]
    for folder, epochs in (("parts", "1"), ("whole", "2")):
        assert main(["train", *FINE_TUNING, *options, "--epochs", epochs, "--out", str(tmp_path / folder)]) == 0
    assert main(["train", *FINE_TUNING, *options, "--epochs", "2", "--out", str(tmp_path / "parts"), "--resume"]) == 0
    assert arrays(tmp_path / "parts") == arrays(tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            ["--model", "resnet8", "--freeze"],
            "--freeze keeps layers as they are in --weights, but no weights are given",
        ),
        (["--weights", "PARTWORLD_V1", "--freeze", "layer4"], "has no module 'layer4'; did you mean 'layer"),
        (["--weights", "PARTWORLD_V1", "--model", "vgg6"], "vgg6 does not have weights PARTWORLD_V1"),
        (["--weights", "PARTWORLD_V1", "--set", "widht=2"], "resnet20 has no option 'widht'; did you mean 'width'"),
        ([], "which backbone? Give --model"),
    ],
)
def test_a_start_that_cannot_be_is_refused(tmp_path, capsys, options, complaint):
    assert main(["train", *FINE_TUNING, *options, "--out", str(tmp_path / "run")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_finished_run_is_trained_on_with_more_epochs(tmp_path, capsys):
    folder = tmp_path / "run"
    assert train(folder) == 0
    assert main(["train", *SMALL, "--epochs", "3", "--quiet", "--out", str(folder), "--resume"]) == 0
    assert "the run had 2 epochs and goes on to 3" in capsys.readouterr().err
    assert [record["epoch"] for record in read_history(folder / "history.jsonl")] == [1, 2, 3]
    assert json.loads((folder / "settings.json").read_text())["epochs"] == 3
    assert main(["train", *SMALL, "--epochs", "2", "--quiet", "--out", str(folder), "--resume"]) == 2
    assert "epochs was 3, is 2" in capsys.readouterr().err


def test_a_short_run_has_no_warm_up():
    """A warm-up of one step would be half of a run of two."""
    from minicnn import optim
    from minicnn.nn import Linear

    optimizer = optim.SGD(Linear(1, 1).parameters(), lr=0.1)
    train_parts.make_schedule({"epochs": 2, "schedule": "cosine", "lr": 0.1}, optimizer, steps_per_epoch=1)
    assert optimizer.param_groups[0]["lr"] == 0.1


# Folders of pictures: refused before the first epoch


def picture_folder(root, *parts, count=6):
    for part in parts:
        for level, name in enumerate(("cat", "dog")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(np.full((16, 16, 3), 100 * level + number, np.uint8)).save(folder / f"{number}.png")


def train_on_folder(root):
    options = ["--model", "resnet8", "--data", str(root), "--epochs", "1", "--batch-size", "4", "--quiet"]
    return main(["train", *options, "--out", str(root / "run")])


def test_a_broken_validation_picture_is_found_before_the_first_epoch(tmp_path, capsys):
    picture_folder(tmp_path, "train", "val")
    (tmp_path / "val" / "dog" / "5.png").write_bytes(b"")
    assert train_on_folder(tmp_path) == 2
    assert "5.png is a broken picture" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_single_class_is_refused(tmp_path, capsys):
    picture_folder(tmp_path, "set")
    assert train_on_folder(tmp_path) == 2
    assert "holds one class only, 'set'" in capsys.readouterr().err


def test_test_pictures_without_labels_are_left_alone_with_a_word(tmp_path, capsys):
    picture_folder(tmp_path, "train")
    (tmp_path / "test").mkdir()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "test" / "1.png")
    assert train_on_folder(tmp_path) == 0
    assert "test holds no class folders: its pictures have no labels and are not used" in capsys.readouterr().err
    assert (tmp_path / "run" / "weights.safetensors").exists()
