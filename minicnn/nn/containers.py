"""Modules made of modules: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from minicnn.nn.module import Module


class _Numbered(Module):
    """Children named "0", "1", ... (or by an OrderedDict), reached by position."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return type(self)(*self._selected(index))
        return self._modules[self._name_at(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name_at(index), module)

    def __delitem__(self, index: int | slice) -> None:
        kept = list(self)
        del kept[index]
        self._number(kept)

    def _number(self, modules: Iterable[Module]) -> None:
        """Own exactly these modules, named by their positions."""
        self._modules.clear()
        for position, module in enumerate(modules):
            self.add_module(str(position), module)

    def _selected(self, index: slice) -> tuple[Any, ...]:
        return (list(self._modules.values())[index],)

    def _name_at(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {type(self).__name__} of {len(self)} modules")
        return list(self._modules)[index]

    def append(self, module: Module) -> Any:
        """This container with `module` at its end, named by its position.

        Raises ValueError if another module has that name: a slice keeps the names of the whole container.
        """
        if str(len(self)) in self._modules:
            raise ValueError(
                f"append would name the module {len(self)!r}, but the names {list(self._modules)} contain that name; "
                f"make a new {type(self).__name__} of all modules"
            )
        self.add_module(str(len(self)), module)
        return self

    def pop(self, index: int) -> Any:
        """The module at `index`, after taking it out; the other modules get the names of their positions."""
        module = self[index]
        del self[index]
        return module

    def insert(self, index: int, module: Module) -> Any:
        """This container with `module` before position `index`; all modules get the names of their positions."""
        modules = list(self)
        modules.insert(index, module)
        self._number(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """This container with all `modules` at its end."""
        for module in modules:
            self.append(module)
        return self


class Sequential(_Numbered):
    """One module after the other: `Sequential(a, b)(x) == b(a(x))`.

    Takes modules, named "0", "1", ..., or one OrderedDict of names to modules. `net[2]` is a module, `net[:2]` a
    Sequential of the same modules under the same names.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named: Iterable[tuple[str, Any]] = modules[0].items()
        else:
            named = ((str(i), module) for i, module in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)

    def _selected(self, index: slice) -> tuple[Any, ...]:
        return (OrderedDict(list(self._modules.items())[index]),)

    def __add__(self, other: Sequential) -> Sequential:
        """A Sequential of the modules of both, named by their positions."""
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)

    def forward(self, input: Any) -> Any:
        for module in self:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of modules, whose parameters the parent finds; the list has no forward."""

    def __init__(self, modules: Iterable[Module] = ()):
        super().__init__()
        self.extend(modules)


class ModuleDict(Module):
    """A dictionary of modules, whose parameters the parent finds; the dictionary has no forward."""

    def __init__(self, modules: Mapping[str, Module] | None = None):
        super().__init__()
        self.update(modules or {})

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Any:
        if name not in self._modules:
            raise KeyError(f"no module {name!r}; there are {list(self._modules)}")
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """(name, module) pairs."""
        return self._modules.items()

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace modules by name."""
        for name, module in modules.items():
            self.add_module(name, module)
