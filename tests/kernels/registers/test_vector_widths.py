"""The kernels with the registers of other processors: each width in a process of its own, compiled from nothing."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import llvmlite.binding

features = dict(llvmlite.binding.get_host_cpu_features())
for name in list(features):
    if any(name.startswith(lacking) for lacking in sys.argv[2].split(",")):
        features[name] = False
llvmlite.binding.get_host_cpu_features = lambda: features

import numpy as np
from minicnn.kernels.convolution import direct, reference
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.winograd import winograd
from minicnn.kernels.registers import vector

assert vector.VECTOR_BYTES == int(sys.argv[1]), vector.VECTOR_BYTES
rng = np.random.default_rng(0)
for c_in, c_out, size, stride in ((3, 10, (9, 7), (1, 1)), (17, 33, (8, 8), (1, 1)), (16, 40, (7, 10), (2, 1))):
    geometry = Geometry(stride, padding=(1, 1))
    output_size = geometry.output_size(size, (3, 3))
    x, weight = rng.normal(size=(3, *size, c_in)), rng.normal(size=(c_out, c_in, 3, 3))
    bias = rng.normal(size=c_out)
    expected = reference.conv2d(x, weight, bias, output_size, geometry)
    gradient = rng.normal(size=expected.shape)
    wanted = (
        expected,
        reference.conv2d_input_gradient(gradient, weight, size, geometry),
        reference.conv2d_weight_gradient(x, gradient, (3, 3), geometry),
    )
    x, weight, bias, gradient = (array.astype(np.float32) for array in (x, weight, bias, gradient))
    for algorithm in (direct, winograd):
        if algorithm is winograd and stride != (1, 1):
            continue
        results = (
            algorithm.conv2d(x, weight, bias, output_size, geometry),
            algorithm.conv2d_input_gradient(gradient, weight, size, geometry),
            algorithm.conv2d_weight_gradient(x, gradient, (3, 3), geometry),
        )
        for result, exact in zip(results, wanted):
            assert np.abs(result - exact).max() < 1e-5 * np.abs(exact).max(), (algorithm.__name__, c_in, c_out)
print("equal")
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "lacking"), [(32, "avx512"), (16, "avx512,avx2")], ids=["256 bits, as AVX2", "128 bits, as SSE"]
)
def test_direct_and_winograd_equal_the_reference_in_narrower_registers(size, lacking, tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_CPU_NAME": "generic"}
    command = [sys.executable, "-c", SCRIPT, str(size), lacking]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "equal"
