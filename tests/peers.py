"""Packages that some tests compare with: the module, or None where it is not installed; and the mark of those tests.

A test file imports them from here, so that a package which is missing skips the tests that need it and no others.
"""

import importlib

import pytest


def optional(name):
    """The module `name`, or None where its package is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


torch = optional("torch")
onnx = optional("onnx")
onnxruntime = optional("onnxruntime")

needs_torch = pytest.mark.skipif(torch is None, reason="torch is not installed")
needs_onnx = pytest.mark.skipif(onnx is None or onnxruntime is None, reason="onnx or onnxruntime is not installed")
