"""Optimizer: the part that SGD, Adam, AdamW and RMSprop share. Each of them adds its rule for one parameter.

    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

Gradients add up in `.grad` until zero_grad(). A large batch can therefore be split into k small ones: call backward()
on loss / k for each of them, and then step() once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, TypeAlias

import numpy as np

from minicnn.tensor import Tensor

Group: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, Any]
Params: TypeAlias = Iterable[Tensor] | Iterable[Mapping[str, Any]]

_NOTES = ("name", "initial_lr")  # a group's further keys: the user's name for the group, and the schedules' first rate


class Optimizer:
    """Parameters in groups, each group with its own settings, and the memory of the update rule for each parameter.

    `params` is an iterable of Tensors or of groups such as {"params": [...], "lr": 0.1}. A group takes the settings
    that are not in its dictionary from `defaults`. `state` is a list with one dictionary for each parameter, in the
    order of the groups. A position means the same parameter in another process, so `state` can be saved.

    Raises ValueError if `params` is empty, if a parameter appears twice, or if an operation made a parameter; TypeError
    if a parameter is not a Tensor.
    """

    def __init__(self, params: Params, defaults: Group):
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: list[State] = []
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(
                f"params must be an iterable of Tensors or of groups, but is {type(params).__name__}; pass "
                "model.parameters(), or [tensor] for a single parameter"
            )
        entries: list[Any] = list(params)
        if not entries:
            raise ValueError(
                "params must hold at least one parameter, but params is empty; if a generator of parameters was used "
                "up before, make a new one, and keep layers in an nn.ModuleList, not in a plain list"
            )
        for entry in entries if isinstance(entries[0], Mapping) else [{"params": entries}]:
            self.add_param_group(entry)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimise another group from now on, for example a stage that was frozen before."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"a group must be a dict with the key 'params', but is {type(group).__name__}: {group!r}")
        unknown = set(group) - set(self.defaults) - {"params", *_NOTES}
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}; a group may set {sorted(self.defaults)} and 'name'")
        members = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        for parameter in members:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    f"a parameter must be a Tensor, but is {type(parameter).__name__}; pass model.parameters()"
                )
            if not parameter.is_leaf:
                raise ValueError(
                    f"a parameter must be a leaf, but {parameter.node!r} made this Tensor; pass the Tensors "
                    "that it was made from, or its detach()"
                )
        known = {id(parameter) for parameter in self.parameters()}
        if len({id(parameter) for parameter in members} | known) < len(members) + len(known):
            raise ValueError(
                "a parameter appears twice, in one group or in two, and would be updated twice a step; list it once"
            )
        complete = {**self.defaults, **group, "params": members}
        self.check_settings(complete)
        self.param_groups.append(complete)
        self.state.extend({} for _ in members)

    def parameters(self) -> list[Tensor]:
        """All parameters, in the order of the groups, which is the order of `state`."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def check_settings(self, group: Group) -> None:
        """Raise ValueError if a setting is out of its range, TypeError if it is not a number."""
        for name in {"lr", "weight_decay", "momentum", "dampening", "alpha", "eps"} & set(group):
            if not isinstance(group[name], Real):
                raise TypeError(f"{name} must be a number, but is {type(group[name]).__name__}: {group[name]!r}")
        need(group, "lr", group["lr"] >= 0, "at least 0")
        need(group, "weight_decay", group["weight_decay"] >= 0, "at least 0")

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def step(self) -> None:
        """Update, in place, every parameter that has a gradient; momentum and decay leave the other ones alone too.

        All parameters are checked before the first one is changed. Raises TypeError or ValueError, naming the parameter
        by its position, if its array, its gradient and the arrays in `state` do not belong together: the compiled rules
        run over them with one index.
        """
        updates, states = [], enumerate(self.state)
        for group in self.param_groups:
            for parameter in group["params"]:
                position, state = next(states)
                if parameter.grad is not None:
                    _check_arrays(position, parameter, parameter.grad.data, state)
                    updates.append((parameter, parameter.grad, state, group))
        for parameter, gradient, state, group in updates:
            self.update(parameter.data, gradient.data, state, group)
            parameter.increment_version()

    def update(self, parameter: np.ndarray, gradient: np.ndarray, state: State, group: Group) -> None:
        """Change `parameter` and `state` in place by the rule of this optimiser; leave `gradient` unchanged."""
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def state_dict(self) -> dict[str, Any]:
        """{"state": {position: {...}}, "param_groups": [...]}: a copy, in which positions stand for the parameters."""
        groups, first = [], 0
        for group in self.param_groups:
            positions = list(range(first, first + len(group["params"])))
            first += len(positions)
            groups.append({**copy.deepcopy({k: v for k, v in group.items() if k != "params"}), "params": positions})
        states = {position: _copied(state) for position, state in enumerate(self.state) if state}
        return {"state": states, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from a state that state_dict() returned.

        Raises ValueError, and changes nothing, if another kind of optimiser made the state, or if groups or shapes
        differ.
        """
        saved_groups = state_dict["param_groups"]
        here, there = ([len(group["params"]) for group in groups] for groups in (self.param_groups, saved_groups))
        if here != there:
            raise ValueError(
                f"the groups hold {here} parameters here, but {there} in the state; make the optimiser with the same "
                "groups as the saved one"
            )
        unknown = {name for group in saved_groups for name in group} - set(self.defaults) - {"params", *_NOTES}
        if unknown:
            raise ValueError(
                f"the state sets {sorted(unknown)}, which {type(self).__name__} does not have: another kind of "
                "optimiser made it"
            )
        # JSON turns integer keys into strings; both forms are accepted.
        states = {int(position): _copied(state) for position, state in state_dict["state"].items()}
        for position, parameter in enumerate(self.parameters()):
            for name, value in states.get(position, {}).items():
                if isinstance(value, np.ndarray) and value.shape != parameter.shape:
                    raise ValueError(
                        f"{name} of parameter {position} has shape {value.shape} in the state, "
                        f"but the parameter has {parameter.shape}"
                    )
        self.state = [states.get(position, {}) for position in range(len(self.state))]
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            group.update({**copy.deepcopy(dict(saved)), "params": group["params"]})

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for group in self.param_groups:
            settings = ", ".join(f"{name}={value}" for name, value in group.items() if name != "params")
            elements = sum(parameter.numel() for parameter in group["params"])
            lines.append(f"  {len(group['params'])} parameters of {elements:,} elements: {settings}")
        return "\n".join([*lines, ")"])


def need(group: Group, name: str, fits: bool, range_: str) -> None:
    """Raise ValueError unless the setting `name` fits its range."""
    if not fits:
        raise ValueError(f"{name} must be {range_}, but is {group[name]!r}")


def buffer_like(state: State, name: str, parameter: np.ndarray) -> np.ndarray:
    """The array `name` of `state`, which holds zeros of the parameter's shape at the first call."""
    if name not in state:
        state[name] = np.zeros_like(parameter)
    buffer: np.ndarray = state[name]
    return buffer


def _copied(state: Mapping[str, Any]) -> State:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in state.items()}


