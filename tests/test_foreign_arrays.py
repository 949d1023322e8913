"""Arrays as files and other libraries have them: turned into what the kernels know, or refused by name."""

import numpy as np
import pytest

from minicnn import Tensor, nn
from minicnn import functional as F


@pytest.mark.parametrize(
    ("dtype", "becomes"), [(">f4", "float32"), (">f8", "float64"), ("float16", "float32"), (">i8", "int64")]
)
def test_values_stay_and_the_dtype_is_a_native_one(dtype, becomes):
    array = np.array([1, -2, 3]).astype(dtype)
    for tensor in (Tensor(array), Tensor(np.zeros(3))):
        tensor.data = array
        assert (tensor.dtype, tensor.dtype.isnative) == (np.dtype(becomes), True)
        np.testing.assert_array_equal(tensor.data, [1, -2, 3])


@pytest.mark.parametrize("dtype", [">f4", "float16"])
def test_compiled_kernels_take_them(dtype):
    x = np.linspace(-1, 1, 32).reshape(1, 2, 4, 4).astype(dtype)
    np.testing.assert_array_equal(F.relu(x).data, np.maximum(x, 0).astype(np.float32))
    assert np.isfinite(nn.BatchNorm2d(2)(x).data).all()


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_wider_floats_are_refused_for_they_would_lose_digits():
    with pytest.raises(TypeError, match=r"float32 or float64, but got ndarray of dtype float\d+; round it"):
        Tensor(np.ones(2, np.longdouble))


def test_a_mask_is_not_dropped_in_silence():
    with pytest.raises(ValueError, match="1 elements of the array are masked"):
        Tensor(np.ma.masked_array([1.0, 2.0], [False, True]))
    assert Tensor(np.ma.masked_array([1.0, 2.0], [False, False])).tolist() == [1, 2]


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([1j]), np.array([object()]), "text", None])
def test_what_is_no_number_is_named(value):
    with pytest.raises(TypeError, match="a Tensor holds numbers or booleans"):
        Tensor(value)
