"""What `import minicnn` offers, and that it is quick and silent about it."""

import subprocess
import sys

import minicnn


def test_everything_the_package_names_is_there():
    assert [name for name in minicnn.__all__ if not hasattr(minicnn, name)] == []
    assert list(minicnn.__all__) == sorted(set(minicnn.__all__))


def test_what_torch_has_at_its_top_is_functionals_function():
    for name in ("argmax", "concat", "einsum", "matmul", "maximum", "minimum", "stack", "where"):
        assert getattr(minicnn, name) is getattr(minicnn.functional, name)


def test_import_prints_nothing_and_leaves_slow_packages_for_later():
    program = (
        "import sys, minicnn; print([name for name in ('matplotlib', 'scipy.special', 'pooch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
