"""The parser of the command line: argparse's, with one form of help and of errors for all commands.

Help tells the default of every option, and an error is one line, with the nearest name where a name is unknown.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from minicnn.files.plain_text import printable
from minicnn.files.suggestions import did_you_mean


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose sub-parsers are of this class too."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.options: list[str] = []  # "--model", ...
        settings.setdefault("formatter_class", HelpWithDefaults)
        super().__init__(*args, **settings)

    def add_argument(self, *args: Any, **settings: Any) -> argparse.Action:
        action = super().add_argument(*args, **settings)
        self.options += action.option_strings
        return action

    def error(self, message: str) -> NoReturn:
        """Leave with code 2 and one line, as every other error of a user does."""
        self.exit(2, f"minicnn: error: {printable(message)} (`{self.prog} --help` tells how it is called)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse's, but each parser itself refuses unknown options, and suggests known ones."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].partition("=")[0]
            if name.startswith("-"):
                self.error(f"{name} is not an option; {did_you_mean(name, self.options)}")
            self.error(f"{name!r} is one argument too many")
        return parsed, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # argparse's hook for values of `choices`
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"there is no {value!r}; {_suggested(value, action.choices)}")


class HelpWithDefaults(argparse.HelpFormatter):
    """A formatter that adds the default to the text of each option, unless the text has one."""

    def _get_help_string(self, action: argparse.Action) -> str:  # argparse's hook, as its own formatters use it
        text = action.help or ""
        if "(default" in text or isinstance(action, argparse._HelpAction | argparse._VersionAction):
            return text
        if not action.option_strings and action.default is None:
            return text
        if action.required:
            return f"{text} (required)"
        if action.nargs == 0:  # a switch
            return f"{text} (default: off)"
        if isinstance(action.default, Sequence) and not isinstance(action.default, str):
            return f"{text} (default: {' '.join(map(str, action.default))})"
        return f"{text} (default: %(default)s)"


def _suggested(value: Any, choices: Iterable[Any]) -> str:
    return did_you_mean(str(value), map(str, choices))
