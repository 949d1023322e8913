"""`minicnn export`: a network in a file for other programs."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from minicnn.cli.arguments import add_backbone_options, count

if TYPE_CHECKING:
    from minicnn.weights import WeightsInformation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn export`."""
    add = parser.add_argument
    add(
        "model", metavar="M", nargs="?", help="a backbone, such as resnet50 (default: the one that the weights are for)"
    )
    add("--onnx", type=Path, required=True, metavar="FILE", help="the file to write, for onnxruntime and others")
    add("--weights", metavar="FILE", help="a file of weights, or a set: PARTWORLD_V1, IMAGENET1K_V1")
    add(
        "--input", type=count, nargs=3, metavar=("C", "H", "W"), help="(default: the size that the network is made for)"
    )
    add("--num-classes", type=count, metavar="N",
        help="(default: as in the weights, or 1000 for photographs, 10 for small images)")  # fmt: skip
    add_backbone_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say what is in it."""
    from minicnn.cli.stored_model import load_model
    from minicnn.cli.train_parts import make_model
    from minicnn.export import save_onnx

    name, shape, options = arguments.model, arguments.input, dict(arguments.model_options)
    example = "`minicnn export resnet50 --onnx FILE`"
    if arguments.onnx.suffix.lower() != ".onnx":  # else a slip would replace a file of weights
        raise ValueError(f"--onnx names the file to write, which must end in .onnx, but is {str(arguments.onnx)!r}")
    if arguments.weights is not None:
        channels = None if shape is None else shape[0]
        stored = load_model(arguments.weights, name, arguments.num_classes, channels, options, example)
        model, name, size = stored.model, stored.name, tuple(shape or stored.image_shape)
    elif name is not None:
        model = make_model({"model": name, "model_options": options}, arguments.num_classes, shape)
        size = tuple(shape or model.input_size)
    else:
        raise ValueError(f"which backbone? Name it, as in {example}")
    save_onnx(model, arguments.onnx, size, _described(name, model.weights))
    weights = "fresh weights" if arguments.weights is None else f"the weights of {arguments.weights}"
    print(f"{arguments.onnx}: {name} with {weights}, for images (N, {', '.join(map(str, size))})")
    return 0


def _described(name: str, information: "WeightsInformation | None") -> dict[str, str]:
    """What a program that runs the file must know besides: classes and preparation of images, as texts of JSON."""
    known = {} if information is None else asdict(information)
    wanted = ("resize", "crop", "interpolation", "mean", "std", "categories")
    return {"model": name, **{key: json.dumps(known[key]) for key in wanted if key in known}}
