"""The arithmetic of the bench: medians, ratios, geometric means and groups, on numbers made up here."""

import math
import time

import numba
import numpy as np
import pytest

from minicnn.bench import measure, peak, summary, tables, timing
from minicnn.bench.cases import BOTH, CONVOLUTIONS, FORWARD, Convolution, is_large, is_small


def test_the_geometric_mean_lets_a_ratio_and_its_inverse_cancel():
    assert timing.geometric_mean([2.0, 0.5]) == pytest.approx(1.0)
    assert timing.geometric_mean([1.0, 8.0, 27.0]) == pytest.approx(6.0)
    assert math.isnan(timing.geometric_mean([]))


def test_a_turn_warms_up_for_its_time_and_counts_only_the_calls_after():
    calls = []
    plan = timing.Plan(rounds=1, calls=3, settle=0.02, turn=10.0)
    seconds = timing.turn(lambda: (calls.append(1), time.sleep(0.004)), plan)
    assert len(seconds) == 3
    assert 3 <= len(calls) - 3 <= 5  # 0.02 s of warming up
    assert min(seconds) >= 0.004


def test_a_turn_of_slow_calls_is_cut_short_but_has_one():
    assert len(timing.turn(lambda: time.sleep(0.03), timing.Plan(1, 4, 0.0, 0.07))) == 2
    assert len(timing.turn(lambda: time.sleep(0.03), timing.Plan(1, 4, 0.0, 0.001))) == 1


