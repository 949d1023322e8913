"""The ladder of convolution algorithms: `minicnn bench`'s picture of all shapes, lesson 15's of all that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minicnn.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure, new_mosaic

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

    `results` is the result of `bench.run`, which results.json holds.
    """
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
    _log_axis(one, (1, 2, 5))
    one.set_yticks(list(places), [_shape_label(**row["shape"]) for row in rows])
    one.set_xlabel("GFLOP/s of the plain algorithm, forward (log axis)")
    one.set_ylabel("images, channels, size, kernel / stride")
    figure.legend(*one.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def rungs_figure(
    rates: Mapping[str, tuple[float, float, float]],
    peak: float,
    own_rate: float,
    errors: Mapping[str, float],
    counts: Mapping[str, tuple[float, float]],
    lost: Mapping[str, Sequence[float]],
) -> Figure:
    """A Figure of one convolution on every rung: its speed, error, and its counts of work; and of a race.

    rates: GFLOP/s in the slowest run, the median and the fastest, of each rung, the lowest rung first. peak: the
    processor's. own_rate: the last rung's, if only the multiply-adds that it makes itself are counted.
    errors: the largest, as a share of the largest output. counts: multiply-adds, and numbers moved, for one output.
    lost: for each number of threads, in words, the share of the additions that was lost in each run.
    """
    figure, axes = new_mosaic([["speed"] * 3, ["errors", "counts", "race"]], (7.2, 6.0), height_ratios=(1.2, 1))
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.06)
    places = {name: len(rates) - 1 - rung for rung, name in enumerate(rates)}  # the lowest rung on top
    for name in ("speed", "errors", "counts"):
        axes[name].set(ylim=(-0.6, len(places) - 0.4))
        axes[name].set_yticks(list(places.values()), list(places))
        axes[name].grid(axis="y", visible=False)
    _speed_bars(axes["speed"], places, rates, peak, own_rate)
    _error_marks(axes["errors"], places, errors)
    _count_marks(axes["counts"], places, counts)
    _lost_additions(axes["race"], lost)
    return figure


def _speed_bars(
    axes: Any, places: Mapping[str, int], rates: Mapping[str, tuple[float, float, float]], peak: float, own_rate: float
) -> None:
    """Bars to the fastest run; a line from the slowest to it, with a tick at the median. Numbers in the margin."""
    for name, (slowest, median, fastest) in rates.items():
        place = places[name]
        axes.barh(place, fastest, height=0.62, color=_colour(name), edgecolor="black", linewidth=0.6)
        axes.plot([slowest, fastest], [place, place], color="black", linewidth=1.4, solid_capstyle="butt")
        axes.plot([slowest, median], [place, place], color="black", marker="|", markersize=9, linestyle="none")
        written = f"{float(f'{fastest:.3g}'):,g}"
        axes.text(1.09, place, written, transform=axes.get_yaxis_transform(), va="center", ha="right")
    axes.text(1.09, 1.02, "GFLOP/s", transform=axes.transAxes, ha="right")
    highest = max(peak, *(fastest for _, _, fastest in rates.values()))
    axes.set(xlim=(min(slowest for slowest, _, _ in rates.values()) / 2, 1.5 * highest))
    axes.axvline(peak, color="black", linewidth=1.4, linestyle="--", zorder=4)
    top, bottom = max(places.values()), places[list(rates)[-1]]
    axes.text(0.85 * peak, top, "the processor's peak:\nmultiply-adds in registers only", ha="right", va="center")
    axes.plot(own_rate, bottom, "D", color="white", markeredgecolor="black", markersize=7, zorder=5)
    axes.text(0.78 * own_rate, bottom, "the multiply-adds that it really makes", ha="right", va="center")
    _log_axis(axes, (1,))
    axes.set_xlabel(
        "GFLOP/s of the plain algorithm (log axis); bar: fastest run, line: slowest to fastest, tick: median"
    )
    axes.set_title("Speed of one convolution on every rung", fontsize=10)


def _error_marks(axes: Any, places: Mapping[str, int], errors: Mapping[str, float]) -> None:
    for name, error in errors.items():
        axes.plot(1e6 * error, places[name], "o", color=_colour(name), markeredgecolor="black", markersize=7)
    axes.set(xlim=(0, 1.15e6 * max(errors.values())))
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel("millionths of the largest output")
    axes.set_title("Largest error", fontsize=10)


def _count_marks(axes: Any, places: Mapping[str, int], counts: Mapping[str, tuple[float, float]]) -> None:
    rows = [places[name] for name in counts]
    multiplied, moved = zip(*counts.values(), strict=True)
    axes.plot(moved, rows, "s", color="black", markerfacecolor="none", markersize=9)
    axes.plot(multiplied, rows, "o", color="black", markersize=5)
    axes.tick_params(labelleft=False)
    _log_axis(axes, (1,))
    axes.set_xlabel("for one output (log axis)")
    axes.set_title("\N{BLACK CIRCLE} multiply-adds  \N{WHITE SQUARE} numbers moved", fontsize=9)
    axes.set(xlim=(min(moved + multiplied) / 2, 2 * max(moved + multiplied)))


def _lost_additions(axes: Any, lost: Mapping[str, Sequence[float]]) -> None:
    styles = ({"marker": "o", "markerfacecolor": "black"}, {"marker": "s", "markerfacecolor": "none"})
    for (threads, shares), style in zip(lost.items(), styles, strict=False):
        axes.plot(range(1, len(shares) + 1), shares, color="black", linestyle="none", label=threads, **style)
    axes.set(ylim=(-0.05, 1.0), xlabel="run", ylabel="share of additions lost")
    axes.set_xticks(range(1, max(map(len, lost.values())) + 1))
    axes.set_title("The race", fontsize=10)
    axes.legend(loc="upper right", fontsize=8)


def _colour(name: str) -> str:
    return RUNGS[f"minicnn {name}"][2] if f"minicnn {name}" in RUNGS else "white"


def _log_axis(axes: Any, subs: Sequence[float]) -> None:
    """Logarithmic from left to right, with plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _shape_label(batch: int, c_in: int, c_out: int, side: int, kernel: int, stride: int) -> str:
    step = f" / {stride}" if stride > 1 else ""
    return f"{batch}, {c_in} \u2192 {c_out}, {side}\u00d7{side}, {kernel}\u00d7{kernel}{step}"
