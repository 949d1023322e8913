"""The `minicnn` command: finds the command that is meant, and imports nothing of the others.

Each command is a module of this folder with

    add_arguments(parser)      its options, added to a parser
    run(arguments) -> int      does the work; returns the exit code

A mistake of the user ends in one line, `minicnn: error: ...`, and exit code 2; `--traceback` shows where the error was
raised. Warnings are a line each, `minicnn: warning: ...`.
"""

import importlib
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from minicnn.cli.parser import Parser
from minicnn.files.plain_text import printable

COMMANDS = {
    "tour": "train a small network, look into it, transfer it, and write a page about it",
    "train": "train a backbone on a data set, from nothing or from given weights",
    "evaluate": "measure a saved network on a data set: accuracy of each class, confusion matrix",
    "predict": "name the contents of pictures, or of folders of pictures",
    "list": "show the backbones, the data sets or the weights that there are",
    "summary": "show the layers of a backbone: shapes, parameters, multiply-adds, receptive fields",
    "inspect": "show the contents of a file of weights; nothing in the file is run",
    "convert": "write the weights of a file, such as PyTorch's, in another format",
    "export": "write a backbone as a file for other programs",
    "partworld": "draw PartWorld pictures, or measure how well they separate models",
    "bench": "measure kernels, training steps and inference, beside other libraries",
    "lesson": "list and run the lessons, check exercises, make notebooks",
    "info": "show versions, threads, vector width and folders",
}
USER_ERRORS = (ValueError, OSError, FloatingPointError, ModuleNotFoundError)
INTERRUPTED = 130  # the code that shells report for Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of the command line `argv` (None: that of this process)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = make_parser(argv)
    arguments = parser.parse_args(argv)
    arguments.command_line = shlex.join(["minicnn", *argv])  # recorded with a run, so that it can be repeated
    if arguments.version:
        from minicnn import __version__

        print(f"minicnn {__version__}")
        return 0
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        with plain_warnings():
            code: int = _module(arguments.command).run(arguments)
            return code
    except BrokenPipeError:  # the reader of our output has gone, as in `minicnn summary ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except USER_ERRORS as error:
        if arguments.traceback:
            raise
        print(f"minicnn: error: {printable(message_of(error))}", file=sys.stderr)
        return 2
    except MemoryError as error:
        if arguments.traceback:
            raise
        print(f"minicnn: error: there is not enough memory ({error or 'it is used up'})", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"minicnn: {str(error) or 'stopped'}", file=sys.stderr)
        return INTERRUPTED


def make_parser(argv: Sequence[str]) -> Parser:
    """The parser of the whole command line. Only the command that is called is imported, so that --help is quick."""
    parser = Parser(prog="minicnn", description="Convolutional networks to read, step through and measure.")
    parser.add_argument("--version", action="store_true", help="show the version of minicnn")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    called = next((argument for argument in argv if argument in COMMANDS), None)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        command.add_argument("--traceback", action="store_true", help="show where an error was raised")
        if name == called:
            _module(name).add_arguments(command)
    return parser


def message_of(error: Exception) -> str:
    """The message of an error for the user: an error of the system is told without its number."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.strerror}: {str(error.filename)!r}"
    return str(error)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """While this is open, a warning is one line for the user, without the line of code that gave the warning."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        print(f"minicnn: warning: {printable(str(message))}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _module(name: str) -> Any:
    return importlib.import_module(f"minicnn.cli.{name}")


if __name__ == "__main__":
    sys.exit(main())
