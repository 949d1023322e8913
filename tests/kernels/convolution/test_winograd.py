"""Winograd's convolution: its formulas are identities, its three products equal float64 sums, whatever the shape."""

import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn.kernels.convolution import direct, dispatch, im2col, reference
from minicnn.kernels.convolution.algorithm import use_algorithm
from minicnn.kernels.convolution.geometry import Geometry
from minicnn.kernels.convolution.winograd import transforms as transforms
from minicnn.kernels.convolution.winograd import winograd

PADDED = Geometry(padding=(1, 1))


def operands(n, h, w, c_in, c_out, padding, seed=0):
    """x, weight, bias, and a gradient for the result."""
    rng = np.random.default_rng(seed)
    shapes = (n, h, w, c_in), (c_out, c_in, 3, 3), (c_out,), (n, h + 2 * padding[0] - 2, w + 2 * padding[1] - 2, c_out)
    return tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)


def three_products(module, x, weight, bias, gradient, padding):
    geometry = Geometry(padding=padding)
    with np.errstate(invalid="ignore", over="ignore"):
        return (
            module.conv2d(x, weight, bias, gradient.shape[1:3], geometry),
            module.conv2d_input_gradient(gradient, weight, x.shape[1:3], geometry),
            module.conv2d_weight_gradient(x, gradient, (3, 3), geometry),
        )


def check(n, h, w, c_in, c_out, padding, bias=True, tolerance=1e-5):
    x, weight, b, gradient = operands(n, h, w, c_in, c_out, padding)
    b = b if bias else None
    arrays = [a for a in (x, weight, b, gradient) if a is not None]
    before = [a.copy() for a in arrays]
    results = three_products(winograd, x, weight, b, gradient, padding)
    wide = [None if a is None else a.astype(np.float64) for a in (x, weight, b, gradient)]
    expected = three_products(im2col, *wide, padding)
    for name, result, wanted in zip(("output", "input gradient", "weight gradient"), results, expected, strict=True):
        assert result.shape == wanted.shape, name
        assert result.dtype == np.float32, name
        scale = max(1.0, np.abs(wanted).max(initial=0))
        np.testing.assert_allclose(result / scale, wanted / scale, rtol=0, atol=tolerance, err_msg=name)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg="an input was changed")


# ---------------------------------------------------------------------------------------------------------------------
# The formulas


def matrices():
    return (np.array(m, dtype=object) for m in (transforms.A, transforms.G, transforms.B_TRANSPOSED))


@given(st.lists(st.integers(-9, 9), min_size=9, max_size=9))
def test_six_products_are_exactly_the_correlation(numbers):
    a, g, b_transposed = matrices()
    pixels, weights = [Fraction(v) for v in numbers[:6]], [Fraction(v) for v in numbers[6:]]
    outputs = a.T @ ((g @ weights) * (b_transposed @ pixels))
    assert outputs.tolist() == [sum(pixels[i + k] * weights[k] for k in range(3)) for i in range(4)]


def test_the_matrices_follow_from_the_points():
    a, g, b_transposed = matrices()
    points = transforms.POINTS
    for i, point in enumerate(points):
        others = [p for p in points if p != point]
        distance = np.prod([point - p for p in others])
        assert a[i].tolist() == [point**k for k in range(4)]
        assert g[i].tolist() == [point**k / distance for k in range(3)]
        for x in (Fraction(1, 3), Fraction(-2), Fraction(5, 7)):
            powers = [x**k for k in range(6)]
            assert b_transposed[i] @ powers == np.prod([x - p for p in others])
            assert b_transposed[5] @ powers == np.prod([x - p for p in points])


@pytest.mark.parametrize(
    ("function", "matrix"),
    [
        (transforms.transform_pixels, np.array(transforms.B_TRANSPOSED, dtype=float)),
        (transforms.transform_weights, np.array(transforms.G, dtype=float)),
        (transforms.transform_gradient, np.array(transforms.A, dtype=float)),
        (transforms.outputs_of_products, np.array(transforms.A, dtype=float).T),
        (transforms.weights_of_products, np.array(transforms.G, dtype=float).T),
    ],
)
def test_each_function_is_its_matrix(function, matrix):
    for unit_vector in np.eye(matrix.shape[1]):
        np.testing.assert_allclose(function(*unit_vector), matrix @ unit_vector, rtol=1e-15, atol=1e-17)


