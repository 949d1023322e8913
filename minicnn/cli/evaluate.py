"""`minicnn evaluate`: a saved network on a data set, with its preparation: loss, accuracy, confusion of classes.

DIR/confusion.png    the confusion matrix
DIR/results.json     all numbers, and the answer to every picture
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.cli import arguments as shared
from minicnn.files.plain_text import plain

if TYPE_CHECKING:
    from minicnn.backbones.backbone import Backbone
    from minicnn.data.dataset import Dataset
    from minicnn.weights import WeightsInformation

SPLITS = ("train", "val", "test", "all")
LARGEST_TABLE, LARGEST_FIGURE = 12, 100  # classes of a confusion matrix that is printed, and that is drawn


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn evaluate`."""
    shared.add_weights(parser)
    shared.add_data(parser)
    parser.add_argument("--split", choices=SPLITS,
        help="part of the data; all is for folders (default: test, or val for a folder without test)")  # fmt: skip
    shared.add_model(parser, "the backbone of the weights")
    shared.add_image_size(parser, "as the weights say")
    shared.add_batch_size(parser)
    shared.add_quick_limit(parser)
    shared.add_threads(parser)
    shared.add_out(parser, "confusion.png and results.json", None, "nothing is written")


@dataclass(frozen=True)
class Evaluation:
    """The answers of a network to the pictures of a data set; classes are those of the network."""

    classes: tuple[str, ...]
    targets: np.ndarray  # (N,) int64
    scores: np.ndarray  # (N, K)

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int64: the class with the highest score of each picture."""
        answers: np.ndarray = self.scores.argmax(axis=1)
        return answers

    @property
    def shown(self) -> list[int]:
        """The classes that occur, as targets or as answers: a network may know many more than the data set has."""
        return sorted({*self.targets.tolist(), *self.predicted.tolist()})

    def confusion(self) -> np.ndarray:
        """int64 (S, S) of the classes `shown`: true classes by rows, answers by columns."""
        from minicnn.training.metrics import confusion_matrix

        return confusion_matrix(self.predicted, self.targets, self.scores.shape[1])[np.ix_(self.shown, self.shown)]

    def measures(self) -> dict[str, float]:
        """{"loss", "accuracy"}, means over all pictures."""
        import minicnn.functional as F
        from minicnn import Tensor, no_grad

        with no_grad():
            loss = F.cross_entropy(Tensor(self.scores), Tensor(self.targets)).item()
        return {"loss": loss, "accuracy": float((self.predicted == self.targets).mean())}


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write the files if a folder is given."""
    from minicnn.cli.preparation import described_preparation, preparation
    from minicnn.cli.stored_model import load_model
    from minicnn.files.atomic import make_folder

    shared.use_threads(arguments)
    model, name, _ = load_model(
        arguments.weights, arguments.model, None, None, dict(arguments.model_options), "`--model resnet50`"
    )
    information = preparation(model, arguments.weights, arguments.image_size)
    dataset, split = _dataset(arguments, information)
    labels = labels_of(dataset.classes, information.categories, model.num_classes, arguments)
    folder = None if arguments.out is None else make_folder(arguments.out)
    print(f"{name} on {plain(arguments.data)}, split {split}: {len(dataset):,} pictures of {len(labels)} classes")
    print(f"prepared as the weights want it: {described_preparation(information)}", flush=True)
    evaluation = _evaluate(model, information, dataset, labels, arguments.batch_size)
    print("\n".join(_report(evaluation)))
    if folder is not None:
        _write(folder, evaluation, dataset, {"command": arguments.command_line, "model": name, "split": split,
            "data": arguments.data, "weights": arguments.weights, "preparation": asdict(information)})  # fmt: skip
    return 0


def _dataset(arguments: argparse.Namespace, information: WeightsInformation) -> tuple[Dataset, str]:
    """The pictures, and the name of their split.

    Pictures of a folder are scaled when they are read, as in training, where that is all the preparation of their size.
    """
    from minicnn.cli.train_parts import FIXED_SIZES, has_test, make_split

    split = arguments.split or ("test" if has_test(arguments.data) else "val")
    if split == "all" and not Path(arguments.data).expanduser().is_dir():
        raise ValueError(f"--split all is for folders; {arguments.data} has the splits train, val and test")
    size = information.crop if information.resize == information.crop else None
    if arguments.data in FIXED_SIZES:
        size = None
    settings = {"data": arguments.data, "image_size": size, "quick_limit": arguments.quick_limit}
    return make_split(settings, None if split == "all" else split), split


def labels_of(
    classes: Sequence[str], categories: Sequence[str], num_classes: int, arguments: argparse.Namespace
) -> np.ndarray:
    """(classes of the data,) int64: which class of the network each class of the data set is, by its name.

    A network whose class names are not known must have as many classes, which are then taken in their order. Raises
    ValueError if a class of the data set is not one of the network's, or if several of the network's have its name.
    """
    data, weights = arguments.data, arguments.weights
    if not categories:
        if len(classes) != num_classes:
            raise ValueError(f"{data} has {len(classes)} classes, but the network of {weights} has {num_classes}")
        return np.arange(num_classes)
    places: dict[str, list[int]] = {}
    for place, category in enumerate(categories):
        places.setdefault(category, []).append(place)
    foreign = [name for name in classes if len(places.get(name, ())) != 1]
    if foreign:
        known = ", ".join(map(repr, categories[:10])) + (", ..." if len(categories) > 10 else "")
        raise ValueError(
            f"{len(foreign)} of the {len(classes)} classes of {data} are not classes of {weights}, such as "
            f"{foreign[0]!r}: the weights are for {known}"
        )
    return np.array([places[name][0] for name in classes], np.int64)


