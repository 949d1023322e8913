"""`minicnn summary`: the layers of a backbone, one a line."""

import argparse

from minicnn.cli.arguments import count, key_and_value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn summary`."""
    add = parser.add_argument
    add("model", metavar="M", help="a backbone, such as resnet20")
    add("--input", type=count, nargs=3, default=(3, 32, 32), metavar=("C", "H", "W"), help="(default: 3 32 32)")
    add("--num-classes", type=count, default=10, help="(default: 10)")
    add("--set", dest="model_options", type=key_and_value, action="append", default=[], metavar="KEY=VALUE",
        help="an option of the backbone, such as width=8; may be given several times")  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from minicnn import nn
    from minicnn.cli.train_parts import make_model

    channels, height, width = arguments.input
    model = make_model(vars(arguments), arguments.num_classes, (channels, height, width))
    print(nn.summary(model, (channels, height, width)))
    return 0
