"""The checks of lesson 15: the matrix of patches, and a parallel sum without a race."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from minicnn.random import stream
from minicnn.teach.answers import Answer, WrongAnswer, agree, attempt, call, compare, need
from minicnn.teach.race import Watched, again_and_again, watch

_RUNS = 20  # of the compiled answer, on each number of threads
_COMPILING = 60.0  # seconds that Numba may take for the answer


def patch_matrix(answer: Answer) -> None:
    """15a: the patches of pictures that are not square, under kernels that are not: exchanged axes show."""
    hint = "row i*OW + j is padded[i*stride : i*stride + KH, j*stride : j*stride + KW], flattened"
    fixed, fresh = stream("check 15a", seed=0), np.random.default_rng()
    cases: list[tuple[Any, ...]] = []
    for size, kernel_size, stride, padding in (
        ((3, 4, 1), (2, 2), 1, 0),
        ((3, 4, 2), (2, 3), 1, 0),
        ((4, 5, 2), (3, 2), 1, 1),
        ((7, 5, 3), (3, 2), 2, 1),
        ((5, 6, 2), (1, 2), 3, 0),
    ):
        cases.append((fixed.integers(1, 100, size).astype(np.float32), kernel_size, stride, padding))
    cases.append((fresh.standard_normal((6, 9, 4)), (4, 3), 2, 2))
    _need_channels_last(answer, cases[1])
    agree(answer, cases, _patches, hint, _patch_case)


def _equal(yours: Any, array: np.ndarray) -> bool:
    try:
        return np.array_equal(yours, array)
    except ValueError:  # rows of several lengths
        return False


def _patches(picture: np.ndarray, kernel_size: tuple[int, int], stride: int, padding: int) -> np.ndarray:
    padded = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=(0, 1))[::stride, ::stride]
    # (OH, OW, C, KH, KW) -> (OH*OW, KH*KW*C)
    rows: np.ndarray = windows.transpose(0, 1, 3, 4, 2).reshape(-1, kernel_size[0] * kernel_size[1] * picture.shape[2])
    return rows


def _patch_case(picture: np.ndarray, kernel_size: tuple[int, int], stride: int, padding: int) -> str:
    return f"patch_matrix(picture of {picture.shape}, kernel_size={kernel_size}, stride={stride}, padding={padding})"


def _need_channels_last(answer: Answer, case: tuple[Any, ...]) -> None:
    """Raise WrongAnswer if only the order within the rows is wrong: channel by channel."""
    picture, (kh, kw), _, _ = case
    rows = _patches(*case)
    by_channel = rows.reshape(-1, kh, kw, picture.shape[2]).transpose(0, 3, 1, 2).reshape(rows.shape)
    yours = call(answer, *case, hint="a slice of the padded picture has this order already")
    need(
        not isinstance(yours, np.ndarray | list) or not _equal(yours, by_channel),
        "patch_matrix: the order of the numbers in a row",
        "channel, kernel row, kernel column",
        "kernel row, kernel column, channel: channels lie side by side here",
        "a slice of the padded picture has this order already",
    )


def mended_sums(answer: Answer) -> None:
    """15b: right sums; turns that share no cell, whatever a run gives; the same bits in any order and on any threads.

    A race can't be found by running alone, for a run may be right by luck: so the plain Python body is watched first.
    """
    hint = "cut the rows into parts, whose first and last rows come from x.shape[0]: part * M // 8 is where one begins"
    generator = np.random.default_rng()
    cases = [(generator.integers(-9, 10, (rows, 3)).astype(np.float32),) for rows in (1, 3, 16, 21, 8)]
    cases.append((generator.integers(-9, 10, (19, 5)).astype(np.float32),))
    agree(answer, cases, lambda x: x.sum(axis=0), hint, lambda x: f"mended_sums(x of shape {x.shape})")
    exact = generator.integers(1 << 28, 1 << 30, (9, 2)).astype(np.float64)
    kept = "let the sums have the type of x: np.zeros(..., x.dtype)"
    compare(call(answer, exact, hint=hint), exact.sum(axis=0), "mended_sums(x of float64)", kept, tolerance=1e-12)
    _need_turns_of_their_own(answer, generator.standard_normal((21, 3), dtype=np.float32))
    # Numbers of very different sizes: whoever adds them up in another order gets other last digits.
    sizes = np.float32(10) ** generator.integers(-3, 4, (301, 5)).astype(np.float32)
    uneven = generator.standard_normal((301, 5), dtype=np.float32) * sizes
    _need_any_order(answer, uneven)
    _need_the_same_bits_on_all_threads(answer, uneven)


def _need_turns_of_their_own(answer: Answer, x: np.ndarray) -> None:
    seen = _watched(answer, x)
    use = "write `for ... in prange(...)`, imported from numba, where the work is shared out"
    need(seen.turns > 1, "mended_sums: turns of its prange loops", seen.turns, "more than one", use)
    if seen.shared:
        found = f"{seen.shared[0]}, and {len(seen.shared) - 1} cells more" if seen.shared[1:] else str(seen.shared[0])
        own = "what a turn of the prange loop writes must be its own: a row of `parts`, a column of the sums"
        need(False, "mended_sums: two turns that may run at the same time", found, "no cell that one writes", own)


def _watched(answer: Answer, x: np.ndarray, backwards: bool = False) -> Watched:
    plain = "keep to loops, indices, np.zeros and np.empty"
    what = f"mended_sums, watched turn by turn on x of shape {x.shape},"
    seen: Watched = attempt(lambda: watch(answer, x, backwards=backwards), answer, what, plain)
    return seen


def _need_any_order(answer: Answer, x: np.ndarray) -> None:
    forwards, backwards = (_watched(answer, x, backwards=way).result for way in (False, True))
    hint = (
        "a sum over the turns of a prange loop (total += ...) is divided by Numba among its threads; let each turn "
        "keep its sum in a place of its own, and add these up in a plain loop"
    )
    what = "mended_sums: its sums, if the turns run in another order"
    largest = float(np.abs(np.subtract(forwards, backwards, dtype=np.float64)).max())
    need(_bits(forwards) == _bits(backwards), what, f"differ by up to {largest:.2g}", "do not differ in a bit", hint)


def _need_the_same_bits_on_all_threads(answer: Answer, x: np.ndarray) -> None:
    most = numba.get_num_threads()
    what = "mended_sums, compiled by Numba,"
    plain = "keep to loops, indices, np.zeros and np.empty"
    runs = attempt(lambda: _compiled_runs(answer, x, (1, most)), answer, what, plain, _COMPILING)
    if isinstance(runs, Exception):
        lines = [line.strip() for line in str(runs).splitlines() if line.strip()]
        reason = " ".join([f"{type(runs).__name__}:", *lines[:2]])
        raise WrongAnswer(f"{what} raised {reason}", plain) from runs
    different = len({_bits(result) for result in runs})
    results = f"mended_sums: different results in {_RUNS} runs each on 1 and on {most} threads"
    fixed = "a fixed number of parts, not one for each thread; and no two turns that write the same cell"
    need(different == 1, results, different, "1, the same bits always", fixed)
    compare(runs[0], x.sum(axis=0, dtype=np.float64), f"{what} on x of shape {x.shape}", plain)


def _compiled_runs(answer: Answer, x: np.ndarray, threads: tuple[int, ...]) -> list[Any] | Exception:
    """All results of the compiled answer, or the error that came in their place."""
    # Not by minicnn's own `compile`: an exercise is not a kernel of the library, and does not go to its cache.
    compiled = numba.njit(parallel=True)(answer)
    try:
        return [one for number in threads for one in again_and_again(compiled, x, threads=number, times=_RUNS)]
    except Exception as error:
        return error


def _bits(result: np.ndarray) -> bytes:
    return np.asarray(result).tobytes()


CHECKS = {"15a": patch_matrix, "15b": mended_sums}
