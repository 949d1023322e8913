"""Initialisations have the spread, the bounds or the structure that their formulas promise."""

import math

import numpy as np
import pytest

from minicnn import nn
from minicnn.nn import Parameter, init

SHAPE = (60, 20, 3, 2)  # fan_in 120, fan_out 360


def drawn(function, *arguments, shape=SHAPE, **named):
    tensor = Parameter(np.empty(shape, np.float32))
    assert function(tensor, *arguments, generator=np.random.default_rng(0), **named) is tensor
    return tensor.data


@pytest.mark.parametrize(
    ("function", "named", "std"),
    [
        (init.kaiming_normal_, {"nonlinearity": "relu"}, math.sqrt(2 / 120)),
        (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "relu"}, math.sqrt(2 / 360)),
        (init.kaiming_normal_, {"a": 1.0}, math.sqrt(1 / 120)),
        (init.kaiming_uniform_, {}, math.sqrt(2 / 120)),
        (init.xavier_normal_, {"gain": 3.0}, 3 * math.sqrt(2 / 480)),
        (init.xavier_uniform_, {}, math.sqrt(2 / 480)),
        (init.normal_, {"mean": 0.0, "std": 0.3}, 0.3),
        (init.uniform_, {"a": -3.0, "b": 3.0}, math.sqrt(3)),
    ],
)
def test_values_have_mean_zero_and_the_spread_of_the_formula(function, named, std):
    values = drawn(function, **named)
    assert values.std() == pytest.approx(std, rel=0.03)
    assert abs(values.mean()) < 0.05 * std
    if function in (init.kaiming_uniform_, init.xavier_uniform_, init.uniform_):
        assert np.abs(values).max() <= math.sqrt(3) * std * 1.0001


def test_uniform_and_normal_have_the_range_and_the_mean_asked_for():
    values = drawn(init.uniform_, 2.0, 5.0)
    assert 2 <= values.min() < 2.05
    assert 4.95 < values.max() < 5
    assert drawn(init.normal_, 7.0, 0.1).mean() == pytest.approx(7, abs=0.01)


def test_a_truncated_normal_stays_inside_its_bounds_and_keeps_the_bells_shape():
    values = drawn(init.trunc_normal_, std=1.0, a=-1.0, b=2.0)
    assert values.min() >= -1
    assert values.max() <= 2
    # mean of a standard normal cut to [-1, 2]: (phi(-1) - phi(2)) / (Phi(2) - Phi(-1))
    assert values.mean() == pytest.approx((0.24197 - 0.05399) / (0.97725 - 0.15866), abs=0.03)
    with pytest.raises(ValueError, match="within 4 std"):
        drawn(init.trunc_normal_, std=0.1, a=5.0, b=6.0)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (4, 5, 2, 3)])
def test_orthogonal_rows_or_columns_have_the_length_of_the_gain(shape):
    matrix = drawn(init.orthogonal_, gain=2.0, shape=shape).reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_dirac_convolution_passes_its_input_on(groups):
    layer = nn.Conv2d(4, 4, (3, 5), padding=(1, 2), groups=groups, bias=False)
    init.dirac_(layer.weight, groups)
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 6), dtype=np.float32)
    np.testing.assert_allclose(layer(nn.Parameter(x)).data, x, rtol=1e-6)


@pytest.mark.parametrize("nonlinearity", ["linear", "conv2d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"])
def test_gains_are_torchs(nonlinearity):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(nonlinearity) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(torch.nn.init.calculate_gain("leaky_relu", 0.3))


def test_constants_fill():
    parameter = Parameter(np.empty((2, 3), np.float32))
    assert (init.ones_(parameter).data == 1).all()
    assert (init.zeros_(parameter).data == 0).all()
    assert (init.constant_(parameter, 2.5).data == 2.5).all()


def test_without_a_generator_the_seed_decides():
    from minicnn.random import manual_seed

    def bits():
        manual_seed(5)
        return init.normal_(Parameter(np.empty(10, np.float32))).data.tobytes()

    assert bits() == bits()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: init.calculate_gain("swish"), "nonlinearity must be one of"),
        (lambda: init.kaiming_normal_(Parameter(np.ones(3))), r"2 or more axes.*\(3,\)"),
        (lambda: init.kaiming_normal_(Parameter(np.ones((3, 2))), mode="fan"), "'fan_in' or 'fan_out'"),
        (lambda: init.dirac_(Parameter(np.ones((3, 2)))), "3 to 5 axes"),
        (lambda: init.dirac_(Parameter(np.ones((3, 2, 1))), groups=2), "3 % 2 != 0"),
        (lambda: init.orthogonal_(Parameter(np.ones(3))), "2 or more axes"),
    ],
)
def test_what_makes_no_sense_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
