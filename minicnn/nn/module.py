"""Module: a function with parameters, and a name for every part of it. Every layer and every network is one.

A subclass calls `super().__init__()`, assigns its Parameters, its buffers (`register_buffer`) and its child Modules to
attributes, and defines `forward`. Assignment sorts them into three dictionaries, so that a network can list everything
it owns under dotted names:

    net.features[3].weight   <->   "features.3.weight"   in named_parameters(), state_dict() and error messages
"""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from minicnn import anomaly
from minicnn.nn.parameter import Parameter
from minicnn.nn.state import LoadReport, StoredState, load_into
from minicnn.tensor import Tensor

_FLAGS = ("frozen", "fused")  # properties of Module, which a child of the same name may hide
_RESERVED = (
    "training",
    "_parameters",
    "_buffers",
    "_modules",
    "_forward_hooks",
    "_frozen",
    "_fused",
    "_unsaved_buffers",
)

M = TypeVar("M", bound="Module")
ForwardHook = Callable[["Module", tuple[Any, ...], Any], Any]


class _Calls(threading.local):
    """The modules whose forward is running in this thread, outermost first."""

    def __init__(self) -> None:
        self.active: list[Module] = []


_calls = _Calls()
_REGISTRIES = ("_parameters", "_buffers", "_modules")


class RemovableHandle:
    """A registered forward hook; remove() removes it, and so does the end of a `with` block of the handle."""

    def __init__(self, hooks: list[ForwardHook], hook: ForwardHook):
        self._hooks, self._hook = hooks, hook
        self._registered = True
        hooks.append(hook)

    def remove(self) -> None:
        """Remove the hook; a second call changes nothing."""
        if self._registered:
            self._hooks.remove(self._hook)
            self._registered = False

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


