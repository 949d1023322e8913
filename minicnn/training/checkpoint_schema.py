"""The schema of a checkpoint: each value is compared with the run that resumes, before the run changes.

A file can be whole and still hold values that no run wrote: text for a number, a count below 0, a state without one of
its parts. Every check here ends in a ValueError that names the place, such as `states.schedule.last_epoch`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.files.plain_text import plain
from minicnn.optim import Optimizer
from minicnn.training.run import Run

_DEEPEST = 20  # levels of lists and dictionaries in a record of an epoch


def check_place(metadata: Mapping[str, Any]) -> None:
    """Check everything but the states: the place in the run, the records, the random streams, the names of parts."""
    need(isinstance(metadata["model"], str), "model", "the name of a class", metadata["model"])
    _texts(metadata["parts"], "parts")
    states = metadata["states"]
    need(isinstance(states, dict) and "optimizer" in states, "states", "states of parts, with optimizer", states)
    need(states.keys() == metadata["parts"].keys(), "states", f"the states of {list(metadata['parts'])}", list(states))
    for name, least in (("epoch", 0), ("batch", 0), ("batches_in_epoch", 1)):
        _count(metadata[name], name, least)
    below = metadata["batch"] < metadata["batches_in_epoch"]
    need(below, "batch", f"below batches_in_epoch, {metadata['batches_in_epoch']}", metadata["batch"])
    _number(metadata["seconds"], "seconds", least=0)
    _records(metadata["records"], metadata["epoch"])
    _random(metadata["random"])


def check_states(run: Run, states: Mapping[str, Any]) -> None:
    """Check that the state of each part has the form of that part's present state."""
    for name, part in run.stateful_parts().items():
        place = f"states.{name}"
        if name == "optimizer":
            _optimizer(part, states[name], place)
        elif name == "averages":
            _averages(states[name], place)
        else:
            _same_form(states[name], part.state_dict(), place)
    kept = states["early_stopping"].get("best_weights") if "early_stopping" in states else None
    if kept is not None:
        _same_form(kept, run.evaluated_model.state_dict(), "states.early_stopping.best_weights")


def need(true: bool, place: str, expected: str, value: Any) -> None:
    """Raise ValueError unless `true`: `place` should be `expected`, but is `value`."""
    if not true:
        found = f"an array {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else plain(repr(value), 80)
        raise ValueError(f"{place} should be {expected}, but is {found}")


def _count(value: Any, place: str, least: int = 0) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    need(whole and least <= value < 2**53, place, f"a whole number, {least} or more", value)


def _number(value: Any, place: str, least: float = -math.inf, infinite: bool = False) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    need((is_number and abs(value) <= 1e300) or (infinite and value in (math.inf, -math.inf)), place, "a number", value)
    need(value >= least, place, f"{least} or more", value)


def _texts(value: Any, place: str) -> None:
    texts = isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    need(texts, place, "names", value)


def _records(records: Any, epochs: int) -> None:
    need(isinstance(records, list), "records", "a list", records)
    need(len(records) == epochs, "records", f"as long as {epochs} epochs", f"{len(records)} records")
    for number, record in enumerate(records):
        place = f"records[{number}]"
        need(isinstance(record, dict), place, "the record of an epoch", record)
        need(record.get("epoch") == number + 1, f"{place}.epoch", str(number + 1), record.get("epoch"))
        need(_depth(record) <= _DEEPEST, place, f"nested at most {_DEEPEST} times", "deeper")


def _depth(value: Any) -> int:
    """Levels of lists and dictionaries in `value`, without recursion; stops counting past the deepest allowed."""
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        inner = [list(item.values()) if isinstance(item, dict) else item for item in level]
        level = [item for items in inner if isinstance(items, (list, tuple)) for item in items]
        depth += 1
    return depth


def _random(state: Any) -> None:
    names = ("seed", "position", "counts")
    need(isinstance(state, dict) and set(state) == set(names), "random", f"a state of {', '.join(names)}", state)
    _count(state["seed"], "random.seed")
    position, counts = state["position"], state["counts"]
    need(isinstance(position, list) and len(position) == 2, "random.position", "(epoch, batch)", position)
    need(isinstance(counts, dict), "random.counts", "counts by purpose", counts)
    for value in (*position, *counts.values()):
        _count(value, "random.position and random.counts")


def _averages(state: Any, place: str) -> None:
    need(isinstance(state, dict) and set(state) == {"sums", "counts"}, place, "sums and counts", state)
    sums, counts = state["sums"], state["counts"]
    alike = isinstance(sums, dict) and isinstance(counts, dict) and sums.keys() == counts.keys()
    need(alike, place, "sums and counts with the same names", state)
    for name in sums:
        need(isinstance(sums[name], float), f"{place}.sums.{name}", "a float", sums[name])  # NaN too: of a metric
        _count(counts[name], f"{place}.counts.{name}", 1)


