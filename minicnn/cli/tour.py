"""minicnn tour: train a small backbone from nothing, look inside, transfer it to new pictures, and write a page."""

from __future__ import annotations

import argparse

from minicnn.cli.arguments import add_out, add_seed, add_threads, use_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options to `parser`."""
    parser.description = (
        "Train a small residual backbone on PartWorld, show the features of each stage, move it to a near and a far "
        "set of 20 pictures a class, and write DIR/index.html and DIR/results.json."
    )
    parser.add_argument("--quick", action="store_true", help="a smaller network on fewer pictures")
    add_out(parser, "the page and the results", "tour")
    add_seed(parser)
    add_threads(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; 0 when the page is written."""
    from minicnn.report.tour import FULL, QUICK, run_tour

    use_threads(arguments)
    results = run_tour(arguments.out, QUICK if arguments.quick else FULL, arguments.seed)
    near, far = (results["transfer"][family] for family in ("near", "far"))
    print(f"test accuracy {results['test_accuracy']:.3f}; {results['seconds']['total']:.0f} s in all")
    print(f"near: scratch {near['from scratch']:.2f}, frozen {near['frozen']:.2f}, fine-tuned {near['fine-tuned']:.2f}")
    print(f"far:  scratch {far['from scratch']:.2f}, frozen {far['frozen']:.2f}, fine-tuned {far['fine-tuned']:.2f}")
    print(f"open {arguments.out / 'index.html'} in a browser")
    return 0
