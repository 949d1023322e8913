"""Products of fully connected layers: NumPy's numbers, whichever of the two computes them."""

import numpy as np
import pytest

from minicnn.kernels import matrix

# (M, K, O): below and above what is left to NumPy, more rows than outputs and fewer, few rows, a single one
SIZES = [(5, 7, 3), (128, 400, 120), (40, 100, 300), (3, 1000, 333), (1, 4096, 129), (17, 129, 200), (300, 1000, 1)]
SIZES += [(3, 8200, 40), (40, 8200, 3), (2, 8209, 40)]  # sums cut into pieces, and one of a prime number that is not


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_three_products_equal_numpys(size, dtype):
    m, k, o = size
    rng = np.random.default_rng(0)
    rows, weight, gradient = (rng.normal(size=shape) for shape in ((m, k), (o, k), (m, o)))
    strided = np.asfortranarray(weight)
    results = [
        (matrix.linear, (rows, strided), rows @ weight.T),
        (matrix.linear_input_gradient, (gradient, strided), gradient @ weight),
        (matrix.linear_weight_gradient, (rows, gradient), gradient.T @ rows),
    ]
    for product, arguments, expected in results:
        result = product(*(array.astype(dtype) for array in arguments))
        assert result.dtype == dtype
        assert result.shape == expected.shape
        error = np.abs(result - expected).max() / np.abs(expected).max()
        assert error < (2e-6 if dtype == np.float32 else 1e-14), product.__name__


@pytest.mark.parametrize(("m", "o"), [(8, 200), (200, 8)])
def test_long_sums_keep_their_digits(m, o):
    """Of the paper's VGG: 25,088 products for each number. Added up one after the other they are 3e-6 off."""
    rng = np.random.default_rng(0)
    rows, weight = np.abs(rng.normal(size=(m, 25_088))), rng.normal(size=(o, 25_088))
    rows, weight = rows.astype(np.float32), weight.astype(np.float32)
    expected = rows.astype(np.float64) @ weight.T.astype(np.float64)
    assert np.linalg.norm(matrix.linear(rows, weight) - expected) < 2e-6 * np.linalg.norm(expected)


def test_large_float32_products_never_wake_numpys_threads(monkeypatch):
    called = []
    for name in ("conv2d", "conv2d_input_gradient"):
        original = getattr(matrix.direct, name)
        monkeypatch.setattr(
            matrix.direct, name, lambda *a, original=original, name=name: called.append(name) or original(*a)
        )
    rows, weight, gradient = (np.ones(shape, np.float32) for shape in ((128, 400), (120, 400), (128, 120)))
    matrix.linear(rows, weight)
    matrix.linear_input_gradient(gradient, weight)
    matrix.linear_weight_gradient(rows, gradient)
    assert called == ["conv2d", "conv2d_input_gradient", "conv2d"]
