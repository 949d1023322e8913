"""The tests themselves: none is lost by its name, and none fails because a kernel had to be compiled first."""

import ast
from pathlib import Path

import pytest
from hypothesis import settings

FILES = sorted(Path(__file__).parent.rglob("test_*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_function_is_a_test_or_is_used(path):
    """`def text_constant` is never collected, and nobody notices; of two tests of one name, only the last runs."""
    source = path.read_text()
    tree = ast.parse(source)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    names = [function.name for function in functions]
    assert sorted(names) == sorted(set(names))
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for function in functions:
        fixture = any("fixture" in ast.unparse(decorator) for decorator in function.decorator_list)
        assert function.name.startswith("test_") or fixture or function.name in used, function.name


def checks_something(function, helpers):
    """True if it asserts, expects an error or a warning, or calls a helper of its file or of conftest that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if any(word in name for word in ("assert", "pytest.raises", "pytest.warns", "same_as_torch")):
                return True
            if name in helpers and checks_something(helpers[name], {}):
                return True
            if any(keyword.arg == "check" for keyword in node.keywords):  # a subprocess that must succeed
                return True
    return False


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_test_can_fail(path):
    """A check that prints proves nothing."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    helpers = {function.name: function for function in functions if not function.name.startswith("test_")}
    for function in functions:
        assert not function.name.startswith("test_") or checks_something(function, helpers), function.name


def test_hypothesis_has_no_deadline():
    assert settings.default.deadline is None