# ---------------------------------------------------------------------------------------------------------------------
# The three products


@st.composite
def shapes(draw):
    sizes, padding = [], []
    for _ in range(2):
        p = draw(st.integers(0, 2))
        outputs = draw(st.integers(max(1, 2 * p - 1), 14))  # the image has at least one pixel
        sizes.append(outputs + 2 - 2 * p)
        padding.append(p)
    channels = st.sampled_from([1, 2, 3, 10, 16, 17, 33])
    return draw(st.integers(1, 5)), *sizes, draw(channels), draw(channels), tuple(padding), draw(st.booleans())


@settings(max_examples=80, derandomize=True)
@given(shapes())
def test_three_products_of_any_shape(shape):
    check(*shape)


@pytest.mark.parametrize(
    ("n", "h", "w", "c_in", "c_out", "padding"),
    [
        (1, 1, 1, 1, 1, (1, 1)),
        (3, 2, 1, 3, 5, (2, 1)),
        (9, 4, 4, 40, 70, (1, 1)),  # several images a unit, three blocks of channels
        (2, 45, 50, 64, 32, (1, 1)),  # bands of one image
        (1, 9, 300, 17, 40, (1, 0)),  # a row of tiles longer than a unit
        (7, 14, 14, 100, 48, (1, 1)),
        (3, 8, 8, 200, 130, (0, 2)),
    ],
)
def test_three_products_of_named_layers(n, h, w, c_in, c_out, padding):
    check(n, h, w, c_in, c_out, padding)


def test_a_weight_gradient_that_takes_several_rounds(monkeypatch):
    monkeypatch.setattr(winograd, "ROUND_ELEMENTS", (1, 36 * 96 * 40))  # 40 tiles
    check(7, 18, 15, 17, 40, (1, 1))


def test_weight_gradient_of_a_long_sum_keeps_its_digits():
    x = np.full((64, 64, 64, 1), 0.1, np.float32)
    gradient = np.ones((64, 64, 64, 1), np.float32)
    total = winograd.conv2d_weight_gradient(x, gradient, (3, 3), PADDED)[0, 0]
    expected = im2col.conv2d_weight_gradient(x.astype(np.float64), gradient.astype(np.float64), (3, 3), PADDED)[0, 0]
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_an_empty_batch_gives_empty_output_and_a_zero_weight_gradient():
    output, input_gradient, weight_gradient = three_products(winograd, *operands(0, 5, 6, 3, 4, (1, 1)), (1, 1))
    assert output.shape == (0, 5, 6, 4)
    assert input_gradient.shape == (0, 5, 6, 3)
    np.testing.assert_array_equal(weight_gradient, np.zeros((4, 3, 3, 3)))


@pytest.mark.parametrize("threads", [1, 2])
def test_sharing_tiles_and_sharing_weights_give_the_same_bits(monkeypatch, threads):
    arrays = operands(7, 18, 15, 40, 70, (1, 1))
    expected = three_products(winograd, *arrays, (1, 1))[:2]
    monkeypatch.setattr(winograd, "SHARED_WEIGHTS", 0)
    monkeypatch.setattr(winograd.numba, "get_num_threads", lambda: threads)
    for shared_tiles in (1, 36 * 40 * 100, 10**7):  # many rounds, a few, one
        monkeypatch.setattr(winograd, "SHARED_TILES", shared_tiles)
        for result, wanted in zip(three_products(winograd, *arrays, (1, 1))[:2], expected, strict=True):
            assert result.tobytes() == wanted.tobytes()


def test_read_only_arrays_are_accepted():
    arrays = operands(2, 6, 5, 3, 4, (1, 1))
    expected = three_products(winograd, *arrays, (1, 1))
    for array in arrays:
        array.flags.writeable = False
    for result, wanted in zip(three_products(winograd, *arrays, (1, 1)), expected, strict=True):
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("c_out", [16, 21])
def test_relu_is_the_convolution_with_zeros_for_what_is_negative(c_out):
    x, weight, bias, _ = operands(2, 9, 7, 20, c_out, (1, 1))
    plain = winograd.conv2d(x, weight, bias, x.shape[1:3], PADDED)
    assert (plain < 0).any()
    np.testing.assert_array_equal(
        winograd.conv2d(x, weight, bias, x.shape[1:3], PADDED, relu=True), np.maximum(plain, 0)
    )


