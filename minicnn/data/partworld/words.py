"""Random words for PartWorld: the same on every platform and NumPy version, whatever is drawn before or at once.

Philox is a function, not a history: it maps a key and a counter to four 64-bit words. The key is (seed, stream), where
the stream numbers the family, the split and the kind of picture; picture i has the counters (1, i, 0, 0), (2, i, 0, 0),
... to itself. So a picture's words depend on nothing but seed, stream and i. Only raw words are taken:
NumPy promises their values for ever, while its distributions may change.
"""

import numpy as np


def picture_words(seed: int, stream: int, indices: np.ndarray, count: int) -> np.ndarray:
    """The first `count` words of each picture in `indices`: (B, count) uint64."""
    generator = np.random.Philox(key=np.array([seed, stream], np.uint64))
    state = generator.state
    words = np.empty((len(indices), count), np.uint64)
    for row, index in enumerate(indices):
        state["state"]["counter"] = np.array([0, index, 0, 0], np.uint64)
        generator.state = state
        words[row] = generator.random_raw(count)
    return words


def choices(words: np.ndarray, count: int) -> np.ndarray:
    """Whole numbers 0 ... count - 1 from the upper half of each word: int64, same shape."""
    return ((words >> np.uint64(32)) % np.uint64(count)).astype(np.int64)


def between(words: np.ndarray, low: float | np.ndarray, high: float | np.ndarray) -> np.ndarray:
    """Evenly spread numbers in [low, high) from the upper 53 bits of each word: float64, same shape."""
    fraction = (words >> np.uint64(11)).astype(np.float64) / 9007199254740992.0  # 2**53, so the quotient is exact
    return low + fraction * (high - low)


def noise_words(size: int) -> int:
    """How many words hold the noise of a `size` x `size` picture: sixteen bits for each of its three colours."""
    return -(-3 * size * size // 4)


def noise_samples(words: np.ndarray, size: int) -> np.ndarray:
    """Sixteen random bits for each colour of each pixel: (B, words) uint64 -> (B, H, W, 3) uint16."""
    halves = np.ascontiguousarray(words).astype("<u8", copy=False).view("<u2").astype(np.uint16, copy=False)
    return np.ascontiguousarray(halves[:, : 3 * size * size]).reshape(len(words), size, size, 3)
