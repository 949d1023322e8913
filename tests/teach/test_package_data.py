"""A wheel carries the lessons, where minicnn.teach looks for them."""

from pathlib import Path

import pytest

import minicnn
from minicnn.teach.folder import INSTALLED

ROOT = Path(__file__).parents[2]


def test_the_wheel_takes_the_lessons_along():
    tomllib = pytest.importorskip("tomllib")  # in Python from 3.11 on
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"lessons": f"minicnn/{INSTALLED.relative_to(Path(minicnn.__file__).parent)}"}
