"""Winograd in plain NumPy equals the reference loops, and the fast Winograd equals the plain one."""

import numpy as np
import pytest

from minicnn.kernels.convolution import reference
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.winograd import plain, winograd


@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 0)])
@pytest.mark.parametrize(("n", "h", "w", "c_in", "c_out"), [(2, 6, 6, 3, 4), (1, 9, 7, 5, 2), (2, 10, 3, 1, 3)])
def test_plain_winograd_equals_the_reference_and_the_fast_form(n, h, w, c_in, c_out, padding):
    rng, geometry = np.random.default_rng(0), Geometry(padding=padding)
    x, weight = rng.normal(size=(n, h, w, c_in)), rng.normal(size=(c_out, c_in, 3, 3))
    output_size = geometry.output_size((h, w), (3, 3))
    gradient = rng.normal(size=(n, *output_size, c_out))
    results = (
        plain.conv2d(x, weight, padding),
        plain.conv2d_input_gradient(gradient, weight, padding),
        plain.conv2d_weight_gradient(x, gradient, padding),
    )
    for module, dtype, tolerance in ((reference, np.float64, 1e-12), (winograd, np.float32, 2e-5)):
        a, b, c = (array.astype(dtype) for array in (x, weight, gradient))
        others = (
            module.conv2d(a, b, None, output_size, geometry),
            module.conv2d_input_gradient(c, b, (h, w), geometry),
            module.conv2d_weight_gradient(a, c, (3, 3), geometry),
        )
        for result, other in zip(results, others, strict=True):
            np.testing.assert_allclose(result, other, rtol=0, atol=tolerance * np.abs(other).max())
