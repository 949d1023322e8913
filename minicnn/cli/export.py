"""`minicnn export`: a network in a file for other programs."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from minicnn.cli.arguments import (
    add_input,
    add_num_classes,
    add_positional_model,
    add_weights,
    input_shape,
    named_model,
)

if TYPE_CHECKING:
    from minicnn.weights import WeightsInformation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn export`."""
    add_positional_model(parser, "the first argument, or the backbone of the weights")
    add_weights(parser, "fresh ones")
    parser.add_argument("--onnx", type=Path, required=True, metavar="FILE",
        help="the file to write, for onnxruntime and others")  # fmt: skip
    add_input(parser, "the size that the weights or the network are made for")
    add_num_classes(parser, "as in the weights, or 1000 for networks for photographs and 10 for those for small images")


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and name the network and its images."""
    from minicnn.cli.stored_model import load_model
    from minicnn.cli.train_parts import make_model
    from minicnn.export import save_onnx

    name, options = named_model(arguments), dict(arguments.model_options)
    example = "`minicnn export resnet50 --onnx FILE`"
    if arguments.onnx.suffix.lower() != ".onnx":  # else a slip would replace a file of weights
        raise ValueError(f"--onnx names the file to write, which must end in .onnx, but is {str(arguments.onnx)!r}")
    if arguments.weights is not None:
        channels = None if arguments.input is None else arguments.input[0]
        stored = load_model(arguments.weights, name, arguments.num_classes, channels, options, example)
        model, name = stored.model, stored.name
        size = input_shape(arguments, stored.image_shape[0]) or stored.image_shape
    elif name is not None:
        shape = input_shape(arguments)
        channels, side = (None, None) if shape is None else shape[:2]
        model = make_model(name, options, arguments.num_classes, channels, side)
        size = shape or model.input_size
    else:
        raise ValueError(f"which backbone? Name it, as in {example}")
    save_onnx(model, arguments.onnx, size, _described(name, model.weights))
    weights = "fresh weights" if arguments.weights is None else f"the weights of {arguments.weights}"
    print(f"{arguments.onnx}: {name} with {weights}, for images (N, {', '.join(map(str, size))})")
    return 0


def _described(name: str, information: "WeightsInformation | None") -> dict[str, str]:
    """Classes and preparation of images for a program that runs the file, as texts of JSON."""
    known = {} if information is None else asdict(information)
    wanted = ("resize", "crop", "interpolation", "mean", "std", "categories")
    return {"model": name, **{key: json.dumps(known[key]) for key in wanted if key in known}}
