"""`minicnn predict`: what a network says to pictures, prepared as its weights want them."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minicnn.cli.arguments import count, key_and_value

if TYPE_CHECKING:
    from minicnn.backbones.backbone import Backbone
    from minicnn.weights import WeightsInformation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn predict`."""
    add = parser.add_argument
    add("images", metavar="IMAGE", nargs="+", type=Path, help="a picture in a format that Pillow reads")
    add("--weights", required=True, metavar="FILE", help="a file of weights, or a set of torchvision's: IMAGENET1K_V1")
    add("--model", metavar="M", help="a backbone, such as resnet50 (default: the one that the file names)")
    add("--top", type=count, default=5, metavar="N", help="how many classes to show (default: 5)")
    add("--num-classes", type=count, help="(default: as the file says, or 1000 for photographs, 10 for small images)")
    add("--set", dest="model_options", type=key_and_value, action="append", default=[], metavar="KEY=VALUE",
        help="an option of the backbone, such as width=8; may be given several times")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the most probable classes of each picture."""
    from minicnn import Tensor, no_grad
    from minicnn.data.folder import read_image
    from minicnn.functional import softmax

    model = load_model(arguments.weights, arguments.model, arguments.num_classes, dict(arguments.model_options))
    information = model.weights or _assumed(model)
    prepare = information.transforms()
    for path in arguments.images:
        pixels = read_image(path).transpose(2, 0, 1)  # (H, W, 3) -> (3, H, W)
        if len(information.mean) == 1:
            pixels = _grey(pixels)
        with no_grad():
            logits = model(Tensor(prepare(pixels)[None]))  # (3, H, W) -> (1, 3, crop, crop) -> (1, classes)
        probabilities = softmax(logits, 1).numpy()[0]
        print(path)
        for place in probabilities.argsort()[::-1][: arguments.top]:
            print(f"  {probabilities[place]:.3f}  {information.category(int(place))}")
    return 0


def load_model(weights: str, name: str | None, classes: int | None, options: dict[str, Any]) -> "Backbone":
    """The backbone with these weights, in evaluation; what is not given is taken from what the file says of itself.

    Raises ValueError where nothing names the backbone, and where the file holds no classifier that fits.
    """
    from minicnn import backbones
    from minicnn.backbones.factory import own_classes
    from minicnn.weights import load_metadata

    known = load_metadata(weights) if Path(weights).exists() else {}
    name = name or known.get("model")
    if name is None:
        raise ValueError("which backbone? The file does not say; name it, as in `--model resnet50`")
    classes = classes or known.get("num_classes") or own_classes(name)
    channels = known.get("image_shape", (3,))[0]
    options = {**known.get("model_options", {}), **options}
    model = backbones.create(name, num_classes=classes, in_chans=channels, weights=weights, **options)
    adapted = {} if model.load_report is None else model.load_report.adapted
    for path, what in adapted.items():
        if path.startswith(model.classifier_name):
            raise ValueError(f"{weights} has no classifier for {classes} classes: {path} {what}")
    return model.eval()


def _assumed(model: "Backbone") -> "WeightsInformation":
    """What is taken for granted of a file that does not say how its images were prepared."""
    from minicnn.weights import WeightsInformation

    side = model.input_size[1]
    assumed = WeightsInformation() if side == 224 else WeightsInformation(resize=side, crop=side)
    print(
        "minicnn: the file does not say how images were prepared for it; assuming "
        f"resize {assumed.resize}, crop {assumed.crop}, mean {assumed.mean}, std {assumed.std}",
        file=sys.stderr,
    )
    return assumed


def _grey(pixels: Any) -> Any:
    """(3, H, W) -> (1, H, W), uint8: the weights of red, green and blue are those of Rec. 601, as Pillow's."""
    import numpy as np

    return np.rint(np.tensordot([0.299, 0.587, 0.114], pixels, 1))[None].astype(np.uint8)
