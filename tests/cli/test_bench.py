"""`minicnn bench` on tiny cases: what it prints and writes, and what it refuses."""

import json
from dataclasses import replace

import pytest

from minicnn.bench import sections
from minicnn.bench.cases import BOTH, Convolution, Layer, Network
from minicnn.bench.process import missing
from minicnn.bench.session import Session
from minicnn.bench.timing import Plan
from minicnn.cli.bench import SECTION_NAMES
from minicnn.cli.main import main

TINY = Network("ResNet-8", "resnet8", 2, (3, 16, 16))


@pytest.fixture
def tiny(monkeypatch):
    """Cases that take milliseconds, in place of those that are measured."""
    monkeypatch.setattr(sections, "CONVOLUTIONS", (Convolution(2, 3, 5, 8, 3, 1), Convolution(2, 4, 4, 8, 3, 2)))
    monkeypatch.setattr(sections, "POOLINGS", (Layer("maximum 2x2", (2, 3, 4, 4)),))
    monkeypatch.setattr(sections, "NORMALISATIONS", (Layer("batch norm", (2, 3, 4, 4)),))
    monkeypatch.setattr(sections, "NETWORKS", (TINY, replace(TINY, batch=3)))
    monkeypatch.setattr("minicnn.bench.timing.QUICK", Plan(rounds=1, calls=1, settle=0.0, turn=1.0))


@pytest.fixture
def alone(monkeypatch):
    """No other library is installed."""
    monkeypatch.setattr("minicnn.bench.session.missing", lambda library: [library] if library != "minicnn" else [])


def run(tmp_path, *options):
    code = main(["bench", "--quick", "--out", str(tmp_path / "bench"), *options])
    file = tmp_path / "bench" / "results.json"
    return code, json.loads(file.read_text()) if file.exists() else None


@pytest.mark.slow
def test_the_record_says_what_was_measured_where_and_how(tiny, alone, tmp_path, capsys):
    code, results = run(tmp_path, "--only", "conv,pool,norm,step,inference", "--threads", "1")
    assert code == 0
    assert results["format"] == 1
    assert results["command"].startswith("minicnn bench --quick")
    assert {"minicnn", "numpy", "numba", "torch", "processor"} <= set(results["machine"])
    assert results["threads"] == 1
    assert list(results["sections"]) == ["conv", "pool", "norm", "step", "inference"]
    conv = results["sections"]["conv"]
    assert [row["operation"] for row in conv[:4]] == ["forward", "input gradient", "weight gradient", BOTH]
    assert conv[0]["shape"] == {"batch": 2, "c_in": 3, "c_out": 5, "side": 8, "kernel": 3, "stride": 1}
    for rows in results["sections"].values():
        for row in rows:
            for timing in row["seconds"].values():
                assert 0 < timing["min"] <= timing["median"] <= timing["max"]
    assert {"minicnn", "minicnn direct", "minicnn im2col", "minicnn reference", "peak"} <= set(conv[0]["GFLOP/s"])
    assert results["left out"]["torch"] == "not installed: torch"
    assert "ratio" not in conv[0]
    assert (tmp_path / "bench" / "convolutions.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "2, 3, 5, 8, 3, 1" in printed
    assert "ResNet-8, 3 x 16x16, inference" in printed
    assert "left out: onnxruntime (not installed: onnxruntime)" in printed


@pytest.mark.skipif(bool(missing("torch")), reason="torch is not installed")
def test_beside_torch_there_are_ratios_and_their_means(tiny, tmp_path):
    code, results = run(tmp_path, "--only", "conv,step", "--threads", "1", "--algorithm", "auto")
    assert code == 0
    for row in results["sections"]["conv"] + results["sections"]["step"]:
        layouts = [row["seconds"][f"torch {name}"]["median"] for name in ("contiguous", "channels_last")]
        assert row["ratio"] == pytest.approx(min(layouts) / row["seconds"]["minicnn"]["median"])
    assert results["summary"]["convolution against PyTorch"]["all shapes"][BOTH]["shapes"] == 2
    assert "minicnn direct" not in results["sections"]["conv"][0]["seconds"]


@pytest.mark.slow
def test_memory_and_the_first_step_are_measured_in_fresh_processes(tiny, alone, tmp_path):
    code, results = run(tmp_path, "--only", "memory,first", "--threads", "1")
    assert code == 0
    for row in results["sections"]["memory"]:
        measured = row["memory"]["minicnn"]
        assert measured["bytes"] == measured["peak"] - measured["before"] >= 0
    (row,) = results["sections"]["first"]
    assert row["variant"] == "minicnn, warm cache"
    assert 0.1 < row["first"] < 120


@pytest.mark.long
def test_the_first_step_is_measured_with_and_without_compiled_kernels(tiny, alone):
    with Session(1, ["auto"]) as session:
        cold, warm = sections.first_step(session)
    assert cold["first"] > 2 * warm["first"]


def test_a_library_that_cannot_do_a_case_is_left_out_and_named(tiny, tmp_path, monkeypatch, capsys):
    unable = replace(TINY, settings={"width": 8})  # its twin has another width
    monkeypatch.setattr(sections, "NETWORKS", (unable,))
    _, results = run(tmp_path, "--only", "step", "--threads", "1")
    (row,) = results["sections"]["step"]
    assert list(row["seconds"]) == ["minicnn"]
    if not missing("torch"):
        assert "size mismatch" in results["left out"]["torch, ResNet-8, 2 x 16x16"]
        assert "left out: torch, ResNet-8, 2 x 16x16" in capsys.readouterr().out


def test_what_was_measured_before_ctrl_c_is_kept(tiny, alone, tmp_path, monkeypatch, capsys):
    def interrupted(session):
        yield from sections.SECTIONS_BEFORE(session)
        raise KeyboardInterrupt

    monkeypatch.setattr(sections, "SECTIONS_BEFORE", sections.SECTIONS["pool"], raising=False)
    monkeypatch.setitem(sections.SECTIONS, "pool", interrupted)
    code, results = run(tmp_path, "--only", "pool,norm", "--threads", "1")
    assert code == 130
    assert [row["operation"] for row in results["sections"]["pool"]] == ["forward", BOTH]
    assert "norm" not in results["sections"]
    assert "stopped; the measurements so far are in" in capsys.readouterr().err


def test_an_unknown_section_is_named_with_those_that_there_are(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "--only", "conv,convolution"])
    assert stopped.value.code == 2
    assert "no section is called 'convolution'; did you mean 'conv'?" in capsys.readouterr().err


def test_more_threads_than_there_are_and_an_unknown_algorithm_are_refused(tmp_path, capsys):
    assert main(["bench", "--threads", "4096", "--out", str(tmp_path)]) == 2
    assert "--threads 4096: Numba was started with" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["bench", "--algorithm", "fft"])
    assert "there is no 'fft'; there are 'auto', 'reference'" in capsys.readouterr().err


def test_the_names_of_sections_are_those_that_the_bench_has():
    assert list(SECTION_NAMES) == list(sections.SECTIONS)
