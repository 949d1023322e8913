"""The `minicnn` command: finds the command that is meant, and imports nothing of the others.

Each command is a module of this folder with

    add_arguments(parser)      its options, added to an argparse parser
    run(arguments) -> int      what it does; returns the exit code

What a user did wrong ends in one line, `minicnn: error: ...`, and exit code 2; `--traceback` shows where it was raised.
"""

import argparse
import importlib
import os
import shlex
import sys
from collections.abc import Sequence

from minicnn.files.plain_text import printable

COMMANDS = {
    "tour": "train a small network, look into it, transfer it, and write a page about it",
    "train": "train a backbone on a data set",
    "summary": "show the layers of a backbone: shapes, parameters, multiply-adds, receptive fields",
    "predict": "name what pictures show",
    "inspect": "show what is in a file of weights, a stranger's too: nothing in it is run",
    "convert": "write the weights of a file, such as PyTorch's, in another format",
    "export": "write a backbone as a file for other programs",
    "partworld": "draw PartWorld pictures, or measure how well they separate models",
    "bench": "measure kernels, training steps and inference, beside other libraries",
    "lesson": "list and run the lessons, check exercises, make notebooks",
    "info": "show versions, threads, vector width and folders",
}
USER_ERRORS = (ValueError, OSError, FloatingPointError, ModuleNotFoundError)
INTERRUPTED = 130  # what shells report for Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command line `argv` (None: that of this process)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    arguments = _parser(argv).parse_args(argv)
    arguments.command_line = shlex.join(["minicnn", *argv])  # what a record of a run says that made it
    if arguments.command is None:
        _parser(argv).print_help()
        return 0
    try:
        return _module(arguments.command).run(arguments)
    except BrokenPipeError:  # the reader of our output has gone, as in `minicnn summary ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except USER_ERRORS as error:
        if arguments.traceback:
            raise
        print(f"minicnn: error: {printable(str(error))}", file=sys.stderr)
        return 2
    except MemoryError as error:
        if arguments.traceback:
            raise
        print(f"minicnn: error: there is not enough memory ({error or 'it is used up'})", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"minicnn: {str(error) or 'stopped'}", file=sys.stderr)
        return INTERRUPTED


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of the whole command line. Only the command that is called is imported, so that --help is quick."""
    description = "Convolutional networks to read, step through and measure."
    parser = argparse.ArgumentParser(prog="minicnn", description=description)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    called = next((argument for argument in argv if argument in COMMANDS), None)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        command.add_argument("--traceback", action="store_true", help="show where an error was raised")
        if name == called:
            _module(name).add_arguments(command)
    return parser


def _module(name: str):
    return importlib.import_module(f"minicnn.cli.{name}")


if __name__ == "__main__":
    sys.exit(main())
