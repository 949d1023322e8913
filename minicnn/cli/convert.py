"""`minicnn convert`: the weights of a file, in another format."""

import argparse
from collections import Counter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn convert`."""
    add = parser.add_argument
    add("input", metavar="IN", help="a file of weights: .safetensors, .npz, or PyTorch's .pth .pt .ckpt .bin .tar")
    add("output", metavar="OUT", help="the file to write, .safetensors or .npz; one of this name is replaced")


def run(arguments: argparse.Namespace) -> int:
    """Write OUT with the metadata of IN, and with the facts that are known of a file of IN's name."""
    from minicnn.files.atomic import check_writable
    from minicnn.weights import information_of, open_weights, save
    from minicnn.weights.files import check_ending
    from minicnn.weights.loading import without_prefix
    from minicnn.weights.stored import kind_of

    check_ending(arguments.output)
    with open_weights(arguments.input) as file:
        information = information_of(file)
        check_writable(arguments.output)
        arrays = file.read()
        kinds = {name: (kind_of(entry), arrays[name].dtype.name) for name, entry in file.entries.items()}
        renamed = without_prefix(list(arrays), ())
        arrays = {renamed.get(name, name): array for name, array in arrays.items()}
        metadata = file.metadata | (information.as_metadata() if information is not None else {})
    save(arrays, arguments.output, metadata)
    numbers = sum(array.size for array in arrays.values())
    print(f"{arguments.output}: {len(arrays)} arrays, {numbers:,} numbers, from {file.form}")
    for (before, after), count in Counter(pair for pair in kinds.values() if pair[0] != pair[1]).items():
        print(f"{count} widened from {before} to {after}")
    if renamed:
        print(f"'module.' was taken off {len(renamed)} names")
    if file.ignored:
        print(f"not written, for these are not part of the state: {', '.join(sorted(file.ignored))}")
    return 0
