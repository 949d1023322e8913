"""`minicnn summary`: the layers of a backbone, one a line."""

import argparse

from minicnn.cli.arguments import add_input, add_num_classes, add_positional_model, input_shape, named_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn summary`."""
    add_positional_model(parser)
    add_input(parser, "the size that the network is made for")
    add_num_classes(parser, "1000 for networks for photographs, 10 for those for small images")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from minicnn import nn
    from minicnn.cli.train_parts import make_model

    name, shape = named_model(arguments), input_shape(arguments)
    if name is None:
        raise ValueError("which backbone? Name it, as in `minicnn summary resnet50`; `minicnn list models` shows all")
    channels, side = (None, None) if shape is None else shape[:2]
    model = make_model(name, dict(arguments.model_options), arguments.num_classes, channels, side)
    print(nn.summary(model, shape or model.input_size))
    return 0
