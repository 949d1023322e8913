"""local_response_norm: each channel divided by a measure of its neighbours' strength, as AlexNet and GoogLeNet did."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.functional.checks import need_float
from minicnn.tensor import Tensor, as_tensor, make_result


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """input / (k + alpha * mean of squares over `size` neighbouring channels) ** beta, for an input (N, C, ...).

    The window of channel c reaches from c - size // 2 to c + (size - 1) // 2; channels outside count as 0, and the mean
    divides by `size` all the same. Raises ValueError for fewer than three axes or a size below 1, TypeError for
    integers.
    Source: Krizhevsky et al. 2012, section 3.3 (there without the division by `size`).
    """
    x = as_tensor(input)
    need_float("local_response_norm", x.data)
    if x.ndim < 3:
        raise ValueError(f"local_response_norm needs an input (N, C, ...) of three axes or more, but got {x.shape}")
    if size < 1:
        raise ValueError(f"local_response_norm: size must be 1 or more, but is {size}")
    a, before, after = x.data, size // 2, (size - 1) // 2
    base = k + (alpha / size) * _window_sum(np.square(a), before, after)
    scale = base**-beta

    def backward(gradient: np.ndarray):  # keeps the input, the base of the power and the power
        # Channel c stands in the window of channel d where d's reaches it: the window turned round.
        through_windows = _window_sum(gradient * a * scale / base, after, before)
        return (gradient * scale - (2 * alpha * beta / size) * a * through_windows,)

    return make_result(a * scale, (x,), backward, "local_response_norm")


def _window_sum(a: np.ndarray, before: int, after: int) -> np.ndarray:
    """The sum over channels c - before to c + after, those that exist."""
    channels = a.shape[1]
    total = np.zeros_like(a)
    for offset in range(max(-before, 1 - channels), min(after, channels - 1) + 1):
        low, high = max(0, -offset), min(channels, channels - offset)
        total[:, low:high] += a[:, low + offset : high + offset]
    return total
