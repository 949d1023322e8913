"""`minicnn info` says what a report of a measurement needs."""

import platform

import numba
import numpy as np
import pytest

from minicnn.cli.info import gather, vector_width
from minicnn.cli.main import main
from minicnn.versions import version


def test_it_names_versions_threads_and_folders(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    assert main(["info"]) == 0
    shown = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert platform.python_version() in shown["Python"]
    assert shown["numpy"].strip() == np.__version__
    assert shown["numba"].strip() == numba.__version__
    assert shown["MINICNN_DATA"].strip() == str(tmp_path)
    assert str(tmp_path) in shown["data folders"]
    assert f"of {numba.config.NUMBA_NUM_THREADS}" in shown["threads"]


@pytest.mark.parametrize(
    ("features", "width"),
    [
        ({"sse": True, "avx": True, "avx512f": True}, 16),
        ({"sse": True, "avx": True, "avx512f": False}, 8),
        ({"sse": True}, 4),
        ({"neon": True}, 4),
        ({}, 1),
    ],
)
def test_vector_width_follows_the_processor(monkeypatch, features, width):
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", lambda: features)
    assert vector_width() == width


def test_a_package_that_is_absent_is_said_to_be(monkeypatch):
    assert version("a-package-that-nobody-wrote") == "not installed"
    assert gather()["numpy"] == np.__version__
