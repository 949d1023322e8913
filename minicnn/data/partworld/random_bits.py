"""Random bits for PartWorld, 64 a draw: the same on every platform and NumPy version, in whatever order they are drawn.

Philox is a function, not a history: it maps a key and a counter to four draws of 64 bits. The key is (seed, stream),
where the stream numbers the family, the split and the kind of picture; picture i alone has the counters (1, i, 0, 0),
(2, i, 0, 0), ... So a picture's bits depend on seed, stream and i alone. Only raw bits are taken: NumPy promises
that these values never change, while its distributions may change.
"""

import numpy as np


def random_bits(seed: int, stream: int, indices: np.ndarray, count: int) -> np.ndarray:
    """The first `count` draws of each picture in `indices`: (B, count) uint64."""
    generator = np.random.Philox(key=np.array([seed, stream], np.uint64))
    state = generator.state
    bits = np.empty((len(indices), count), np.uint64)
    for row, index in enumerate(indices):
        state["state"]["counter"] = np.array([0, index, 0, 0], np.uint64)
        generator.state = state
        bits[row] = generator.random_raw(count)
    return bits


def choices(bits: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers 0 ... count - 1 from the upper half of each draw: int64, same shape."""
    result: np.ndarray = ((bits >> np.uint64(32)) % np.uint64(count)).astype(np.int64)
    return result


def between(bits: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Evenly spread numbers in [low, high) from the upper 53 bits of each draw: float64, same shape."""
    fraction = (bits >> np.uint64(11)).astype(np.float64) / 9007199254740992.0  # 2**53, so the quotient is exact
    result: np.ndarray = low + fraction * (high - low)
    return result


def noise_draws(size: int) -> int:
    """The number of draws for the noise of a `size` x `size` picture: sixteen bits for each of its three colours."""
    return -(-3 * size * size // 4)


def noise_samples(bits: np.ndarray, size: int) -> np.ndarray:
    """Sixteen random bits for each colour of each pixel: (B, D) uint64 -> (B, H, W, 3) uint16."""
    halves = np.ascontiguousarray(bits).astype("<u8", copy=False).view("<u2").astype(np.uint16, copy=False)
    return np.ascontiguousarray(halves[:, : 3 * size * size]).reshape(len(bits), size, size, 3)
