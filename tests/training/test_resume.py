"""A run that was stopped, in whatever way, and resumed ends in the same bits as one that was not."""

import copy
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import nn, optim, random
from minicnn.training import EarlyStopping, TrainingInterrupted, fit, read_history
from minicnn.training.checkpoint import load_checkpoint
from minicnn.training.run import Run
from minicnn.weights import load, load_metadata, save
from tests.training.dying import BATCHES, CALLS, EPOCHS, VALIDATION_BATCHES, Killed, dying_loss, train
from tests.training.parts import bits, loader, sgd, small_model, without_seconds


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    results = {}

    def run(accumulate=1):
        if accumulate not in results:
            results[accumulate] = train(tmp_path_factory.mktemp("whole"), accumulate=accumulate)
        return results[accumulate]

    return run


@pytest.mark.slow
@settings(max_examples=12)
@given(st.integers(1, CALLS), st.integers(1, 4), st.sampled_from([1, 2, 3]))
def test_a_run_that_dies_anywhere_goes_on_in_the_same_bits(tmp_path_factory, uninterrupted, at, every, accumulate):
    folder = tmp_path_factory.mktemp("dies")
    with pytest.raises(Killed):
        train(folder, loss=dying_loss(at), checkpoint_every=every, accumulate=accumulate)
    # The new process knows nothing, not even the seed, unless it has to begin at the start.
    seed = 9 if (folder / "checkpoint.safetensors").exists() else 0
    assert train(folder, seed, resume=True, accumulate=accumulate) == uninterrupted(accumulate)
    history = read_history(folder / "history.jsonl")
    assert [record["epoch"] for record in history] == [1, 2, 3]


def test_a_run_that_dies_twice_goes_on_in_the_same_bits(tmp_path, uninterrupted):
    with pytest.raises(Killed):
        train(tmp_path, loss=dying_loss(12), checkpoint_every=1)
    with pytest.raises(Killed):
        train(tmp_path, seed=3, loss=dying_loss(2), checkpoint_every=1, resume=True)
    assert train(tmp_path, seed=9, resume=True) == uninterrupted()


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_a_process_killed_in_mid_epoch_goes_on_in_the_same_bits(tmp_path, uninterrupted):
    program = (
        "import os, pathlib, signal, sys\n"
        "from tests.training.dying import dying_loss, train\n"
        "kill = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
        "train(pathlib.Path(sys.argv[1]), loss=dying_loss(15, kill), checkpoint_every=2)\n"
    )
    root = Path(__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    place = load_metadata(tmp_path / "checkpoint.safetensors")
    assert (place["epoch"], place["batch"]) == (1, 4)
    assert train(tmp_path, seed=9, resume=True) == uninterrupted()


@pytest.mark.parametrize("at", [1, 7, 12])
def test_ctrl_c_saves_says_how_to_resume_and_loses_nothing(tmp_path, uninterrupted, capsys, at):
    calls = []

    def loss(outputs, targets):
        calls.append(1)
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return F.cross_entropy(outputs, targets)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted, match=r"checkpoint\.safetensors.*resume=True"):
        train(tmp_path, loss=loss)
    assert signal.getsignal(signal.SIGINT) is before
    assert "finishing this step" in capsys.readouterr().err
    assert len(calls) - at == (VALIDATION_BATCHES if at == BATCHES else 0)  # an epoch that is done is measured, too
    assert train(tmp_path, seed=9, resume=True) == uninterrupted()


def test_a_second_ctrl_c_and_one_without_a_checkpoint_stop_at_once(tmp_path):
    def loss(outputs, targets):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="at once"):
        train(tmp_path, loss=loss)
    model = small_model()

    def interrupted_once(outputs, targets):
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        fit(model, loader(), sgd(model), epochs=1, loss=interrupted_once)
    assert not isinstance(caught.value, TrainingInterrupted)


