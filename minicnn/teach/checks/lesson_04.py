"""The checks of lesson 4: the field of a row of windows, and a network that sees far and is cheap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minicnn.teach.answers import Answer, WrongAnswer, agree, call, need

_MOST_MULTIPLY_ADDS = 1_500_000


def receptive_field(answer: Answer) -> None:
    """04a: the side of the field, found here from the output back to the pixels."""
    hint = "a window sees what one place sees, and kernel - 1 steps more; its stride lengthens the step for later ones"
    fresh = np.random.default_rng()
    rows: list[list[tuple[int, int]]] = [
        [],
        [(3, 1)],
        [(3, 1), (3, 1)],
        [(5, 1), (3, 1), (2, 1)],
        [(2, 2), (3, 1)],
        [(3, 1), (3, 2), (3, 1)],
        [(3, 2), (1, 2), (3, 1), (3, 1)],
        [(7, 2), (3, 2), (3, 1), (3, 1), (3, 2)],
        [(1, 2), (2, 3), (3, 1)],
    ]
    for length in (4, 6):
        rows.append([(int(kernel), int(stride)) for kernel, stride in fresh.integers(1, (9, 4), (length, 2))])
    rows.append([(3, 1)] * 1200)
    agree(answer, [(windows,) for windows in rows], _pixels_reached, hint, _field_case, tolerance=0)


def _field_case(windows: Sequence[tuple[int, int]]) -> str:
    return f"receptive_field({windows if len(windows) < 10 else f'[{windows[0]}] * {len(windows)}'})"


def _pixels_reached(windows: Sequence[tuple[int, int]]) -> int:
    """The side: the output alone, then the places of the map before that the window covers, and so on back."""
    first, last = 0, 0
    for kernel, stride in reversed(windows):
        first, last = first * stride, last * stride + kernel - 1
    return last - first + 1


def far_and_cheap(answer: Answer) -> None:
    """04b: a network by its properties. Counted and not built, for the network may be much too large to build."""
    form = "a list of triples, such as [(3, 2, 8), (3, 1, 16)]"
    yours = call(answer, hint=form)
    triples = _triples(yours)
    if triples is None:
        shown = f"{yours!r:.200}"
        raise WrongAnswer(
            f"far_and_cheap(): its form\n  yours     {shown}\n  expected  triples (kernel, stride, channels)", form
        )
    sizes, channels = _sizes(triples), [3, *(triple[2] for triple in triples)]
    hint = "two strides of 2 leave 8x8 places of 32x32; a third one is too many"
    need(sizes[-1] >= 8, "far_and_cheap(): places on a side of the last map", sizes[-1], "8 or more", hint)
    hint = "only the last map needs so many"
    need(channels[-1] >= 32, "far_and_cheap(): channels of the last map", channels[-1], "32 or more", hint)
    side = _pixels_reached([(kernel, stride) for kernel, stride, _ in triples])
    hint = "after two strides of 2, every further 3x3 kernel sees 8 pixels more; before them only 2"
    need(side >= 31, "far_and_cheap(): pixels that it sees on a side", side, "31 or more", hint)
    costs = [
        size * size * kernel * kernel * before * after
        for size, (kernel, _, after), before in zip(sizes[1:], triples, channels, strict=False)
    ]
    lines = [
        f"layer {number}: {cost:,} for {after}x{size}x{size}"
        for number, (cost, after, size) in enumerate(zip(costs, channels[1:], sizes[1:], strict=True), 1)
    ]
    dearest = f"{sum(costs):,}" + "".join(f"\n            {line}" for line in lines[:20])
    hint = (
        "a layer costs places x kernel x kernel x channels before x channels after: make the dearest one cheaper, by "
        "an earlier stride or by fewer channels"
    )
    cheap = sum(costs) <= _MOST_MULTIPLY_ADDS
    need(cheap, "far_and_cheap(): multiply-adds", dearest, f"{_MOST_MULTIPLY_ADDS:,} or fewer", hint)
    _need_no_gaps(triples)


def _need_no_gaps(triples: Sequence[Sequence[int]]) -> None:
    """Raise WrongAnswer if one place of the last map, or all of them together, skip pixels between those they see."""
    hint = "a kernel smaller than its stride jumps over places; let no kernel be smaller than the step that it takes"
    one, every = {0}, set(range(_sizes(triples)[-1]))
    for (kernel, stride, _), size in zip(reversed(triples), reversed(_sizes(triples)[:-1]), strict=True):
        one = {place * stride + offset for place in one for offset in range(kernel)}
        every = {place * stride + offset - kernel // 2 for place in every for offset in range(kernel)}
        every &= set(range(size))
    span = max(one) - min(one) + 1
    what = "far_and_cheap(): pixels, of a row, between the first and the last that one place sees"
    need(len(one) == span, what, f"{len(one)} of {span} are used", "all of them", hint)
    what = "far_and_cheap(): pixels of a row of the picture that are used at all"
    need(len(every) == 32, what, f"{len(every)} of 32", "32 of 32", hint)


def _sizes(triples: Sequence[Sequence[int]]) -> list[int]:
    """The side of the picture, and of the map after each convolution."""
    sizes = [32]
    for kernel, stride, _ in triples:
        sizes.append((sizes[-1] + 2 * (kernel // 2) - kernel) // stride + 1)
    return sizes


def _triples(yours: object) -> list[list[int]] | None:
    """The answer as triples of ints above 0; None for any other form."""
    try:
        numbers = np.asarray(yours)
    except Exception:  # rows of several lengths, or whatever an object of the reader's raises
        return None
    are_triples = numbers.ndim == 2 and numbers.shape[1] == 3 and numbers.size > 0
    return numbers.tolist() if are_triples and numbers.dtype.kind == "i" and numbers.min() >= 1 else None


CHECKS = {"04a": receptive_field, "04b": far_and_cheap}
