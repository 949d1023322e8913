"""The few numbers that the rows come to: geometric means, least ratios, shares of the processor's peak."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.bench.cases import Convolution, is_large, is_small
from minicnn.bench.measure import Row, median
from minicnn.bench.timing import geometric_mean

GROUPS: dict[str, Callable[[Convolution], bool]] = {
    "all shapes": lambda case: True,
    "3x3, stride 1, >= 64 channels, >= 14x14 outputs": is_large,
    "the same at 8x8 and 4x4": is_small,
}
PEERS = ("dezero", "mygrad")


def summarise(sections: dict[str, list[Row]]) -> dict[str, Any]:
    """The parts of the record besides the rows. A number that can't be had is left out."""
    summary: dict[str, Any] = {}
    convolutions = sections.get("conv", [])
    if any("ratio" in row for row in convolutions):
        summary["convolution against PyTorch"] = {
            name: _group([row for row in convolutions if "ratio" in row and belongs(_shape(row))])
            for name, belongs in GROUPS.items()
        }
    peaks = [peak for row in convolutions if (peak := row["GFLOP/s"].get("peak"))]
    if peaks:
        summary["peak GFLOP/s"] = {"median": statistics.median(peaks), "min": min(peaks), "max": max(peaks)}
        summary["direct's share of the peak"] = shares_of_peak(convolutions)
    for name in PEERS:
        ratios = {row["case"]: ratio for row in sections.get("peers", []) if (ratio := ratio_to(row, name))}
        if ratios:
            shapes = [ratio for row in sections["peers"] if "GFLOP/s" in row and (ratio := ratio_to(row, name))]
            summary[f"against {name}"] = {"convolutions, geometric mean": geometric_mean(shapes), **ratios}
    return summary


def _group(rows: Sequence[Row]) -> dict[str, Any]:
    """{operation: geometric mean and least of the ratios, and how many shapes}."""
    ratios: dict[str, list[float]] = {}
    for row in rows:
        ratios.setdefault(row["operation"], []).append(row["ratio"])
    return {
        operation: {"geometric mean": geometric_mean(values), "least": min(values), "shapes": len(values)}
        for operation, values in ratios.items()
    }


def shares_of_peak(rows: Sequence[Row]) -> dict[str, float]:
    """How much of the peak that was measured in the same turns `direct` reaches, forward, for each shape."""
    shares = {}
    for row in rows:
        direct, peak = row["GFLOP/s"].get("minicnn direct"), row["GFLOP/s"].get("peak")
        if direct and peak:
            shares[row["case"]] = direct / peak
    return shares


def ratio_to(row: Row, variant: str) -> float | None:
    """How many times as long the other variant took as minicnn's own choice."""
    ours, theirs = median(row, "minicnn"), median(row, variant)
    return None if ours is None or theirs is None else theirs / ours


def _shape(row: Row) -> Convolution:
    return Convolution(**row["shape"])