def test_a_full_disk_in_mid_run_leaves_the_last_checkpoint(tmp_path, uninterrupted, monkeypatch):
    with pytest.raises(Killed):
        train(tmp_path, loss=dying_loss(12))
    checkpoint = (tmp_path / "checkpoint.safetensors").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk is full"):
        train(tmp_path, seed=9, resume=True)
    monkeypatch.undo()
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == checkpoint
    assert train(tmp_path, seed=9, resume=True) == uninterrupted()


def test_a_finished_run_has_nothing_left_to_do_and_a_longer_one_goes_on(tmp_path):
    model, path = small_model(), tmp_path / "checkpoint.safetensors"
    whole = fit(model, loader(), sgd(model), epochs=3)
    part = small_model()
    fit(part, loader(), sgd(part), epochs=2, checkpoint=path)
    again = small_model(seed=4)
    optimizer = sgd(again)
    assert len(fit(again, loader(), optimizer, epochs=2, checkpoint=path, resume=True)) == 2
    assert bits(again) == bits(part)
    records = fit(again, loader(), optimizer, epochs=3, checkpoint=path, resume=True)
    assert bits(again) == bits(model)
    assert without_seconds(records) == without_seconds(whole)


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    def run(resume):
        model = small_model()
        stopping = EarlyStopping("loss", patience=1, mode="max")
        path = tmp_path / "checkpoint.safetensors"
        options = {"early_stopping": stopping, "checkpoint": path, "resume": resume}
        return without_seconds(fit(model, loader(), sgd(model), epochs=9, **options)), bits(model)

    assert run(False) == run(True)


def test_without_a_checkpoint_yet_a_resumed_run_begins_at_the_start(tmp_path, uninterrupted):
    assert train(tmp_path, resume=True) == uninterrupted()


# What is no checkpoint of this run


@pytest.fixture
def checkpoint(tmp_path):
    model, path = small_model(), tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        fit(model, loader(), sgd(model), epochs=1, checkpoint=path, checkpoint_every=3, loss=dying_loss(6))
    return path


def refused(checkpoint, complaint, model=None, optimizer=None, batches=None, **options):
    model = small_model(seed=7) if model is None else model
    optimizer = sgd(model) if optimizer is None else optimizer(model)
    before = bits(model)
    with pytest.raises(ValueError, match=complaint):
        fit(model, batches or loader(), optimizer, epochs=1, checkpoint=checkpoint, resume=True, **options)
    assert bits(model) == before


def test_a_checkpoint_of_another_model_is_named_and_nothing_is_loaded(checkpoint):
    complaint = r"checkpoint of another model.*0\.weight: \(3, 1, 3, 3\) in the file, \(4, 1, 3, 3\) in the model"
    refused(checkpoint, complaint, model=small_model(channels=4))
    refused(checkpoint, r"absent.* in the model", model=nn.Sequential(nn.Flatten(), nn.Linear(30, 3)))


def test_a_checkpoint_of_another_optimiser_schedule_or_loader_is_named(checkpoint):
    refused(checkpoint, "optimizer=SGD.*Adam", optimizer=lambda model: optim.Adam(model.parameters()))
    refused(checkpoint, "early_stopping=None.*EarlyStopping", early_stopping=EarlyStopping("loss"))
    halves = [lambda model: {"params": [model[0].weight]}, lambda model: {"params": list(model.parameters())[1:]}]
    refused(
        checkpoint,
        "1 parameter groups",
        optimizer=lambda model: optim.SGD([half(model) for half in halves], momentum=0.9),
    )
    refused(checkpoint, "7 batches, but the loader has 13", batches=loader(batch_size=2))


def test_weights_and_damaged_files_are_no_checkpoints(checkpoint):
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: len(content) // 2])
    refused(checkpoint, "damaged|cut short")
    save(small_model(), checkpoint)
    refused(checkpoint, "is not a checkpoint")


@pytest.mark.parametrize("entry", ["states", "epoch", "records", "random"])
def test_a_checkpoint_without_one_of_its_entries_is_named_as_damaged(checkpoint, entry):
    arrays, metadata = load(checkpoint), load_metadata(checkpoint)
    del metadata[entry]
    save(arrays, checkpoint, metadata)
    refused(checkpoint, f"lacks {entry}")


