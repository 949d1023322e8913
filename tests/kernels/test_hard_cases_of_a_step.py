"""What surrounds the convolutions in a training step, on odd shapes, in any memory order, with NaN and infinity.

PyTorch is the judge. A window of more than one pixel over an image of one is refused; so those cases have none.
"""

import importlib
import pkgutil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minicnn import functional as F
from minicnn import kernels
from minicnn.kernels import layout
from minicnn.kernels.convolution.algorithm import ALGORITHMS, use_algorithm
from minicnn.tensor import Tensor
from tests.peers import needs_torch, torch

TF = torch and torch.nn.functional


def parameters(x, kind):
    """Running statistics, weight and bias of `channels`, made by `kind` (np.asarray or torch.tensor)."""
    rng = np.random.default_rng(x.shape[1])
    draws = rng.normal(size=x.shape[1]), rng.uniform(0.5, 2, x.shape[1]), rng.normal(size=(2, x.shape[1]))
    dtype = np.float64 if "64" in str(x.dtype) else np.float32
    return [kind(array.astype(dtype)) for array in (draws[0], draws[1], draws[2][0], draws[2][1])]


def norm(training):
    return lambda f, x, kind: f.batch_norm(x, *parameters(x, kind), training=training)


def norm_relu(training):
    def both(f, x, kind):
        if f is F:
            return F.batch_norm_relu(x, *parameters(x, kind), training=training)
        return TF.relu(norm(training)(f, x, kind))

    return both


OPERATIONS = {
    "relu": lambda f, x, kind: f.relu(x),
    "leaky_relu": lambda f, x, kind: f.leaky_relu(x, 0.1),
    "sum of two": lambda f, x, kind: x + x,
    "add_relu": lambda f, x, kind: F.add_relu(x, x) if f is F else TF.relu(x + x),
    "max_pool2d": lambda f, x, kind: f.max_pool2d(x, 2, 1, 1),
    "max_pool2d, 3x3": lambda f, x, kind: f.max_pool2d(x, 3, 2, 1),
    "avg_pool2d": lambda f, x, kind: f.avg_pool2d(x, 3, 2, 1),
    "avg_pool2d, padding not counted": lambda f, x, kind: f.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "adaptive_avg_pool2d": lambda f, x, kind: f.adaptive_avg_pool2d(x, (2, 3)),
    "mean of the map": lambda f, x, kind: f.adaptive_avg_pool2d(x, 1),
    "adaptive_max_pool2d": lambda f, x, kind: f.adaptive_max_pool2d(x, (2, 3)),
    "batch_norm": norm(training=True),
    "batch_norm in evaluation": norm(training=False),
    "batch_norm_relu": norm_relu(training=True),
    "batch_norm_relu in evaluation": norm_relu(training=False),
    "group_norm": lambda f, x, kind: f.group_norm(x, 1),
    "interpolate, nearest": lambda f, x, kind: f.interpolate(x, scale_factor=2, mode="nearest"),
    "interpolate, bilinear": lambda f, x, kind: f.interpolate(x, size=(3, 5), mode="bilinear"),
}
NEED_TWO_VALUES = ("batch_norm", "batch_norm_relu", "group_norm")  # one has no variance
every_operation = pytest.mark.parametrize("name", list(OPERATIONS))


def ours(name, x, cotangent=None):
    tensor = Tensor(x, requires_grad=True)
    y = OPERATIONS[name](F, tensor, np.copy)
    y.backward(np.ones_like(y.data) if cotangent is None else cotangent)
    return y.data, tensor.grad.data


def torchs(name, x, cotangent=None):
    tensor = torch.tensor(x, requires_grad=True)
    y = OPERATIONS[name](TF, tensor, torch.tensor)
    y.backward(torch.ones_like(y) if cotangent is None else torch.tensor(cotangent))
    return y.detach().numpy(), tensor.grad.numpy()


ORDERS = {
    "channels first": np.ascontiguousarray,
    "channels last": layout.as_channels_last,
    "columns first": np.asfortranarray,
    "backwards": lambda x: np.ascontiguousarray(x[::-1, :, ::-1])[::-1, :, ::-1],
    "every second": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
}


@needs_torch
@every_operation
@given(
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 3, 10, 17]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(list(ORDERS)),
    st.sampled_from(list(ORDERS)),
    st.sampled_from([np.float32, np.float64]),
)
@settings(deadline=None, max_examples=12)
def test_odd_shapes_in_any_memory_order(name, n, channels, height, width, order, other_order, dtype):
    assume(name not in NEED_TWO_VALUES or n * height * width > 1)
    rng = np.random.default_rng(n * height * width)
    x = rng.permutation(n * channels * height * width).reshape(n, channels, height, width).astype(dtype)
    x = x / x.size - 0.5  # no two alike: a maximum is one pixel's
    wanted = torchs(name, x.astype(np.float64))
    cotangent = rng.normal(size=wanted[0].shape).astype(dtype)
    wanted = torchs(name, x.astype(np.float64), cotangent.astype(np.float64))
    given_x, given_cotangent = ORDERS[order](x), ORDERS[other_order](cotangent)
    results = ours(name, given_x, given_cotangent)
    for what, result, true in zip(("result", "gradient"), results, wanted, strict=True):
        assert (result.shape, result.dtype) == (true.shape, dtype)
        scale = max(1.0, np.abs(true).max())
        atol = 1e-11 if dtype == np.float64 else 3e-4 if "norm" in name else 1e-5
        np.testing.assert_allclose(result, true, rtol=0, atol=atol * scale, err_msg=what)
    np.testing.assert_array_equal(given_x, x, err_msg="the input was changed")
    np.testing.assert_array_equal(given_cotangent, cotangent, err_msg="the gradient was changed")


