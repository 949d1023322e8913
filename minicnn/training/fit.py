"""The training loop. `_train_epoch` and `_update` are the algorithm; the rest measures, records and saves."""

import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minicnn.functional as F
from minicnn import random
from minicnn.data.loader import ImageBatches
from minicnn.files.temporary import remove_abandoned
from minicnn.nn import Module
from minicnn.optim import Optimizer, ReduceLROnPlateau, clip_grad_norm_
from minicnn.tensor import Tensor
from minicnn.training.averages import Averages
from minicnn.training.checkpoint import load_checkpoint, save_checkpoint
from minicnn.training.early_stopping import EarlyStopping
from minicnn.training.evaluation import ACCURACY, Metrics, evaluate
from minicnn.training.finite_checks import check_loss, check_weights
from minicnn.training.history import append_record, plain_values, start_history
from minicnn.training.interruption import CtrlC, TrainingInterrupted
from minicnn.training.progress import advance, epoch_line, progress_bar
from minicnn.training.run import Run, count_batches, epoch_batches

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class StepSettings:
    """The settings of a step, the same for all steps: the arguments of `fit` with these names."""

    loss: Callable[..., Any]
    metrics: Metrics
    mix: Callable[..., Any] | None
    accumulate: int
    max_gradient_norm: float | None
    schedule_every: str


def _train_epoch(run: Run, settings: StepSettings) -> Iterator[None]:
    """Train on the batches of the present epoch that are still to come; pauses after every step of the optimiser."""
    run.model.train()
    sizes: list[int] = []  # pictures in each batch of the present step
    for batch, (images, *targets) in run.remaining_batches():
        random.set_position(run.epoch, batch)  # dropout and mixing draw the same numbers when this step is repeated
        if settings.mix is not None:
            images, *targets = settings.mix(images, *targets)

        outputs = run.model(Tensor(images))
        loss = settings.loss(outputs, *map(Tensor, targets))
        check_loss(loss, run.epoch, batch, run.optimizer)
        # Gradients add up: those of a step to the mean over its pictures, if all its batches are as large as the first.
        sizes.append(len(images))
        (loss * (sizes[-1] / sizes[0]) / run.group_size(batch, settings.accumulate)).backward()

        run.averages.add("loss", loss.item(), len(images))
        for name, metric in settings.metrics.items():
            run.averages.add(name, metric(outputs, targets[0]), len(images))
        run.batch = batch + 1
        if run.batch % settings.accumulate == 0 or run.batch == len(run.loader):
            _scale_gradients(run, sizes[0] * len(sizes) / sum(sizes))
            _update(run, settings)
            sizes.clear()
            yield


def _scale_gradients(run: Run, factor: float) -> None:
    """Multiply all gradients by `factor`, which is 1 unless the batches of a step differ in size."""
    if factor != 1:
        for group in run.optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    np.multiply(parameter.grad.data, factor, out=parameter.grad.data)


def _update(run: Run, settings: StepSettings) -> None:
    """One step of the optimiser with the gradients that were gathered."""
    if settings.max_gradient_norm is not None:
        parameters = [parameter for group in run.optimizer.param_groups for parameter in group["params"]]
        clip_grad_norm_(parameters, settings.max_gradient_norm)
    run.learning_rate = float(run.optimizer.param_groups[0]["lr"])
    run.optimizer.step()
    run.optimizer.zero_grad()
    if run.ema is not None:
        run.ema.update_parameters(run.model)
    if run.schedule is not None and settings.schedule_every == "step":
        run.schedule.step()


