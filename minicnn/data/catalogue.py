"""The data sets by name, as the command line and `minicnn.data.create` take them."""

import builtins
import os
from pathlib import Path
from typing import Any

from minicnn.data.cifar import CIFAR10, CIFAR100
from minicnn.data.dataset import Dataset
from minicnn.data.folder import ImageFolder, Imagenette
from minicnn.data.mnist import KMNIST, MNIST, FashionMNIST
from minicnn.data.partworld import PartWorld
from minicnn.files.suggestions import did_you_mean

REAL_SETS: dict[str, Any] = {
    "mnist": MNIST,
    "fashion-mnist": FashionMNIST,
    "kmnist": KMNIST,
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "imagenette": Imagenette,
}
PARTWORLD_FAMILIES = {"partworld": "base", "partworld-near": "near", "partworld-mid": "mid", "partworld-far": "far"}


def list() -> builtins.list[str]:
    """The names that `create` knows; the path of a folder of pictures works as well."""
    return [*PARTWORLD_FAMILIES, *REAL_SETS]


def create(name: str, split: str = "train", **options: Any) -> Dataset:
    """The data set `name` (one of `list()`), or the folder of pictures at that path; options go to its class.

        create("cifar10", "val")    create("partworld-near", size=200)    create("my/photos", "train", size=64)

    Raises ValueError if the name is neither, naming the nearest; and the errors of the class.
    """
    if name in PARTWORLD_FAMILIES:
        return PartWorld(split=split, family=PARTWORLD_FAMILIES[name], **options)
    if name in REAL_SETS:
        result: Dataset = REAL_SETS[name](split=split, **options)
        return result
    if os.sep in name or Path(name).expanduser().is_dir():
        return ImageFolder(name, split=split, **options)
    raise ValueError(
        f"no data set or folder is called {name!r}; {did_you_mean(name, list())} (or give the path of a folder)"
    )
