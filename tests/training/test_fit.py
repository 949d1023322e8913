"""The loop does what a loop written out by hand does, records it, and stops where it must."""

import functools
import io
import re
import sys

import numpy as np
import pytest
import tqdm.auto
import tqdm.notebook
import tqdm.std

import minicnn.functional as F
from minicnn import Tensor, nn, optim, random
from minicnn.data import DataLoader, TensorDataset, mixup
from minicnn.training import EarlyStopping, accuracy, binary_accuracy, evaluate, fit, read_history
from tests.training.parts import bits, dataset, loader, sgd, small_model, without_seconds


def test_it_equals_a_loop_written_out_by_hand():
    by_hand, by_fit = small_model(), small_model()
    optimizer, batches = sgd(by_hand), loader()
    for epoch in range(2):
        batches.set_epoch(epoch)
        for batch, (images, labels) in enumerate(batches):
            random.set_position(epoch, batch)
            optimizer.zero_grad()
            F.cross_entropy(by_hand(Tensor(images)), Tensor(labels)).backward()
            optimizer.step()
    fit(by_fit, loader(), sgd(by_fit), epochs=2)
    assert bits(by_fit) == bits(by_hand)


def test_it_learns_and_records_what_it_measured():
    model = small_model()
    batches = loader(batch_size=13)
    records = fit(model, batches, sgd(model), epochs=30, validation=loader(size=12, shuffle=False))
    assert [record["epoch"] for record in records] == list(range(1, 31))
    assert set(records[0]) == {
        "epoch",
        "loss",
        "accuracy",
        "validation_loss",
        "validation_accuracy",
        "learning_rate",
        "seconds",
    }
    assert records[-1]["loss"] < 0.8 * records[0]["loss"]
    assert records[-1]["validation_accuracy"] > 0.8
    random.set_position(0, 0)
    batches = loader(size=12, shuffle=False)
    batches.set_epoch(29)
    measured = evaluate(model, batches)
    assert measured == {"loss": records[-1]["validation_loss"], "accuracy": records[-1]["validation_accuracy"]}


def test_a_record_is_of_its_own_epoch_only():
    seen = []

    def loss(outputs, targets):
        value = F.cross_entropy(outputs, targets)
        seen.append((value.item(), len(targets)))
        return value

    model = small_model()
    records = fit(model, loader(), sgd(model), epochs=2, loss=loss)
    for record, epoch in zip(records, (seen[:7], seen[7:]), strict=True):
        assert record["loss"] == pytest.approx(sum(value * count for value, count in epoch) / 26)


def test_gradients_from_before_play_no_part():
    fresh, used = small_model(), small_model()
    used[6].bias.grad = Tensor(np.ones(3, np.float32))
    for model in (fresh, used):
        fit(model, loader(), sgd(model), epochs=1)
    assert bits(fresh) == bits(used)


def test_validation_does_not_change_the_training():
    plain, watched = small_model(), small_model()
    fit(plain, loader(), sgd(plain), epochs=2)
    fit(watched, loader(), sgd(watched), epochs=2, validation=loader(size=12))
    assert bits(plain) == bits(watched)


def test_a_list_of_batches_and_any_loss_will_do():
    model = nn.Sequential(nn.Flatten(), nn.Linear(30, 1))
    batches = [(images, images.mean(axis=(1, 2, 3))[:, None]) for images, _ in loader()]
    rate = optim.SGD(model.parameters(), lr=0.01)
    records = fit(model, batches, rate, epochs=5, loss=F.mse_loss, metrics={})
    assert records[-1]["loss"] < records[0]["loss"]
    assert "accuracy" not in records[0]


