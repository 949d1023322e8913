"""The parts of `minicnn train`: loaders, model, optimiser and schedule, made from settings given by name."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn import optim
from minicnn.backbones import create as create_backbone
from minicnn.backbones.backbone import Backbone
from minicnn.backbones.builders import own_classes, settings_of
from minicnn.cli.arguments import PREDICTION_BATCH
from minicnn.data import DataLoader, ImageFolder, channel_statistics, create, stratified_split
from minicnn.data import list as known_sets
from minicnn.data.dataset import Dataset
from minicnn.data.folder import split_folder
from minicnn.data.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip
from minicnn.files.suggestions import did_you_mean
from minicnn.weights import WeightsInformation

WARM_UP = 0.05  # the share of all steps that the cosine schedule begins with
FIXED_SIZES = ("mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100")
PARTWORLD_PICTURES = {"train": 10_000, "val": 2000, "test": 2000}


@dataclass
class Data:
    """Loaders of one data set, and the facts that must travel with the weights."""

    train: DataLoader
    validation: DataLoader
    make_test: Callable[[], DataLoader | None]  # called once, after the last choice was made
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]  # (C, H, W)
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def information(self, model: str) -> WeightsInformation:
        """The facts that travel with the weights: other pictures are scaled and cut to the size of these."""
        _, height, width = self.image_shape
        side = height if height == width else None
        return WeightsInformation(model, side, side, mean=self.mean, std=self.std, categories=tuple(self.classes))


Normalization = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of the channels


def make_data(settings: dict[str, Any], normalization: Normalization | None = None) -> Data:
    """The loaders for these settings. Mean and standard deviation, if not given, are those of the training pictures.

    A `normalization` for another number of channels is not used. Raises ValueError for an unknown data set, and for
    pictures of several sizes without an image size to bring them to.
    """
    train_set, validation_set = make_split(settings, "train"), make_split(settings, "val")
    if settings["data"] not in known_sets():
        _check_folder(settings["data"], train_set, validation_set)
    image_shape = train_set[0][0].shape
    if normalization is None or len(normalization[0]) != image_shape[0]:
        normalization = _statistics(train_set)
    mean, std = normalization
    normalize = Normalize(mean, std)
    seed, size = settings["seed"], min(settings["batch_size"], len(train_set))

    def evaluation(dataset: Dataset) -> DataLoader:
        return DataLoader(dataset, PREDICTION_BATCH, transform=normalize, seed=seed)

    def make_test() -> DataLoader | None:
        return evaluation(make_split(settings, "test")) if has_test(settings["data"]) else None

    augmentation = _augmentation(settings["augment"], image_shape)
    # A last small batch would make a poor estimate of the batch-norm statistics: it is left out.
    train = DataLoader(
        train_set, size, shuffle=True, drop_last=True, transform=Compose([*augmentation, normalize]), seed=seed
    )
    return Data(train, evaluation(validation_set), make_test, train_set.classes, image_shape, mean, std)


def _check_folder(data: str, train_set: Dataset, validation_set: Dataset) -> None:
    """Refuse, before the first epoch, a folder that would only fail after it.

    Raises ValueError for a single class, and for a broken picture among those to train and to validate on.
    """
    if len(train_set.classes) < 2:
        raise ValueError(f"{data} holds one class only, {train_set.classes[0]!r}: there is nothing to learn")
    for pictures in (train_set, validation_set):
        for index in range(len(pictures)):
            pictures[index]  # read here once, and kept


def has_test(data: str) -> bool:
    """True if the data set has test pictures: a folder need not have them.

    Warns of a test folder without class folders, whose pictures have no labels.
    """
    if data in known_sets():
        return True
    folder = split_folder(Path(data).expanduser(), "test")
    if folder is None:
        return False
    labelled = any(path.is_dir() for path in folder.iterdir())
    if not labelled:
        warnings.warn(f"{folder} holds no class folders: its pictures have no labels and are not used", stacklevel=2)
    return labelled


def make_split(settings: Mapping[str, Any], split: str | None) -> Dataset:
    """One split, or with None the whole folder, of the data that `settings` name ("data", "image_size", "quick_limit").

    Raises ValueError for an image size where the pictures of a set have their own.
    """
    name, options = settings["data"], {}
    if settings["image_size"] is not None:
        if name in FIXED_SIZES:
            raise ValueError(f"the pictures of {name} have one size: leave out --image-size")
        options["image_size" if name.startswith("partworld") else "size"] = settings["image_size"]
    limit = settings["quick_limit"]
    if name.startswith("partworld") and split is not None:
        options["size"] = min(PARTWORLD_PICTURES[split], limit or PARTWORLD_PICTURES[split])
    dataset = ImageFolder(name, **options) if split is None else create(name, split, **options)
    return dataset if limit is None or limit >= len(dataset) else stratified_split(dataset, [limit])[0]


def _statistics(dataset: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = channel_statistics(dataset)
    return mean, tuple(value or 1.0 for value in std)  # a channel that never varies is left unscaled


def _augmentation(name: str, image_shape: tuple[int, ...]) -> list[Any]:
    """The usual ones: mirror images, and windows of the picture padded by an eighth of its side."""
    height, width = image_shape[1:]
    crop = RandomCrop((height, width), padding=(height // 8, width // 8))
    flip = RandomHorizontalFlip()
    chosen: dict[str, list[Any]] = {"none": [], "flip": [flip], "crop": [crop], "flip+crop": [flip, crop]}
    return chosen[name]


def make_model(
    name: str,
    options: Mapping[str, Any],
    classes: int | None = None,
    channels: int | None = None,
    side: int | None = None,
    seed: int = 0,
) -> Backbone:
    """The backbone with fresh weights; None takes its own number of classes, 3 channels, and its own image size.

    Raises ValueError for a name that is not known, and for options that the backbone can't be made with.
    """
    options = model_settings(name, options, side)
    try:
        return create_backbone(
            name, num_classes=classes or own_classes(name), in_chans=channels or 3, seed=seed, **options
        )
    except TypeError as error:  # an option of another type, such as width=wide
        raise ValueError(f"{name} cannot be made with {options}: {error}") from error


def model_settings(name: str, given: Mapping[str, Any], side: int | None) -> dict[str, Any]:
    """The options of the backbone: those given, and the `side` of images for networks that are made for one size.

    Raises ValueError for a name that is not known, and for an option that this backbone does not have.
    """
    options, known = dict(given), settings_of(name)
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"{name} has no option {unknown[0]!r}; {did_you_mean(unknown[0], sorted(known))}")
    if "image_size" in known and side is not None:
        options.setdefault("image_size", side)
    return options


def make_optimizer(settings: dict[str, Any], model: Any) -> optim.Optimizer:
    """The optimiser by name. Only weights decay: biases and norms would be pulled away from their place."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]  # not the frozen ones
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings["weight_decay"]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate = settings["lr"]
    if settings["optimizer"] == "sgd":
        return optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    if settings["optimizer"] == "adam":
        return optim.Adam(groups, lr=rate)
    if settings["optimizer"] == "adamw":
        return optim.AdamW(groups, lr=rate)
    return optim.RMSprop(groups, lr=rate)


def make_schedule(settings: dict[str, Any], optimizer: optim.Optimizer, steps_per_epoch: int) -> Any:
    """The schedule by name, stepped after every batch; None keeps the learning rate."""
    steps = settings["epochs"] * steps_per_epoch
    name = settings["schedule"]
    if name == "onecycle":
        return optim.OneCycleLR(optimizer, max_lr=settings["lr"], total_steps=steps)
    if name == "step":
        return optim.MultiStepLR(optimizer, milestones=[steps // 2, steps * 3 // 4])
    if name == "cosine":
        warm_up = round(WARM_UP * steps)
        if warm_up == 0:  # in a run of a few steps, a warm-up would be most of the training
            return optim.CosineAnnealingLR(optimizer, T_max=steps)
        rise = optim.LinearLR(optimizer, start_factor=0.1, total_iters=warm_up)
        fall = optim.CosineAnnealingLR(optimizer, T_max=max(1, steps - warm_up))
        return optim.SequentialLR(optimizer, [rise, fall], milestones=[warm_up])
    return None
