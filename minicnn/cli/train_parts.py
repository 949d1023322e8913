"""What `minicnn train` puts together: loaders, optimiser and schedule, from settings given by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minicnn import optim
from minicnn.backbones import create as create_backbone
from minicnn.backbones.backbone import Backbone
from minicnn.backbones.builders import BUILDERS, own_classes, settings_of
from minicnn.data import DataLoader, channel_statistics, create, stratified_split
from minicnn.data import list as known_sets
from minicnn.data.dataset import Dataset
from minicnn.data.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip
from minicnn.weights import WeightsInformation

WARM_UP = 0.05  # the share of all steps that the cosine schedule begins with
EVALUATION_BATCH = 256
FIXED_SIZES = ("mnist", "fashion-mnist", "kmnist", "cifar10", "cifar100")
PARTWORLD_PICTURES = {"train": 10_000, "val": 2000, "test": 2000}


@dataclass
class Data:
    """Loaders of one data set, and what must travel with the weights."""

    train: DataLoader
    validation: DataLoader
    make_test: Callable[[], DataLoader | None]  # called once, after the last choice was made
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]  # (C, H, W)
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def information(self, model: str) -> WeightsInformation:
        """What travels with the weights: other pictures are scaled and cut to the size of these."""
        _, height, width = self.image_shape
        side = height if height == width else None
        return WeightsInformation(model, side, side, mean=self.mean, std=self.std, categories=tuple(self.classes))


def make_data(settings: dict[str, Any]) -> Data:
    """The loaders for these settings. Mean and standard deviation are those of the training pictures.

    Raises ValueError for an unknown data set, or pictures of several sizes without an image size to bring them to.
    """
    train_set = _split(settings, "train")
    validation_set = _split(settings, "val")
    image_shape = train_set[0][0].shape
    mean, std = _statistics(train_set)
    normalize = Normalize(mean, std)
    seed, size = settings["seed"], min(settings["batch_size"], len(train_set))

    def evaluation(dataset: Dataset) -> DataLoader:
        return DataLoader(dataset, EVALUATION_BATCH, transform=normalize, seed=seed)

    def make_test() -> DataLoader | None:
        is_folder = settings["data"] not in known_sets()
        if is_folder and not (Path(settings["data"]).expanduser() / "test").is_dir():  # it need not have one
            return None
        return evaluation(_split(settings, "test"))

    augmentation = _augmentation(settings["augment"], image_shape)
    # A last small batch would make a poor estimate of the batch-norm statistics: it is left out.
    train = DataLoader(
        train_set, size, shuffle=True, drop_last=True, transform=Compose([*augmentation, normalize]), seed=seed
    )
    return Data(train, evaluation(validation_set), make_test, train_set.classes, image_shape, mean, std)


def _split(settings: dict[str, Any], split: str) -> Dataset:
    name, options = settings["data"], {}
    if settings["image_size"] is not None:
        if name in FIXED_SIZES:
            raise ValueError(f"the pictures of {name} have one size: leave out --image-size")
        options["image_size" if name.startswith("partworld") else "size"] = settings["image_size"]
    limit = settings["quick_limit"]
    if name.startswith("partworld"):
        options["size"] = min(PARTWORLD_PICTURES[split], limit or PARTWORLD_PICTURES[split])
    dataset = create(name, split, **options)
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


def make_model(settings: dict[str, Any], classes: int | None, image_shape: tuple[int, ...] | None) -> Backbone:
    """The backbone with fresh weights; without classes or an image shape (C, H, W), as it is by itself for colours.

    Raises ValueError for a name or an option that it can't be made with.
    """
    options = model_settings(settings, image_shape)
    if classes is None and settings["model"] in BUILDERS:
        classes = own_classes(settings["model"])
    try:
        return create_backbone(
            settings["model"],
            num_classes=1000 if classes is None else classes,
            in_chans=3 if image_shape is None else image_shape[0],
            seed=settings.get("seed", 0),
            **options,
        )
    except TypeError as error:  # an option of another type, such as width=wide
        raise ValueError(f"{settings['model']} cannot be made with {options}: {error}") from error


def model_settings(settings: dict[str, Any], image_shape: tuple[int, ...] | None) -> dict[str, Any]:
    """The options of the backbone: those given, and the image size for networks that are made for one.

    Raises ValueError for an option that this backbone has not, naming those that it has.
    """
    options = dict(settings["model_options"])
    if settings["model"] not in BUILDERS:  # create() says which names there are
        return options
    known = settings_of(settings["model"])
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"{settings['model']} has no option {unknown[0]!r}; it has {sorted(known)}")
    if "image_size" in known and image_shape is not None:
        options.setdefault("image_size", image_shape[1])
    return options


def make_optimizer(settings: dict[str, Any], model: Any) -> optim.Optimizer:
    """The optimiser by name. Weight decay is for weights: it would only pull biases and norms away from their place."""
    parameters = list(model.parameters())
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
    """The schedule by name, stepped after every batch; None keeps the learning rate as it is."""
    steps = settings["epochs"] * steps_per_epoch
    name = settings["schedule"]
    if name == "onecycle":
        return optim.OneCycleLR(optimizer, max_lr=settings["lr"], total_steps=steps)
    if name == "step":
        return optim.MultiStepLR(optimizer, milestones=[steps // 2, steps * 3 // 4])
    if name == "cosine":
        warm_up = max(1, round(WARM_UP * steps))
        rise = optim.LinearLR(optimizer, start_factor=0.1, total_iters=warm_up)
        fall = optim.CosineAnnealingLR(optimizer, T_max=max(1, steps - warm_up))
        return optim.SequentialLR(optimizer, [rise, fall], milestones=[warm_up])
    return None
