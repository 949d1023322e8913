"""What `import minicnn` offers, and that it is quick and silent about it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn


def test_everything_the_package_names_is_there():
    assert [name for name in minicnn.__all__ if not hasattr(minicnn, name)] == []
    assert list(minicnn.__all__) == sorted(set(minicnn.__all__))


def test_there_is_one_version_number():
    """In minicnn/__init__.py, from where the build takes it; the file for citations and the changelog say the same."""
    root = Path(__file__).parents[1]
    project = (root / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert not re.search(r"^version = ", project, re.MULTILINE)
    assert f"\nversion: {minicnn.__version__}\n" in (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {minicnn.__version__}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_message_sends_a_reader_to_a_package_of_another_project():
    """`minicnn` on the package index is somebody else's; what is missing is an extra of the clone."""
    root = Path(__file__).parents[1]
    files = [*root.glob("*.md"), *(root / "docs").glob("*.md")]
    files += [path for folder in ("minicnn", "lessons") for path in (root / folder).rglob("*.py")]
    wrong = re.compile(r"pip install (-\S+ )*[\"']?minicnn(?!-learn)")
    assert [str(path) for path in files if wrong.search(path.read_text(encoding="utf-8"))] == []


def test_what_torch_has_at_its_top_is_functionals_function():
    for name in ("argmax", "concat", "einsum", "matmul", "maximum", "minimum", "stack", "where"):
        assert getattr(minicnn, name) is getattr(minicnn.functional, name)


@pytest.mark.parametrize("package", ["data", "features", "figures", "training", "transfer"])
def test_what_a_package_lists_is_there_and_matplotlib_waits_for_a_figure(package):
    program = f"""
import sys, minicnn.{package} as package
print([name for name in package.__all__ if not hasattr(package, name)], "matplotlib" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[] False", "")


def test_import_prints_nothing_and_leaves_slow_packages_for_later():
    program = (
        "import sys, minicnn; print([name for name in ('matplotlib', 'scipy.special', 'pooch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
