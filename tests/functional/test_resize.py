"""interpolate, pixel_shuffle and pixel_unshuffle: values, gradients, layout, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor


def values(*shape, dtype=np.float64):
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(dtype)


def images(*shape):
    array = layout.empty(shape, np.float32)
    array[...] = values(*shape)
    return array


def row(*numbers):
    return np.array(numbers, np.float64).reshape(1, 1, 1, -1)


def resized(x, **options):
    return F.interpolate(x, **options).data.ravel().tolist()


def test_nearest_copies_the_pixel_whose_edge_comes_before():
    assert resized(row(1, 2, 3), size=(1, 6)) == [1, 1, 2, 2, 3, 3]
    assert resized(row(1, 2, 3), size=(1, 5)) == [1, 1, 2, 2, 3]
    assert resized(row(1, 2, 3, 4), size=(1, 2)) == [1, 3]
    assert resized(row(1, 2, 3, 4), size=(1, 2), mode="nearest-exact") == [2, 4]  # centres at 1 and 3: the next pixel


def test_nearest_exact_goes_by_the_scale_factor_even_where_the_size_stays():
    x = row(0, 1, 2, 3, 4, 5, 6)
    assert resized(x, scale_factor=(1, 1.1)) == list(range(7))  # as in PyTorch, the other modes don't
    assert resized(x, scale_factor=(1, 1.1), mode="nearest-exact") == [0, 1, 2, 3, 4, 5, 5]  # 6.5 / 1.1 = 5.9


def test_where_a_centre_falls_on_an_edge_rounding_decides_as_in_pytorch():
    torch = pytest.importorskip("torch")
    for before, after in ((6, 37), (12, 37), (14, 23), (18, 33)):
        for dtype in (np.float32, np.float64):
            x = np.arange(2 * before, dtype=dtype).reshape(1, 2, 1, before)
            expected = torch.nn.functional.interpolate(torch.from_numpy(x), (1, after), mode="nearest-exact")
            np.testing.assert_array_equal(F.interpolate(x, (1, after), mode="nearest-exact").data, expected.numpy())


def test_bilinear_takes_pixels_as_squares_unless_the_corners_are_aligned():
    assert resized(row(0, 4), size=(1, 4), mode="bilinear") == [0, 1, 3, 4]
    assert resized(row(0, 4), size=(1, 5), mode="bilinear", align_corners=True) == [0, 1, 2, 3, 4]
    assert resized(row(0, 4, 8), size=(1, 1), mode="bilinear", align_corners=True) == [0]
    assert resized(row(0, 4, 8), size=(1, 1), mode="bilinear") == [4]


def test_bilinear_gives_a_plane_back_as_a_plane():
    h, w = np.mgrid[0:4, 0:6]
    expected = 2.0 * np.linspace(0, 3, 7)[:, None] - 3.0 * np.linspace(0, 5, 9)
    y = F.interpolate((2.0 * h - 3.0 * w)[None, None], (7, 9), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(y.data[0, 0], expected, atol=1e-12)


def test_a_scale_factor_rounds_sizes_down_and_places_pixels_by_itself_unless_recomputed():
    x = values(1, 2, 5, 7)
    assert F.interpolate(x, scale_factor=1.5).shape == (1, 2, 7, 10)
    assert F.interpolate(x, scale_factor=(2, 0.5)).shape == (1, 2, 10, 3)
    given, recomputed = (
        F.interpolate(x, scale_factor=1.5, mode="bilinear", recompute_scale_factor=again).data for again in (None, True)
    )
    np.testing.assert_array_equal(recomputed, F.interpolate(x, (7, 10), mode="bilinear").data)
    assert not np.allclose(given, recomputed)


CASES = [
    ((2, 3, 5, 7), {"size": (8, 3)}),
    ((2, 3, 5, 7), {"scale_factor": 2}),
    ((2, 3, 5, 7), {"scale_factor": 1.7, "mode": "nearest-exact"}),
    ((2, 3, 5, 7), {"size": (4, 15), "mode": "bilinear"}),
    ((2, 3, 5, 7), {"size": (11, 4), "mode": "bilinear", "align_corners": True}),
    ((2, 3, 5, 7), {"scale_factor": (0.6, 1.7), "mode": "bilinear"}),
    ((2, 3, 7), {"size": 10, "mode": "linear"}),
    ((2, 3, 7), {"size": 4}),
    ((1, 2, 3, 4, 5), {"size": (5, 2, 6), "mode": "trilinear", "align_corners": True}),
    ((1, 2, 3, 4, 5), {"size": (5, 2, 6)}),
]


@pytest.mark.parametrize(("shape", "options"), CASES)
def test_gradients_are_the_slopes(shape, options):
    assert gradcheck(lambda x: F.interpolate(x, **options), [Tensor(values(*shape), requires_grad=True)])


MODES = [("nearest", None), ("nearest-exact", None), ("bilinear", None), ("bilinear", True)]


@given(
    data=st.data(),
    mode=st.sampled_from(MODES),
    size=st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_resizing_agrees_with_pytorch_on_drawn_shapes(data, mode, size, dtype):
    torch = pytest.importorskip("torch")
    options = {"mode": mode[0], "align_corners": mode[1]}
    if data.draw(st.booleans()):
        options["size"] = data.draw(st.tuples(st.integers(1, 25), st.integers(1, 25)))
    else:
        factors = st.sampled_from([0.3, 0.5, 0.77, 1.0, 1.1, 1.24, 1.5, 2.0, 3])
        options["scale_factor"] = data.draw(st.tuples(factors, factors))
        options["recompute_scale_factor"] = data.draw(st.sampled_from([None, False, True]))
    theirs = torch.from_numpy(values(*size, dtype=dtype)).requires_grad_()
    try:
        expected = torch.nn.functional.interpolate(theirs, **options)
    except RuntimeError:  # a factor that leaves no pixel
        with pytest.raises(ValueError, match="output sizes must be at least 1"):
            F.interpolate(values(*size), **options)
        return
    ours = Tensor(values(*size, dtype=dtype), requires_grad=True)
    y = F.interpolate(ours, **options)
    assert y.dtype == dtype
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(y.data, expected.detach().numpy(), atol=tolerance)
    cotangent = values(*y.shape, dtype=dtype)
    y.backward(cotangent)
    expected.backward(torch.from_numpy(cotangent))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), atol=10 * tolerance)


@pytest.mark.parametrize("options", [{"size": (3, 12)}, {"size": (8, 4), "mode": "bilinear"}])
def test_channels_last_stays_nothing_is_converted_and_no_input_changes(options):
    array = images(2, 3, 5, 7)
    x = Tensor(array, requires_grad=True)
    conversions = layout.conversions()
    y = F.interpolate(x, **options)
    y.backward(images(*y.shape))
    assert layout.conversions() == conversions
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)
    np.testing.assert_array_equal(array, images(2, 3, 5, 7))
    for turned in (array[:, :, ::-1], np.repeat(array, 2, axis=3)[..., ::2]):
        np.testing.assert_array_equal(
            F.interpolate(turned, **options).data, F.interpolate(turned.copy(), **options).data
        )


@pytest.mark.parametrize(
    ("error", "message", "shape", "options"),
    [
        (ValueError, "must be one of 'nearest', 'nearest-exact', 'linear', 'bilinear', 'trilinear', but is 'bicubic'",
         (1, 2, 3, 4), {"size": 5, "mode": "bicubic"}),
        (ValueError, "antialias=True is not offered", (1, 2, 3, 4), {"size": 2, "mode": "bilinear", "antialias": True}),
        (ValueError, "align_corners is for modes that blend, but mode is 'nearest'", (1, 2, 3, 4),
         {"size": 5, "align_corners": False}),
        (ValueError, "mode must be 'bilinear' to blend, but is 'linear'", (1, 2, 3, 4), {"size": 5, "mode": "linear"}),
        (ValueError, "give either size or scale_factor, but size=None, scale_factor=None", (1, 2, 3, 4), {}),
        (ValueError, "but size=5, scale_factor=2", (1, 2, 3, 4), {"size": 5, "scale_factor": 2}),
        (ValueError, "size must be one number, or 2 for the axes after (N, C), but is (5, 5, 5)", (1, 2, 3, 4),
         {"size": (5, 5, 5)}),
        (ValueError, "recompute_scale_factor is for scale_factor", (1, 2, 3, 4),
         {"size": 5, "recompute_scale_factor": True}),
        (ValueError, "sizes must be at least 1, but scale_factor=0.3 makes (3, 4) into (0, 1)", (1, 2, 3, 4),
         {"scale_factor": 0.3}),
        (ValueError, "sizes must be at least 1, but size=(5, 0)", (1, 2, 3, 4), {"size": (5, 0)}),
        (TypeError, "size must be an int or a sequence of ints, but is 2.5", (1, 2, 3, 4), {"size": 2.5}),
        (ValueError, "input must be (N, C, H, W), (N, C, L) or (N, C, D, H, W)", (3, 4), {"size": 5}),
        (ValueError, "with none but N empty, but has shape (1, 2, 0, 4)", (1, 2, 0, 4), {"size": 5}),
    ],
)  # fmt: skip
def test_what_cannot_be_resized_is_refused_with_the_reason(error, message, shape, options):
    with pytest.raises(error, match=re.escape(message)):
        F.interpolate(np.zeros(shape), **options)


def test_integers_cannot_be_blended():
    with pytest.raises(TypeError, match="interpolate: input must be float32 or float64, but is int64"):
        F.interpolate(np.zeros((1, 1, 2, 2), np.int64), 4)


def test_pixel_shuffle_turns_channels_into_blocks_of_pixels():
    x = np.array([1.0, 2, 3, 4, 5, 6, 7, 8]).reshape(1, 8, 1, 1)
    assert F.pixel_shuffle(x, 2).data.tolist() == [[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]]


@pytest.mark.parametrize("shape", [(2, 8, 3, 5), (8, 3, 5), (2, 3, 4, 2, 5)])
def test_pixel_shuffle_is_pytorchs_and_pixel_unshuffle_undoes_it(shape):
    x = Tensor(values(*shape), requires_grad=True)
    y = F.pixel_shuffle(x, 2)
    np.testing.assert_array_equal(F.pixel_unshuffle(y, 2).data, x.data)
    assert gradcheck(lambda x: F.pixel_shuffle(x, 2), [x])
    assert gradcheck(lambda y: F.pixel_unshuffle(y, 2), [Tensor(y.data, requires_grad=True)])
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(y.data, torch.nn.functional.pixel_shuffle(torch.from_numpy(x.data), 2).numpy())


def test_pixel_shuffle_keeps_channels_last():
    x = Tensor(images(2, 9, 3, 5), requires_grad=True)
    conversions = layout.conversions()
    y = F.pixel_shuffle(x, 3)
    z = F.pixel_unshuffle(y, 3)
    z.backward(images(*z.shape))
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(z.data)
    assert layout.is_channels_last(x.grad.data)
    assert layout.conversions() == conversions


@pytest.mark.parametrize(
    ("function", "message", "shape", "factor"),
    [
        (F.pixel_shuffle, "a multiple of upscale_factor**2 = 2**2 = 4, but there are 6", (1, 6, 3, 5), 2),
        (F.pixel_shuffle, "upscale_factor must be at least 1, but is 0", (1, 4, 3, 5), 0),
        (F.pixel_shuffle, "at least 3 axes (..., C, H, W), but its shape is (3, 5)", (3, 5), 2),
        (F.pixel_unshuffle, "multiples of downscale_factor = 2, but the shape is (1, 4, 4, 5)", (1, 4, 4, 5), 2),
        (F.pixel_unshuffle, "downscale_factor must be at least 1, but is -1", (1, 4, 4, 6), -1),
    ],
)
def test_what_cannot_be_shuffled_is_refused_with_the_reason(function, message, shape, factor):
    with pytest.raises(ValueError, match=re.escape(message)):
        function(np.zeros(shape), factor)
