"""`minicnn predict`: what a network says to pictures, prepared as its weights want them."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minicnn.cli.arguments import add_backbone_options, count
from minicnn.files.plain_text import plain, printable

if TYPE_CHECKING:
    from minicnn.backbones.backbone import Backbone
    from minicnn.weights import WeightsInformation

MOST_TIMES_LONGER = 50  # one side of a picture than the other: the longer one grows with the shorter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn predict`."""
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="+", type=Path, help="a picture in a format that Pillow reads")
    add("--weights", required=True, metavar="FILE", help="a file of weights, or a set: PARTWORLD_V1, IMAGENET1K_V1")
    add("--model", metavar="M", help="a backbone, such as resnet50 (default: the one that the file is for)")
    add("--top", type=count, default=5, metavar="N", help="how many classes to show (default: 5)")
    add("--num-classes", type=count, metavar="N",
        help="(default: as the file says, or 1000 for photographs, 10 for small images)")  # fmt: skip
    add_backbone_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the most probable classes of each picture. One that cannot be read is told of: the exit code is then 2."""
    from minicnn.cli.stored_model import load_model

    options = dict(arguments.model_options)
    model, _, _ = load_model(
        arguments.weights, arguments.model, arguments.num_classes, None, options, "`--model resnet50`"
    )
    channels = model.input_size[0]
    if channels not in (1, 3):
        raise ValueError(f"the network takes images of {channels} channels, but pictures have 3, or 1 if they are grey")
    information = model.weights or _assumed(model)
    if len(information.mean) != channels:
        raise ValueError(
            f"{arguments.weights} tells the mean of {len(information.mean)} channels, but its network takes images of "
            f"{channels}"
        )
    failed = 0
    for path in arguments.images:
        try:
            lines = _answer(model, information, path, arguments.top)
        except (OSError, ValueError) as error:
            if arguments.traceback:
                raise
            print(f"minicnn: error: {printable(str(error))}", file=sys.stderr)
            failed += 1
        else:
            print("\n".join([plain(path), *lines]))
    return 2 if failed else 0


def _answer(model: "Backbone", information: "WeightsInformation", path: Path, top: int) -> list[str]:
    """A line for each of the `top` most probable classes of the picture at `path`, the first the most probable."""
    from minicnn import Tensor, no_grad
    from minicnn.data.folder import read_image
    from minicnn.functional import softmax

    pixels = read_image(path).transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
    _, height, width = pixels.shape
    if max(height, width) > MOST_TIMES_LONGER * min(height, width):
        raise ValueError(
            f"{path} has {width}x{height} pixels, one side more than {MOST_TIMES_LONGER} times the other: scaled by "
            "its shorter side it would be enormous; cut out the part that matters"
        )
    if model.input_size[0] == 1:
        pixels = _grey(pixels)
    images = information.transforms()(pixels)[None]  # (C, H, W) -> (1, C, crop, crop)
    with no_grad():
        probabilities = softmax(model(Tensor(images)), 1).numpy()[0]  # (1, classes) -> (classes,)
    if not np.isfinite(probabilities).all():
        raise ValueError(f"{path}: the network gives no numbers for it; is the file of weights what it should be?")
    order = probabilities.argsort()[::-1][:top]
    return [f"  {probabilities[place]:.3f}  {plain(information.category(int(place)))}" for place in order]


def _assumed(model: "Backbone") -> "WeightsInformation":
    """What is taken for granted of a file that tells neither how its images were prepared nor what the classes are."""
    from minicnn.weights import WeightsInformation
    from minicnn.weights.torchvision_files import imagenet_categories

    channels, side, _ = model.input_size
    resize, crop = (256, 224) if side == 224 else (side, side)
    mean, std = WeightsInformation().mean, WeightsInformation().std
    if channels == 1:
        mean, std = (round(sum(mean) / 3, 3),), (round(sum(std) / 3, 3),)
    names = imagenet_categories() if side == 224 and model.num_classes == 1000 else ()
    print(
        "minicnn: the file does not say how images were prepared for it, nor what the classes are; assuming "
        f"resize {resize}, crop {crop}, mean {mean}, std {std}{', and the classes of ImageNet' if names else ''}",
        file=sys.stderr,
    )
    return WeightsInformation(resize=resize, crop=crop, mean=mean, std=std, categories=names)


def _grey(pixels: np.ndarray) -> np.ndarray:
    """(3, H, W) -> (1, H, W), uint8: the weights of red, green and blue are those of Rec. 601, as Pillow's."""
    return np.rint(np.tensordot([0.299, 0.587, 0.114], pixels, 1))[None].astype(np.uint8)
