"""The checks of lesson 15: the matrix of patches, and a parallel sum without a race."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np

from minicnn.random import stream
from minicnn.teach.answers import WrongAnswer, call, compare, need
from minicnn.teach.race import again_and_again, watch

_RUNS = 20  # of the compiled answer, on each number of threads


def patch_matrix(answer: Callable) -> None:
    """15a: the patches of pictures that are not square, under kernels that are not: exchanged axes show."""
    hint = "row i*OW + j is padded[i*stride : i*stride + KH, j*stride : j*stride + KW], flattened"
    generator = stream("check 15a", seed=0)
    cases = [((3, 4, 1), (2, 2), 1, 0), ((3, 4, 2), (2, 3), 1, 0), ((4, 5, 2), (3, 2), 1, 1), ((7, 5, 3), (3, 2), 2, 1)]
    for size, kernel_size, stride, padding in cases:
        picture = generator.integers(1, 100, size).astype(np.float32)
        kh, kw = kernel_size
        padded = np.pad(picture, ((padding, padding), (padding, padding), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=(0, 1))[::stride, ::stride]
        # (OH, OW, C, KH, KW) -> (OH*OW, KH*KW*C)
        expected = windows.transpose(0, 1, 3, 4, 2).reshape(-1, kh * kw * size[2])
        yours = call(answer, picture, kernel_size, stride, padding, hint=hint)
        channels_first = windows.reshape(expected.shape)
        need(
            size[2] == 1 or np.shape(yours) != expected.shape or not np.array_equal(yours, channels_first),
            "patch_matrix: the order of the numbers in a row",
            "channel, kernel row, kernel column",
            "kernel row, kernel column, channel: channels lie side by side here",
            "a slice of the padded picture has this order already",
        )
        what = f"patch_matrix(picture of {size}, kernel_size={kernel_size}, stride={stride}, padding={padding})"
        compare(yours, expected, what, hint)


def mended_sums(answer: Callable) -> None:
    """15b: right sums; turns that share no cell, whatever a run gives; the same bits in any order and on any threads.

    A race can't be found by running alone, for a run may be right by luck: so the plain Python body is watched first.
    """
    hint = "cut the rows into parts, whose first and last rows come from x.shape[0]: part * M // 8 is where one begins"
    generator = stream("check 15b", seed=0)
    for rows in (1, 3, 16, 21):
        x = generator.integers(-9, 10, (rows, 3)).astype(np.float32)
        compare(call(answer, x, hint=hint), x.sum(axis=0), f"mended_sums(x of shape {x.shape})", hint)
    _need_turns_of_their_own(answer, generator.standard_normal((21, 3), dtype=np.float32))
    # Numbers of very different sizes: whoever adds them up in another order gets other last digits.
    sizes = np.float32(10) ** generator.integers(-3, 4, (301, 5)).astype(np.float32)
    uneven = generator.standard_normal((301, 5), dtype=np.float32) * sizes
    _need_any_order(answer, uneven)
    _need_the_same_bits_on_all_threads(answer, uneven)


def _need_turns_of_their_own(answer: Callable, x: np.ndarray) -> None:
    seen = watch(answer, x)
    use = "write `for ... in prange(...)`, imported from numba, where the work is shared out"
    need(seen.turns > 1, "mended_sums: turns of its prange loops", seen.turns, "more than one", use)
    if seen.shared:
        found = f"{seen.shared[0]}, and {len(seen.shared) - 1} cells more" if seen.shared[1:] else str(seen.shared[0])
        own = "what a turn of the prange loop writes must be its own: a row of `parts`, a column of the sums"
        need(False, "mended_sums: two turns that may run at the same time", found, "no cell that one writes", own)


def _need_any_order(answer: Callable, x: np.ndarray) -> None:
    forwards, backwards = (watch(answer, x, backwards=way).result for way in (False, True))
    hint = (
        "a sum over the turns of a prange loop (total += ...) is one that Numba takes apart by threads; let each turn "
        "keep its sum in a place of its own, and add these up in a plain loop"
    )
    what = "mended_sums: its sums, if the turns run in another order"
    largest = float(np.abs(np.subtract(forwards, backwards, dtype=np.float64)).max())
    need(_bits(forwards) == _bits(backwards), what, f"differ by up to {largest:.2g}", "do not differ in a bit", hint)


def _need_the_same_bits_on_all_threads(answer: Callable, x: np.ndarray) -> None:
    # Not by minicnn's own `compile`: what a reader tries out is no kernel of the library, and does not go to its cache.
    compiled = numba.njit(parallel=True)(answer)
    most = numba.get_num_threads()
    try:
        results = [again_and_again(compiled, x, threads=threads, times=_RUNS) for threads in (1, most)]
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = " ".join([f"{type(error).__name__}:", *lines[:2]])
        plain = "keep to loops, indices, np.zeros and np.empty"
        raise WrongAnswer(f"mended_sums: compiled by Numba, it raised {reason}\n  hint: {plain}") from error
    different = len({_bits(result) for runs in results for result in runs})
    what = f"mended_sums: different results in {_RUNS} runs each on 1 and on {most} threads"
    fixed = "a fixed number of parts, not one for each thread; and no two turns that write the same cell"
    need(different == 1, what, different, "1, the same bits always", fixed)


def _bits(result: np.ndarray) -> bytes:
    return np.asarray(result).tobytes()


CHECKS = {"15a": patch_matrix, "15b": mended_sums}
