"""Nested states as arrays and JSON: the state of an optimiser, a schedule or a running average in a file.

A state is made of dicts, lists, tuples, arrays, Tensors, numbers, text and None:

    {"state": {0: {"momentum_buffer": array, "step": 7}}, "param_groups": [{"lr": 0.1, "params": [0]}]}

`flatten` takes the arrays out, names each after its place ("state.0.momentum_buffer"), and leaves a skeleton that JSON
can hold. Values that JSON would lose (keys that are not text, tuples, NaN and infinity) become {"$kind": value}.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.tensor import Tensor


def flatten(state: Any, prefix: str = "") -> tuple[dict[str, np.ndarray], Any]:
    """The arrays in `state` by name, each name beginning with `prefix`, and the JSON skeleton that `unflatten` needs.

    Raises TypeError for a value of another kind than those above.
    """
    arrays: dict[str, np.ndarray] = {}
    return arrays, _take_out(state, prefix, arrays)


def unflatten(arrays: Mapping[str, np.ndarray], skeleton: Any) -> Any:
    """The state that `flatten` took apart; Tensors come back as arrays. Raises ValueError if an array is missing."""
    if isinstance(skeleton, list):
        return [unflatten(arrays, item) for item in skeleton]
    if not isinstance(skeleton, dict):
        return skeleton
    if "$array" in skeleton:
        if skeleton["$array"] not in arrays:
            raise ValueError(f"the file lacks the array {skeleton['$array']!r}, which its state names")
        return arrays[skeleton["$array"]]
    if "$float" in skeleton:
        return float(skeleton["$float"])
    if "$tuple" in skeleton:
        return tuple(unflatten(arrays, item) for item in skeleton["$tuple"])
    if "$items" in skeleton:
        return {unflatten(arrays, key): unflatten(arrays, value) for key, value in skeleton["$items"]}
    return {key: unflatten(arrays, value) for key, value in skeleton.items()}


def _take_out(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, np.ndarray):
        while name in arrays:  # {"a.b": x, "a": {"b": y}} gives two places one name
            name += "'"
        arrays[name] = value
        return {"$array": name}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_take_out(item, _join(name, place), arrays) for place, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, Mapping):
        pairs = [(key, _take_out(item, _join(name, key), arrays)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$items": [[_take_out(key, name, arrays), item] for key, item in pairs]}
    raise TypeError(
        f"{name or 'the state'} is of type {type(value).__name__}, which cannot be saved; a state is made of dicts, "
        "lists, tuples, arrays, numbers, text and None"
    )


def _join(name: str, part: Any) -> str:
    return f"{name}.{part}" if name else str(part)
