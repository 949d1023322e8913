"""docs/kernels.md works a case in numbers, the map names files: both are true."""

import doctest
import re
from pathlib import Path

from minicnn import kernels

ROOT = Path(__file__).parents[2]


def test_the_numbers_of_the_page_on_kernels_are_those_of_the_code():
    failed, tried = doctest.testfile(str(ROOT / "docs" / "kernels.md"), module_relative=False)
    assert failed == 0
    assert tried > 30


def test_the_map_names_every_file_of_the_kernels_and_no_other():
    """pooling/, pointwise/ and compiling/ are named as folders only."""
    folder = Path(kernels.__file__).parent
    named = set(re.findall(r"\b(\w+\.py)\b", kernels.__doc__))
    files = {path.relative_to(folder) for path in folder.rglob("*.py") if path.name != "__init__.py"}
    listed = {path.name for path in files if path.parts[0] not in ("pooling", "pointwise", "compiling")}
    assert listed - named == set()
    assert named <= {path.name for path in files}
    assert all(f"{path.parts[0]}/" in kernels.__doc__ for path in files if len(path.parts) > 1)


def test_the_path_of_the_page_names_functions_that_exist():
    text = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    for file, name in re.findall(r"`(?:\w+/)*(\w+\.py): (\w+)`", text):
        (path,) = [p for p in (ROOT / "minicnn").rglob(file) if _is_on_the_path(p, text, file)]
        assert f"def {name}(" in path.read_text(encoding="utf-8"), (file, name)


def _is_on_the_path(path, text, file):
    folders = re.findall(rf"`((?:\w+/)+){re.escape(file)}: ", text) or ["convolution/"]
    return path.as_posix().endswith(folders[0] + file)
