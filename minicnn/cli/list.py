"""`minicnn list`: the backbones, data sets and weights that there are, one a line."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minicnn.files.plain_text import plain

if TYPE_CHECKING:
    from minicnn.backbones.backbone import Backbone
    from minicnn.weights import WeightsInformation

KINDS = ("models", "data", "weights")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The argument of `minicnn list`."""
    parser.add_argument("kind", choices=KINDS, help="the kind of things to list")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, with a line below that says how its names are used."""
    tables = {"models": _models, "data": _data, "weights": _weights}
    rows = list(tables[arguments.kind]())
    print("\n".join(_aligned(rows[:-1])))
    print(rows[-1][0])
    return 0


def _models() -> Iterator[Sequence[str]]:
    from minicnn import backbones

    yield "name", "parameters", "input (C, H, W)", "classes"
    for name in backbones.list():
        model = _without_values(name)
        size = " x ".join(map(str, model.input_size))
        yield name, f"{_numbers(model):,}", size, str(model.num_classes)
    yield ("for example: minicnn summary resnet20",)


def _data() -> Iterator[Sequence[str]]:
    from minicnn.data.catalogue import PARTWORLD_FAMILIES, REAL_SETS
    from minicnn.data.download import data_folders, find
    from minicnn.data.partworld import PartWorld

    yield "name", "classes", "pictures (train + test)", "size (C, H, W)", "where"
    for name, family in PARTWORLD_FAMILIES.items():
        drawn = PartWorld(size=1, family=family)
        yield name, str(len(drawn.classes)), "as many as wanted", "3 x 32 x 32, or as wanted", "drawn when asked for"
    for name, kind in REAL_SETS.items():
        place = find([kind.subfolder, *_archive(kind)], data_folders())
        where = "downloaded when asked for" if place is None else f"{plain(place)}{_lacking(place)}"
        if hasattr(kind, "image_shape"):
            classes, size = len(kind.class_names), " x ".join(map(str, kind.image_shape))
        else:
            classes, size = len(kind.class_names), "photographs, as --image-size says"
        yield name, str(classes), f"{kind.counts['train']:,} + {kind.counts['test']:,}", size, where
    yield ("or the path of a folder that holds one folder of pictures a class",)


# Patterns of files, one of which is there with the train and one with the test pictures of a real data set.
_FILES_OF_SPLIT = {
    "train": ("train-images*", "*-train-imgs*", "data_batch_1", "train"),
    "test": ("t10k-images*", "*-test-imgs*", "test_batch", "test", "val"),
}


def _lacking(place: Path) -> str:
    """A note if the folder of a data set holds only one of its splits; an archive holds all."""
    if not place.is_dir():
        return ""
    here = [split for split, patterns in _FILES_OF_SPLIT.items() if any(any(place.glob(each)) for each in patterns)]
    lacking = [split for split in _FILES_OF_SPLIT if split not in here]
    return f" (without the {' and the '.join(lacking)} files)" if lacking else ""


def _archive(kind: type) -> list[str]:
    return [kind.archive[0]] if hasattr(kind, "archive") else []


def _weights() -> Iterator[Sequence[str]]:
    from minicnn import weights
    from minicnn.data.download import data_folders, find
    from minicnn.weights import shipped_files, torchvision_files

    yield "name", "size", "accuracy", "where"
    for name in weights.shipped():
        with weights.open_weights(shipped_files.FOLDER / f"{name}.safetensors") as file:
            yield name, _megabytes(file.size), _accuracy(weights.information_of(file)), "comes with minicnn"
    for name in weights.downloadable():
        model, _, variant = name.partition(".")
        information = weights.pretrained(model, variant)
        folders = [folder / torchvision_files.SUBFOLDER for folder in data_folders()]
        place = find([information.url.rpartition("/")[2]], folders)
        size = 4 * _numbers(_without_values(model)) if place is None else place.stat().st_size
        where = "downloaded when asked for" if place is None else plain(place)
        yield name, _megabytes(size), _accuracy(information), where
    yield ("for example: minicnn predict PICTURE --weights resnet20.PARTWORLD_V1",)


def _accuracy(information: "WeightsInformation | None") -> str:
    """The figures that the authors tell, without those of validation pictures."""
    metrics = {} if information is None else information.metrics
    told = [f"{plain(name)} {value:g}" for name, value in metrics.items() if "validation" not in name]
    return ", ".join(told) or "not told; for features"


def _without_values(name: str) -> "Backbone":
    """The backbone with sizes, but without values: drawing those of all backbones takes 20 seconds."""
    from minicnn import nn
    from minicnn.backbones.builders import BUILDERS
    from minicnn.nn import deferred_init

    with nn.init.deferred():
        model = BUILDERS[name]()
        deferred_init.cancel(model.state_tensors().values())
    return model


def _numbers(model: "Backbone") -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]
