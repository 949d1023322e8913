"""normalize and cosine_similarity: against PyTorch, at zero vectors, ties and below eps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn.functional as F
from minicnn import Tensor, gradcheck
from minicnn.kernels import layout

POWERS = [0.0, 0.5, 1.0, 2.0, 3.0, np.inf]


@pytest.fixture(scope="module")
def torch_functional():
    return pytest.importorskip("torch").nn.functional


@pytest.mark.parametrize("p", POWERS)
@settings(max_examples=15)
@given(shape=st.lists(st.integers(1, 4), min_size=1, max_size=4), data=st.data(), seed=st.integers(0, 2**20))
def test_normalize_agrees_with_torch(p, shape, data, seed, same_as_torch, torch_functional):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(seed).standard_normal(shape)
    same_as_torch(F.normalize, torch_functional.normalize, x, p=p, dim=dim, seed=seed)


@pytest.mark.parametrize("p", POWERS)
def test_normalize_gradient_is_the_slope(p):
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3, 5)).transpose(2, 0, 1), requires_grad=True)
    assert gradcheck(lambda t: F.normalize(t, p, dim=(0, 2)), x)
    assert gradcheck(lambda t: F.normalize(t, p, dim=1, eps=100.0), x)  # shorter than eps: only scaled


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_a_vector_of_zeros_stays_one_and_its_gradient_is_finite(p, same_as_torch, torch_functional):
    x = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, -4.0]])
    same_as_torch(F.normalize, torch_functional.normalize, x, p=p)
    assert F.normalize(Tensor(x), p).tolist()[0] == [0, 0, 0]


def test_ties_of_the_largest_share_its_gradient_as_in_torch(same_as_torch, torch_functional):
    same_as_torch(F.normalize, torch_functional.normalize, np.array([[2.0, -2.0, 1.0]]), p=np.inf)


def test_normalized_vectors_have_length_one():
    y = F.normalize(Tensor(np.random.default_rng(1).standard_normal((5, 7)).astype(np.float32)))
    np.testing.assert_allclose(np.linalg.norm(y.data, axis=1), np.ones(5), rtol=1e-6)
    assert y.dtype == np.float32


def test_an_image_batch_stays_channels_last(to_channels_last):
    x = Tensor(to_channels_last(np.ones((2, 3, 4, 5), np.float32)), requires_grad=True)
    y = F.normalize(x)
    y.sum().backward()
    assert layout.is_channels_last(y.data)
    assert layout.is_channels_last(x.grad.data)


@settings(max_examples=30)
@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    repeated=st.lists(st.booleans(), min_size=3, max_size=3),
    data=st.data(),
    seed=st.integers(0, 2**20),
)
def test_cosine_similarity_agrees_with_torch(shape, repeated, data, seed, same_as_torch, torch_functional):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    generator = np.random.default_rng(seed)
    other = [1 if repeat else size for size, repeat in zip(shape, repeated, strict=False)]
    a, b = generator.standard_normal(shape), generator.standard_normal(other)
    same_as_torch(F.cosine_similarity, torch_functional.cosine_similarity, a, b, dim=dim, seed=seed)


def test_cosine_similarity_gradient_is_the_slope():
    generator = np.random.default_rng(2)
    a = Tensor(generator.standard_normal((4, 3, 2)).transpose(2, 1, 0), requires_grad=True)
    b = Tensor(generator.standard_normal((1, 3, 4)), requires_grad=True)
    assert gradcheck(F.cosine_similarity, [a, b])


@pytest.mark.parametrize("short", [0, 1])
def test_a_vector_shorter_than_eps_is_divided_by_eps_and_its_gradient_knows(short):
    tensors = [Tensor(np.array([[3.0, 4.0]]), requires_grad=True), Tensor(np.array([[-1.0, 6.0]]), requires_grad=True)]
    tensors[short] = Tensor(np.array([[0.6, 0.5]]), requires_grad=True)
    assert gradcheck(lambda x, y: F.cosine_similarity(x, y, eps=1.0), tensors)


def test_directions_compare_as_geometry_says():
    x = np.array([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0], [0.0, 0.0]])
    y = np.array([[30.0, 40.0], [-4.0, 3.0], [-3.0, -4.0], [1.0, 1.0]])
    np.testing.assert_allclose(F.cosine_similarity(x, y).data, [1, 0, -1, 0], atol=1e-12)


def test_errors_say_what_is_wrong():
    with pytest.raises(TypeError, match="normalize needs a floating-point input"):
        F.normalize(Tensor([[1, 2]]))
    with pytest.raises(ValueError, match="dim 1 is out of range for a Tensor of 1 axes"):
        F.normalize(np.ones(3))
    with pytest.raises(TypeError, match="cosine_similarity needs a floating-point x1 or x2"):
        F.cosine_similarity(Tensor([[1, 2]]), Tensor([[1, 2]]))
    with pytest.raises(ValueError, match=r"cosine_similarity: shapes \(2, 3\) and \(2, 4\) don't broadcast"):
        F.cosine_similarity(np.ones((2, 3)), np.ones((2, 4)))
