"""One case, measured in all libraries: rows of seconds, of which the record and the tables are made.

A row is a dictionary:

    case, operation     the measured case and operation, in words
    shape               the fields of the case
    seconds             {variant: {median, min, max, calls, and the batch where it was only a part of the case's}}
    GFLOP/s             of convolutions: {variant: rate of the plain algorithm, for every variant}
    ratio               seconds of PyTorch's better layout over minicnn's own choice; absent without both
    failed              {library: the reason of its failure}; absent if all could
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from minicnn.bench.cases import BOTH, SLOW, Convolution
from minicnn.bench.process import LibraryError, LibraryProcess
from minicnn.bench.timing import OPENBLAS_SPINS, Plan, interleave, spread

Row = dict[str, Any]


def measure(
    case: Any, processes: Sequence[LibraryProcess], plan: Plan, wanted: Callable[[str], bool] = lambda variant: True
) -> list[Row]:
    """A row for each operation of the case, from all variants that are `wanted`, turn by turn.

    Raises LibraryError if minicnn fails; another library that does is left out of the rows, which say so.
    """
    owners: dict[tuple[str, str], LibraryProcess] = {}
    failed: dict[str, str] = {}
    for process in processes:
        variants = [variant for variant in process.ask("variants", case) if wanted(variant)]
        try:
            owners.update(dict.fromkeys(process.ask("prepare", case, variants), process))
        except LibraryError as error:
            if process.library == "minicnn":
                raise
            failed[process.library] = str(error)
    rows = []
    for operation in dict.fromkeys(operation for _, operation in owners):
        turns = {
            variant: partial(process.ask, "time", (variant, operation), plan)
            for (variant, has), process in owners.items()
            if has == operation
        }
        slow = [name for name in turns if name.split()[-1] in SLOW]
        seconds = interleave(turns, plan.rounds, once=slow)
        if slow:
            time.sleep(OPENBLAS_SPINS)
        row = _row(case, operation, {variant: spread(each) for variant, each in seconds.items()})
        rows.append({**row, "failed": failed} if failed else row)
    return rows


def _row(case: Any, operation: str, seconds: dict[str, dict[str, float]]) -> Row:
    row: Row = {"case": str(case), "operation": operation, "shape": asdict(case), "seconds": seconds}
    if isinstance(case, Convolution):
        row["GFLOP/s"] = _rates(case, operation, seconds)
    ratio = ratio_to_torch(row)
    return row if ratio is None else {**row, "ratio": ratio}


def _rates(case: Convolution, operation: str, seconds: dict[str, dict[str, float]]) -> dict[str, float]:
    """GFLOP/s by variant, and "torch" for PyTorch's better layout. Says in `seconds` where a part of a batch ran."""
    rates = {}
    for variant, timing in seconds.items():
        if variant == "peak":
            continue
        batch = case.batch_for(variant.split()[-1])
        if batch < case.batch:
            timing["batch"] = batch
        flop = case.flop * batch / case.batch * (3 if operation == BOTH else 1)
        rates[variant] = flop / timing["median"] / 1e9
    layouts = [rate for variant, rate in rates.items() if variant.split()[0] == "torch"]
    return {**rates, "torch": max(layouts)} if layouts else rates


def median(row: Row, variant: str) -> float | None:
    """The median seconds of a variant, None without a measurement."""
    timing = row["seconds"].get(variant)
    return None if timing is None else timing["median"]


def best(row: Row, library: str) -> float | None:
    """The least of the median seconds of a library's variants, such as PyTorch's two layouts."""
    medians = [timing["median"] for variant, timing in row["seconds"].items() if variant.split()[0] == library]
    return min(medians, default=None)


def ratio_to_torch(row: Row) -> float | None:
    """How many times as long PyTorch took, in its better layout, as minicnn with the algorithm that it chose."""
    ours, theirs = median(row, "minicnn"), best(row, "torch")
    return None if ours is None or theirs is None else theirs / ours
