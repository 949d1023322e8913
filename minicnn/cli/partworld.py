"""minicnn partworld: look at the embedded pictures, or measure which models can learn them."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from minicnn.cli.arguments import add_image_size, add_out, add_seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn partworld`."""
    from minicnn.data.catalogue import PARTWORLD_FAMILIES

    add = parser.add_argument
    add("--family", choices=tuple(PARTWORLD_FAMILIES.values()), default="base", help="kind of pictures to draw")
    add("--measure", action="store_true",
        help="train models from linear to ResNet-20 on the base family and record the accuracy of each, about 15 "
        "minutes a seed on two cores")  # fmt: skip
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="seeds to measure")
    add_image_size(parser, "32")
    add_seed(parser)
    add_out(parser, "partworld.png, or separation.json with --measure", "partworld")


def run(arguments: argparse.Namespace) -> int:
    """Draw the sheet or measure; 0 when the file is written."""
    from minicnn.files.atomic import make_folder

    folder = make_folder(arguments.out)
    return _measure(arguments, folder / "separation.json") if arguments.measure else _draw(arguments, folder)


def _draw(arguments: argparse.Namespace, folder: Path) -> int:
    from minicnn.data import PartWorld
    from minicnn.figures.images import image_sheet

    side = arguments.image_size or 32
    pictures = PartWorld(size=100, family=arguments.family, image_size=side, seed=arguments.seed)
    out = folder / "partworld.png"
    image_sheet(pictures.images, pictures.labels, pictures.classes).savefig(out)
    print(f"{pictures}: eight pictures of each class in {out}")
    return 0


def _measure(arguments: argparse.Namespace, out: Path) -> int:
    from minicnn.features.separation import MODELS, measure_separation
    from minicnn.files.atomic import check_writable, write_atomically
    from minicnn.versions import recorded_machine, recorded_versions

    check_writable(out)
    record: dict[str, Any] = {
        "command": f"minicnn partworld --measure --seeds {' '.join(map(str, arguments.seeds))}",
        "versions": recorded_versions(),
        "machine": recorded_machine(),
        "seeds": {},
    }
    started = time.perf_counter()
    for seed in arguments.seeds:
        # Written after every seed, so that an interrupted measurement keeps the seeds that it finished.
        record["seeds"][str(seed)] = measure_separation(seed)
        record["seconds"] = round(time.perf_counter() - started)
        write_atomically(out, (json.dumps(record, indent=1) + "\n").encode())
    for model in MODELS:
        scores = [record["seeds"][str(seed)][model]["test"] for seed in arguments.seeds]
        print(f"{model:9s} {min(scores):.3f} to {max(scores):.3f}")
    print(f"recorded in {out}")
    return 0
