"""Rules of every compiled kernel, read from the source: what breaks them compiles, runs, and fails elsewhere."""

import ast
import re
from pathlib import Path

import minicnn
from minicnn.kernels.compiling.compile import REORDER

PACKAGE = Path(minicnn.__file__).parent
FILES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
LESSONS_FOLDER = "teach/"  # reads what a student wrote, by Python's own compile
COMPARES_OR_LOOKS_FOR_NAN = ("windows.py", "maximum.py", "normalization.py", "elementwise.py", "resize.py")


def is_compile(node):
    return isinstance(node, ast.Name) and node.id == "compile"


def calls_of_compile():
    """(file, call) wherever a kernel is compiled with options; `@compile` alone has none."""
    for file, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and is_compile(node.func) and not file.startswith(LESSONS_FOLDER):
                yield file, node


def kernels(parallel_only=False):
    """(file, function) of every function that is compiled: by `compile(name, ...)`, or as `@compile`."""
    for file, tree in FILES.items():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_compile(node.func) and node.args]
        if parallel_only:
            calls = [call for call in calls if any(keyword.arg == "parallel" for keyword in call.keywords)]
        names = {call.args[0].id for call in calls if isinstance(call.args[0], ast.Name)}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (
                node.name in names or (not parallel_only and any(map(is_compile, node.decorator_list)))
            ):
                yield file, node


def test_the_scan_finds_the_kernels():
    found = {function.name for _, function in kernels()}
    assert {"forward_loops", "max_rows", "sum_parts", "convolve_units", "draw_pictures", "_coverage"} <= found
    assert "forward_loops" not in {function.name for _, function in kernels(parallel_only=True)}


def test_kernels_are_compiled_in_one_way():
    """vectorize and guvectorize compile even under NUMBA_DISABLE_JIT; njit elsewhere would miss cache and lock."""
    for file, tree in FILES.items():
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert not used & {"vectorize", "guvectorize", "jit", "cfunc", "stencil"}, file
        # `minicnn info` runs an empty loop of its own, to learn which threading layer Numba chooses; a reader's answer
        # to lesson 15 is compiled, run and forgotten.
        assert "njit" not in used or file in (
            "kernels/compiling/compile.py",
            "cli/info.py",
            "teach/checks/lesson_15.py",
        ), file


def test_kernels_have_no_explicit_signatures():
    """A signature would fix dtype and memory order, and refuse or copy all others (numba#1691)."""
    for file, call in calls_of_compile():
        assert len(call.args) == 1, file
        assert isinstance(call.args[0], ast.Name), file
        assert not {keyword.arg for keyword in call.keywords} & {"signature", "locals"}, file


def test_no_kernel_may_assume_that_there_is_no_nan():
    assert not REORDER & {"nnan", "ninf", "fast"}
    for file, call in calls_of_compile():
        for keyword in call.keywords:
            if keyword.arg == "fastmath":
                assert isinstance(keyword.value, ast.Name), file
                assert keyword.value.id == "REORDER", file
                assert Path(file).name not in COMPARES_OR_LOOKS_FOR_NAN, file


def test_parallel_kernels_do_not_raise_assert_or_build_lists():
    """An exception inside prange is lost or aborts the process, and lists are not safe to share between threads."""
    for file, function in kernels(parallel_only=True):
        for node in ast.walk(function):
            assert not isinstance(node, ast.Raise | ast.Assert | ast.List | ast.ListComp), (file, function.name)


def test_no_kernel_calls_a_matrix_product():
    """np.dot and @ in a kernel need SciPy's BLAS, whose threads fight Numba's (numba#6933)."""
    for file, function in kernels():
        for node in ast.walk(function):
            assert not isinstance(node, ast.MatMult), (file, function.name)
            assert not (isinstance(node, ast.Attribute) and node.attr in ("dot", "matmul")), (file, function.name)


def test_numba_is_new_enough_for_breakpoints():
    """Before 0.61 a breakpoint in VS Code raised an AssertionError (numba#9753)."""
    project = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'^  "(numba\b.*)",$', project, re.MULTILINE) == ["numba>=0.61"]


def functions_of_kernels():
    """(file, function, the line above its `def` and that line) of every function in kernels/."""
    for path in sorted((PACKAGE / "kernels").rglob("*.py")):
        lines = path.read_text().splitlines()
        for node in ast.walk(ast.parse("\n".join(lines))):
            if isinstance(node, ast.FunctionDef):
                yield path.name, node, lines[max(0, node.lineno - 2) : node.lineno]


def test_no_function_of_a_kernel_has_more_than_ten_arguments_without_a_reason():
    """Twelve are the most. Over ten, a comment beside the `def` or on the line above says why."""
    counts = {}
    for file, node, beside in functions_of_kernels():
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        counts[node.name] = len(arguments)
        assert len(arguments) <= 12, (file, node.name, len(arguments))
        assert len(arguments) <= 10 or any("#" in line for line in beside), (file, node.name, len(arguments))
    assert counts["convolve_units"] == 10  # the scan counts