def test_kernels_that_are_not_compiled_are_not_measured(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    timing.refuse_uncompiled()
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(ValueError, match="NUMBA_DISABLE_JIT"):
        timing.refuse_uncompiled()


def test_peers_take_turns_and_slow_ones_have_one_at_the_end():
    order = []

    def player(name):
        def take():
            order.append(name)
            return [float(len(order))]

        return take

    seconds = timing.interleave({"a": player("a"), "slow": player("slow"), "b": player("b")}, 3, once=["slow"])
    assert order == ["a", "b", "a", "b", "a", "b", "slow"]
    assert seconds == {"a": [1.0, 3.0, 5.0], "slow": [7.0], "b": [2.0, 4.0, 6.0]}
    assert timing.spread([3.0, 1.0, 9.0]) == {"median": 3.0, "min": 1.0, "max": 9.0, "calls": 3}


def test_the_thirteen_shapes_fall_into_the_groups_of_the_targets():
    assert len(CONVOLUTIONS) == 13
    assert [(case.c_in, case.side) for case in CONVOLUTIONS if is_large(case)] == [(64, 32), (128, 16), (64, 56)]
    assert [(case.c_in, case.side) for case in CONVOLUTIONS if is_small(case)] == [(64, 8), (256, 8), (512, 4)]
    assert CONVOLUTIONS[-2].out_side == 112
    assert Convolution(64, 64, 128, 16, 3, 2).flop == 2 * 64 * 8 * 8 * 128 * 64 * 9


class Library:
    """Stands in for a process: the variants take as long as they were told to."""

    library = "minicnn"

    def __init__(self, seconds, operations):
        self.seconds, self.operations = seconds, operations

    def ask(self, command, *arguments):
        if command == "variants":
            return list(self.seconds)
        if command == "prepare":
            return [(variant, operation) for variant in arguments[1] for operation in self.operations]
        return [self.seconds[arguments[0][0]]]


CASE = Convolution(64, 64, 64, 32, 3, 1)


def rows_of_the_case():
    ours = Library({"minicnn": 0.01, "minicnn direct": 0.02, "minicnn reference": 0.1, "peak": 0.5}, [FORWARD, BOTH])
    theirs = Library({"torch contiguous": 0.03, "torch channels_last": 0.015}, [FORWARD, BOTH])
    return measure.measure(CASE, [ours, theirs], timing.Plan(rounds=2), lambda variant: variant != "minicnn direct")


def test_rows_hold_rates_of_the_work_that_was_done_and_the_ratio_to_the_better_layout():
    forward, both = rows_of_the_case()
    assert set(forward["seconds"]) == {
        "minicnn",
        "minicnn reference",
        "peak",
        "torch contiguous",
        "torch channels_last",
    }
    assert forward["ratio"] == pytest.approx(1.5)
    assert forward["GFLOP/s"]["minicnn"] == pytest.approx(CASE.flop / 0.01 / 1e9)
    assert forward["GFLOP/s"]["torch"] == pytest.approx(CASE.flop / 0.015 / 1e9)
    assert both["GFLOP/s"]["minicnn"] == pytest.approx(3 * CASE.flop / 0.01 / 1e9)
    part = CASE.batch_for("reference")
    assert 2 <= part < 64
    assert forward["seconds"]["minicnn reference"]["batch"] == part
    assert forward["GFLOP/s"]["minicnn reference"] == pytest.approx(CASE.flop * part / 64 / 0.1 / 1e9)
    assert forward["seconds"]["minicnn reference"]["calls"] == 1
    assert forward["seconds"]["minicnn"]["calls"] == 2


def test_the_summary_has_means_by_group_and_shares_of_the_peak():
    rows = [
        {
            "case": str(case),
            "operation": FORWARD,
            "shape": {name: getattr(case, name) for name in ("batch", "c_in", "c_out", "side", "kernel", "stride")},
            "ratio": ratio,
            "GFLOP/s": {"minicnn direct": 300.0, "peak": 400.0 + 100 * ratio},
        }
        for case, ratio in (
            (CASE, 2.0),
            (Convolution(64, 64, 64, 8, 3, 1), 0.5),
            (Convolution(64, 1, 16, 28, 5, 1), 8.0),
        )
    ]
    result = summary.summarise({"conv": rows})
    groups = result["convolution against PyTorch"]
    assert groups["all shapes"][FORWARD] == {"geometric mean": pytest.approx(2.0), "least": 0.5, "shapes": 3}
    assert [group[FORWARD]["geometric mean"] for group in list(groups.values())[1:]] == pytest.approx([2.0, 0.5])
    assert result["peak GFLOP/s"] == {"median": 600.0, "min": 450.0, "max": 1200.0}
    assert list(result["direct's share of the peak"].values()) == pytest.approx([0.5, 300 / 450, 0.25])
    text = "\n".join(tables.summary_lines(result, {"torch": "not installed: torch"}))
    assert "all shapes, forward: geometric mean 2.00, least 0.50 (3 shapes)" in text
    assert "75 % of it, forward, on 0 of 3 shapes" in text
    assert "left out: torch (not installed: torch)" in text


def test_ratios_to_slow_peers_are_how_many_times_as_fast_minicnn_is():
    row = {
        "case": "x",
        "operation": BOTH,
        "GFLOP/s": {},
        "seconds": {"minicnn": {"median": 2.0}, "dezero": {"median": 50.0}},
    }
    result = summary.summarise({"peers": [row, {**row, "case": "y", "seconds": {"minicnn": {"median": 1.0}}}]})
    assert result == {"against dezero": {"convolutions, geometric mean": pytest.approx(25.0), "x": 25.0}}


def test_the_peaks_chains_compute_what_they_say_on_every_thread():
    values = peak.run_peak(2)
    assert values.shape == (2, peak.CHAINS * peak.LANES)
    np.testing.assert_allclose(values, 2.0)  # x -> x/2 + 1 settles at 2: each chain ran, from wherever it began


def test_the_peak_is_above_what_memory_bound_code_reaches():
    x = np.ones(1 << 22, np.float32)
    begin = time.perf_counter()
    x * 0.5 + 1.0
    memory_rate = 2 * x.size / (time.perf_counter() - begin)
    peak.run_peak(1)  # compiles it
    seconds = min(timing.seconds_of(lambda: peak.run_peak(1)) for _ in range(3))
    assert peak.flop(1) / seconds > 4 * memory_rate