def test_number_of_threads_does_not_change_a_bit(monkeypatch, on_one_thread_and_on_all):
    monkeypatch.setattr(winograd, "ROUND_ELEMENTS", (1, 36 * 144 * 60))  # several rounds
    arrays = operands(13, 15, 14, 37, 70, (1, 1))
    results = on_one_thread_and_on_all(lambda: three_products(winograd, *arrays, (1, 1)))
    for one, many in zip(*results, strict=True):
        assert one.tobytes() == many.tobytes()


def test_what_earlier_calls_left_in_memory_does_not_change_a_bit():
    arrays = operands(5, 11, 9, 21, 35, (1, 1))
    expected = three_products(winograd, *arrays, (1, 1))
    for value in (np.nan, np.inf, 1e38):
        dirt = [np.full(1 << size, value, np.float32) for size in range(10, 22)]
        del dirt
        for result, wanted in zip(three_products(winograd, *arrays, (1, 1)), expected, strict=True):
            assert result.tobytes() == wanted.tobytes()


# ---------------------------------------------------------------------------------------------------------------------
# Numbers that a transform would spread


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("place", [(0, 0), (4, 5), (8, 7)])
@pytest.mark.parametrize("relu", [False, True])
def test_nan_infinity_and_overflow_come_out_as_direct_has_them(value, place, relu):
    x, weight, bias, gradient = operands(2, 9, 8, 5, 20, (1, 1))
    dirty = x.copy(), gradient.copy()
    dirty[0][(1, *place, 2)] = value
    dirty[1][(0, *place, 7)] = value
    with np.errstate(invalid="ignore", over="ignore"):
        output = winograd.conv2d(dirty[0], weight, bias, x.shape[1:3], PADDED, relu=relu)
        wanted = direct.conv2d(dirty[0], weight, bias, x.shape[1:3], PADDED)
        np.testing.assert_array_equal(output, np.maximum(wanted, 0) if relu else wanted)
        finite = np.isfinite(output)
        assert finite[0].all()
        assert finite.sum() >= output.size - 9 * 20
        for a, b in ((dirty[0], gradient), (x, dirty[1])):
            for result, direct_result in zip(
                three_products(winograd, a, weight, bias, b, (1, 1))[1:],
                three_products(direct, a, weight, bias, b, (1, 1))[1:],
                strict=True,
            ):
                bad = ~np.isfinite(direct_result)
                np.testing.assert_array_equal(result[bad], direct_result[bad])
                scale = np.abs(direct_result[~bad]).max()
                np.testing.assert_allclose(result[~bad] / scale, direct_result[~bad] / scale, rtol=0, atol=1e-5)


def test_a_nan_weight_reaches_its_own_channel_only():
    x, weight, bias, _ = operands(2, 9, 8, 5, 20, (1, 1))
    weight[3, 2, 1, 1] = np.nan
    output = winograd.conv2d(x, weight, bias, x.shape[1:3], PADDED)
    assert np.isnan(output[..., 3]).all()
    assert np.isfinite(np.delete(output, 3, axis=3)).all()


# ---------------------------------------------------------------------------------------------------------------------
# Where it is used


def test_it_refuses_what_it_does_not_know():
    x, weight, bias, _ = operands(1, 6, 6, 4, 4, (1, 1))
    for geometry in (PADDED._replace(stride=(2, 1)), Geometry(padding=(3, 1)), PADDED._replace(dilation=(1, 2))):
        with pytest.raises(ValueError, match="winograd: expected"):
            winograd.conv2d(x, weight, bias, geometry.output_size((6, 6), (3, 3)), geometry)
    with pytest.raises(ValueError, match="kernel \\(3, 2\\)"):
        winograd.conv2d(x, weight[..., :2], bias, (6, 7), PADDED)
    with pytest.raises(ValueError, match="2 groups"):
        winograd.conv2d(x, weight[:, :2], bias, (6, 6), PADDED._replace(groups=2))
    with pytest.raises(ValueError, match="float64"):
        winograd.conv2d(x.astype(np.float64), weight.astype(np.float64), bias, (6, 6), PADDED)