def test_accumulated_batches_make_the_gradient_of_all_of_them():
    def model():
        random.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(30, 3))

    images, labels = dataset(12).batch(np.arange(12))
    at_once, in_parts = model(), model()
    fit(at_once, [(images, labels)], sgd(at_once, momentum=0), epochs=1)
    parts = [(images[i : i + 4], labels[i : i + 4]) for i in (0, 4, 8)]
    fit(in_parts, parts, sgd(in_parts, momentum=0), epochs=1, accumulate=3)
    for one, other in zip(at_once.parameters(), in_parts.parameters(), strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-7)


def test_the_last_group_of_an_epoch_is_a_mean_too():
    seen = []

    class Watch(optim.SGD):
        def step(self):
            seen.append(float(self.param_groups[0]["params"][0].grad.data[0]))

    parameter = nn.Parameter(np.zeros(1, np.float32))
    model = nn.Module()
    model.weight = parameter
    model.forward = lambda x: parameter * 1.0
    batches = [(np.full((1, 1), 1.0, np.float32), np.zeros((1, 1)))] * 5
    fit(model, batches, Watch([parameter], lr=0), epochs=1, accumulate=2, loss=lambda y, t: y.sum() * 6, metrics={})
    assert seen == [6, 6, 6]


@pytest.mark.parametrize(("sizes", "accumulate"), [((8, 4), 2), ((5, 5, 2), 3), ((1, 11), 2), ((3, 5, 4), 4)])
def test_every_picture_of_a_step_counts_the_same_in_batches_of_any_size(sizes, accumulate):
    def model():
        random.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(30, 3))

    images, labels = dataset(12).batch(np.arange(12))
    at_once, in_parts = model(), model()
    fit(at_once, [(images, labels)], sgd(at_once), epochs=1)
    ends = np.cumsum(sizes)
    parts = [(images[end - size : end], labels[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    fit(in_parts, parts, sgd(in_parts), epochs=1, accumulate=accumulate, max_gradient_norm=1e6)
    for one, other in zip(at_once.parameters(), in_parts.parameters(), strict=True):
        np.testing.assert_allclose(one.data, other.data, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "value", [np.float32(0.25), np.float64(0.25), np.array([0.25]), Tensor(np.float32(0.25)), 0.25]
)
def test_a_metric_may_return_any_kind_of_number(tmp_path, value):
    model, file = small_model(), tmp_path / "a.safetensors"
    options = {"metrics": {"m": lambda outputs, targets: value}, "history": tmp_path / "a.jsonl", "checkpoint": file}
    records = fit(model, loader(), sgd(model), epochs=1, **options)
    assert records[0]["m"] == 0.25
    assert type(records[0]["m"]) is float
    assert read_history(tmp_path / "a.jsonl") == records


@pytest.mark.parametrize("value", [np.ones(3), "high", None, [0.5], Tensor(np.ones(2, np.float32))])
def test_a_metric_that_is_not_a_number_is_named_in_the_first_batch(value):
    model = small_model()
    before = bits(model)
    with pytest.raises(TypeError, match=f"'m' must be one number for a batch, its mean, but is {type(value).__name__}"):
        fit(model, loader(), sgd(model), epochs=1, metrics={"m": lambda outputs, targets: value})
    assert bits(model)["6.bias"] == before["6.bias"]


def test_a_callback_may_add_numpy_numbers_tensors_and_anything_that_has_a_text(tmp_path):
    def note(run):
        added = {
            "a": np.float32(0.5),
            "b": np.arange(2),
            "c": Tensor(np.ones(1)),
            "d": {3: (1, np.int8(2))},
            "e": tmp_path,
        }
        run.records[-1].update(added)

    model = small_model()
    files = {"history": tmp_path / "a.jsonl", "checkpoint": tmp_path / "a.safetensors"}
    record = fit(model, loader(), sgd(model), epochs=1, callbacks=[note], **files)[0]
    assert [record[name] for name in "abcde"] == [0.5, [0, 1], [1.0], {"3": [1, 2]}, str(tmp_path)]
    assert read_history(files["history"]) == [record]


def test_outputs_of_one_column_have_no_accuracy_by_the_highest_score():
    model = nn.Sequential(nn.Flatten(), nn.Linear(30, 1))
    images, _ = dataset(8).batch(np.arange(8))
    answers = (np.arange(8) % 2)[:, None].astype(np.float32)
    for use in (lambda **more: fit(model, [(images, answers)], sgd(model), epochs=1, **more), lambda **more: evaluate(
        model, [(images, answers)], **more)):  # fmt: skip
        with pytest.raises(ValueError, match=r"one column, \(8, 1\).*binary_accuracy.*metrics=\{\}"):
            use(loss=F.binary_cross_entropy_with_logits)
        use(loss=F.binary_cross_entropy_with_logits, metrics={"accuracy": binary_accuracy})


def test_gradients_are_clipped_to_the_norm_asked_for():
    norms = []

    class Watch(optim.SGD):
        def step(self):
            gradients = [p.grad.data.astype(float) for p in self.parameters()]
            norms.append(np.sqrt(sum((g**2).sum() for g in gradients)))
            super().step()

    model = small_model()
    fit(model, loader(), Watch(model.parameters(), lr=0.01), epochs=1, max_gradient_norm=0.01)
    assert len(norms) == 7
    np.testing.assert_allclose(norms, 0.01, rtol=1e-3)


def test_schedules_are_stepped_every_epoch_or_every_step():
    for every, steps in (("epoch", 3), ("step", 21)):
        model = small_model()
        optimizer = sgd(model, lr=1.0)
        schedule = optim.StepLR(optimizer, step_size=1, gamma=0.5)
        fit(model, loader(), optimizer, epochs=3, schedule=schedule, schedule_every=every)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5**steps)


def test_a_plateau_schedule_gets_the_validation_loss():
    model = small_model()
    optimizer = sgd(model, lr=0.0)
    optimizer.param_groups[0]["lr"] = 1e-12
    schedule = optim.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.5, eps=0)
    fit(model, loader(), optimizer, epochs=3, schedule=schedule, validation=loader(size=12))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.25e-12)


