"""`minicnn summary`: the layers of a backbone, one a line."""

import argparse

from minicnn.cli.arguments import add_backbone_options, count


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn summary`."""
    add = parser.add_argument
    add("model", metavar="M", help="a backbone, such as resnet20")
    add(
        "--input", type=count, nargs=3, metavar=("C", "H", "W"), help="(default: the size that the network is made for)"
    )
    add("--num-classes", type=count, metavar="N", help="(default: 1000 for photographs, 10 for small images)")
    add_backbone_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from minicnn import nn
    from minicnn.cli.train_parts import make_model

    image_shape = None if arguments.input is None else tuple(arguments.input)
    model = make_model(vars(arguments), arguments.num_classes, image_shape)
    print(nn.summary(model, image_shape or model.input_size))
    return 0