def fit(
    model: Module,
    loader: ImageBatches,
    optimizer: Optimizer,
    *,
    epochs: int,
    loss: Callable[..., Any] = F.cross_entropy,
    metrics: Metrics = ACCURACY,
    mix: Callable[..., Any] | None = None,
    schedule: Any = None,
    schedule_every: str = "epoch",
    validation: ImageBatches | None = None,
    max_gradient_norm: float | None = None,
    accumulate: int = 1,
    ema: Any = None,
    early_stopping: EarlyStopping | None = None,
    callbacks: Sequence[Callable[[Run], Any]] = (),
    checkpoint: PathLike | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    history: PathLike | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """The records of all epochs, after training `model` on `loader` until `epochs` epochs are finished.

    A record is {"epoch", "loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate", "seconds"};
    loss and metrics are means over the epoch's pictures while the weights were still moving, the rate is that of the
    last step.

    loader             a DataLoader, or a list of batches (images (N, C, H, W), targets)
    loss, metrics      loss(outputs, *targets) -> Tensor, a mean; {name: metric(outputs, targets) -> float, a mean}
    mix                mix(images, targets) -> (images, targets): mixup or cutmix with its other arguments bound
    schedule           stepped after every "epoch" or, with schedule_every="step", after every step of the optimiser
    validation         a loader to measure on after every epoch, in evaluation mode
    max_gradient_norm  gradients are scaled down to this norm before a step
    accumulate         this many batches make one step; the memory of one, the gradient of all, in which every picture
                       counts the same (batch norm still sees one batch at a time)
    ema                a moving average of the weights: if given, the average is validated
    early_stopping     an EarlyStopping; at the end the model has the weights of its best epoch, if they were kept
    callbacks          called with the Run after every epoch, before it is saved; may add numbers and text to its record
    checkpoint         a .safetensors file, written after every epoch, after every `checkpoint_every` batches (rounded
                       up to a whole step), and on Ctrl-C
    resume             go on from `checkpoint`, with the same bits as if the run had never stopped; from the
                       start if the file does not exist yet
    history            a .jsonl file that gets one line for every epoch; a new run overwrites an older file
    progress           print the record of every epoch in one line; on a terminal and in a notebook, show a bar with the
                       running loss and metrics during the epoch. False: print nothing

    Raises ValueError for an empty data set, a checkpoint of another model or wrong arguments; FloatingPointError,
    before anything is saved, when the loss or the weights are not finite any more; TrainingInterrupted (a
    KeyboardInterrupt) after Ctrl-C, once the checkpoint is written; OSError if a file cannot be written.
    """
    settings = StepSettings(loss, metrics, mix, accumulate, max_gradient_norm, schedule_every)
    _check_parts(model, optimizer, settings, schedule)
    _check_early_stopping(early_stopping, validation)
    _check_arguments(loader, epochs, settings, checkpoint, checkpoint_every, resume)
    run = Run(model, optimizer, loader, schedule, ema, early_stopping)
    if resume and checkpoint is not None and Path(checkpoint).exists():
        load_checkpoint(run, checkpoint)
    if checkpoint is not None:
        remove_abandoned(Path(os.path.realpath(checkpoint)))  # of a killed run; a run with nothing left saves nothing
    if history is not None:
        start_history(history, run.records)
    optimizer.zero_grad()

    # NumPy's warnings are off: check_loss and check_weights say more of the same.
    with np.errstate(over="ignore", invalid="ignore"), CtrlC(active=checkpoint is not None) as ctrl_c:
        while run.epoch < epochs and not (early_stopping is not None and early_stopping.should_stop):
            started = time.perf_counter() - run.seconds
            with progress_bar(f"epoch {run.epoch + 1}/{epochs}", len(loader), run.batch, progress) as bar:
                for _ in _train_epoch(run, settings):
                    advance(bar, run.batch, run.averages)
                    run.seconds = time.perf_counter() - started
                    if run.batch < len(loader) and (ctrl_c.pressed or _is_due(run, settings, checkpoint_every)):
                        _save(run, checkpoint)
                        _stop_if(ctrl_c.pressed, run, checkpoint)
            _finish_epoch(run, settings, validation, started)
            for callback in callbacks:
                callback(run)
            run.records[-1].update(plain_values(run.records[-1]))  # a callback may have added what JSON cannot hold
            _save(run, checkpoint)
            if history is not None:
                append_record(history, run.records[-1])
            if progress:
                print(epoch_line(run.records[-1], epochs), flush=True)  # last: a closed pipe must not cost the epoch
            _stop_if(ctrl_c.pressed, run, checkpoint)
    if early_stopping is not None:
        early_stopping.restore(run.evaluated_model)
    return run.records


def _finish_epoch(run: Run, settings: StepSettings, validation: ImageBatches | None, started: float) -> None:
    """Measure, write the epoch's record, and move to the start of the next epoch."""
    check_weights(run.model, run.epoch)
    record = {"epoch": run.epoch + 1, **run.averages.means()}
    if validation is not None:
        measured = evaluate(run.evaluated_model, epoch_batches(validation, run.epoch), settings.loss, settings.metrics)
        record.update({f"validation_{name}": value for name, value in measured.items()})
    record["learning_rate"] = run.learning_rate
    record["seconds"] = round(time.perf_counter() - started, 3)
    run.records.append(record)
    if run.early_stopping is not None:
        run.early_stopping.update(record, run.evaluated_model)
    if isinstance(run.schedule, ReduceLROnPlateau):
        run.schedule.step(record.get("validation_loss", record["loss"]))
    elif run.schedule is not None and settings.schedule_every == "epoch":
        run.schedule.step()
    run.epoch, run.batch, run.seconds, run.averages = run.epoch + 1, 0, 0.0, Averages()


def _is_due(run: Run, settings: StepSettings, every: int | None) -> bool:
    """True if a multiple of `every` lies among the batches of the step that was just made."""
    if every is None:
        return False
    before = (run.batch - 1) // settings.accumulate * settings.accumulate
    return run.batch // every > before // every


def _save(run: Run, checkpoint: PathLike | None) -> None:
    if checkpoint is not None:
        check_weights(run.model, run.epoch - (run.batch == 0))
        save_checkpoint(run, checkpoint)


def _stop_if(pressed: bool, run: Run, checkpoint: PathLike | None) -> None:
    if pressed:
        raise TrainingInterrupted(
            f"training stopped after {run.epoch} epochs and {run.batch} batches; all of it is in {checkpoint}: "
            "the same call with resume=True (the same command with --resume) goes on from there"
        )


def _check_parts(model: Module, optimizer: Optimizer, settings: StepSettings, schedule: Any) -> None:
    if not hasattr(optimizer, "param_groups"):
        raise TypeError(
            f"optimizer must be one of minicnn.optim, such as SGD(model.parameters()), but is {optimizer!r}"
        )
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if trained.isdisjoint(map(id, model.parameters())):
        raise ValueError("optimizer has no parameter of this model: make it from this one's model.parameters()")
    if not callable(settings.loss) or isinstance(settings.loss, type):
        raise TypeError(f"loss must be a function of (outputs, targets), or such a layer, but is {settings.loss!r}")
    if not isinstance(settings.metrics, Mapping):
        raise TypeError(f"metrics must be a dictionary {{name: metric(outputs, targets)}}, but is {settings.metrics!r}")
    if isinstance(schedule, ReduceLROnPlateau) and settings.schedule_every == "step":
        raise ValueError("ReduceLROnPlateau watches the loss of an epoch: leave schedule_every at 'epoch'")


def _check_early_stopping(early_stopping: EarlyStopping | None, validation: ImageBatches | None) -> None:
    """Checked before the first epoch: a later error would lose that epoch."""
    if early_stopping is not None and validation is None and early_stopping.monitor.startswith("validation_"):
        raise ValueError(
            f"early stopping watches {early_stopping.monitor!r}, but nothing is validated: pass validation=..., or "
            "watch 'loss'"
        )


def _check_arguments(
    loader: ImageBatches,
    epochs: int,
    settings: StepSettings,
    checkpoint: PathLike | None,
    every: int | None,
    resume: bool,
) -> None:
    count_batches(loader)
    if not isinstance(epochs, (int, np.integer)):
        raise TypeError(f"epochs must be a whole number, but is {type(epochs).__name__}: {epochs!r}")
    if epochs < 1:
        raise ValueError(f"epochs must be 1 or more, but is {epochs}")
    if settings.accumulate < 1:
        raise ValueError(f"accumulate must be 1 or more batches, but is {settings.accumulate}")
    if settings.max_gradient_norm is not None and not settings.max_gradient_norm > 0:
        raise ValueError(f"max_gradient_norm must be above 0, but is {settings.max_gradient_norm}")
    if settings.schedule_every not in ("epoch", "step"):
        raise ValueError(f"schedule_every must be 'epoch' or 'step', but is {settings.schedule_every!r}")
    if checkpoint is None and (resume or every is not None):
        raise ValueError("resume and checkpoint_every need checkpoint=, the file to go on from and to write to")
    if checkpoint is not None and Path(checkpoint).suffix != ".safetensors":
        raise ValueError(f"checkpoint must be a .safetensors file, but is {str(checkpoint)!r}")
    if checkpoint is not None and not Path(checkpoint).absolute().parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "the folder for the checkpoint does not exist: create it first", str(checkpoint)
        )
    if every is not None and every < 1:
        raise ValueError(f"checkpoint_every must be 1 or more batches, but is {every}")