def test_early_stopping_without_what_it_watches_is_refused_before_the_first_epoch():
    model = small_model()
    before = bits(model)
    with pytest.raises(ValueError, match=r"'validation_loss'.*pass validation="):
        fit(model, loader(), sgd(model), epochs=1, early_stopping=EarlyStopping())
    assert bits(model) == before


def test_a_plateau_schedule_cannot_be_stepped_after_every_batch():
    model = small_model()
    optimizer = sgd(model)
    schedule = optim.ReduceLROnPlateau(optimizer)
    with pytest.raises(ValueError, match="leave schedule_every at 'epoch'"):
        fit(model, loader(), optimizer, epochs=1, schedule=schedule, schedule_every="step")


def test_mixed_batches_are_trained_on_and_drawn_alike_every_time():
    models = [small_model(), small_model(), small_model()]
    mix = functools.partial(mixup, num_classes=3)
    for model, mixing in zip(models, (mix, mix, None), strict=True):
        fit(model, loader(), sgd(model), epochs=1, mix=mixing)
    assert bits(models[0]) == bits(models[1])
    assert bits(models[0]) != bits(models[2])


def test_a_moving_average_is_what_is_validated():
    model = small_model()
    average = optim.ExponentialMovingAverage(model, decay=0.5)
    validation = loader(size=12, shuffle=False, transform=None)
    records = fit(model, loader(), sgd(model), epochs=2, ema=average, validation=validation)
    assert records[-1]["validation_loss"] == evaluate(average.module, validation)["loss"]
    assert records[-1]["validation_loss"] != evaluate(model, validation)["loss"]


def test_a_moving_average_takes_in_every_step():
    class Counted:
        module, updates = None, 0

        def update_parameters(self, model):
            self.updates += 1

    model, average = small_model(), Counted()
    fit(model, loader(), sgd(model), epochs=2, ema=average, accumulate=2)
    assert average.updates == 2 * 4


