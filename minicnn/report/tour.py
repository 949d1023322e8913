"""The tour: from nothing to a trained backbone, its features, and their use for other tasks, on one page.

1  train     a small residual network learns PartWorld's ten arrangements of parts
2  look      linear probes measure how much each stage makes readable, beside the same network before training
3  move      the backbone meets a near and a far set with 20 labelled pictures a class
4  write     index.html (self-contained) and results.json (every number on the page)
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

import minicnn
from minicnn import backbones
from minicnn.data import DataLoader, PartWorld
from minicnn.data.transforms import Compose, RandomHorizontalFlip
from minicnn.features.activations import extract
from minicnn.features.ladder import LEVELS, level_sizes, probe_ladder, probe_pixels
from minicnn.features.separation import NORMALIZE
from minicnn.figures import curves, images
from minicnn.files.atomic import check_writable, make_folder, write_atomically
from minicnn.nn import Module
from minicnn.optim import SGD, OneCycleLR
from minicnn.report.page import Page
from minicnn.training import evaluate, fit, reestimate_batch_norm
from minicnn.transfer.recipes import fine_tuned, from_scratch, frozen
from minicnn.transfer.target import TransferTask

PER_CLASS = 20  # labelled pictures a class in the target sets
TARGETS = ("near", "far")
METHODS = ("random, frozen", "from scratch", "frozen", "fine-tuned")


@dataclass(frozen=True)
class Size:
    """How much the tour does: numbers of pictures and epochs, and the shape of the network."""

    model: str  # a residual backbone's name
    width: int  # channels of its first stage; the second has twice, the third four times as many
    train_pictures: int
    epochs: int
    probe_pictures: int  # to fit the probes on
    test_pictures: int  # to score the network, the probes and the transfer on
    fine_tune_epochs: int
    scratch_epochs: int


FULL = Size("resnet14", 16, 8_000, 6, 2_000, 1_000, 12, 30)
QUICK = Size("resnet8", 16, 4_000, 4, 1_000, 500, 6, 12)


def run_tour(
    out: str | os.PathLike[str],
    size: Size = FULL,
    seed: int = 0,
    say: Callable[[str], Any] = print,
    progress: bool = True,
) -> dict[str, Any]:
    """The results, after writing them to `out`/results.json and as a page to `out`/index.html.

    `say` receives one line for every step. Raises OSError, naming the path, if `out` can't be written; that is found
    out before the work begins.
    """
    out = make_folder(out)
    check_writable(out / "results.json")
    minicnn.manual_seed(seed)
    started = time.perf_counter()
    clock: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        say(f"{step} ...")
        begun = time.perf_counter()
        result = work()
        clock[step] = round(time.perf_counter() - begun, 2)
        return result

    train = timed("drawing pictures", lambda: PartWorld("train", size.train_pictures, seed=seed))
    test = PartWorld("test", size.test_pictures, seed=seed)
    model, untrained, history = timed("training", lambda: train_backbone(train, test, size, seed, progress))
    ladder = timed("probing", lambda: climb_ladder(model, untrained, test, size, seed))
    transfer = timed("transferring", lambda: transfer_to_targets(model, untrained, size, seed))
    results: dict[str, Any] = {
        "size": asdict(size),
        "seed": seed,
        "machine": _machine(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "history": history,
        "test_accuracy": evaluate(model, _loader(test))["accuracy"],
        "ladder": ladder,
        "transfer": transfer,
    }
    timed("writing the page", lambda: write_page(out / "index.html", results, model, untrained, train, test))
    results["seconds"] = clock | {"total": round(time.perf_counter() - started, 2)}
    write_atomically(out / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    return results


def train_backbone(
    train: PartWorld, test: PartWorld, size: Size, seed: int, progress: bool
) -> tuple[Module, Module, list[dict[str, Any]]]:
    """A trained backbone, the same backbone before training, and the record of every epoch."""

    def fresh() -> Module:
        return backbones.create(size.model, num_classes=len(train.classes), width=size.width, seed=seed)

    loader = DataLoader(
        train, batch_size=100, shuffle=True, transform=Compose([RandomHorizontalFlip(), NORMALIZE]), seed=seed
    )
    untrained = fresh()
    # The control gets the statistics of the pictures too, so that training is the only difference.
    reestimate_batch_norm(untrained, loader, batches=4)
    model = fresh()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = OneCycleLR(optimizer, max_lr=0.2, total_steps=size.epochs * len(loader), pct_start=0.25)
    history = fit(
        model,
        loader,
        optimizer,
        epochs=size.epochs,
        schedule=schedule,
        schedule_every="step",
        validation=_loader(PartWorld("val", min(1_000, size.test_pictures), seed=seed)),
        progress=progress,
    )
    return model, untrained, history


def _loader(dataset: PartWorld) -> DataLoader:
    return DataLoader(dataset, batch_size=250, transform=NORMALIZE)


def stages_of(model: Any) -> list[str]:
    """The dotted names of the stages at which the ladder is climbed, from the bottom up."""
    result: list[str] = model.feature_info.module_name()
    return result


def climb_ladder(model: Module, untrained: Module, scored_on: PartWorld, size: Size, seed: int) -> dict[str, Any]:
    """Probe accuracies: {"stages", "chance", "pixels", "trained", "untrained"}, the last two by level and stage."""
    # The network was not trained on these pictures, so the probes do not measure its memory of them.
    fitted_on = PartWorld("val", size.probe_pictures, seed=seed)
    stages = stages_of(model)
    return {
        "stages": stages,
        "chance": {level: 1 / count for level, count in level_sizes(fitted_on).items()},
        "pixels": probe_pixels(fitted_on, scored_on),
        "trained": probe_ladder(model, stages, fitted_on, scored_on, NORMALIZE),
        "untrained": probe_ladder(untrained, stages, fitted_on, scored_on, NORMALIZE),
    }


def transfer_to_targets(model: Module, untrained: Module, size: Size, seed: int) -> dict[str, dict[str, float]]:
    """{target: {method: test accuracy}} for each of TARGETS and METHODS."""
    results = {}
    for family in TARGETS:
        target = _target(family, size.test_pictures, seed)
        accuracies = (
            frozen(untrained, target),
            from_scratch(untrained, target, epochs=size.scratch_epochs, seed=seed),
            frozen(model, target),
            fine_tuned(model, target, epochs=size.fine_tune_epochs, seed=seed),
        )
        results[family] = dict(zip(METHODS, accuracies, strict=True))
    return results


def _target(family: str, test_pictures: int, seed: int) -> TransferTask:
    # Picture i is of class i % 10, so the first 10 * k pictures have k of each class.
    train = PartWorld("train", PER_CLASS * 10, family=family, seed=seed)
    test = PartWorld("test", test_pictures, family=family, seed=seed)
    arrays = [NORMALIZE(dataset.batch(np.arange(len(dataset)))[0]) for dataset in (train, test)]
    return TransferTask(family, arrays[0], train.labels, arrays[1], test.labels, len(train.classes))


def _machine() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": numba.get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "minicnn": minicnn.__version__,
    }


def write_page(
    path: Path, results: dict[str, Any], model: Any, untrained: Any, train: PartWorld, test: PartWorld
) -> None:
    """Write the page, whose numbers are all from `results`."""
    page = Page(
        "How a small network learns to see",
        f"A residual network with {results['parameters']:,} parameters, trained from nothing on generated pictures of "
        "which everything is known. Every number below is in results.json beside this page.",
    )
    _write_pictures(page, train)
    _write_training(page, results)
    _write_ladder(page, results["ladder"])
    _write_filters(page, model, untrained, results["ladder"])
    _write_feature_maps(page, model, test)
    _write_transfer(page, results)
    _write_ending(page, results)
    page.write(path)


def _write_pictures(page: Page, train: PartWorld) -> None:
    page.heading("The pictures")
    page.paragraph(
        "Each picture shows one object made of three parts. Its class, one row each, is the arrangement of the parts: "
        "which part stands where. Colour, texture, place, size, turn, brightness and noise are drawn independently of "
        "the class, and the same parts occur in many classes. So no single edge, colour, texture or part gives the "
        "class away; they must be combined."
    )
    page.figure(images.image_sheet(train.images, train.labels, train.classes), "Ten classes, eight pictures of each.")


def _write_training(page: Page, results: dict[str, Any]) -> None:
    history = results["history"]
    page.heading("Learning")
    page.paragraph(
        f"The network saw {results['size']['train_pictures']:,} pictures {len(history)} times, mirrored at random. On "
        f"pictures that were new to the network, its accuracy was {history[0]['validation_accuracy']:.2f} after the "
        "first epoch and "
        f"{history[-1]['validation_accuracy']:.2f} after the last. On a test set that was used for no decision, "
        f"the accuracy is {results['test_accuracy']:.3f}; guessing would give 0.10."
    )
    page.figure(curves.training_curves(history), "Loss and accuracy by epoch.")


def _write_ladder(page: Page, ladder: dict[str, Any]) -> None:
    stages, trained, untrained = ladder["stages"], ladder["trained"], ladder["untrained"]
    page.heading("What each stage knows")
    page.paragraph(
        "At each stage a linear classifier, a probe, tries to read a property off the activations, which stay as they "
        "are. The dashed line is the same probe on the same network before training: the part that is owed to the "
        "architecture alone."
    )
    levels = {level: {"trained": trained[level], "untrained": untrained[level]} for level in LEVELS}
    page.figure(
        curves.probe_curves(levels, ["stem", *stages[1:]], ladder["chance"]),
        "Probe accuracy by stage, for five properties from low to high level.",
    )
    peak = ["the stem", *stages[1:]][int(np.argmax(trained["orientation"]))]
    page.paragraph(
        "Look for low levels that come first and high levels that come last. Here orientation is read best at "
        f"{peak} ({max(trained['orientation']):.2f}), and at "
        f"the top with {trained['orientation'][-1]:.2f}; colour, which tells nothing of the class, goes from "
        f"{trained['colour'][0]:.2f} to {trained['colour'][-1]:.2f}. Parts go from "
        f"{trained['part'][0]:.2f} to {trained['part'][-1]:.2f}, and the object from {trained['object'][0]:.2f} to "
        f"{trained['object'][-1]:.2f}. On the untrained network the object is never read better than "
        f"{max(untrained['object']):.2f}: the difference is owed to training."
    )
    rows = []
    for level in LEVELS:
        rows.append([f"{level}, trained", f"{ladder['pixels'][level]:.2f}", *(f"{x:.2f}" for x in trained[level])])
        rows.append([f"{level}, untrained", "", *(f"{x:.2f}" for x in untrained[level])])
    page.table(["probe", "pixels", "stem", *stages[1:]], rows)


def _write_filters(page: Page, model: Any, untrained: Any, ladder: dict[str, Any]) -> None:
    page.heading("Looking inside")
    name, learned = _first_filters(model)
    _, random = _first_filters(untrained)
    side = f"{learned.shape[2]}x{learned.shape[3]}"
    page.paragraph(
        f"The filters of the first layer have {side} pixels in three colours, so they can be shown as pictures. But a "
        "filter this small can hardly be judged by eye: compare the learned filters with the random filters below "
        "them. A probe can judge them: from the feature maps of the stem it reads the orientation with an accuracy of "
        f"{ladder['trained']['orientation'][0]:.2f} if the filters are learned, and of "
        f"{ladder['untrained']['orientation'][0]:.2f} if they are random."
    )
    page.figure(
        images.filter_grid(np.concatenate([learned, random])),
        f"The {len(learned)} filters of {name} after training, then the {len(random)} of the same network before "
        "training. Grey is zero; all have one scale.",
    )


def _first_filters(model: Any) -> tuple[str, np.ndarray]:
    """The name of the first layer with weights, and its filters (C_out, 3, KH, KW)."""
    return next((name, module.weight.data) for name, module in model.named_modules() if hasattr(module, "weight"))


def _write_feature_maps(page: Page, model: Any, test: PartWorld) -> None:
    picture = test.batch(np.arange(1))[0]
    maps = {tap: array[0] for tap, array in extract(model, NORMALIZE(picture), stages_of(model)).items()}
    named = dict(zip(["stem", *list(maps)[1:]], maps.values(), strict=True))
    page.paragraph(
        "One picture on its way up. At the stem the outlines can still be traced; higher up the maps are coarser, and "
        "each cell sees more of the picture."
    )
    page.figure(
        images.feature_maps(picture[0], named),
        f"A picture of class {test.classes[int(test.labels[0])]!r}; of each stage, the channels that vary most.",
    )


def _write_transfer(page: Page, results: dict[str, Any]) -> None:
    near, far = (results["transfer"][family] for family in TARGETS)
    page.heading("Moving on")
    page.paragraph(
        f"Now the backbone meets classes that it never saw, with {PER_CLASS} labelled pictures of each. The near set "
        "arranges the same parts in new ways; the far set has new parts, new textures and new layouts. A network that "
        f"learns from these few pictures alone reaches {near['from scratch']:.2f} (near) and "
        f"{far['from scratch']:.2f} (far). With the backbone frozen, and only a linear classifier fitted on its "
        f"features, it is {near['frozen']:.2f} and {far['frozen']:.2f}; with all of it trained a little "
        f"further, {near['fine-tuned']:.2f} and {far['fine-tuned']:.2f}. What was learned should be worth more the "
        "nearer the new pictures are to the old: compare the two sets. The control, an untrained backbone frozen, "
        f"gives {near['random, frozen']:.2f} and {far['random, frozen']:.2f}: accuracy above that is owed to training."
    )
    page.figure(curves.transfer_bars(results["transfer"], chance=0.1), "Accuracy on new pictures of the target sets.")
    page.table(
        ["method", *TARGETS], [[m, *(f"{results['transfer'][family][m]:.3f}" for family in TARGETS)] for m in METHODS]
    )


def _write_ending(page: Page, results: dict[str, Any]) -> None:
    machine = results["machine"]
    page.heading("How this was made")
    page.paragraph(
        f"minicnn {machine['minicnn']}, Python {machine['python']}, NumPy {machine['numpy']}, "
        f"Numba {machine['numba']}; {machine['threads']} threads, seed {results['seed']}. The "
        "same seed gives the same numbers on the same machine. This is one run of one seed: differences of a few "
        "hundredths between neighbouring numbers mean nothing."
    )
