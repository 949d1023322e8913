"""The picture of `minicnn bench`: every rung of the ladder of convolution algorithms on one axis of speed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minicnn.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# name in the record: (label, marker, colour, filled); marks differ in shape and filling, for those who print in grey
RUNGS = {
    "minicnn reference": ("reference: plain loops", "v", GREY, True),
    "minicnn im2col": ("im2col: patches and BLAS", "^", ORANGE, True),
    "minicnn direct": ("direct: vector registers", "s", BLUE, True),
    "minicnn winograd": ("winograd: fewer multiplications", "D", GREEN, True),
    "torch": ("PyTorch", "o", VERMILION, False),
}


def speed_ladder(results: Mapping[str, Any]) -> Figure:
    """A Figure of GFLOP/s, forward, on a log axis: one line a shape, one mark an algorithm, the processor's peak.

    `results` is what `bench.run` returns and results.json holds.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    rows = [row for row in results["sections"]["conv"] if row["operation"] == "forward"]
    figure, axes = new_figure(1, 1, (7.2, 0.3 * len(rows) + 1.7))
    one = axes[0, 0]
    places = range(len(rows) - 1, -1, -1)  # the first shape on top
    for name, (label, marker, colour, filled) in RUNGS.items():
        points = [(row["GFLOP/s"][name], k) for k, row in zip(places, rows, strict=True) if name in row["GFLOP/s"]]
        if points:
            face = colour if filled else "none"
            one.plot(*zip(*points, strict=True), marker=marker, color=colour, markerfacecolor=face, linestyle="none",
                     markersize=6 if filled else 9, markeredgewidth=1.4, label=label)  # fmt: skip
    peak = results["summary"].get("peak GFLOP/s")
    if peak:
        one.axvline(peak["median"], color="black", linewidth=1.2, label="multiply-adds in registers only")
    one.set_xscale("log")
    one.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    one.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    one.xaxis.set_minor_formatter(NullFormatter())
    one.set_yticks(list(places), [_shape_label(**row["shape"]) for row in rows])
    one.set_xlabel("GFLOP/s of the plain algorithm, forward (log axis)")
    one.set_ylabel("images, channels, size, kernel / stride")
    figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _shape_label(batch: int, c_in: int, c_out: int, side: int, kernel: int, stride: int) -> str:
    step = f" / {stride}" if stride > 1 else ""
    return f"{batch}, {c_in} \u2192 {c_out}, {side}\u00d7{side}, {kernel}\u00d7{kernel}{step}"