class Module:
    """A function with parameters, `forward`. `training` is the mode.

    A class may declare `fusable`: rows of children that its `forward` calls one directly after the other, and nowhere
    else, such as (("conv1", "bn1", "relu1"),). `nn.fuse` may merge a row. Leave out a ReLU that forward calls twice.
    """

    training: bool

    def __init__(self) -> None:
        self._parameters: dict[str, Parameter | None] = {}
        self._buffers: dict[str, Tensor | None] = {}
        self._modules: dict[str, Module | None] = {}
        self._forward_hooks: list[ForwardHook] = []
        self._unsaved_buffers: set[str] = set()
        self.training = True
        self._frozen = False
        self._fused = False

    # Calling

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """The result of the module. A subclass defines this; callers write `module(x)`, which also runs the hooks."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        active = _calls.active
        parent = active[-1] if active else None
        active.append(self)
        try:
            if anomaly.is_enabled():
                with anomaly.module_scope(parent._name_of(self) if parent is not None else ""):
                    result = self.forward(*inputs, **named)
            else:
                result = self.forward(*inputs, **named)
            for hook in tuple(self._forward_hooks):
                replacement = hook(self, (*inputs, *named.values()), result)
                if replacement is not None:
                    result = replacement
            return result
        except (ValueError, TypeError) as error:
            self._say_where(error, outermost=parent is None)
            raise
        finally:
            active.pop()

    def _name_of(self, descendant: Module) -> str:
        """The dotted path of a module below this one, or "" if `descendant` is elsewhere."""
        return next((name for name, module in self.named_modules() if module is descendant), "")

    def _say_where(self, error: Exception, outermost: bool) -> None:
        """Add the path of the innermost failing module to the message, once; the outermost module knows the path."""
        if type(error) not in (ValueError, TypeError):  # subclasses may build their message from other arguments
            return
        failed = error.__dict__.setdefault("failed_module", self)
        if outermost and failed is not None:
            path = self._name_of(failed)
            description = f"{type(failed).__name__}({failed.extra_repr()})"
            where = f"in layer {path!r}: {description}" if path else f"in {description}"
            error.args = (f"{error} ({where})",)
            error.__dict__["failed_module"] = None

    def register_forward_hook(self, hook: ForwardHook) -> RemovableHandle:
        """A handle of `hook(module, inputs, output)`, which from now on runs after every forward.

        A result of the hook, unless None, replaces the output. `handle.remove()` removes the hook, and so does the end
        of `with module.register_forward_hook(hook):`, after an error too.
        """
        return RemovableHandle(self._forward_hooks, hook)

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Parameter, Module)):
            if hasattr(type(self), name) and name not in _FLAGS:
                raise ValueError(
                    f"{type(self).__name__}.{name} is an attribute of the class, which would hide the "
                    f"{type(value).__name__}; choose another name"
                )
            self._store("_parameters" if isinstance(value, Parameter) else "_modules", name, value)
        elif (registry := self._registry_of(name)) is None:
            super().__setattr__(name, value)
        elif value is None or (registry == "_buffers" and isinstance(value, Tensor)):
            self.__dict__[registry][name] = value
        else:
            kind = {"_parameters": "a Parameter", "_modules": "a Module", "_buffers": "a Tensor"}[registry]
            raise TypeError(
                f"{type(self).__name__}.{name} is {kind}; it can be replaced by another one or by None, but not by "
                f"{type(value).__name__} (to change its values, assign to .data)"
            )

    def _store(self, registry: str, name: str, value: Any) -> None:
        if registry not in self.__dict__:
            raise AttributeError(
                f"{type(self).__name__}.{name} was assigned before super().__init__(); call that first in __init__"
            )
        if name in _RESERVED:
            raise ValueError(f"{name!r} is the name of an attribute of every Module; choose another name")
        for other in _REGISTRIES:
            if other != registry:
                self.__dict__[other].pop(name, None)
        self.__dict__.pop(name, None)
        self.__dict__[registry][name] = value

    def _registry_of(self, name: str) -> str | None:
        for registry in _REGISTRIES:  # a plain loop, because a forward pass calls this some hundred times
            if name in self.__dict__.get(registry, ()):
                return registry
        return None

    def __getattr__(self, name: str) -> Any:  # called only where plain attributes have no such name
        registry = self._registry_of(name)
        if registry is not None:
            return self.__dict__[registry][name]
        if "_modules" not in self.__dict__ and name.startswith("_") and not name.startswith("__"):
            raise AttributeError(
                f"{type(self).__name__} was used before super().__init__(); call that first in __init__"
            )
        close = [] if name.startswith("__") else difflib.get_close_matches(name, dir(self), n=3)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}{hint}")

    def __delattr__(self, name: str) -> None:
        registry = self._registry_of(name)
        if registry is not None:
            del self.__dict__[registry][name]
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Own `parameter` under `name`; None keeps the name for a parameter that this module does not have."""
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"parameter {name!r} must be a Parameter or None, but is {type(parameter).__name__}")
        self._store("_parameters", _checked_name(name), parameter)

    def register_buffer(self, name: str, buffer: Tensor | ArrayLike | None, persistent: bool = True) -> None:
        """Own an array that is saved with the module but not trained, such as a running mean; None keeps the name.

        With persistent=False state_dict() leaves the array out: a table that the constructor computes again.
        """
        self._store("_buffers", _checked_name(name), None if buffer is None else Tensor(buffer))
        (self._unsaved_buffers.discard if persistent else self._unsaved_buffers.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Own `module` as a child under `name`. Raises TypeError for anything that is neither a Module nor None."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"child {name!r} must be a Module, but is {type(module).__name__}: {module!r}{_module_hint(module)}"
            )
        self._store("_modules", _checked_name(name), module)

    # Children, parameters and buffers

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of each direct child."""
        return ((name, child) for name, child in self._modules.items() if child is not None)

    def children(self) -> Iterator[Module]:
        """Each direct child, once even if two names share it."""
        return iter(dict.fromkeys(child for _, child in self.named_children()))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module, named `prefix`, and of all below it, each once, parents first."""
        seen: set[Module] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            path, module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            yield path, module
            stack.extend((_dotted(path, name), child) for name, child in reversed(list(module.named_children())))

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, Parameter), each Parameter once even if several modules share it."""
        return self._named("_parameters", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Each Parameter once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """(dotted name, Tensor) of each buffer, once."""
        return self._named("_buffers", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Each buffer once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named(self, registry: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
        seen: set[Tensor] = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, tensor in module.__dict__[registry].items():
                if tensor is not None and tensor not in seen:
                    seen.add(tensor)
                    yield _dotted(path, name), tensor

    def get_submodule(self, target: str) -> Module:
        """The module at a dotted path such as "layer1.0.conv2"; "" is this module.

        Raises AttributeError with the names of the children.
        """
        module = self
        for depth, name in enumerate(target.split(".") if target else []):
            child = module._modules.get(name)
            if child is None:
                here = ".".join(target.split(".")[:depth])
                place = type(module).__name__ + (f" at {here!r}" if here else "")
                children = ", ".join(repr(known) for known, _ in module.named_children()) or "none"
                raise AttributeError(f"no module {target!r}: {place} has no child {name!r}; its children: {children}")
            module = child
        return module

    def apply(self: M, function: Callable[[Module], Any]) -> M:
        """This module, after `function` was called with it and with every module below, children first."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # Mode, freezing and dtype

    def train(self: M, mode: bool = True) -> M:
        """This module in training or evaluation mode; frozen modules stay in evaluation mode.

        Raises RuntimeError in training mode if `nn.fuse` made this module.
        """
        if mode and self._fused:
            raise RuntimeError(
                f"this {type(self).__name__} was made by fuse() and cannot train its merged batch norm: it is for "
                "evaluation only; train the model from before fuse(), and fuse that model again"
            )
        for module in self.modules():
            module.training = mode and not (module._frozen or module._fused)
        return self

    @property
    def frozen(self) -> Any:
        """True after freeze(). A child called "frozen" hides this flag."""
        return self._flag("frozen")

    @frozen.setter
    def frozen(self, value: bool) -> None:
        self._frozen = value

    @property
    def fused(self) -> Any:
        """True in a copy that `nn.fuse` made. A child called "fused" hides this flag."""
        return self._flag("fused")

    @fused.setter
    def fused(self, value: bool) -> None:
        self._fused = value

    def _flag(self, name: str) -> Any:
        registry = self._registry_of(name)
        return self.__dict__[f"_{name}"] if registry is None else self.__dict__[registry][name]

    def eval(self: M) -> M:
        """This module in evaluation mode: dropout does nothing, batch norm uses its running statistics."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """This module, whose parameters all require gradients from now on, or no longer. Modes stay unchanged."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def freeze(self: M) -> M:
        """This module, fixed: its parameters require no gradients, and train() leaves it in evaluation mode.

        Present gradients are dropped, so that the next step of an optimiser does not change a frozen parameter.
        """
        for module in self.modules():
            module._frozen, module.training = True, False
        for parameter in self.requires_grad_(False).parameters():
            parameter.grad = None
        return self

    def unfreeze(self: M) -> M:
        """This module, trainable again; the next train() puts all of its modules into training mode."""
        for module in self.modules():
            module._frozen = False
        return self.requires_grad_(True)

    def zero_grad(self) -> None:
        """Set every parameter's gradient to None."""
        for parameter in self.parameters():
            parameter.grad = None

    def double(self: M) -> M:
        """This module with float64 parameters and buffers, as gradient checks need."""
        return self._convert(np.float64)

    def float(self: M) -> M:
        """This module with float32 parameters and buffers."""
        return self._convert(np.float32)

    def _convert(self: M, dtype: Any) -> M:
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype.kind == "f":
                tensor.data = tensor.data.astype(dtype)
                tensor.grad = None
        return self

    # State

    def state_tensors(self) -> dict[str, Tensor]:
        """Every parameter and saved buffer by its dotted name, in torch's order; a shared one under all its names."""
        tensors: dict[str, Tensor] = {}

        def collect(module: Module, path: str) -> None:
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None and name not in module._unsaved_buffers:
                    tensors[_dotted(path, name)] = tensor
            for name, child in module.named_children():
                collect(child, _dotted(path, name))

        collect(self, "")
        return tensors

    def state_dict(self) -> dict[str, np.ndarray]:
        """A copy, in C order, of every parameter and buffer under its dotted name; names and their order are torch's.

        {"features.0.weight": (C_out, C_in, KH, KW), "features.0.bias": (C_out,), ...}
        """
        return {name: np.array(tensor.data, order="C") for name, tensor in self.state_tensors().items()}

    def load_state_dict(
        self, state: Mapping[str, Any] | StoredState, strict: bool = True, *, may_be_missing: Collection[str] = ()
    ) -> LoadReport:
        """A report, after copying the arrays (or Tensors) of `state` into the parameters and buffers of the same names.

        `state` may also be a file: minicnn.weights.open_weights(path). Values are copied in place: dtype and memory
        order stay the module's. Names in `may_be_missing`, and every `num_batches_tracked`, may be missing.
        `strict=False` loads the entries that fit and reports the other ones. With `strict`, raises ValueError with
        names and shapes if an entry is missing, unexpected or of another shape. Without, raises ValueError if nothing
        fits. In both cases nothing was loaded.
        """
        return load_into(self.state_tensors(), state, strict, type(self).__name__, may_be_missing)

    # Printing

    def extra_repr(self) -> str:
        """The text between the brackets of `repr`, beside the children: the layer's sizes."""
        return ""

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.parameters())
        note = f"  # {count:,}" if count else ""
        children = list(self.named_children())
        if not children:
            return f"{type(self).__name__}({self.extra_repr()}){note}"
        lines = [f"{type(self).__name__}({self.extra_repr()}{note + ' parameters' if note else ''}"]
        for name, child in children:
            lines += [f"  {line}" for line in f"({name}): {child!r}".split("\n")]
        return "\n".join([*lines, ")"])


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _module_hint(value: Any) -> str:
    """Advice for a value that is not a Module: the thing that the user probably meant."""
    if isinstance(value, type):
        return f"; a class makes a Module when it is called: {value.__name__}()"
    if isinstance(value, Iterable):
        return "; a star passes the members one by one: Sequential(*layers)"
    return (
        "; a function is called in forward(), or has a layer of its own, as relu has ReLU()" if callable(value) else ""
    )


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not name or "." in name:
        raise ValueError(f"a name must be a string, not empty and without the dot that separates levels; got {name!r}")
    return name