def _optimizer(optimizer: Optimizer, state: Any, place: str) -> None:
    need(isinstance(state, dict) and set(state) == {"state", "param_groups"}, place, "state and param_groups", state)
    groups, first = state["param_groups"], 0
    sizes = [len(group["params"]) for group in optimizer.param_groups]
    lists = isinstance(groups, list) and all(
        isinstance(group, dict) and isinstance(group.get("params"), list) for group in groups
    )
    need(lists, f"{place}.param_groups", "groups with params", groups)
    there = [len(group["params"]) for group in groups]
    if there != sizes:
        raise ValueError(
            f"the file has {len(there)} parameter groups of {there} parameters, but the optimiser has {len(sizes)} of "
            f"{sizes}"
        )
    need(isinstance(state["state"], dict), f"{place}.state", "a state for each parameter", state["state"])
    positions = [str(position) for position in state["state"]]
    unknown = set(positions) - {str(position) for position in range(sum(sizes))}
    need(not unknown, f"{place}.state", f"states of parameters 0 to {sum(sizes) - 1}", sorted(unknown))
    of_position = dict(zip(positions, state["state"].values(), strict=True))
    for number, (here, group) in enumerate(zip(optimizer.param_groups, groups, strict=True)):
        where = f"{place}.param_groups[{number}]"
        settings = {name: here[name] for name in optimizer.defaults}
        _same_form({name: value for name, value in group.items() if name in optimizer.defaults}, settings, where, False)
        if "initial_lr" in group:
            _number(group["initial_lr"], f"{where}.initial_lr", least=0)
        resumed = {**here, **group, "params": here["params"]}
        optimizer.check_settings(resumed)
        expected = _fresh_state(optimizer, resumed)
        for position, parameter in enumerate(here["params"], start=first):
            _state_of_parameter(
                of_position.get(str(position), {}), expected, parameter.data, f"{place}.state.{position}"
            )
        first += len(here["params"])


def _fresh_state(optimizer: Optimizer, group: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `optimizer` keeps for a parameter after a step, tried on a copy of the smallest parameter of `group`.

    None if `group` is empty, or the optimiser has a step of its own.
    """
    smallest = min((parameter.data for parameter in group["params"]), key=np.size, default=None)
    state: dict[str, Any] = {}
    if smallest is None or not smallest.size:
        return None
    try:
        optimizer.update(smallest.copy(), np.zeros_like(smallest), state, dict(group))
    except NotImplementedError:
        return None
    return state


def _state_of_parameter(state: Any, expected: Mapping[str, Any] | None, parameter: np.ndarray, place: str) -> None:
    need(isinstance(state, dict), place, "the state of a parameter", state)
    if not state or expected is None:  # a parameter that never had a gradient
        return
    need(state.keys() == expected.keys(), place, f"a state of {list(expected)}", list(state))
    for name, value in expected.items():
        if isinstance(value, np.ndarray) and value.ndim:
            value = np.empty_like(parameter)
        _same_form(state[name], value, f"{place}.{name}")


def _same_form(there: Any, here: Any, place: str, whole: bool = True) -> None:
    """Raise ValueError unless `there` has the types, keys, lengths and shapes of `here`; None may be a value later.

    A whole number stands for a count if `whole`; but in a list or tuple, such as learning rates, for any number.
    """
    if here is None:
        plain_value = there is None or isinstance(there, (bool, int, float, str, dict))
        need(plain_value, place, "None or a plain value", there)
    elif isinstance(here, np.ndarray):
        alike = isinstance(there, np.ndarray) and (there.shape, there.dtype) == (here.shape, here.dtype)
        need(alike, place, f"an array {here.dtype} {here.shape}", there)
    elif isinstance(here, Mapping):
        need(isinstance(there, dict), place, "a dictionary", there)
        missing, unknown = here.keys() - there.keys(), there.keys() - here.keys()
        need(not unknown and missing <= {"lrs"}, place, f"a state of {list(here)}", list(there))  # older files lack lrs
        for name in there:
            _same_form(there[name], here[name], f"{place}.{name}", whole)
    elif isinstance(here, (list, tuple)):
        alike = isinstance(there, (list, tuple)) and len(there) == len(here)
        need(alike, place, f"{len(here)} values", there)
        for number, (one, other) in enumerate(zip(there, here, strict=True)):
            _same_form(one, other, f"{place}[{number}]", whole=False)
    elif isinstance(here, (bool, str)):
        need(type(there) is type(here), place, f"a {type(here).__name__}", there)
    elif isinstance(here, (int, np.integer)) and whole:
        _count(there, place, min(int(here), 0))
    elif isinstance(here, (int, float, np.number)):
        _number(there, place, infinite=not math.isfinite(here))
