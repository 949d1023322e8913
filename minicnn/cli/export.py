"""`minicnn export`: a network in a file for other programs."""

import argparse
from pathlib import Path

from minicnn.cli.arguments import count, key_and_value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn export`."""
    add = parser.add_argument
    add("model", metavar="M", nargs="?", help="a backbone, such as resnet50 (default: the one that the weights name)")
    add("--onnx", type=Path, required=True, metavar="FILE", help="the file to write, for onnxruntime and others")
    add("--weights", type=Path, metavar="FILE", help="what to load, such as DIR/weights.safetensors of minicnn train")
    add(
        "--input", type=count, nargs=3, metavar=("C", "H", "W"), help="(default: the size that the network is made for)"
    )
    add("--num-classes", type=count, help="(default: as in the weights, or 1000 for photographs, 10 for small images)")
    add("--set", dest="model_options", type=key_and_value, action="append", default=[], metavar="KEY=VALUE",
        help="an option of the backbone, such as width=8; may be given several times")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and say what is in it."""
    import minicnn
    from minicnn.cli.train_parts import make_model
    from minicnn.export import save_onnx

    known = {} if arguments.weights is None else minicnn.weights.load_metadata(arguments.weights)
    name = arguments.model or known.get("model")
    if name is None:
        raise ValueError("which backbone? Name it, as in `minicnn export resnet50 --onnx FILE`")
    shape = arguments.input or known.get("image_shape")
    options = {**known.get("model_options", {}), **dict(arguments.model_options)}
    model = make_model(
        {"model": name, "model_options": options}, arguments.num_classes or known.get("num_classes"), shape
    )
    if arguments.weights is not None:
        minicnn.weights.load_weights(model, arguments.weights)
    size = tuple(shape or model.input_size)
    save_onnx(model, arguments.onnx, size, _described(name, arguments.weights))
    weights = "fresh weights" if arguments.weights is None else f"the weights of {arguments.weights}"
    print(f"{arguments.onnx}: {name} with {weights}, for images (N, {', '.join(map(str, size))})")
    return 0


def _described(name: str, weights: Path | None) -> dict[str, str]:
    """What a program that runs the file must know besides: classes and preparation of images, as texts of JSON."""
    import json
    from dataclasses import asdict

    from minicnn.weights import information_of, open_weights

    if weights is None:
        return {"model": name}
    with open_weights(weights) as file:
        information = information_of(file)
    known = {} if information is None else asdict(information)
    wanted = ("resize", "crop", "interpolation", "mean", "std", "categories")
    return {"model": name, **{key: json.dumps(known[key]) for key in wanted if key in known}}
