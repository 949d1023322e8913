"""The rows as text: one line a case, printed as soon as the case is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minicnn.bench.cases import BOTH, FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT
from minicnn.bench.measure import Row, best, median
from minicnn.bench.summary import ratio_to

ALGORITHM_COLUMNS = ("reference", "im2col", "direct", "winograd")
OPERATIONS = (FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT, BOTH)
MEBIBYTE = 2**20

HEADINGS = {
    "conv": "Convolutions (GFLOP/s of the plain algorithm, forward; ratio = PyTorch's better layout / minicnn)",
    "pool": "Pooling (ms; ratio = PyTorch's better layout / minicnn)",
    "norm": "Batch norm, ReLU, addition (ms; forward: evaluation, forward + backward: training)",
    "step": "Training steps (ms)",
    "inference": "Inference (ms)",
    "memory": "Peak memory of three training steps in a fresh process, above what was resident before (MiB)",
    "first": "Seconds from starting Python until the first training step is over",
    "peers": "Convolutions forward + backward, and the LeNet step, beside DeZero and MyGrad (ms; times as fast)",
}


def lines(section: str, rows: Iterator[Row], keep: Callable[[Row], None]) -> Iterator[str]:
    """The lines of a section's table. Each row is given to `keep` at once."""
    yield f"\n{HEADINGS[section]}"
    if section == "conv":
        yield from _convolution_lines(rows, keep)
    else:
        make_line = {"memory": _memory_line, "first": _first_line, "peers": _peers_line}.get(section, _timing_line)
        for row in rows:
            keep(row)
            yield make_line(row)


def _convolution_lines(rows: Iterator[Row], keep: Callable[[Row], None]) -> Iterator[str]:
    """The four operations of a shape make one line."""
    names = [*(f"{name:>9}" for name in ALGORITHM_COLUMNS), f"{'minicnn':>8}", f"{'PyTorch':>8}", f"{'peak':>5}"]
    yield f"{'N, C_in, C_out, H, K, stride':<29}{' '.join(names)}  ratio: forward  input  weight    both"
    together: dict[str, Row] = {}
    for row in rows:
        keep(row)
        together[row["operation"]] = row
        if row["operation"] == BOTH:
            yield _convolution_line(together)
            together = {}


def _convolution_line(rows: dict[str, Row]) -> str:
    rates = rows[FORWARD]["GFLOP/s"]
    cells = [f"{_number(rates.get(f'minicnn {name}'), '.0f'):>9}" for name in ALGORITHM_COLUMNS]
    cells += [f"{_number(rates.get('minicnn'), '.0f'):>8}", f"{_number(rates.get('torch'), '.0f'):>8}"]
    cells += [f"{_number(rates.get('peak'), '.0f'):>5}"]
    ratios = [f"{_number(rows[operation].get('ratio'), '.2f'):>7}" for operation in OPERATIONS]
    return f"{rows[FORWARD]['case']:<29}{' '.join(cells)}        {' '.join(ratios)}"


def _timing_line(row: Row) -> str:
    label = f"{row['case']}, {row['operation']}"
    cells = [f"minicnn {_milliseconds(median(row, 'minicnn'))}"]
    if "minicnn fused" in row["seconds"]:
        cells.append(f"fused {_milliseconds(median(row, 'minicnn fused'))}")
    if (torch := best(row, "torch")) is not None:
        cells += [f"PyTorch {_milliseconds(torch)}", f"ratio {_number(row.get('ratio'), '.2f'):>5}"]
    if (other := median(row, "onnxruntime")) is not None:
        fused = median(row, "minicnn fused")
        ratio = None if fused is None else other / fused
        cells += [f"onnxruntime {_milliseconds(other)}", f"ratio to fused {_number(ratio, '.2f'):>5}"]
    return f"{label:<58}{'  '.join(cells)}"


def _memory_line(row: Row) -> str:
    cells = [f"{variant} {peak['bytes'] / MEBIBYTE:7.1f}" for variant, peak in row["memory"].items()]
    return f"{row['case']:<42}{'  '.join(cells)}"


def _first_line(row: Row) -> str:
    return f"{row['case'] + ', ' + row['variant']:<48}{row['first']:7.2f}"


def _peers_line(row: Row) -> str:
    cells = [f"minicnn {_milliseconds(median(row, 'minicnn'))}"]
    for name in ("dezero", "mygrad"):
        ratio = ratio_to(row, name)
        cells.append(f"{name} {_milliseconds(median(row, name))} ({_number(ratio, '.1f'):>6})")
    return f"{row['case']:<29}{'  '.join(cells)}"


def summary_lines(summary: dict[str, Any], left_out: dict[str, str]) -> list[str]:
    """The last lines: a summary of the rows, and the parts that were not measured."""
    result = [""]
    for name, operations in summary.get("convolution against PyTorch", {}).items():
        for operation, numbers in operations.items():
            result.append(
                f"{name}, {operation}: geometric mean {numbers['geometric mean']:.2f}, least {numbers['least']:.2f} "
                f"({numbers['shapes']} shapes)"
            )
    if "peak GFLOP/s" in summary:
        peak, shares = summary["peak GFLOP/s"], summary["direct's share of the peak"]
        enough = sum(share >= 0.75 for share in shares.values())
        result.append(
            f"multiply-add peak {peak['median']:.0f} GFLOP/s ({peak['min']:.0f} to {peak['max']:.0f}); direct reaches "
            f"75 % of it, forward, on {enough} of {len(shares)} shapes"
        )
    for name in ("dezero", "mygrad"):
        if f"against {name}" in summary:
            mean = summary[f"against {name}"]["convolutions, geometric mean"]
            result.append(f"convolutions forward + backward: {mean:.1f} times as fast as {name}, geometric mean")
    result += [f"left out: {what} ({why})" for what, why in left_out.items()]
    return result


def _milliseconds(seconds: float | None) -> str:
    return f"{_number(None if seconds is None else 1e3 * seconds, '.2f'):>9}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
