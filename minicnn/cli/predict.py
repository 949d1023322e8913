"""`minicnn predict`: the answers of a network to pictures, prepared as its weights want them."""

import argparse
import csv
import glob
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.cli import arguments as shared
from minicnn.cli.main import message_of
from minicnn.files.plain_text import plain, printable

if TYPE_CHECKING:
    from minicnn.backbones.backbone import Backbone
    from minicnn.weights import WeightsInformation

FORMATS = ("text", "csv", "json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn predict`."""
    parser.add_argument("images", metavar="PICTURE", nargs="+", type=Path,
        help="a picture, or a folder: all pictures in it and in its folders, in the order of names")  # fmt: skip
    shared.add_weights(parser)
    shared.add_model(parser, "the backbone of the weights")
    parser.add_argument("--top", type=shared.count, default=5, metavar="K", help="show the K most probable classes")
    parser.add_argument("--format", choices=FORMATS, default="text",
        help="of the answers: csv has a line for each class shown, json a list of all pictures")  # fmt: skip
    shared.add_num_classes(parser, "as the weights say")
    shared.add_image_size(parser, "as the weights say")
    shared.add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the most probable classes of each picture.

    A line tells of each picture that cannot be read. The exit code is 2 if such a picture was named on the command
    line, or if no picture is left; broken pictures of a folder leave the code at 0.
    """
    from minicnn.cli.preparation import preparation
    from minicnn.cli.stored_model import load_model

    shared.use_threads(arguments)
    pictures = list(found(arguments.images))
    options = dict(arguments.model_options)
    model, _, _ = load_model(
        arguments.weights, arguments.model, arguments.num_classes, None, options, "`--model resnet50`"
    )
    information = preparation(model, arguments.weights, arguments.image_size)
    write = {"text": _as_text, "csv": _as_csv, "json": _as_json}[arguments.format]
    answers = Answers(model, information, arguments.top, arguments.traceback)
    write(answers.of(pictures))
    if answers.failed:
        print(f"minicnn: {len(answers.failed)} of {len(pictures)} pictures got no answer", file=sys.stderr)
    named = set(arguments.images)
    return 2 if named & set(answers.failed) or len(answers.failed) == len(pictures) else 0


def found(paths: list[Path]) -> Iterator[Path]:
    """The pictures of a command line: a named file itself, and all pictures of a folder in the order of names.

    Files and folders whose names begin with a dot are left out, and so are files that do not end as pictures do; the
    error output says how many. Raises ValueError for a folder without pictures.
    """
    from minicnn.data.folder_scan import EXTENSIONS

    for path in paths:
        if not path.exists() and glob.has_magic(str(path)):  # a shell of Windows leaves patterns to the program
            yield from sorted(map(Path, glob.glob(str(path)))) or [path]
            continue
        if not path.is_dir():
            yield path
            continue
        files = [file for file in _files(path) if file.suffix.lower() in EXTENSIONS]
        others = sum(1 for _ in _files(path)) - len(files)
        if not files:
            raise ValueError(f"the folder {path} holds no pictures ({others} other files); they end in {_listed()}")
        if others:
            print(f"minicnn: {plain(path)}: other files passed over: {others}", file=sys.stderr)
        yield from files


def _listed() -> str:
    from minicnn.data.folder_scan import EXTENSIONS

    return ", ".join(EXTENSIONS)


def _files(folder: Path) -> Iterator[Path]:
    """All files below `folder` that are not hidden, sorted in each folder, files before folders."""
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(here) / name for name in sorted(files) if not name.startswith("."))


class Answers:
    """The answers to pictures, one after the other; `failed` lists the pictures that could not be read."""

    def __init__(self, model: "Backbone", information: "WeightsInformation", top: int, traceback: bool):
        self.model, self.information, self.top, self.traceback = model, information, top, traceback
        self.failed: list[Path] = []

    def of(self, pictures: list[Path]) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
        """(path, [{"class", "index", "probability"}, ...]) of each picture, the most probable class first."""
        for path in pictures:
            try:
                answer = self._one(path)
            except (OSError, ValueError) as error:
                if self.traceback:
                    raise
                print(f"minicnn: error: {printable(message_of(error))}", file=sys.stderr)
                self.failed.append(path)
            else:
                yield path, answer

    def _one(self, path: Path) -> list[dict[str, Any]]:
        from minicnn import Tensor, no_grad
        from minicnn.cli.preparation import prepared_picture
        from minicnn.functional import softmax

        image = prepared_picture(path, self.information, self.model.input_size[0])
        with no_grad():
            scores = self.model(Tensor(image[None]))  # (C, H, W) -> (1, C, H, W) -> (1, classes)
            probabilities = softmax(scores, 1).numpy()[0]
        if not np.isfinite(probabilities).all():
            raise ValueError(
                f"{path}: the network gives NaN or infinity for this picture: the file of weights may be damaged"
            )
        order = probabilities.argsort()[::-1][: self.top]
        return [
            {"class": self.information.category(int(k)), "index": int(k), "probability": float(probabilities[k])}
            for k in order
        ]


def _as_text(answers: Iterator[tuple[Path, list[dict[str, Any]]]]) -> None:
    for path, classes in answers:
        print(plain(path))
        for answer in classes:
            print(f"  {answer['probability']:.3f}  {plain(answer['class'])}", flush=True)


def _as_csv(answers: Iterator[tuple[Path, list[dict[str, Any]]]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("picture", "rank", "class", "index", "probability"))
    for path, classes in answers:
        for rank, answer in enumerate(classes, start=1):
            writer.writerow((path, rank, answer["class"], answer["index"], f"{answer['probability']:.6f}"))


def _as_json(answers: Iterator[tuple[Path, list[dict[str, Any]]]]) -> None:
    print(json.dumps([{"picture": str(path), "classes": classes} for path, classes in answers], indent=1))