def test_a_rate_that_is_a_whole_number_at_first_is_no_obstacle(tmp_path):
    def run(epochs, resume):
        model = small_model()
        optimizer = optim.SGD(model.parameters(), lr=1, momentum=0)
        schedule = optim.StepLR(optimizer, step_size=1, gamma=0.3)
        options = {"schedule": schedule, "checkpoint": tmp_path / "c.safetensors", "resume": resume}
        return fit(model, loader(), optimizer, epochs=epochs, **options)[-1]["learning_rate"]

    assert run(2, False) == 0.3
    assert run(3, True) == pytest.approx(0.09)


def places(value, path=()):
    """The path of every value in nested lists and dictionaries."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


def altered(metadata, path, change):
    """A copy of `metadata` in which `change(container, key)` was done at `path`."""
    result = copy.deepcopy(metadata)
    container = result
    for key in path[:-1]:
        container = container[key]
    change(container, path[-1])
    return result


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


ODD = [None, "x", -1, 1.5, True, 10**400, [], {}, [1, 2], {"a": 1}, {"$array": "x"}, {"$array": []}, {"$float": "nan"}]
ODD += [{"$float": {}}, {"$tuple": 3}, {"$items": [1]}, {"$items": [[[], 1]]}, nested(300)]


@pytest.mark.slow
def test_altered_metadata_are_refused_in_one_sentence_or_train_to_the_end(tmp_path):
    """Every value of the metadata becomes odd values, or is missing; each place meets a fifth of the changes."""
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        train(tmp_path, loss=dying_loss(15), checkpoint_every=2)
    arrays, metadata = load(path), load_metadata(path)
    changes = [lambda box, key, odd=odd: box.__setitem__(key, odd) for odd in ODD] + [lambda box, key: box.pop(key)]
    refused, tried = 0, 0
    for number, place in enumerate(places(metadata)):
        for change in changes[number % 5 :: 5]:
            save(arrays, path, altered(metadata, place, change))
            model = small_model(5)
            optimizer = optim.AdamW(model.parameters(), lr=0.01)
            schedule = optim.CosineAnnealingLR(optimizer, T_max=EPOCHS * BATCHES)
            average = optim.ExponentialMovingAverage(model, decay=0.9)
            stopping = EarlyStopping("validation_loss", patience=50)
            run = Run(model, optimizer, loader(prefetch=0), schedule, average, stopping)
            before = state_of(run)
            tried += 1
            try:
                load_checkpoint(run, path)
                message = None
            except ValueError as error:
                message = str(error)
            if message is not None:
                refused += 1
                assert "checkpoint.safetensors" in message, place
                assert "\n" not in message, place
                assert len(message) < 700, place
                assert state_of(run) == before, place
                continue
            options = {"schedule": schedule, "schedule_every": "step", "ema": average, "early_stopping": stopping}
            options |= {"validation": loader(size=12, shuffle=False, prefetch=0), "progress": False}
            records = fit(model, run.loader, optimizer, epochs=2, checkpoint=path, resume=True, **options)
            assert [record["epoch"] for record in records] == [1, 2], place
            assert all(np.isfinite(array).all() for array in model.state_dict().values()), place
    assert refused > 0.9 * tried


def state_of(run):
    """Everything that a checkpoint restores, in a form that can be compared."""
    parts = {name: repr(part.state_dict()) for name, part in run.stateful_parts().items()}
    return bits(run.model), parts, random.get_state(), run.epoch, run.batch, run.seconds, list(run.records)


def test_a_checkpoint_is_readable_by_anyone(checkpoint):
    arrays, metadata = load(checkpoint), load_metadata(checkpoint)
    assert "model.0.weight" in arrays
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    assert (metadata["epoch"], metadata["batch"]) == (0, 3)
    json.dumps(metadata, allow_nan=False)