@needs_torch
@pytest.mark.tiny
@every_operation
def test_one_small_image(name):
    """Once more for the run without compilation."""
    x = np.random.default_rng(8).permutation(60).reshape(1, 3, 4, 5) / 60 - 0.5
    for result, true in zip(ours(name, x), torchs(name, x), strict=True):
        np.testing.assert_allclose(result, true, rtol=0, atol=1e-12)


def kind_of(array):
    return np.where(np.isnan(array), 2, np.where(np.isinf(array), np.sign(array), 0))


@needs_torch
@every_operation
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 3, 17])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_and_infinity_go_where_torch_lets_them_go(name, value, channels):
    rng = np.random.default_rng(channels)
    x = rng.normal(size=(2, channels, 6, 7)).astype(np.float32)
    x[0, 0, 2, 3] = x[1, -1, 0, 0] = value
    for what, result, true in zip(("result", "gradient"), ours(name, x), torchs(name, x), strict=True):
        np.testing.assert_array_equal(kind_of(result), kind_of(true), err_msg=what)


@needs_torch
@every_operation
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_and_infinity_in_the_gradient_go_where_torch_lets_them_go(name, value):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(2, 3, 6, 7)).astype(np.float32)
    cotangent = rng.normal(size=torchs(name, x)[0].shape).astype(np.float32)
    cotangent.flat[[1, -3]] = value
    sides = ours(name, x, cotangent), torchs(name, x, cotangent)
    if "norm" in name:  # every value of a channel gets all of them: inf or inf - inf, as the formula is written
        sides = [[np.isfinite(array) for array in side] for side in sides]
    else:
        sides = [[kind_of(array) for array in side] for side in sides]
    for what, result, true in zip(("result", "gradient"), *sides, strict=True):
        np.testing.assert_array_equal(result, true, err_msg=what)


@needs_torch
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in NEED_TWO_VALUES])
def test_an_empty_batch_comes_out_as_torchs(name):
    x = np.zeros((0, 3, 6, 7), np.float32)
    for result, true in zip(ours(name, x), torchs(name, x), strict=True):
        assert result.shape == true.shape


@needs_torch
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_cross_entropy_carries_them_as_torch_does(value):
    logits = np.random.default_rng(6).normal(size=(5, 4)).astype(np.float32)
    logits[1, 2] = logits[3, 0] = value
    target = np.array([0, 1, 2, 3, 1])
    mine, theirs = Tensor(logits, requires_grad=True), torch.tensor(logits, requires_grad=True)
    losses = (
        F.cross_entropy(mine, target, reduction="none"),
        TF.cross_entropy(theirs, torch.tensor(target), reduction="none"),
    )
    losses[0].sum().backward()
    losses[1].sum().backward()
    np.testing.assert_array_equal(kind_of(losses[0].data), kind_of(losses[1].detach().numpy()))
    np.testing.assert_array_equal(kind_of(mine.grad.data), kind_of(theirs.grad.numpy()))


def compiled_kernels():
    """Every compiled function of the package's kernels, by its name."""
    found = {}
    for module in pkgutil.walk_packages(kernels.__path__, "minicnn.kernels."):
        for name, value in vars(importlib.import_module(module.name)).items():
            dispatcher = getattr(value, "__wrapped__", value)  # parallel kernels are called through a lock
            if name.endswith("_compiled") and hasattr(dispatcher, "signatures"):
                found[name] = dispatcher
    return found


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_memory_order_compiles_a_kernel_anew(algorithm):
    """Read-only, strided and Fortran-ordered arrays are types of their own to Numba, at seconds of compilation each."""
    if not compiled_kernels():
        pytest.skip("NUMBA_DISABLE_JIT=1: nothing is compiled")
    rng = np.random.default_rng(7)
    x = rng.normal(size=(2, 4, 6, 6)).astype(np.float32)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 4, 3, 3), (4, 2, 3, 3), (4, 1, 3, 3))]

    def run(order):
        image = order(x)
        cotangent = order(rng.normal(size=(2, 4, 6, 6)).astype(np.float32))
        with use_algorithm(algorithm):
            for groups, weight in zip((1, 2, 4), weights, strict=True):
                tensors = Tensor(image, requires_grad=True), Tensor(order(weight), requires_grad=True)
                F.conv2d(*tensors, padding=1, groups=groups).backward(cotangent)
            for operation in OPERATIONS.values():
                tensor = Tensor(image, requires_grad=True)
                y = operation(F, tensor, np.copy)
                y.backward(order(np.ones(y.shape, np.float32)))

    def read_only(array):
        copy = array.copy()
        copy.flags.writeable = False
        return copy

    run(layout.as_channels_last)
    before = {name: set(kernel.signatures) for name, kernel in compiled_kernels().items()}
    assert sum(map(len, before.values())) > 5
    for order in (*ORDERS.values(), read_only):
        run(order)
    assert {name: set(kernel.signatures) for name, kernel in compiled_kernels().items()} == before