def chosen(positions, channels, dtype=np.float32, kernel=(3, 3), stride=(1, 1), padding=(1, 1), groups=1):
    geometry = Geometry(stride, padding, groups=groups)
    return dispatch.choose(np.dtype(dtype), positions, channels, kernel, geometry)


def test_the_chooser_takes_winograd_where_channels_and_tiles_are_many():
    assert chosen((64, 32, 32), (64, 64)) is winograd
    assert chosen((4, 56, 56), (64, 64)) is winograd
    assert chosen((64, 32, 32), (64, 3)) is direct  # three channels cannot share a transform
    assert chosen((64, 1, 1), (64, 64)) is direct  # one output of 16 in a tile exists
    assert chosen((1, 4, 4), (512, 512)) is direct  # a single tile cannot pay for the weights
    assert chosen((64, 32, 32), (64, 64), kernel=(5, 5)) is direct
    assert chosen((64, 32, 32), (64, 64), stride=(2, 2)) is direct
    assert chosen((64, 32, 32), (64, 64), padding=(3, 3)) is direct
    assert chosen((64, 32, 32), (64, 64), dtype=np.float64) is im2col
    assert chosen((64, 32, 32), (64, 64), groups=2) is direct


def test_a_weight_gradient_pays_sooner_for_it_transforms_no_weights():
    positions, channels = (1, 7, 7), (256, 256)
    assert not dispatch.winograd_pays(positions, channels, np.float32)
    assert dispatch.winograd_pays(positions, channels, np.float32, dispatch.WEIGHT_GRADIENT_COST)
    x, weight, bias, gradient = operands(*positions, *channels, (1, 1))
    _, _, automatic = three_products(dispatch, x, weight, bias, gradient, (1, 1))
    _, _, expected = three_products(winograd, x, weight, bias, gradient, (1, 1))
    assert automatic.tobytes() == expected.tobytes()


def test_more_images_never_turn_the_chooser_away_from_winograd():
    for size in range(1, 20):
        for channels in (8, 64, 256):
            pays = [dispatch.winograd_pays((n, size, size), (channels, channels), np.float32) for n in (1, 4, 16, 64)]
            assert pays == sorted(pays)


def test_use_algorithm_takes_winograd_for_any_size_and_gives_way_where_it_does_not_apply():
    with use_algorithm("winograd"):
        assert chosen((1, 1, 1), (1, 1)) is winograd
        assert chosen((1, 1, 1), (1, 1), stride=(2, 1)) is direct
        assert chosen((1, 1, 1), (1, 1), dtype=np.float64) is im2col
        assert chosen((1, 1, 1), (2, 1), groups=2) is im2col
    with use_algorithm("direct"):
        assert chosen((64, 32, 32), (64, 64)) is direct
    with use_algorithm("reference"):
        assert chosen((64, 32, 32), (64, 64)) is reference


def test_everything_runs_in_python_when_compilation_is_off(tmp_path):
    arrays = operands(2, 5, 6, 3, 19, (1, 1))
    np.savez(tmp_path / "operands.npz", *arrays)
    script = (
        "import numpy as np\n"
        "from minicnn.kernels.convolution.geometry import Geometry\n"
        "from minicnn.kernels.convolution.winograd import winograd\n"
        "assert not hasattr(winograd.outputs.convolve_tiles_compiled, 'py_func')\n"
        "x, w, b, g = np.load('operands.npz').values()\n"
        "geometry = Geometry(padding=(1, 1))\n"
        "np.savez('results.npz', winograd.conv2d(x, w, b, (5, 6), geometry),\n"
        "         winograd.conv2d_input_gradient(g, w, (5, 6), geometry),\n"
        "         winograd.conv2d_weight_gradient(x, g, (3, 3), geometry))\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "error", "-c", script]
    subprocess.run(command, check=True, env=environment, timeout=120, cwd=tmp_path)
    expected = three_products(winograd, *arrays, (1, 1))
    with np.load(tmp_path / "results.npz") as results:
        for result, wanted in zip(results.values(), expected, strict=True):
            np.testing.assert_allclose(result, wanted, rtol=0, atol=2e-5)
