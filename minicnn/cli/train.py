"""`minicnn train`: any backbone on any data set, in a folder that holds all of the run.

    DIR/settings.json             what the run was started with; --resume checks it
    DIR/history.jsonl             one line for every epoch
    DIR/checkpoint.safetensors    the whole state, for --resume
    DIR/weights.safetensors       the result: weights, with model, classes, mean and standard deviation, accuracies

Choices are made on the validation pictures, which are never trained on. The test pictures are read once, at the end.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from minicnn.cli.arguments import add_backbone_options, count, fraction, positive

OPTIMIZERS = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3}  # and the learning rate if none is given
SCHEDULES = ("cosine", "onecycle", "step", "constant")
AUGMENTATIONS = ("none", "flip", "crop", "flip+crop")
# What may differ between a run and its continuation, because no bit of the result depends on it.
NOT_OF_THE_RESULT = (
    "command_line",
    "command",
    "out",
    "resume",
    "threads",
    "quiet",
    "traceback",
    "checkpoint_every",
    "no_test",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn train`."""
    add = parser.add_argument
    add("--model", required=True, metavar="M", help="a backbone, such as lenet5, vgg6_bn or resnet20")
    add("--data", required=True, metavar="D", help="a data set, such as partworld or cifar10, or a folder of pictures")
    add_backbone_options(parser)
    add("--num-classes", type=count, help="classes of the head (default: those of the data set)")
    add("--image-size", type=count, help="side of the pictures, for PartWorld, Imagenette and folders")
    add("--epochs", type=count, default=10)
    add("--batch-size", type=count, default=128)
    add("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="(default: sgd, with Nesterov momentum 0.9)")
    add("--lr", type=positive, help=f"learning rate (default: {', '.join(f'{o} {r}' for o, r in OPTIMIZERS.items())})")
    add("--schedule", choices=SCHEDULES, default="cosine",
        help="of the learning rate; cosine begins with a warm-up, step divides by 10 at half and three quarters of "
        "the run (default: cosine)")  # fmt: skip
    add("--weight-decay", type=fraction, default=5e-4, help="of weights, not of biases and norms (default: 5e-4)")
    add("--label-smoothing", type=fraction, default=0.0)
    add("--max-gradient-norm", type=positive, help="scale longer gradients down to this norm")
    add("--augment", choices=AUGMENTATIONS, default="none", help="(default: none)")
    add("--seed", type=int, default=0)
    add("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/MODEL-DATA)")
    add("--resume", action="store_true", help="go on with the run in DIR, with the same bits as if it had not stopped")
    add(
        "--checkpoint-every",
        type=count,
        metavar="N",
        help="also save after every N batches, not only after every epoch",
    )
    add("--threads", type=count, help="of the kernels; the result does not depend on it (default: all)")
    add(
        "--quick-limit",
        type=count,
        metavar="N",
        help="use at most N pictures for each of training, validation and test",
    )
    add("--no-test", action="store_true", help="leave the test pictures alone, as while settings are being chosen")
    add("--quiet", action="store_true", help="no progress bar and no line for every epoch")


def run(arguments: argparse.Namespace) -> int:
    """Train, save, test; 0 when all of it is done."""
    from minicnn.kernels.compiling.compile import set_num_threads

    folder = arguments.out or Path("runs") / f"{arguments.model}-{Path(arguments.data).name}"
    settings = {name: value for name, value in vars(arguments).items() if name not in NOT_OF_THE_RESULT}
    settings["lr"] = settings["lr"] or OPTIMIZERS[arguments.optimizer]
    if arguments.threads is not None:
        set_num_threads(arguments.threads)
    _check_folder(folder, settings, arguments.resume)
    results = train(folder, settings, arguments)
    print(
        f"{arguments.model} on {arguments.data}: {_percentages(results)}; weights in {folder / 'weights.safetensors'}"
    )
    return 0


def train(folder: Path, settings: dict[str, Any], arguments: argparse.Namespace) -> dict[str, float | None]:
    """{"validation_accuracy", "test_accuracy"} of a run whose files are written to `folder`.

    `settings` decide the result; of `arguments` only those are used that no bit of it depends on.
    """
    import functools

    import minicnn.functional as F
    from minicnn import random
    from minicnn.cli.train_parts import make_data, make_model, make_optimizer, make_schedule, model_settings
    from minicnn.files.atomic import make_folder, write_atomically
    from minicnn.training import evaluate, fit
    from minicnn.versions import recorded_versions
    from minicnn.weights import save

    random.manual_seed(settings["seed"])
    data = make_data(settings)
    classes = settings["num_classes"] or len(data.classes)
    if classes < len(data.classes):
        raise ValueError(f"--num-classes is {classes}, but {settings['data']} has {len(data.classes)} classes")
    model = make_model(settings, classes, data.image_shape)
    optimizer = make_optimizer(settings, model)
    if not arguments.resume:  # nothing is left behind by a run that could not begin
        settings_file = make_folder(folder) / "settings.json"
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
        checkpoint=folder / "checkpoint.safetensors",
        checkpoint_every=arguments.checkpoint_every,
        resume=arguments.resume,
        history=folder / "history.jsonl",
        progress=not arguments.quiet,
    )
    results = {"validation_accuracy": records[-1]["validation_accuracy"], "test_accuracy": None}
    metadata = {
        "model": settings["model"],
        "model_options": model_settings(settings, data.image_shape),
        "data": settings["data"],
        "num_classes": classes,
        "image_shape": list(data.image_shape),
        "settings": settings,
        "command": arguments.command_line,
        "versions": recorded_versions(),
        **data.information(settings["model"]).as_metadata(),
    }
    # Saved before the test as well: test pictures that can't be had must not cost the training.
    save(model, folder / "weights.safetensors", metadata=metadata | results)
    test = None if arguments.no_test else data.make_test()
    if test is not None:
        results["test_accuracy"] = evaluate(model, test)["accuracy"]
        save(model, folder / "weights.safetensors", metadata=metadata | results)
    return results


def _check_folder(folder: Path, settings: dict[str, Any], resume: bool) -> None:
    """Raise ValueError for a new run in a folder that holds one, and for a resumed one that began otherwise."""
    file = folder / "settings.json"
    settings = json.loads(json.dumps(settings))
    if resume and not file.exists():
        raise ValueError(f"there is no run to resume in {folder}; leave out --resume to begin one")
    if not resume and (folder / "checkpoint.safetensors").exists():
        raise ValueError(f"{folder} holds a run already: add --resume to go on with it, or choose another --out")
    if resume:
        before = _read_settings(file)
        different = [name for name in {**before, **settings} if before.get(name) != settings.get(name)]
        if different:
            changes = ", ".join(f"{name} was {before.get(name)!r}, is {settings.get(name)!r}" for name in different)
            raise ValueError(f"the run in {folder} was started with other options ({changes}); resume it with the same")


def _read_settings(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is damaged ({error}); begin the run anew in another --out") from error


def _percentages(results: dict[str, float | None]) -> str:
    tested = results["test_accuracy"]
    text = f"validation accuracy {results['validation_accuracy']:.4f}"
    return f"{text}, test accuracy {tested:.4f}" if tested is not None else f"{text} (not tested)"
