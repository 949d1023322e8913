"""Fair timing: every peer's turn is warmed up, turns are interleaved, and medians are compared.

Idle threads spin for a while after a call, waiting for the next one, and take a core from whoever comes next. So a turn
begins with calls that are not counted, for longer than the peers' threads spin. Clocks and neighbours change over
seconds: peers take turns, round after round, so that all see the same weather.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """How often and how long: `rounds` turns a peer, `settle` seconds untimed (one call at least), then timed calls.

    There are `calls` of these, but fewer, down to one, where a turn would take more than `turn` seconds.
    """

    rounds: int = 5
    calls: int = 4
    settle: float = 0.03
    turn: float = 0.06


# Seconds that idle threads were seen to spin, and some more. OpenMP's (PyTorch, minicnn) spin for less than 0.01.
ONNXRUNTIME_SPINS = 0.06
OPENBLAS_SPINS = 0.13  # NumPy's BLAS: in DeZero, in MyGrad, and in minicnn's im2col

FULL = Plan()
QUICK = Plan(rounds=1, calls=2, settle=0.006, turn=0.02)


def refuse_uncompiled() -> None:
    """Raise ValueError if kernels run as plain Python: their seconds would tell nothing."""
    import numba  # here, for the processes of other libraries import this file, and what they load first is timed

    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise ValueError("NUMBA_DISABLE_JIT is set: there is nothing to measure where kernels are not compiled")


def turn(run: Callable[[], Any], plan: Plan) -> list[float]:
    """Seconds of each timed call of one turn."""
    begin = last = time.perf_counter()
    settled, longest = False, 0.0
    while not settled:
        run()
        now = time.perf_counter()
        longest, last = now - last, now
        settled = now - begin >= plan.settle
    calls = max(1, min(plan.calls, int(plan.turn / max(longest, 1e-9))))
    return [seconds_of(run) for _ in range(calls)]


def seconds_of(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def interleave(
    turns: Mapping[str, Callable[[], Sequence[float]]], rounds: int, once: Collection[str] = ()
) -> dict[str, list[float]]:
    """The seconds that each peer's turns returned, all rounds together; those in `once` have one, after all others.

    A turn is `turn` above, in whatever process.
    """
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    order = [name for name in turns if name not in once] * rounds + [name for name in turns if name in once]
    for name in order:
        seconds[name] += turns[name]()
    return seconds


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, least and most of the seconds, and their number: the record of a timing."""
    return {
        "median": statistics.median(seconds),
        "min": min(seconds),
        "max": max(seconds),
        "calls": len(seconds),
    }


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios: 2 and 1/2 make 1. NaN for none."""
    logarithms = [math.log(value) for value in values]
    return math.exp(statistics.fmean(logarithms)) if logarithms else math.nan
