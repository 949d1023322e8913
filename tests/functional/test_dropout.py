"""Dropout: how much it drops, what it leaves alone, and that its draws are named."""

import numpy as np
import pytest

import minicnn
import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout

both = pytest.mark.parametrize("function", [F.dropout, F.dropout2d], ids=["dropout", "dropout2d"])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_sets_a_share_p_to_zero_and_scales_the_rest(p):
    x = np.random.default_rng(0).uniform(1, 2, (200, 500))
    y = F.dropout(Tensor(x), p, generator=np.random.default_rng(1)).data
    dropped = y == 0
    assert abs(dropped.mean() - p) < 5 * np.sqrt(p * (1 - p) / x.size)  # five standard deviations
    np.testing.assert_allclose(y[~dropped], x[~dropped] / (1 - p), rtol=1e-12)


@pytest.mark.parametrize("shape", [(60, 50, 3, 4), (60, 50, 7)])
def test_dropout2d_drops_whole_channels_of_single_images(shape):
    y = F.dropout2d(Tensor(np.ones(shape)), 0.25, generator=np.random.default_rng(2)).data
    channels = y.reshape(60, 50, -1)
    assert (channels == channels[:, :, :1]).all()
    dropped = channels[:, :, 0] == 0
    assert abs(dropped.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 3000)
    np.testing.assert_allclose(channels[~dropped], 1 / 0.75)
    assert 0 < dropped[0].sum() < 50  # not whole images
    assert 0 < dropped[:, 0].sum() < 60  # nor one channel of all images


@both
def test_the_gradient_goes_where_the_values_went(function):
    x = Tensor(np.random.default_rng(3).uniform(1, 2, (4, 6, 3, 5)), requires_grad=True)
    y = function(x, 0.4, generator=np.random.default_rng(4))
    gradient = np.random.default_rng(5).standard_normal(y.shape)
    y.backward(gradient)
    np.testing.assert_allclose(x.grad.data, gradient * y.data / x.data, rtol=1e-12)


@both
def test_gradient_is_the_slope_for_a_fixed_mask(function):
    x = Tensor(np.random.default_rng(3).standard_normal((2, 3, 4, 5)).transpose(1, 0, 3, 2), requires_grad=True)
    assert gradcheck(lambda t: function(t, 0.5, generator=np.random.default_rng(6)), x)


@both
def test_evaluation_returns_the_input_itself(function):
    x = Tensor(np.ones((2, 3, 4, 5)))
    assert function(x, 0.5, training=False) is x


@both
def test_the_extreme_probabilities_keep_all_and_nothing(function):
    x = Tensor(np.random.default_rng(7).standard_normal((3, 4, 5, 6)), requires_grad=True)
    np.testing.assert_array_equal(function(x, 0.0).data, x.data)
    nothing = function(x, 1.0)
    nothing.sum().backward()
    assert not nothing.data.any()
    assert not x.grad.data.any()


@both
def test_an_image_batch_stays_channels_last_and_float32(function):
    x = Tensor(layout.zeros((2, 3, 4, 5), np.float32), requires_grad=True)
    y = function(x, 0.5)
    y.sum().backward()
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)
    assert y.dtype == np.float32
    assert x.grad.dtype == np.float32


@both
def test_the_seed_and_the_place_in_training_decide_the_mask(function):
    x = Tensor(np.ones((5, 40, 2, 2)))

    def draw(seed, epoch, batch):
        minicnn.manual_seed(seed)
        minicnn.random.set_position(epoch, batch)
        return function(x).data, function(x).data

    first, second = draw(0, 3, 4)
    assert (first != second).any()  # two layers of one step
    np.testing.assert_array_equal(draw(0, 3, 4), (first, second))
    for other in [(1, 3, 4), (0, 2, 4), (0, 3, 5)]:
        assert (draw(*other)[0] != first).any()


@both
def test_a_generator_of_the_callers_own_leaves_the_streams_alone(function):
    minicnn.manual_seed(0)
    before = minicnn.random.get_state()
    x = Tensor(np.ones((2, 30, 2, 2)))
    a, b = (function(x, generator=np.random.default_rng(8)).data for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert minicnn.random.get_state() == before


@both
@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
@pytest.mark.parametrize("training", [True, False])
def test_p_outside_its_range_is_refused_even_in_evaluation(function, p, training):
    with pytest.raises(ValueError, match=r"p, the probability of setting an element to 0, must lie in \[0, 1\]"):
        function(Tensor(np.ones((1, 1, 2, 2))), p, training)


def test_dropout2d_needs_channels():
    with pytest.raises(ValueError, match=r"needs an input \(N, C, H, W\) or \(N, C, L\), but its shape is \(2, 3\)"):
        F.dropout2d(Tensor(np.ones((2, 3))))


@both
def test_integers_are_refused_in_training(function):
    with pytest.raises(TypeError, match="needs a floating-point input, but its dtype is int64"):
        function(Tensor(np.ones((2, 3, 4, 4), np.int64)))
