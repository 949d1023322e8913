"""minicnn partworld: look at the embedded pictures, or measure which models can learn them."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn partworld`."""
    parser.add_argument("--family", default="base", help="base, near, mid or far (default: base)")
    parser.add_argument("--image-size", type=int, default=32, help="side of the pictures (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the pictures drawn for the sheet (default: 0)")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: partworld.png, with --measure partworld.json"
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="train models from linear to ResNet-20 on the base family and record what each reaches (about 15 minutes "
        "a seed on two cores)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds to measure (default: 0 1 2)")


def run(arguments: argparse.Namespace) -> int:
    """Draw the sheet or measure; 0 when the file is written."""
    return _measure(arguments) if arguments.measure else _draw(arguments)


def _draw(arguments: argparse.Namespace) -> int:
    from minicnn.data import PartWorld
    from minicnn.figures.images import image_sheet

    pictures = PartWorld(size=100, family=arguments.family, image_size=arguments.image_size, seed=arguments.seed)
    out = arguments.out or Path("partworld.png")
    image_sheet(pictures.images, pictures.labels, pictures.classes).savefig(out)
    print(f"{pictures}: eight pictures of each class in {out}")
    return 0


def _measure(arguments: argparse.Namespace) -> int:
    from minicnn.features.separation import MODELS, measure_separation
    from minicnn.files.atomic import check_writable, write_atomically
    from minicnn.versions import recorded_machine, recorded_versions

    out = arguments.out or Path("partworld.json")
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
