"""The work and the report of load_state_dict: every entry is checked before the first one is copied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from minicnn.kernels import memory
from minicnn.nn import deferred_init
from minicnn.tensor import Tensor

# Batch norm's count of batches. Files older than 2018 lack it, and only momentum=None reads it: it may be missing.
COUNTER = "num_batches_tracked"
LONGEST_NAME = 300  # letters of a line of a report: a file may have names of any length


@runtime_checkable
class StoredState(Protocol):
    """A state in a file: names and shapes of arrays that are read later."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of every array, by name."""

    def read_into(self, targets: Mapping[str, np.ndarray]) -> None:
        """Fill the arrays `targets` with the entries of the same names and shapes."""


class MisfitError(ValueError):
    """A state does not fit a module, and the module was not changed; `report` lists the differences."""

    def __init__(self, message: str, report: LoadReport):
        super().__init__(message)
        self.report = report


@dataclass
class LoadReport:
    """The result for every entry of a state that was loaded into a module.

    `loaded`, `missing` (only the module has the name) and `unexpected` (only the state has the name) are lists of
    names. `mismatched` maps a name to (shape in the state, shape in the module). weights.load_weights fills three more:
    `renamed` maps a name in the file to the name in the module, `adapted` maps a name to the change that made the array
    fit, and `converted` maps a name to a change of dtype such as "float16 to float32". A report is true in a condition
    if nothing is missing, unexpected or mismatched.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    adapted: dict[str, str] = field(default_factory=dict)
    converted: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)

    def __repr__(self) -> str:
        lines = [f"{len(self.loaded)} loaded"]
        lines += _listed("missing (in the model, not in the state)", self.missing)
        lines += _listed("unexpected (in the state, not in the model)", self.unexpected)
        lines += _listed(
            "of another shape",
            [f"{name}: {there} in the state, {here} in the model" for name, (there, here) in self.mismatched.items()],
        )
        lines += _listed("renamed", [f"{before} -> {after}" for before, after in self.renamed.items()])
        lines += _listed("adapted", [f"{name}: {what}" for name, what in self.adapted.items()])
        lines += [f"{count} converted from {what}" for what, count in Counter(self.converted.values()).items()]
        return "\n".join(lines)


def _listed(title: str, names: list[str], limit: int = 10) -> list[str]:
    if not names:
        return []
    more = [f"  ... and {len(names) - limit} more"] if len(names) > limit else []
    short = [name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..." for name in names[:limit]]
    shown = [name if name.isprintable() else repr(name) for name in short]  # a terminal obeys control characters
    return [f"{len(names)} {title}:"] + [f"  {name}" for name in shown] + more


def load_into(
    targets: Mapping[str, Tensor],
    state: Mapping[str, Any] | StoredState,
    strict: bool,
    what: str,
    may_be_missing: Collection[str] = (),
) -> LoadReport:
    """Copy the arrays of `state` into the Tensors `targets`, in place, and report; see Module.load_state_dict."""
    if isinstance(state, StoredState):
        shapes = dict(state.shapes)
    elif isinstance(state, Mapping):
        state = {name: _array_of(name, value) for name, value in state.items()}
        shapes = {name: array.shape for name, array in state.items()}
    else:
        raise TypeError(
            "the state must be a mapping of names to arrays, as state_dict() returns it, but is "
            f"{type(state).__name__}; read a file with minicnn.load(path) first"
        )
    report = _compared(shapes, targets, may_be_missing)
    if strict and not report:
        raise MisfitError(
            f"the state does not fit {what}; nothing was loaded (strict=False loads what fits):\n{report!r}", report
        )
    if shapes and not report.loaded:
        raise MisfitError(f"the state has nothing that fits {what}; nothing was loaded:\n{report!r}", report)
    wanted = {name: targets[name] for name in report.loaded}
    if isinstance(state, StoredState):
        _read_into(wanted, state)
    else:
        for name, tensor in wanted.items():
            tensor.copy_(state[name])
    deferred_init.cancel(wanted.values())
    return report


def _compared(
    shapes: Mapping[str, tuple[int, ...]], targets: Mapping[str, Tensor], may_be_missing: Collection[str]
) -> LoadReport:
    absent = [name for name in targets if name not in shapes and name.rpartition(".")[2] != COUNTER]
    report = LoadReport(
        missing=[name for name in absent if name not in may_be_missing],
        unexpected=[name for name in shapes if name not in targets],
    )
    for name, tensor in targets.items():
        if name not in shapes:
            continue
        if shapes[name] == tensor.shape:
            report.loaded.append(name)
        else:
            report.mismatched[name] = (shapes[name], tensor.shape)
    return report


def _read_into(targets: Mapping[str, Tensor], state: StoredState) -> None:
    """Fill the Tensors from a file, which may be damaged at any place.

    Nothing is changed before the whole file has been read. A Tensor whose initialisation is deferred has untouched
    memory and no values: the array from the file becomes its array.
    """
    arrays = {name: memory.mapped(tensor.shape, tensor.dtype) for name, tensor in targets.items()}
    state.read_into(arrays)
    for name, tensor in targets.items():
        if deferred_init.is_deferred(tensor):
            tensor.data = arrays[name]
        else:
            tensor.copy_(arrays[name])


def _array_of(name: str, value: Any) -> np.ndarray:
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"entry {name!r} of the state is not an array of numbers, but {type(value).__name__}")
    return array
