"""`minicnn convert`: the weights of a file, in another format."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn convert`."""
    add = parser.add_argument
    add("input", metavar="IN", help="a file of weights: .safetensors, .npz, or PyTorch's .pth .pt .ckpt .bin .tar")
    add("output", metavar="OUT", help="the file to write, .safetensors or .npz; one of this name is replaced")


def run(arguments: argparse.Namespace) -> int:
    """Write OUT, with the metadata of IN, and with what is known of a file of IN's name."""
    from minicnn.weights import check_writable, information_of, open_weights, save
    from minicnn.weights.loading import without_prefix

    with open_weights(arguments.input) as file:
        information = information_of(file)
        check_writable(arguments.output)
        arrays = file.read()
        renamed = without_prefix(list(arrays), ())
        arrays = {renamed.get(name, name): array for name, array in arrays.items()}
        metadata = file.metadata | (information.as_metadata() if information is not None else {})
    save(arrays, arguments.output, metadata)
    numbers = sum(array.size for array in arrays.values())
    print(f"{arguments.output}: {len(arrays)} arrays, {numbers:,} numbers, from {file.form}")
    if renamed:
        print(f"'module.' was taken off {len(renamed)} names")
    if file.ignored:
        print(f"left behind, as no part of the state: {', '.join(sorted(file.ignored))}")
    return 0
