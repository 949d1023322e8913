"""The parts of the bench, in the order in which they run. Each yields rows as soon as they are measured."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from minicnn.bench.cases import (
    BOTH,
    CONVOLUTIONS,
    FORWARD,
    INFERENCE,
    NETWORKS,
    NORMALISATIONS,
    PHOTOGRAPHS,
    POOLINGS,
    TRAINING,
    Network,
)
from minicnn.bench.measure import Row, measure
from minicnn.bench.peak import flop
from minicnn.bench.process import LibraryProcess
from minicnn.bench.session import Session
from minicnn.bench.timing import ONNXRUNTIME_SPINS, OPENBLAS_SPINS

MEMORY_STEPS = 3


def convolutions(session: Session) -> Iterator[Row]:
    """The thirteen shapes: every algorithm beside PyTorch, and the processor's peak in the same turns."""

    def wanted(variant: str) -> bool:
        name = variant.removeprefix("minicnn").strip() or "auto"
        return not variant.startswith("minicnn") or name in session.algorithms

    for case in CONVOLUTIONS:
        for row in measure(case, session.processes("minicnn", "torch"), session.plan, wanted):
            if row["operation"] == FORWARD:
                row["GFLOP/s"]["peak"] = flop(session.threads) / row["seconds"]["peak"]["median"] / 1e9
            yield row


def poolings(session: Session) -> Iterator[Row]:
    """Maximum and average pooling."""
    for case in POOLINGS:
        yield from measure(case, session.processes("minicnn", "torch"), session.plan)


def normalisations(session: Session) -> Iterator[Row]:
    """Batch norm, ReLU and addition; forward is batch norm in evaluation, forward + backward in training."""
    for case in NORMALISATIONS:
        yield from measure(case, session.processes("minicnn", "torch"), session.plan)


def training_steps(session: Session) -> Iterator[Row]:
    """Forward, cross-entropy, backward and SGD with momentum, of whole networks."""
    for case in NETWORKS:
        yield from measure(case, session.processes("minicnn", "torch"), session.plan)


def inference(session: Session) -> Iterator[Row]:
    """Logits of whole networks, without gradients."""
    plan = replace(session.plan, settle=max(session.plan.settle, ONNXRUNTIME_SPINS))
    whole = () if session.quick else PHOTOGRAPHS
    for case in (*(replace(case, mode=INFERENCE) for case in NETWORKS), *whole):
        libraries = session.processes("minicnn", "torch", "onnxruntime")
        yield from measure(case, libraries, plan)


def memory(session: Session) -> Iterator[Row]:
    """Peak memory of training steps, in a fresh process each: bytes above those resident before the model."""
    for case in NETWORKS[1:2] if session.quick else NETWORKS:
        _compile_kernels(session, case)
        peaks = {}
        for library in session.installed("minicnn", "torch"):
            for variant in session.process(library).ask("variants", case):
                with LibraryProcess(library, session.threads) as process:
                    before, peak = process.ask("memory", case, variant, TRAINING, MEMORY_STEPS)
                peaks[variant] = {"before": before, "peak": peak, "bytes": peak - before}
        yield {"case": str(case), "operation": "peak memory", "memory": peaks}


def _compile_kernels(session: Session, case: Network) -> None:
    """Run one step, so that the kernels are cached: the compiler's memory is not the step's."""
    process = session.process("minicnn")
    (key,) = process.ask("prepare", case, ["minicnn"])
    process.ask("call", key)


def first_step(session: Session) -> Iterator[Row]:
    """Seconds from starting Python until the first ResNet-20 step is over, with kernels to compile and without."""
    case = NETWORKS[1]
    with tempfile.TemporaryDirectory(prefix="minicnn-bench-") as folder:
        environment = {} if session.quick else {"NUMBA_CACHE_DIR": folder}
        if not session.quick:
            yield _first_step(session, case, "minicnn", "minicnn, cold cache", environment)
        yield _first_step(session, case, "minicnn", "minicnn, warm cache", environment)
    for library in session.installed("torch"):
        yield _first_step(session, case, library, library, {})


def _first_step(session: Session, case: Network, library: str, label: str, environment: Mapping[str, str]) -> Row:
    begin = time.perf_counter()
    with LibraryProcess(library, session.threads, environment) as process:
        key = process.ask("prepare", case, process.ask("variants", case)[:1])[0]
        process.ask("call", key)
        seconds = time.perf_counter() - begin
    return {"case": str(case), "operation": "first step", "variant": label, "first": seconds}


def peers(session: Session) -> Iterator[Row]:
    """DeZero and MyGrad: the convolutions that they can do, forward and backward, and DeZero's LeNet step."""
    plan = replace(session.plan, rounds=min(3, session.plan.rounds), settle=OPENBLAS_SPINS)
    for case in (*CONVOLUTIONS, NETWORKS[0]):
        libraries = session.processes("minicnn", "dezero", "mygrad")
        if len(libraries) > 1:
            rows = measure(case, libraries, plan, lambda variant: variant in ("minicnn", "dezero", "mygrad"))
            yield from (row for row in rows if row["operation"] in (BOTH, TRAINING))


SECTIONS: dict[str, Callable[[Session], Iterator[Row]]] = {
    "conv": convolutions,
    "pool": poolings,
    "norm": normalisations,
    "step": training_steps,
    "inference": inference,
    "memory": memory,
    "first": first_step,
    "peers": peers,
}
