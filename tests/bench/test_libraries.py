"""Every library computes the same thing: gradients of a convolution, loss of a step, logits; each in its process."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from minicnn.bench.cases import (
    BOTH,
    FORWARD,
    INFERENCE,
    NETWORKS,
    NORMALISATIONS,
    PHOTOGRAPHS,
    POOLINGS,
    TRAINING,
    Convolution,
    Layer,
    Network,
)
from minicnn.bench.libraries import with_minicnn
from minicnn.bench.process import IMPORTS, LibraryError, LibraryProcess, missing
from minicnn.bench.timing import QUICK

SMALL = Convolution(2, 3, 5, 9, 3, 2)
LENET = replace(NETWORKS[0], batch=4)
TINY = Network("ResNet-8", "resnet8", 2, (3, 16, 16))


def library(name):
    for package in IMPORTS[name]:
        pytest.importorskip(package)
    return importlib.import_module(f"minicnn.bench.libraries.with_{name}")


@pytest.mark.parametrize("case", [SMALL, Convolution(2, 4, 6, 8, 3, 1), TINY, replace(LENET, mode=INFERENCE)], ids=str)
def test_what_minicnn_offers_for_a_case_runs(case):
    for variant in with_minicnn.variants(case):
        runs = with_minicnn.prepare(case, variant)
        assert runs
        for run in runs.values():
            run()
    assert ("minicnn direct" in with_minicnn.variants(case)) == isinstance(case, Convolution)


@pytest.mark.parametrize("case", [*{layer.kind: layer for layer in POOLINGS + NORMALISATIONS}.values()], ids=str)
@pytest.mark.parametrize("name", ["minicnn", "torch"])
def test_every_kind_of_layer_runs_in_both_libraries(name, case):
    module, small = library(name), Layer(case.kind, (2, 3, 6, 4))
    for variant in module.variants(small):
        runs = module.prepare(small, variant)
        assert list(runs) == [FORWARD, BOTH]
        for run in runs.values():
            run()


@pytest.mark.filterwarnings("ignore:.*leaves a map of")
@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_torch_starts_training_from_the_same_loss(case):
    torch, few = library("torch"), replace(case, batch=2, image=(case.image[0], *[min(64, case.image[1])] * 2))
    ours = with_minicnn.prepare(few, "minicnn")[TRAINING]
    theirs = [torch.prepare(few, variant)[TRAINING] for variant in torch.variants(few)]
    for _ in range(2):  # the second loss shows that the optimiser did the same too
        loss = ours()
        assert [step() for step in theirs] == pytest.approx([loss, loss], rel=2e-3)


@pytest.mark.parametrize("name", ["torch", "onnxruntime"])
@pytest.mark.parametrize("case", [LENET, TINY], ids=str)
def test_inference_gives_the_same_logits(name, case):
    module, case = library(name), replace(case, mode=INFERENCE)
    expected = with_minicnn.prepare(case, "minicnn")[INFERENCE]()
    np.testing.assert_allclose(with_minicnn.prepare(case, "minicnn fused")[INFERENCE](), expected, atol=1e-4)
    for variant in module.variants(case):
        np.testing.assert_allclose(module.prepare(case, variant)[INFERENCE](), expected, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*leaves a map of")
@pytest.mark.parametrize("backbone", ["resnet50", "googlenet"])
def test_networks_for_photographs_have_twins_of_the_same_logits(backbone):
    torch, case = library("torch"), next(case for case in PHOTOGRAPHS if case.backbone == backbone)
    case = replace(case, batch=1, image=(3, 64, 64))
    expected = with_minicnn.prepare(case, "minicnn")[INFERENCE]()
    scale = np.abs(expected).max()
    for variant in torch.variants(case):
        np.testing.assert_allclose(torch.prepare(case, variant)[INFERENCE](), expected, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("name", ["dezero", "mygrad"])
def test_the_other_peers_run_in_a_process_of_their_own(name):
    if missing(name):
        pytest.skip(f"{name} is not installed")
    with LibraryProcess(name, 1) as process:
        for case in (replace(SMALL, stride=1), LENET):
            variants = process.ask("variants", case)
            keys = process.ask("prepare", case, variants)
            assert all(min(process.ask("time", key, QUICK)) > 0 for key in keys)
            assert bool(keys) == (name == "dezero" or isinstance(case, Convolution))


@pytest.mark.slow
def test_a_process_prepares_times_calls_and_measures_memory():
    with LibraryProcess("minicnn", 1) as process:
        assert process.ask("variants", TINY) == ["minicnn"]
        assert process.ask("prepare", TINY, ["minicnn"]) == [("minicnn", TRAINING)]
        first, second = (process.ask("call", ("minicnn", TRAINING)) for _ in range(2))
        assert second < first
        assert len(process.ask("time", ("minicnn", TRAINING), QUICK)) in (1, 2)
        before, peak = process.ask("memory", TINY, "minicnn", TRAINING, 1)
        assert 10e6 < before <= peak
        with pytest.raises(LibraryError, match=r"minicnn: KeyError: .*unheard of"):
            process.ask("call", ("minicnn", "unheard of"))
        assert process.ask("variants", TINY) == ["minicnn"]  # it lives on after a failure


def test_a_library_that_cannot_be_imported_is_an_error_of_its_name(monkeypatch):
    monkeypatch.setitem(IMPORTS, "no_such_library", ())
    with pytest.raises(LibraryError, match="with_no_such_library"):
        LibraryProcess("no_such_library", 1)


@pytest.mark.slow
def test_memory_of_a_step_grows_with_the_batch():
    taken = []
    for batch in (1, 64):
        with LibraryProcess("minicnn", 1) as process:
            before, peak = process.ask("memory", replace(TINY, batch=batch), "minicnn", TRAINING, 1)
        taken.append(peak - before)
    assert taken[1] > taken[0] + 64 * 16 * 16 * 16 * 4 * 7  # at least the maps of seven convolutions
