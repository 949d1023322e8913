"""Optimizer: what SGD, Adam, AdamW and RMSprop share. Each of them adds its rule for one parameter.

    for images, labels in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

Gradients add up in `.grad` until zero_grad(), so a large batch can be made of small ones: call backward() on the loss
divided by their number k, k times, and then step() once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from minicnn.tensor import Tensor

Group = dict[str, Any]
State = dict[str, Any]

_NOTES = ("name", "initial_lr")  # beside its settings a group may hold the user's name for it and what schedules keep


class Optimizer:
    """Parameters in groups, each group with its own settings, and what the update rule remembers of each parameter.

    `params` is an iterable of Tensors or of groups such as {"params": [...], "lr": 0.1}; what a group does not set is
    taken from `defaults`. `state` is a list with one dictionary for each parameter, in the order of the groups: by
    position, so that it can be saved and means the same in another process. Raises ValueError for no parameters, one
    that appears twice, or one that operations made; TypeError for what is not a Tensor.
    """

    def __init__(self, params: Iterable[Any], defaults: Group):
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: list[State] = []
        if isinstance(params, Tensor) or not isinstance(params, Iterable):
            raise TypeError(
                f"params must be an iterable of Tensors or of groups, but is {type(params).__name__}; pass "
                "model.parameters(), or [tensor] for a single one"
            )
        entries = list(params)
        if not entries:
            raise ValueError(
                "params is empty: there is nothing to optimise; was a generator of parameters used up before, or are "
                "the layers in a plain list? (nn.ModuleList makes them known)"
            )
        for entry in entries if isinstance(entries[0], Mapping) else [{"params": entries}]:
            self.add_param_group(entry)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimise another group from now on, such as a stage that was frozen until here."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"a group must be a dict with the key 'params', but is {type(group).__name__}")
        unknown = set(group) - set(self.defaults) - {"params", *_NOTES}
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}; a group may set {sorted(self.defaults)} and 'name'")
        members = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        for parameter in members:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    f"an optimiser takes Tensors, but got {type(parameter).__name__}; pass model.parameters()"
                )
            if not parameter.is_leaf:
                raise ValueError(f"only leaves can be optimised, but {parameter.node!r} made this Tensor")
        known = {id(parameter) for parameter in self.parameters()}
        if len({id(parameter) for parameter in members} | known) < len(members) + len(known):
            raise ValueError("a parameter appears twice, in one group or in two; it would be updated twice a step")
        complete = {**self.defaults, **group, "params": members}
        self.check_settings(complete)
        self.param_groups.append(complete)
        self.state.extend({} for _ in members)

    def parameters(self) -> list[Tensor]:
        """All parameters, in the order of the groups, which is the order of `state`."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def check_settings(self, group: Group) -> None:
        """Raise ValueError for a setting out of its range, TypeError for one that is no number."""
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
        """Update, in place, every parameter that has a gradient; momentum and decay leave the others alone too."""
        states = iter(self.state)
        for group in self.param_groups:
            for parameter in group["params"]:
                state = next(states)
                if parameter.grad is not None:
                    self.update(parameter.data, parameter.grad.data, state, group)

    def update(self, parameter: np.ndarray, gradient: np.ndarray, state: State, group: Group) -> None:
        """Change `parameter` and `state` in place by the rule of this optimiser; `gradient` must not be changed."""
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
        """Continue from what state_dict() returned.

        Raises ValueError, nothing changed, if it is of another kind of optimiser, or if groups or shapes differ.
        """
        saved_groups = state_dict["param_groups"]
        here, there = ([len(group["params"]) for group in groups] for groups in (self.param_groups, saved_groups))
        if here != there:
            raise ValueError(
                f"the groups hold {here} parameters here, but {there} in the state; make the optimiser alike"
            )
        unknown = {name for group in saved_groups for name in group} - set(self.defaults) - {"params", *_NOTES}
        if unknown:
            raise ValueError(
                f"the state sets {sorted(unknown)}, which {type(self).__name__} does not have: it is of another kind "
                "of optimiser"
            )
        # JSON turns integer keys into strings; both are taken.
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
    """Raise ValueError unless a setting fits its range."""
    if not fits:
        raise ValueError(f"{name} must be {range_}, but is {group[name]!r}")


def buffer_like(state: State, name: str, parameter: np.ndarray) -> np.ndarray:
    """The array `name` of `state`; zeros of the parameter's shape the first time."""
    if name not in state:
        state[name] = np.zeros_like(parameter)
    return state[name]


def _copied(state: Mapping[str, Any]) -> State:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in state.items()}
