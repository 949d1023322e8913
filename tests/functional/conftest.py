"""What the tests of differentiable operations share."""

import numpy as np
import pytest

from minicnn import Tensor


@pytest.fixture(scope="session")
def same_as_torch():
    """A check that one of our functions and its twin in PyTorch agree: value, shape, dtype and every gradient.

    check(ours, theirs, *arguments, **options): floating-point arrays among the arguments and options become Tensors
    that require gradients, integer arrays Tensors that don't; all else is passed on. The gradient of the result is
    random. The arrays must come out as they went in.
    """
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    def check(ours, theirs, *arguments, differentiate=True, rtol=1e-9, atol=1e-11, seed=0, **options):
        values = [*arguments, *options.values()]
        before = [value.copy() if isinstance(value, np.ndarray) else value for value in values]

        def as_ours(value):
            return Tensor(value, requires_grad=value.dtype.kind == "f") if isinstance(value, np.ndarray) else value

        def as_theirs(value):
            if not isinstance(value, np.ndarray):
                return value
            return torch.tensor(value, requires_grad=value.dtype.kind == "f")

        mine = [as_ours(value) for value in values]
        other = [as_theirs(value) for value in values]
        count = len(arguments)
        result = ours(*mine[:count], **dict(zip(options, mine[count:], strict=True)))
        expected = theirs(*other[:count], **dict(zip(options, other[count:], strict=True)))
        assert result.shape == tuple(expected.shape)
        assert result.dtype == expected.detach().numpy().dtype
        np.testing.assert_allclose(result.data, expected.detach().numpy(), rtol=rtol, atol=atol)
        if differentiate and expected.requires_grad:
            gradient = np.random.default_rng(seed).standard_normal(result.shape).astype(result.dtype)
            result.backward(gradient)
            expected.backward(torch.tensor(gradient))
            for position, (x, y) in enumerate(zip(mine, other, strict=True)):
                if isinstance(x, Tensor) and y.grad is not None and x.data.size:
                    assert x.grad is not None, f"argument {position} got no gradient"
                    assert x.grad.shape == x.shape
                    assert x.grad.dtype == x.dtype
                    np.testing.assert_allclose(
                        x.grad.data, y.grad.numpy(), rtol=rtol, atol=atol, err_msg=f"gradient of argument {position}"
                    )
        for value, copy in zip(values, before, strict=True):
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, copy)
        return result

    return check


def _channels_last(array):
    """A copy of an (N, C, H, W) array with channels-last memory."""
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.fixture(scope="session")
def to_channels_last():
    """The function that copies an (N, C, H, W) array into channels-last memory."""
    return _channels_last