def _evaluate(
    model: Backbone, information: WeightsInformation, dataset: Dataset, labels: np.ndarray, batch_size: int
) -> Evaluation:
    from minicnn import Tensor, no_grad

    scores, targets = [], []
    with no_grad():
        for images, theirs in _batches(dataset, information, model.input_size[0], batch_size):
            scores.append(model(Tensor(images)).numpy())
            targets.append(labels[theirs])
    names = tuple(information.category(k) for k in range(model.num_classes))
    evaluation = Evaluation(names, np.concatenate(targets), np.concatenate(scores))
    if not np.isfinite(evaluation.scores).all():
        raise ValueError("the network gives NaN or infinity for some pictures: the file of weights may be damaged")
    return evaluation


def _batches(
    dataset: Dataset, information: WeightsInformation, channels: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(images (B, C, H, W), labels (B,)), prepared, in the order of the data set."""
    from minicnn.cli.preparation import prepared_picture, with_channels

    transforms = information.transforms()
    paths = paths_of(dataset, of_any_size=True)
    step = 1 if paths is not None and information.crop is None else size  # pictures of several sizes make no batch
    for start in range(0, len(dataset), step):
        places = np.arange(start, min(start + step, len(dataset)))
        if paths is not None:
            images = np.stack([prepared_picture(paths[place], information, channels) for place in places])
            yield images, dataset.labels[places]
        else:
            images, labels, *_ = dataset.batch(places)
            yield transforms(with_channels(images, channels)), labels


def paths_of(dataset: Dataset, of_any_size: bool = False) -> list[Path] | None:
    """The file of each picture of a folder, with `of_any_size` only of a folder that does not scale them; else None."""
    from minicnn.data import ImageFolder, Subset

    if isinstance(dataset, Subset):
        inner = paths_of(dataset.dataset, of_any_size)
        return None if inner is None else [inner[place] for place in dataset.indices]
    if isinstance(dataset, ImageFolder) and not (of_any_size and dataset.size is not None):
        return dataset.paths
    return None


def _report(evaluation: Evaluation) -> list[str]:
    """The measures, a line for each class that occurs, and a confusion matrix of few classes."""
    measures, shown, confusion = evaluation.measures(), evaluation.shown, evaluation.confusion()
    right, all_pictures = int(np.trace(confusion)), len(evaluation.targets)
    lines = [f"loss {measures['loss']:.4f}, accuracy {measures['accuracy']:.4f} ({right:,} of {all_pictures:,})", ""]
    names = [plain(evaluation.classes[k], 40) for k in shown]
    width = max(len("class"), *map(len, names))
    lines.append(f"{'':>3} {'class':<{width}}  accuracy  pictures")
    for place, name in enumerate(names):
        total = int(confusion[place].sum())
        share = f"{confusion[place, place] / total:.4f}" if total else "-"
        lines.append(f"{place:>3} {name:<{width}}  {share:>8}  {total:>8,}")
    if len(shown) <= LARGEST_TABLE:
        column = max(3, len(str(confusion.max()))) + 1
        lines += ["", "confusion matrix: a row for each true class, a column for each answer"]
        lines.append(f"{'':>3} " + "".join(f"{k:>{column}}" for k in range(len(shown))))
        lines += [
            f"{k:>3} " + "".join(f"{count or '.':>{column}}" for count in row.tolist())
            for k, row in enumerate(confusion)
        ]
    return lines


def _write(folder: Path, evaluation: Evaluation, dataset: Dataset, about: dict[str, Any]) -> None:
    from minicnn.figures.classification import confusion_figure
    from minicnn.files.atomic import write_atomically
    from minicnn.versions import recorded_machine, recorded_versions

    names = [evaluation.classes[k] for k in evaluation.shown]
    confusion = evaluation.confusion()
    totals = confusion.sum(axis=1)
    shifted = np.exp(evaluation.scores - evaluation.scores.max(axis=1, keepdims=True))
    certain = (shifted / shifted.sum(axis=1, keepdims=True)).max(axis=1)  # the probability of the answer
    paths = paths_of(dataset)
    pictures = list(range(len(dataset))) if paths is None else list(map(str, paths))
    results = {
        **about,
        "versions": recorded_versions(),
        "machine": recorded_machine(),
        "pictures": len(evaluation.targets),
        **evaluation.measures(),
        "accuracy_of_class": {name: float(confusion[k, k] / totals[k]) for k, name in enumerate(names) if totals[k]},
        "confusion_matrix": {"classes": names, "rows_are_true_classes": confusion.tolist()},
        "predictions": [
            {
                "picture": picture,
                "class": evaluation.classes[target],
                "predicted": evaluation.classes[answer],
                "probability": round(float(probability), 6),
            }
            for picture, target, answer, probability in zip(
                pictures, evaluation.targets, evaluation.predicted, certain, strict=True
            )
        ],
    }
    write_atomically(folder / "results.json", (json.dumps(results, indent=1) + "\n").encode())
    written = [folder / "results.json"]
    if len(names) <= LARGEST_FIGURE:
        confusion_figure(confusion, names).savefig(folder / "confusion.png", dpi=150)
        written.append(folder / "confusion.png")
    print(f"written: {', '.join(map(str, written))}")
