"""The tests themselves: none is lost by its name or by a package that is missing, and none has a deadline."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import settings

FILES = sorted(Path(__file__).parent.rglob("test_*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_function_is_a_test_or_is_used(path):
    """`def text_constant` is never collected, and nobody notices; of two tests of one name, only the last runs."""
    source = path.read_text(encoding="utf-8")
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
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    helpers = {function.name: function for function in functions if not function.name.startswith("test_")}
    for function in functions:
        assert not function.name.startswith("test_") or checks_something(function, helpers), function.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_test_module_imports_a_test_module(path):
    """One that skips itself would fail the other with an ImportError; shared helpers are in modules of their own."""
    source = path.read_text(encoding="utf-8")
    assert re.findall(r"(?:from|import) tests\.(?:\w+\.)*test_\w+", source) == []
    assert not re.search(r"^ *(?:from|import) test_\w+", source, re.MULTILINE)


# Files of which every test needs the package, because what they define at import is made of it.
SKIPPED_WHOLE = {"test_float32_gradients.py", "test_onnx_nodes.py", "test_torch_samples.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_missing_package_skips_the_tests_that_need_it_and_no_others(path):
    skips = [
        ast.unparse(node)
        for statement in ast.parse(path.read_text(encoding="utf-8")).body
        if not isinstance(statement, ast.FunctionDef | ast.ClassDef)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("pytest.importorskip", "pytest.skip")
    ]
    assert not skips or path.name in SKIPPED_WHOLE, f"use tests/peers.py and its marks instead of {skips}"


def test_hypothesis_has_no_deadline():
    assert settings.default.deadline is None