def test_early_stopping_ends_the_run_with_the_best_weights():
    model, kept = small_model(), []
    records = fit(
        model,
        loader(),
        sgd(model),
        epochs=9,
        metrics={"constant": lambda outputs, targets: 1.0},  # never better than in the first epoch
        early_stopping=EarlyStopping("constant", patience=2, mode="max"),
        callbacks=[lambda run: kept.append(bits(run.model))],
    )
    assert len(records) == 3
    assert bits(model) == kept[0]
    assert kept[0] != kept[2]


def test_callbacks_see_every_epoch_and_may_add_to_its_record(tmp_path):
    def note(run):
        run.records[-1]["note"] = run.epoch

    model = small_model()
    fit(model, loader(), sgd(model), epochs=2, callbacks=[note], history=tmp_path / "history.jsonl")
    assert [record["note"] for record in read_history(tmp_path / "history.jsonl")] == [1, 2]


def test_history_holds_this_run_only(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_text('{"epoch": 99}\n')
    model = small_model()
    records = fit(model, loader(), sgd(model), epochs=2, history=path)
    assert read_history(path) == records


def one_line(epoch, record, learning_rate="0.05"):
    """The line of an epoch, written out by hand from its record."""
    return (
        f"epoch {epoch}/2  loss {record['loss']:.4f}  accuracy {record['accuracy']:.4f}  "
        f"validation loss {record['validation_loss']:.4f}  validation accuracy {record['validation_accuracy']:.4f}  "
        f"learning rate {learning_rate}  {record['seconds']:.1f} s"
    )


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_in_a_pipe_every_epoch_prints_one_line_and_no_bar(capsys):
    model = small_model()
    records = fit(model, loader(), sgd(model), epochs=2, validation=loader(size=12))
    printed, errors = capsys.readouterr()
    assert printed.splitlines() == [one_line(1, records[0]), one_line(2, records[1])]
    assert errors == ""


def test_on_a_terminal_a_bar_shows_the_running_means_before_the_line(capsys, monkeypatch):
    class Eager(tqdm.std.tqdm):  # draws after every batch, however fast the batches are
        def __init__(self, **options):
            super().__init__(**options, mininterval=0, miniters=1)

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(tqdm.auto, "tqdm", Eager)
    model = small_model()
    records = fit(model, loader(), sgd(model), epochs=2, validation=loader(size=12))
    bars = sys.stderr.getvalue()
    assert "epoch 1/2" in bars
    assert "epoch 2/2" in bars
    assert "7/7" in bars
    assert f"loss={records[0]['loss']:.4f}, accuracy={records[0]['accuracy']:.4f}" in bars  # after the last batch
    assert len(set(re.findall(r"loss=([0-9.]+)", bars))) > 4  # and after the batches before
    assert capsys.readouterr().out.splitlines() == [one_line(1, records[0]), one_line(2, records[1])]


def test_in_a_notebook_the_bar_is_a_widget(capsys, monkeypatch):
    made = []

    class Widget(tqdm.notebook.tqdm_notebook):  # ipywidgets itself need not be installed
        def __init__(self, **options):
            made.append(options)
            tqdm.std.tqdm.__init__(self, **options, file=io.StringIO())
            self.displayed = True

        display = reset = close = lambda self, *arguments, **options: None
        status_printer = staticmethod(tqdm.std.tqdm.status_printer)

    monkeypatch.setattr(tqdm.auto, "tqdm", Widget)
    model = small_model()
    fit(model, loader(), sgd(model), epochs=2)
    assert [(options["desc"], options["total"], options["disable"]) for options in made] == [
        ("epoch 1/2", 7, False),
        ("epoch 2/2", 7, False),
    ]
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_without_progress_nothing_is_printed_anywhere(capsys, monkeypatch):
    model = small_model()
    fit(model, loader(), sgd(model), epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(model, loader(), sgd(model), epochs=1, progress=False)
    assert sys.stderr.getvalue() == ""
    assert capsys.readouterr().out == ""


def test_without_standard_streams_it_trains_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)  # pythonw on Windows has neither
    monkeypatch.setattr(sys, "stderr", None)
    model = small_model()
    assert len(fit(model, loader(), sgd(model), epochs=1)) == 1


def test_a_pipe_that_was_closed_does_not_cost_the_epoch(tmp_path, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError("nobody reads on")

    model = small_model()
    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        fit(model, loader(), sgd(model), epochs=2, checkpoint=tmp_path / "a.safetensors", history=tmp_path / "a.jsonl")
    monkeypatch.undo()
    assert [record["epoch"] for record in read_history(tmp_path / "a.jsonl")] == [1]
    resumed = small_model(seed=5)
    records = fit(resumed, loader(), sgd(resumed), epochs=1, checkpoint=tmp_path / "a.safetensors", resume=True)
    assert len(records) == 1


def test_a_line_shows_whatever_a_callback_added(capsys):
    model = small_model()
    fit(model, loader(), sgd(model), epochs=1, callbacks=[lambda run: run.records[-1].update(note="best so far")])
    assert "  note best so far  learning rate" in capsys.readouterr().out


# Stopping


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run_and_the_checkpoint_stays(tmp_path, bad):
    model, path, calls = small_model(), tmp_path / "checkpoint.safetensors", []

    def loss(outputs, targets):
        calls.append(1)
        return F.cross_entropy(outputs, targets) * (bad if len(calls) == 10 else 1.0)

    saved = []
    options = {"checkpoint": path, "callbacks": [lambda run: saved.append(bits(run.model))]}
    with pytest.raises(
        FloatingPointError, match=rf"loss is {bad} in epoch 2, batch 3 \(learning rate 0.05\).*smaller.*"
    ):
        fit(model, loader(), sgd(model), epochs=3, loss=loss, **options)
    resumed = small_model(seed=5)
    fit(resumed, loader(), sgd(resumed), epochs=1, checkpoint=path, resume=True)
    assert bits(resumed) == saved[0]


def test_the_error_points_to_detect_anomaly():
    model = small_model()
    with pytest.raises(FloatingPointError, match=r"detect_anomaly"):
        fit(model, loader(), sgd(model), epochs=1, loss=lambda outputs, targets: outputs.sum() * float("nan"))


def test_weights_that_are_not_finite_are_never_saved(tmp_path):
    class Explodes(optim.SGD):
        def step(self):
            super().step()
            self.parameters()[0].data[...] = np.inf

    path = tmp_path / "checkpoint.safetensors"
    one_step = DataLoader(dataset(4), 4)
    options = [{}, {"checkpoint": path}, {"checkpoint": path, "checkpoint_every": 1}]
    for batches, option in zip((one_step, one_step, loader()), options, strict=True):
        model = small_model()
        with pytest.raises(FloatingPointError, match=r"0\.weight holds values that are not finite.*epoch 1"):
            fit(model, batches, Explodes(model.parameters(), lr=0.1), epochs=1, **option)
        assert not path.exists()


def test_what_cannot_be_trained_on_is_named():
    model = small_model()
    optimizer = sgd(model)
    with pytest.raises(ValueError, match="the data set is empty"):
        DataLoader(TensorDataset(np.zeros((0, 1, 6, 5), np.float32), np.zeros(0, int)))
    with pytest.raises(ValueError, match="data set is empty"):
        fit(model, [], optimizer, epochs=1)
    with pytest.raises(TypeError, match="must have a length"):
        fit(model, iter([]), optimizer, epochs=1)
    with pytest.raises(ValueError, match="no parameter of this model"):
        fit(model, loader(), sgd(small_model()), epochs=1)
    for options, complaint in [
        ({"epochs": 0}, "epochs must be 1 or more"),
        ({"epochs": 1, "accumulate": 0}, "accumulate must be 1 or more"),
        ({"epochs": 1, "max_gradient_norm": 0.0}, "max_gradient_norm must be above 0"),
        ({"epochs": 1, "schedule_every": "batch"}, "'epoch' or 'step'"),
        ({"epochs": 1, "resume": True}, "need checkpoint="),
        ({"epochs": 1, "checkpoint": "a.pth"}, "must be a .safetensors file"),
        ({"epochs": 1, "checkpoint": "a.safetensors", "checkpoint_every": 0}, "checkpoint_every must be 1 or more"),
        ({"epochs": 1, "loss": lambda y, t: F.cross_entropy(y, t, reduction="none")}, "the loss must be one number"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            fit(model, loader(), optimizer, **options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"epochs": 1.5}, r"epochs must be a whole number, but is float: 1\.5"),
        ({"optimizer": "sgd"}, r"optimizer must be one of minicnn\.optim.*but is 'sgd'"),
        ({"loss": "cross_entropy"}, "loss must be a function .* but is 'cross_entropy'"),
        ({"loss": nn.CrossEntropyLoss}, "loss must be a function .*, or such a layer, but is <class"),
        ({"metrics": [accuracy]}, "metrics must be a dictionary"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named(options, complaint):
    model = small_model()
    arguments = {"optimizer": sgd(model), "epochs": 1, **options}
    with pytest.raises(TypeError, match=complaint):
        fit(model, loader(), **arguments)


class Promising:
    """A loader that gives fewer batches than its length."""

    def __init__(self, *batches, length=3):
        self.batches, self.length = batches, length

    def __len__(self):
        return self.length

    def __iter__(self):
        return iter(self.batches)


def test_a_loader_that_gives_fewer_batches_than_it_promised_is_refused():
    model, batch = small_model(), dataset().batch(np.arange(4))
    for batches, given in (((), 0), ((batch,), 1)):
        with pytest.raises(ValueError, match=f"length of 3 batches, but gave only {given}"):
            fit(model, Promising(*batches), sgd(model), epochs=1)


def test_what_is_no_batch_of_pictures_and_targets_is_refused():
    model = small_model()
    images, labels = dataset().batch(np.arange(4))
    advice = r"a batch must be \(images, targets\).*gave {}; DataLoader\(TensorDataset\(images, labels\)"
    for wrong, found in (
        ((images, labels), r"ndarray \(4, 1, 6, 5\)"),
        ([(images,)], r"tuple \[\(4, 1, 6, 5\)\]"),
        (dataset(), r"tuple \[\(1, 6, 5\), .*\]"),
    ):
        for use in (lambda data: fit(model, data, sgd(model), epochs=1), lambda data: evaluate(model, data)):
            with pytest.raises(TypeError, match=advice.format(found)):
                use(wrong)
    with pytest.raises(ValueError, match=r"a batch without pictures: images have the shape \(0, 1, 6, 5\)"):
        fit(model, [(images[:0], labels[:0])], sgd(model), epochs=1)


def test_a_checkpoint_in_a_folder_that_is_not_there_is_refused_before_the_work(tmp_path):
    model = small_model()
    before = bits(model)
    with pytest.raises(FileNotFoundError, match=r"folder for the checkpoint does not exist: create it first.*missing"):
        fit(model, loader(), sgd(model), epochs=1, checkpoint=tmp_path / "missing" / "a.safetensors")
    assert bits(model) == before


def test_labels_out_of_range_are_an_error():
    model = small_model()
    images, labels = dataset().batch(np.arange(4))
    with pytest.raises(ValueError, match="target"):
        fit(model, [(images, labels + 3)], sgd(model), epochs=1)


def test_the_same_seed_gives_the_same_bits():
    runs = []
    for prefetch in (0, 2):
        model = small_model()
        runs.append((without_seconds(fit(model, loader(prefetch=prefetch), sgd(model), epochs=2)), bits(model)))
    assert runs[0] == runs[1]
