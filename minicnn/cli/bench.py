"""`minicnn bench`: how fast every rung of the ladder is, beside the processor's peak and other libraries."""

from __future__ import annotations

import argparse

from minicnn.cli.arguments import add_out, add_threads
from minicnn.files.suggestions import did_you_mean
from minicnn.kernels.convolution.algorithm import ALGORITHMS

SECTION_NAMES = ("conv", "pool", "norm", "step", "inference", "memory", "first", "peers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minicnn bench`."""
    add = parser.add_argument
    add("--quick", action="store_true", help="one turn each, in a minute or two: to look, not to quote")
    add("--only", type=sections, default=SECTION_NAMES, metavar="NAMES",
        help=f"some of the sections, with commas between them: {', '.join(SECTION_NAMES)} (default: all)")  # fmt: skip
    add("--algorithm", choices=ALGORITHMS, nargs="+", default=ALGORITHMS,
        help="convolution algorithms to measure; auto is minicnn's own choice (default: all)")  # fmt: skip
    add_threads(parser)
    add_out(parser, "results.json and the picture", "bench")


def sections(text: str) -> tuple[str, ...]:
    """("conv", "step") of "conv,step"."""
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in SECTION_NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no section is called {unknown[0]!r}; {did_you_mean(unknown[0], SECTION_NAMES)}"
        )
    return names


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write results.json and the picture; the sections before a Ctrl-C are kept."""
    import numba

    from minicnn.bench.run import run as run_bench
    from minicnn.bench.session import Session
    from minicnn.bench.timing import FULL, QUICK, refuse_uncompiled
    from minicnn.cli.info import gather
    from minicnn.versions import version

    refuse_uncompiled()
    threads = arguments.threads or numba.get_num_threads()
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    if threads > most:
        raise ValueError(f"--threads {threads}: Numba was started with {most}")
    peers = {name: version(name) for name in ("torch", "onnxruntime", "dezero", "mygrad")}
    about = {"command": arguments.command_line, "machine": {**gather(), **peers}}
    plan = QUICK if arguments.quick else FULL
    with Session(threads, arguments.algorithm, plan, arguments.quick) as session:
        try:
            run_bench(session, arguments.only, arguments.out, about)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped; the measurements so far are in {arguments.out}") from None
    print(f"recorded in {arguments.out}")
    return 0