def _check_arrays(position: int, parameter: Tensor, gradient: np.ndarray, state: State) -> None:
    """Raise unless parameter, gradient and state are floating-point arrays of one shape, and the first is writable."""
    array = parameter.data
    for what, value in (("data", array), ("grad.data", gradient)):
        if not isinstance(value, np.ndarray):
            raise TypeError(
                f"parameter {position}: .{what} must be a NumPy array, but is {type(value).__name__}; in a step by "
                "hand write `p.data -= lr * p.grad.data`"
            )
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"parameter {position} of shape {array.shape} must be float32 or float64 in the machine's byte order, but "
            f"is {array.dtype.str}; convert it with model.float()"
        )
    if not array.flags.writeable:
        raise ValueError(
            f"parameter {position} of shape {array.shape} must be writable, but its array is read-only; make it from a "
            "copy of the array"
        )
    if gradient.dtype.kind != "f":
        raise TypeError(f"the gradient of parameter {position} must be floating point, but is {gradient.dtype}")
    arrays = {"the gradient": gradient, **{name: value for name, value in state.items() if name != "step"}}
    for name, value in arrays.items():
        if value.shape != array.shape:
            advice = (
                "set .grad to a Tensor of the parameter's shape, or call zero_grad()"
                if value is gradient
                else "the parameter's array was replaced; make a new optimiser for it"
            )
            raise ValueError(
                f"{name} of parameter {position} must have the parameter's shape {array.shape}, but has {value.shape}; "
                f"{advice}"
            )
