"""What `import minicnn` offers, and that it is quick and silent about it."""

import subprocess
import sys

import pytest

import minicnn


def test_everything_the_package_names_is_there():
    assert [name for name in minicnn.__all__ if not hasattr(minicnn, name)] == []
    assert list(minicnn.__all__) == sorted(set(minicnn.__all__))


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
