"""The command line as a whole: what it lists, what it imports, and how it reports errors."""

import argparse
import subprocess
import sys
import warnings

import pytest

import minicnn
from minicnn.cli import main as main_module
from minicnn.cli.main import COMMANDS, main, make_parser


@pytest.fixture
def command(monkeypatch):
    """Make `minicnn info` do something else for one test."""

    def replace(function):
        import minicnn.cli.info

        monkeypatch.setattr(minicnn.cli.info, "run", function)
        return lambda *options: main(["info", *options])

    return replace


def failing_with(error):
    def run(arguments):
        raise error

    return run


@pytest.mark.parametrize("argv", [[], ["--help"]])
def test_help_lists_every_command(capsys, argv):
    try:
        assert main(argv) == 0
    except SystemExit as leaving:
        assert leaving.code == 0  # noqa: PT017 (argparse leaves this way after --help)
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_help_imports_no_command():
    program = (
        "import sys; from minicnn.cli.main import COMMANDS, main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "commands = [name for name in COMMANDS if f'minicnn.cli.{name}' in sys.modules]\n"
        "print(commands, 'matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] False"


@pytest.mark.parametrize(
    "error",
    [ValueError("no such thing"), FileNotFoundError(2, "no such thing", "x"), FloatingPointError("no such thing")],
)
def test_a_users_error_is_one_line_and_code_2(command, capsys, error):
    assert command(failing_with(error))() == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("minicnn: error: ")
    assert "no such thing" in printed.err
    assert printed.err.count("\n") == 1


def test_an_error_cannot_drive_the_terminal(command, capsys):
    assert command(failing_with(ValueError("a\x1b[2J\rb\nc")))() == 2
    assert capsys.readouterr().err == "minicnn: error: a\\x1b[2J\\rb\nc\n"


def test_too_little_memory_is_no_error_of_ours(command, capsys):
    assert command(failing_with(MemoryError("Unable to allocate 2 TiB")))() == 2
    assert capsys.readouterr().err == "minicnn: error: there is not enough memory (Unable to allocate 2 TiB)\n"
    with pytest.raises(MemoryError):
        command(failing_with(MemoryError()))("--traceback")


def test_traceback_shows_where_an_error_was_raised(command):
    with pytest.raises(ValueError, match="no such thing"):
        command(failing_with(ValueError("no such thing")))("--traceback")


def test_an_error_of_ours_is_not_hidden(command):
    with pytest.raises(AttributeError):
        command(failing_with(AttributeError("a mistake of ours")))()


def test_ctrl_c_is_code_130_without_a_traceback(command, capsys):
    assert command(failing_with(KeyboardInterrupt("all is saved")))() == 130
    assert capsys.readouterr().err == "minicnn: all is saved\n"
    assert command(failing_with(KeyboardInterrupt()))() == 130
    assert capsys.readouterr().err == "minicnn: stopped\n"


@pytest.mark.parametrize("argv", [["fly"], ["train"], ["info", "--unknown"]])
def test_a_wrong_command_line_is_code_2(capsys, argv):
    with pytest.raises(SystemExit) as leaving:
        main(argv)
    assert leaving.value.code == 2
    assert "minicnn" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    script = f"{sys.executable} -m minicnn.cli.main info | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert main_module.INTERRUPTED == 130


def test_a_warning_is_one_line_without_code(command, capsys):
    def warn(arguments):
        warnings.warn("the pictures look unscaled", stacklevel=1)
        return 0

    before = warnings.showwarning
    assert command(warn)() == 0
    assert capsys.readouterr().err == "minicnn: warning: the pictures look unscaled\n"
    assert warnings.showwarning is before


def test_the_version_is_told(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "suggestion"),
    [
        (["trian"], "there is no 'trian'; did you mean 'train'?"),
        (["train", "--data", "partworld", "--modle", "resnet8"], "--modle is not an option; did you mean '--model'?"),
        (["train", "--data", "partworld", "--optimizer", "adm"], "there is no 'adm'; did you mean 'adam' or 'adamw'?"),
        (["list", "model"], "there is no 'model'; did you mean 'models'?"),
        (["lesson", "lsit"], "there is no 'lsit'; did you mean 'list'?"),
        (["info", "more"], "'more' is one argument too many"),
    ],
)
def test_a_slip_of_the_pen_is_one_line_that_names_what_was_meant(capsys, argv, suggestion):
    with pytest.raises(SystemExit):
        main(argv)
    error = capsys.readouterr().err
    assert error.startswith("minicnn: error: ")
    assert suggestion in error
    assert error.count("\n") == 1


def parsers():
    """(name, parser) of every command and of every action of a command."""
    for name in COMMANDS:
        (commands,) = (action for action in make_parser([name])._actions if isinstance(action, SUBPARSERS))
        stack = [(name, commands.choices[name])]
        while stack:
            path, parser = stack.pop()
            yield path, parser
            for action in parser._actions:
                if isinstance(action, SUBPARSERS):
                    stack += [(f"{path} {each}", below) for each, below in action.choices.items()]


SUBPARSERS = argparse._SubParsersAction
PARSERS = dict(parsers())


@pytest.mark.parametrize("path", PARSERS)
def test_every_option_has_a_help_text_with_its_default(path):
    parser = PARSERS[path]
    shown = parser._get_formatter()._get_help_string
    for action in parser._actions:
        if isinstance(action, SUBPARSERS):
            continue
        text = shown(action) % {"default": action.default}
        assert len(text) > 10, action.option_strings
        assert "None" not in text, action.option_strings
        assert text.count("default: ") <= 1, text
        if action.option_strings and not isinstance(action, argparse._HelpAction):
            assert "(default: " in text or "(required)" in text, text


def test_an_option_means_the_same_in_every_command():
    """The same destination, type, number of values and placeholder wherever an option of this name occurs."""
    shared = ("--model", "--weights", "--data", "--out", "--image-size", "--num-classes", "--seed", "--threads")
    for option in (*shared, "--batch-size", "--quick-limit", "--set", "--input"):
        found = {
            path: (action.dest, action.type, action.nargs, action.metavar)
            for path, parser in PARSERS.items()
            for action in parser._actions
            if option in action.option_strings
        }
        assert found, option
        assert len(set(found.values())) == 1, found
