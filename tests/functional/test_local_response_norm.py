"""local_response_norm: against PyTorch for odd and even windows, wider than the channels too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout


@settings(max_examples=30)
@given(
    shape=st.lists(st.integers(1, 5), min_size=3, max_size=5),
    size=st.integers(1, 8),
    seed=st.integers(0, 2**20),
    options=st.sampled_from([{}, {"alpha": 2.0, "beta": 0.5, "k": 1.5}]),
)
def test_agrees_with_torch(shape, size, seed, options, same_as_torch):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(seed).standard_normal(shape) * 3
    theirs = torch.nn.functional.local_response_norm
    same_as_torch(F.local_response_norm, theirs, x, size=size, seed=seed, **options)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 9])
def test_gradient_is_the_slope(size):
    x = Tensor(np.random.default_rng(0).standard_normal((3, 4, 5, 2)).transpose(3, 2, 1, 0), requires_grad=True)
    assert gradcheck(lambda t: F.local_response_norm(t, size, alpha=2.0, beta=0.6, k=1.2), x)


def test_an_image_batch_stays_channels_last_and_float32(to_channels_last):
    x = Tensor(to_channels_last(np.ones((2, 6, 4, 5), np.float32)), requires_grad=True)
    y = F.local_response_norm(x, 5)
    y.sum().backward()
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)
    assert y.dtype == x.grad.dtype == np.float32


def test_an_empty_batch_gives_an_empty_result():
    assert F.local_response_norm(np.zeros((0, 3, 4, 5)), 3).shape == (0, 3, 4, 5)


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"needs an input \(N, C, ...\) of three axes or more, but got \(2, 3\)"):
        F.local_response_norm(np.ones((2, 3)), 3)
    with pytest.raises(ValueError, match="size must be 1 or more, but is 0"):
        F.local_response_norm(np.ones((2, 3, 4)), 0)
    with pytest.raises(TypeError, match="local_response_norm needs a floating-point input"):
        F.local_response_norm(Tensor(np.ones((2, 3, 4), int)), 3)
