"""unfold and fold: patches as columns, and back; transposes of each other."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor

WINDOWS = {  # kernel_size, dilation, padding, stride
    "plain": ((2, 3), 1, 0, 1),
    "everything": ((3, 2), (1, 2), (1, 2), (2, 3)),
    "windows apart": (2, 1, 0, (3, 2)),
}


def values(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def test_a_column_is_a_window_in_the_order_channel_row_column():
    x = np.arange(2 * 3 * 4.0).reshape(1, 2, 3, 4)
    columns = F.unfold(x, (2, 3)).data
    assert columns.shape == (1, 2 * 2 * 3, 2 * 2)
    np.testing.assert_array_equal(columns[0, :, 3], x[0, :, 1:3, 1:4].ravel())  # the window at row 1, column 1
    assert F.unfold(x, 1, padding=1).data[0, 0, :8].tolist() == [0, 0, 0, 0, 0, 0, 0, 0]  # the row above, then a corner


def test_fold_adds_up_where_windows_overlap():
    columns = np.ones((1, 4, 2))  # two windows of 2 x 2 in an image of 2 x 3
    assert F.fold(columns, (2, 3), 2).data.tolist() == [[[[1, 2, 1], [1, 2, 1]]]]


@pytest.mark.parametrize("case", WINDOWS)
@pytest.mark.parametrize("shape", [(2, 3, 6, 7), (3, 6, 7)])
def test_fold_is_the_transpose_of_unfold_and_gradients_are_the_slopes(case, shape):
    x = Tensor(values(*shape), requires_grad=True)
    columns = F.unfold(x, *WINDOWS[case])
    z = Tensor(values(*columns.shape, seed=1), requires_grad=True)
    image = F.fold(z, shape[-2:], *WINDOWS[case])
    assert image.shape == shape
    np.testing.assert_allclose((columns.data * z.data).sum(), (x.data * image.data).sum(), rtol=1e-12)
    assert gradcheck(lambda x: F.unfold(x, *WINDOWS[case]), [x], directions=2)
    assert gradcheck(lambda z: F.fold(z, shape[-2:], *WINDOWS[case]), [z], directions=2)


def test_a_convolution_is_a_matrix_product_with_the_columns():
    x, weight = values(2, 3, 6, 5), values(4, 3, 3, 2)
    product = weight.reshape(4, -1) @ F.unfold(x, (3, 2), 1, 1, 2).data
    np.testing.assert_allclose(product.reshape(2, 4, 3, 3), F.conv2d(x, weight, None, 2, 1).data, atol=1e-12)


def test_images_are_channels_last_and_inputs_stay_as_they_are():
    array = layout.empty((2, 3, 6, 7), np.float32)
    array[...] = values(2, 3, 6, 7)
    before = array.copy()
    x = Tensor(array, requires_grad=True)
    columns = F.unfold(x, 3, 1, 1, 2)
    image = F.fold(columns, (6, 7), 3, 1, 1, 2)
    image.backward(np.ones(image.shape, np.float32))
    assert image.dtype == np.float32
    assert layout.is_channels_last(image.data)
    assert layout.is_channels_last(x.grad.data)
    np.testing.assert_array_equal(array, before)
    strided = np.repeat(before, 2, axis=3)[..., ::2]
    np.testing.assert_array_equal(F.unfold(strided, 3, 1, 1, 2).data, columns.data)


def test_an_empty_batch_stays_empty():
    assert F.unfold(np.zeros((0, 3, 6, 7)), 2).shape == (0, 12, 30)
    assert F.fold(np.zeros((0, 12, 30)), (6, 7), 2).shape == (0, 3, 6, 7)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    size=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 8), st.integers(1, 8)),
    kernel=pairs,
    dilation=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    stride=pairs,
)
def test_unfold_and_fold_agree_with_pytorch_on_drawn_shapes(size, kernel, dilation, padding, stride):
    torch = pytest.importorskip("torch")
    x, rest = values(*size), (kernel, dilation, padding, stride)
    try:
        expected = torch.nn.functional.unfold(torch.from_numpy(x), *rest).numpy()
    except RuntimeError:
        with pytest.raises(ValueError, match="unfold: output"):
            F.unfold(x, *rest)
        return
    columns = F.unfold(x, *rest)
    np.testing.assert_array_equal(columns.data, expected)
    if size[0]:  # PyTorch's fold refuses an empty batch
        image = torch.nn.functional.fold(torch.from_numpy(expected), size[2:], *rest).numpy()
        np.testing.assert_allclose(F.fold(columns, size[2:], *rest).data, image, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "message", "shape", "arguments"),
    [
        (F.unfold, "unfold: input must have 4 axes (N, C, H, W), or 3 (C, H, W)", (5, 7), (2,)),
        (F.unfold, "unfold: only the batch may be empty", (2, 0, 5, 7), (2,)),
        (F.unfold, "output height (H + 2*padding - dilation*(KH-1) - 1)//stride + 1 = (5 + 2*0 - 1*(6-1) - 1)//1 + 1 =",
         (2, 3, 5, 7), (6,)),
        (F.unfold, "unfold: kernel_size must be at least 1, but is 0", (2, 3, 5, 7), (0,)),
        (F.unfold, "unfold: stride must be at least 1", (2, 3, 5, 7), (2, 1, 0, 0)),
        (F.fold, "fold: input must be (N, C*KH*KW, L) or (C*KH*KW, L)", (2, 3, 5, 7), ((5, 7), 2)),
        (F.fold, "with none but N empty, but has shape (2, 12, 0)", (2, 12, 0), ((5, 7), 2)),
        (F.fold, "axis 1 of input must be a multiple of KH*KW = 2*2 = 4, but has 11", (2, 11, 24), ((5, 7), 2)),
        (F.fold, "L = OH*OW = 4*6 = 24 columns for output_size (5, 7) and kernel_size (2, 2), but has 23",
         (2, 12, 23), ((5, 7), 2)),
        (F.fold, "fold: output_size must be at least 1, but is (0, 7)", (2, 12, 24), ((0, 7), 2)),
        (F.fold, "fold: output width", (2, 12, 24), ((5, 7), (2, 8))),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_arithmetic(function, message, shape, arguments):
    with pytest.raises(ValueError, match=re.escape(message)):
        function(np.zeros(shape), *arguments)
