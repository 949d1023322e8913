"""`minicnn train`: any backbone on any data set, in a folder that holds all of the run.

    DIR/settings.json             the options that the run was started with; --resume checks them
    DIR/history.jsonl             one line for every epoch
    DIR/checkpoint.safetensors    the whole state, for --resume
    DIR/weights.safetensors       the result: weights, with model, classes, mean and standard deviation, accuracies

Choices are made on the validation pictures, which are never trained on. The test pictures are read once, at the end.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn.cli import arguments as shared
from minicnn.cli.arguments import count, fraction, positive

OPTIMIZERS = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3}  # and the learning rate if none is given
SCHEDULES = ("cosine", "onecycle", "step", "constant")
AUGMENTATIONS = ("none", "flip", "crop", "flip+crop")
HEAD = "the head"  # the value of --freeze without a name; no module can have this name
SETTINGS, CHECKPOINT, WEIGHTS = "settings.json", "checkpoint.safetensors", "weights.safetensors"
# Options that may differ between a run and its continuation, because no bit of the result depends on them.
NOT_OF_THE_RESULT = (
    "command_line",
    "command",
    "out",
    "resume",
    "threads",
    "quiet",
    "traceback",
    "version",
    "checkpoint_every",
    "no_test",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn train`."""
    add = parser.add_argument
    shared.add_model(parser, "the backbone of --weights")
    shared.add_data(parser)
    shared.add_weights(parser, "fresh ones")
    add("--freeze", nargs="?", const=HEAD, metavar="TO",
        help="keep the layers before the module TO, such as layer3, as they are in --weights, batch-norm statistics "
        "too; --freeze alone trains only the classifier (default: everything is trained)")  # fmt: skip
    shared.add_num_classes(parser, "those of the data set")
    shared.add_image_size(parser, "as --weights want them, or as the pictures are; for PartWorld, Imagenette, folders")
    add("--epochs", type=count, default=10, metavar="N", help="how many times every picture is seen")
    shared.add_batch_size(parser, 128)
    add("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="optimiser; sgd has Nesterov momentum 0.9")
    add("--lr", type=positive, metavar="RATE",
        help=f"learning rate (default: {', '.join(f'{o} {r}' for o, r in OPTIMIZERS.items())})")  # fmt: skip
    add("--schedule", choices=SCHEDULES, default="cosine",
        help="of the learning rate; cosine begins with a warm-up, step divides by 10 at half and three quarters of "
        "the run")  # fmt: skip
    add("--weight-decay", type=fraction, default=5e-4, metavar="SHARE", help="of weights, not of biases and norms")
    add("--label-smoothing", type=fraction, default=0.0, metavar="SHARE", help="of a target that goes to all classes")
    add("--max-gradient-norm", type=positive, metavar="NORM",
        help="scale longer gradients down to this norm (default: no limit)")  # fmt: skip
    add("--augment", choices=AUGMENTATIONS, default="none", help="random changes of the training pictures")
    shared.add_seed(parser)
    shared.add_threads(parser)
    shared.add_out(parser, "all files of the run", None, "runs/MODEL-DATA")
    add("--resume", action="store_true",
        help="go on with the run in DIR, to the same bits as without a stop, or with more --epochs")  # fmt: skip
    add("--checkpoint-every", type=count, metavar="N",
        help="also save after every N batches (default: only after every epoch)")  # fmt: skip
    shared.add_quick_limit(parser)
    add("--no-test", action="store_true", help="leave the test pictures alone, as while settings are being chosen")
    add("--quiet", action="store_true", help="no progress bar and no line for every epoch")


def run(arguments: argparse.Namespace) -> int:
    """Train, save, test; 0 when all is done."""
    settings = {name: value for name, value in vars(arguments).items() if name not in NOT_OF_THE_RESULT}
    settings["lr"] = settings["lr"] or OPTIMIZERS[arguments.optimizer]
    if settings["model"] is None and settings["weights"] is None:
        raise ValueError("which backbone? Give --model, such as --model resnet20, or --weights to start from")
    shared.use_threads(arguments)
    trained = train(settings, arguments)
    data = Path(arguments.data).name
    print(f"{trained.model} on {data}: {_percentages(trained.results)}; weights in {trained.folder / WEIGHTS}")
    return 0


@dataclass(frozen=True)
class Trained:
    """A finished run: the name of its backbone, its folder, and {"validation_accuracy", "test_accuracy"}."""

    model: str
    folder: Path
    results: dict[str, float | None]


def train(settings: dict[str, Any], arguments: argparse.Namespace) -> Trained:
    """A run from its first step to the test, after all its files are written.

    `settings` decide the result; of `arguments` only those are used that no bit of the result depends on.
    """
    import functools

    import minicnn.functional as F
    from minicnn import random
    from minicnn.cli.train_parts import make_optimizer, make_schedule
    from minicnn.cli.train_start import make_start
    from minicnn.files.atomic import make_folder, write_atomically
    from minicnn.training import evaluate, fit
    from minicnn.versions import recorded_versions
    from minicnn.weights import save

    random.manual_seed(settings["seed"])
    start = make_start(settings)
    folder = arguments.out or Path("runs") / f"{start.name}-{Path(arguments.data).name}"
    _check_folder(folder, settings, arguments.resume)
    model, data = start.model, start.data
    optimizer = make_optimizer(settings, model)
    settings_file = make_folder(folder) / SETTINGS  # made here: a run that could not begin leaves nothing
    write_atomically(settings_file, json.dumps(settings, indent=2).encode() + b"\n")
    records = fit(
        model,
        data.train,
        optimizer,
        epochs=settings["epochs"],
        loss=functools.partial(F.cross_entropy, label_smoothing=settings["label_smoothing"]),
        schedule=make_schedule(settings, optimizer, len(data.train)),
        schedule_every="step",
        validation=data.validation,
        max_gradient_norm=settings["max_gradient_norm"],
        checkpoint=folder / CHECKPOINT,
        checkpoint_every=arguments.checkpoint_every,
        resume=arguments.resume,
        history=folder / "history.jsonl",
        progress=not arguments.quiet,
    )
    results = {"validation_accuracy": records[-1]["validation_accuracy"], "test_accuracy": None}
    metadata = {
        "model": start.name,
        "model_options": start.options,
        "data": settings["data"],
        "num_classes": model.num_classes,
        "image_shape": list(data.image_shape),
        "settings": settings,
        "command": arguments.command_line,
        "versions": recorded_versions(),
        **data.information(start.name).as_metadata(),
    }
    # Saved before the test as well: test pictures that can't be had must not cost the training.
    save(model, folder / WEIGHTS, metadata=metadata | results)
    test = None if arguments.no_test else data.make_test()
    if test is not None:
        results["test_accuracy"] = evaluate(model, test)["accuracy"]
        save(model, folder / WEIGHTS, metadata=metadata | results)
    return Trained(start.name, folder, results)


def _check_folder(folder: Path, settings: dict[str, Any], resume: bool) -> None:
    """Raise ValueError for a new run in a folder with a run, and for a resumed run that began with other options.

    Training on is allowed: more epochs than the run had. The user is told how such a run differs from one of that many
    epochs.
    """
    file = folder / SETTINGS
    settings = json.loads(json.dumps(settings))
    if resume and not file.exists():
        raise ValueError(f"{folder} holds no run to resume; leave out --resume to begin one")
    if not resume and (folder / CHECKPOINT).exists():
        raise ValueError(f"{folder} holds a run already: add --resume to go on with it, or choose another --out")
    if not resume:
        return
    before = _read_settings(file)
    different = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
    if different == ["epochs"] and before["epochs"] < settings["epochs"]:
        if settings["schedule"] != "constant":
            print(
                f"minicnn: the run had {before['epochs']} epochs and goes on to {settings['epochs']}: the learning "
                f"rate follows the {settings['schedule']} schedule of {settings['epochs']} epochs from here",
                file=sys.stderr,
            )
        return
    if different:
        changes = ", ".join(f"{name} was {before.get(name)!r}, is {settings.get(name)!r}" for name in different)
        raise ValueError(f"the run in {folder} was started with other options ({changes}); resume it with the same")


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return settings
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); begin a new run in another --out") from error


def _percentages(results: dict[str, float | None]) -> str:
    tested = results["test_accuracy"]
    text = f"validation accuracy {results['validation_accuracy']:.4f}"
    return f"{text}, test accuracy {tested:.4f}" if tested is not None else f"{text} (not tested)"
