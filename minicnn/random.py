"""Random numbers by name: every draw has a key, so that no other draw can change its numbers.

With one shared stream a result would depend on every draw before: one more picture fetched ahead, one more layer, a run
resumed in the middle of an epoch. Here a stream is keyed by (seed, purpose, counters) and drawn by a
counter-based generator (Philox; Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"):

    stream("shuffle", epoch)            the order of the pictures in that epoch
    stream("augment", epoch, batch)     the flips and crops of that batch
    next_stream("dropout")              a fresh stream at every call, keyed by the place in training and a count

`next_stream` counts its calls by purpose, and the count begins again at each `set_position(epoch, batch)`, which the
training loop calls before every step. A run that is killed and resumed at that step therefore draws the same numbers.
"""

import hashlib
from typing import Any

import numpy as np

_seed = 0
_position = (0, 0)  # (epoch, batch), set by the training loop
_counts: dict[str, int] = {}  # purpose -> calls of next_stream since the position was set


def manual_seed(seed: int) -> None:
    """Set the seed of every stream and begin all counts again; the same seed gives the same bits, run after run.

    Raises TypeError if `seed` is not an integer and ValueError if it is negative.
    """
    global _seed
    _seed = _checked_seed(seed)
    set_position(0, 0)


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed must be an integer, but is {type(seed).__name__}: {seed!r}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, but is {seed}")
    return int(seed)


def stream(purpose: str, *counters: int, seed: int | None = None) -> np.random.Generator:
    """The generator of one named stream: the same (seed, purpose, counters) gives the same numbers, always.

    `seed=None` means the seed that `manual_seed` set; another seed is checked in the same way.
    """
    name = repr((_seed if seed is None else _checked_seed(seed), purpose, tuple(int(counter) for counter in counters)))
    # Philox takes a key of 128 bits; hashing the name spreads neighbouring seeds and counters over all of them.
    key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))


def next_stream(purpose: str, generator: np.random.Generator | None = None) -> np.random.Generator:
    """`generator` if one is given, else the next stream of this purpose at the present place in training."""
    if generator is not None:
        return generator
    count = _counts.get(purpose, 0)
    _counts[purpose] = count + 1
    return stream(purpose, *_position, count)


def set_position(epoch: int, batch: int) -> None:
    """Set the place in training; the counts of `next_stream` begin again."""
    global _position
    _position = (int(epoch), int(batch))
    _counts.clear()


def get_state() -> dict[str, Any]:
    """The seed, position and counts as plain values that JSON can hold; `set_state` restores them."""
    return {"seed": _seed, "position": list(_position), "counts": dict(_counts)}


def set_state(state: dict[str, Any]) -> None:
    """Restore what `get_state` returned. Raises ValueError if a part of the state is missing."""
    global _seed
    missing = {"seed", "position", "counts"} - set(state)
    if missing:
        raise ValueError(f"state of the random streams lacks {sorted(missing)}; pass what get_state() returned")
    _seed = int(state["seed"])
    set_position(*state["position"])
    _counts.update(state["counts"])
