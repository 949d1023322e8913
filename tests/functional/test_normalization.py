"""Batch, instance, group and layer normalisation: results, gradients and running statistics against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def random_statistics(generator, channels):
    return generator.standard_normal(channels), generator.uniform(0.5, 2, channels)


image_shapes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(2, 5), st.integers(1, 4))
shapes = st.one_of(image_shapes, st.tuples(st.integers(2, 5), st.integers(1, 4)), st.tuples(*[st.integers(2, 4)] * 3))


@settings(max_examples=30)
@given(
    shape=shapes,
    training=st.booleans(),
    affine=st.booleans(),
    momentum=st.sampled_from([0.0, 0.1, 0.7, 1.0]),
    seed=st.integers(0, 2**20),
)
def test_batch_norm_agrees_with_torch(shape, training, affine, momentum, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal(shape) * 3 + 1
    mean, variance = random_statistics(generator, shape[1])
    affine_arguments = list(generator.standard_normal((2, shape[1]))) if affine else [None, None]
    ours = [Tensor(mean.copy()), Tensor(variance.copy())]
    theirs = [torch.tensor(mean), torch.tensor(variance)]
    same_as_torch(
        lambda x, weight, bias: F.batch_norm(x, *ours, weight, bias, training, momentum, 1e-3),
        lambda x, weight, bias: torch.nn.functional.batch_norm(x, *theirs, weight, bias, training, momentum, 1e-3),
        x,
        *affine_arguments,
        seed=seed,
        rtol=1e-7,
        atol=1e-9,
    )
    for running, expected, before in zip(ours, theirs, (mean, variance), strict=True):
        np.testing.assert_allclose(running.data, expected.numpy(), rtol=1e-12)
        if not training:
            np.testing.assert_array_equal(running.data, before)


def test_running_statistics_may_be_absent_or_plain_arrays():
    x = Tensor(np.random.default_rng(0).standard_normal((3, 2, 4, 5)))
    mean, variance = np.zeros(2), np.ones(2)
    y = F.batch_norm(x, mean, variance, training=True)
    np.testing.assert_array_equal(F.batch_norm(x, None, None, training=True).data, y.data)
    np.testing.assert_allclose(mean, 0.1 * x.data.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(variance, 0.9 + 0.1 * x.data.var(axis=(0, 2, 3), ddof=1))


def test_running_statistics_change_in_place_and_keep_their_dtype():
    mean = Tensor(np.zeros(2, np.float32))
    array = mean.data
    F.batch_norm(Tensor(np.arange(12.0).reshape(6, 2)), mean, Tensor(np.ones(2, np.float32)), training=True)
    assert mean.data is array
    assert mean.dtype == np.float32
    assert mean.data.any()


def test_training_after_evaluation_does_not_change_the_gradient_of_the_evaluation():
    generator = np.random.default_rng(1)
    x, mean, variance = generator.standard_normal((4, 2)), np.array([1.0, 2.0]), np.array([3.0, 4.0])
    gradients = []
    for train_between in (False, True):
        running = [Tensor(mean.copy()), Tensor(variance.copy())]
        weight = Tensor(np.array([2.0, 3.0]), requires_grad=True)
        y = F.batch_norm(Tensor(x), *running, weight)
        if train_between:
            F.batch_norm(Tensor(x * 9), *running, training=True)
        y.backward(np.ones((4, 2)))
        gradients.append(weight.grad.data)
    np.testing.assert_array_equal(gradients[0], gradients[1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (5, 3), (2, 3, 4)])
def test_batch_norm_gradient_is_the_slope(training, shape):
    generator = np.random.default_rng(2)
    x = Tensor(generator.standard_normal(shape[::-1]).T, requires_grad=True)  # not contiguous
    mean, variance = random_statistics(generator, shape[1])
    weight, bias = (Tensor(v, requires_grad=True) for v in generator.standard_normal((2, shape[1])))
    assert gradcheck(lambda x, w, b: F.batch_norm(x, mean.copy(), variance.copy(), w, b, training), [x, weight, bias])


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_batch_norm_of_a_large_float32_batch_is_as_exact_as_its_digits_allow(offset):
    x = (np.random.default_rng(3).standard_normal((16, 2, 64, 64)) + offset).astype(np.float32)
    mean, variance = np.zeros(2, np.float32), np.ones(2, np.float32)
    F.batch_norm(Tensor(x), mean, variance, training=True, momentum=1.0)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2, 3)), rtol=2e-7, atol=1e-8)
    np.testing.assert_allclose(variance, exact.var(axis=(0, 2, 3), ddof=1), rtol=1e-6)


def test_an_empty_batch_leaves_the_running_statistics_alone(same_as_torch, torch):
    mean, variance = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    x, weight = Tensor(np.zeros((0, 2, 3, 4)), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    y = F.batch_norm(x, mean, variance, weight, training=True)
    y.sum().backward()
    assert y.shape == x.grad.shape == (0, 2, 3, 4)
    assert weight.grad.tolist() == [0, 0]
    assert mean.tolist() == [1, 2]
    assert variance.tolist() == [3, 4]


@settings(max_examples=25)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 4)] * 2, st.integers(2, 5)), image_shapes),
    options=st.fixed_dictionaries({"use_input_stats": st.booleans(), "momentum": st.sampled_from([0.1, 0.6])}),
    affine=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_instance_norm_agrees_with_torch(shape, options, affine, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    mean, variance = random_statistics(generator, shape[1])
    ours = [Tensor(mean.copy()), Tensor(variance.copy())]
    theirs = [torch.tensor(mean), torch.tensor(variance)]
    affine_arguments = list(generator.standard_normal((2, shape[1]))) if affine else [None, None]
    same_as_torch(
        lambda x, weight, bias: F.instance_norm(x, *ours, weight, bias, **options),
        lambda x, weight, bias: torch.nn.functional.instance_norm(x, *theirs, weight, bias, **options),
        generator.standard_normal(shape),
        *affine_arguments,
        seed=seed,
        rtol=1e-7,
        atol=1e-8,
    )
    for running, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(running.data, expected.numpy(), rtol=1e-10)


@settings(max_examples=25)
@given(
    groups=st.integers(1, 3),
    width=st.integers(1, 3),
    rest=st.lists(st.integers(1, 4), max_size=3),
    affine=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_group_norm_agrees_with_torch(groups, width, rest, affine, seed, same_as_torch, torch):
    generator = np.random.default_rng(seed)
    channels = groups * width
    x = generator.standard_normal((2, channels, *rest)) * 2 + 1
    affine_arguments = list(generator.standard_normal((2, channels))) if affine else []
    same_as_torch(
        F.group_norm,
        torch.nn.functional.group_norm,
        x,
        groups,
        *affine_arguments,
        seed=seed,
        rtol=1e-6,
        atol=1e-8,
        eps=1e-2,
    )


@settings(max_examples=25)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    data=st.data(),
    affine=st.booleans(),
    seed=st.integers(0, 2**20),
)
def test_layer_norm_agrees_with_torch(shape, data, affine, seed, same_as_torch, torch):
    last = shape[-data.draw(st.integers(1, len(shape))) :]
    generator = np.random.default_rng(seed)
    affine_arguments = list(generator.standard_normal((2, *last))) if affine else []
    same_as_torch(
        F.layer_norm,
        torch.nn.functional.layer_norm,
        generator.standard_normal(shape) * 2 + 1,
        last,
        *affine_arguments,
        seed=seed,
        rtol=1e-6,
        atol=1e-8,
        eps=1e-2,
    )


AFFINE = {
    "instance_norm": lambda x, w, b: F.instance_norm(x, weight=w, bias=b),
    "group_norm": lambda x, w, b: F.group_norm(x, 2, w, b),
    "layer_norm": lambda x, w, b: F.layer_norm(x.permute(0, 2, 3, 1), 4, w, b),
}


@pytest.mark.parametrize("name", AFFINE)
def test_gradient_is_the_slope(name):
    generator = np.random.default_rng(4)
    x = Tensor(generator.standard_normal((3, 5, 4, 2)).transpose(3, 2, 1, 0), requires_grad=True)  # (2, 4, 5, 3)
    weight, bias = (Tensor(v, requires_grad=True) for v in generator.standard_normal((2, 4)))
    assert gradcheck(AFFINE[name], [x, weight, bias])


@pytest.mark.parametrize("only", ["weight", "bias"])
@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm", "layer_norm"])
def test_weight_and_bias_may_come_alone(name, only, same_as_torch, torch):
    x, vector = np.random.default_rng(5).standard_normal((3, 4, 5, 2)), np.array([1.0, -2.0, 3.0, 0.5])
    leading = {"batch_norm": (None, None), "instance_norm": (), "group_norm": (2,), "layer_norm": ((4,),)}[name]
    training = {"training": True} if name == "batch_norm" else {}
    options = dict(training)
    if name == "layer_norm":
        x = x.transpose(0, 2, 3, 1)
    ours, theirs = getattr(F, name), getattr(torch.nn.functional, name)
    if (name, only) == ("group_norm", "bias"):  # torch fails on this one in backward: "tensor does not have a device"
        options["weight"] = torch.ones(4, dtype=torch.float64)
    same_as_torch(
        lambda t, v: ours(t, *leading, **{only: v}, **training),
        lambda t, v: theirs(t, *leading, **{only: v}, **options),
        np.ascontiguousarray(x),
        vector,
        rtol=1e-7,
        atol=1e-9,
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.batch_norm(x, np.zeros(6), np.ones(6)),
        F.instance_norm,
        lambda x: F.group_norm(x, 3),
        lambda x: F.layer_norm(x, (6, 4, 5)),
    ],
    ids=["batch_norm in training", "batch_norm in evaluation", "instance_norm", "group_norm", "layer_norm"],
)
def test_an_image_batch_stays_channels_last_and_float32(function, to_channels_last):
    x = Tensor(to_channels_last(np.random.default_rng(6).standard_normal((2, 6, 4, 5)).astype(np.float32)), True)
    y = function(x)
    y.sum().backward()
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)
    assert y.dtype == x.grad.dtype == np.float32


def test_batch_norm_of_a_channels_last_batch_converts_nothing(to_channels_last):
    x = Tensor(to_channels_last(np.ones((2, 6, 4, 5), np.float32)), requires_grad=True)
    gradient = to_channels_last(np.ones((2, 6, 4, 5), np.float32))
    before = layout.conversions()
    F.batch_norm(x, None, None, training=True).backward(gradient)
    assert layout.conversions() == before


IMAGE = np.ones((2, 4, 3, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.batch_norm(np.ones(3), None, None, training=True), r"an input \(N, C\) or \(N, C, ...\), but its"),
        (lambda: F.batch_norm(np.ones((1, 3, 1, 1)), None, None, training=True), r"input \(1, 3, 1, 1\) has one"),
        (lambda: F.batch_norm(IMAGE, None, None), "needs running_mean and running_var, but one is None"),
        (
            lambda: F.batch_norm(IMAGE, np.ones(3), np.ones(4)),
            r"running_mean must have shape \(4,\), one number for each",
        ),
        (lambda: F.batch_norm(IMAGE, None, None, np.ones(5), None, True), r"weight must have shape \(4,\).*\(5,\)"),
        (lambda: F.instance_norm(np.ones((2, 3, 1, 1))), r"more than one value.*\(2, 3, 1, 1\) has one"),
        (lambda: F.instance_norm(IMAGE, bias=np.ones(3)), r"bias must have shape \(4,\)"),
        (lambda: F.group_norm(IMAGE, 3), r"num_groups = 3 does not divide the 4 channels"),
        (lambda: F.group_norm(IMAGE, 0), r"num_groups = 0 does not divide"),
        (lambda: F.group_norm(np.ones((1, 4)), 4), r"a group needs more than one value.*\(1, 4\)"),
        (
            lambda: F.layer_norm(IMAGE, (4, 3)),
            r"\(4, 3\) must be the last sizes of the input, which has \(2, 4, 3, 3\)",
        ),
        (lambda: F.layer_norm(IMAGE, 3, np.ones(4)), r"weight must have shape \(3,\), but has \(4,\)"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm", "group_norm", "layer_norm"])
def test_integers_are_refused(name):
    arguments = {"batch_norm": (None, None), "instance_norm": (), "group_norm": (1,), "layer_norm": ((3,),)}[name]
    with pytest.raises(TypeError, match=f"{name} needs a floating-point input, but its dtype is int64"):
        getattr(F, name)(Tensor(np.ones((2, 3), np.int64)), *arguments)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(4, 3, 5, 7), (6, 17), (8, 16, 8, 8), (3, 1, 1, 2)])
def test_batch_norm_relu_is_relu_of_batch_norm_in_values_gradients_and_statistics(shape, training, dtype):
    generator = np.random.default_rng(5)
    x, cotangent = generator.standard_normal((2, *shape)).astype(dtype)
    x.reshape(-1)[0] = 0
    c = shape[1]
    weight, bias, mean = generator.standard_normal((3, c)).astype(dtype)
    variance = generator.uniform(0.5, 2, c).astype(dtype)
    outcomes = []
    for function in (F.batch_norm_relu, lambda *a, **k: F.relu(F.batch_norm(*a, **k))):
        leaves = [Tensor(layout.as_channels_last(x.copy()) if x.ndim == 4 else x.copy(), requires_grad=True)]
        leaves += [Tensor(array.copy(), requires_grad=True) for array in (weight, bias)]
        statistics = mean.copy(), variance.copy()
        result = function(leaves[0], *statistics, *leaves[1:], training=training)
        result.backward(cotangent)
        outcomes.append([result.data, *statistics, *(leaf.grad.data for leaf in leaves)])
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for fused, apart in zip(*outcomes, strict=True):
        np.testing.assert_allclose(fused, apart, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(outcomes[0][0], outcomes[1][0])
    assert x.size < 10 or (outcomes[0][0] == 0).any()


def test_batch_norm_relu_lets_nan_through_in_evaluation():
    x = np.array([[np.nan, np.inf, -np.inf, 1.0]], np.float32).T
    leaf = Tensor(x, requires_grad=True)
    result = F.batch_norm_relu(leaf, np.zeros(1), np.ones(1))
    np.testing.assert_allclose(result.data[:, 0], [np.nan, np.inf, 0, 1], rtol=1e-4)
    result.sum().backward()
    np.testing.assert_allclose(leaf.grad.data[:, 0], [1, 1, 0, 1], rtol=1e-4)
