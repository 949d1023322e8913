"""Module: a function with parameters, and a name for every part of it. Every layer and every network is one.

A subclass calls `super().__init__()`, assigns its Parameters, its buffers (`register_buffer`) and its child Modules to
attributes, and defines `forward`. Assignment sorts them into three dictionaries, so that a network can list everything
it owns under dotted names:

    net.features[3].weight   <->   "features.3.weight"   in named_parameters(), state_dict() and error messages
"""

from __future__ import annotations

import contextlib
import difflib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from minicnn import anomaly
from minicnn.nn.parameter import Parameter
from minicnn.nn.state import LoadReport, StoredState, load_into
from minicnn.tensor import Tensor

M = TypeVar("M", bound="Module")
ForwardHook = Callable[["Module", tuple[Any, ...], Any], Any]


class _Calls(threading.local):
    """The modules whose forward is running in this thread, outermost first."""

    def __init__(self) -> None:
        self.active: list[Module] = []


_calls = _Calls()
_REGISTRIES = ("_parameters", "_buffers", "_modules")


class Module:
    """Something with parameters and a `forward`.

    `training` is its mode; where `frozen` is set, train() leaves it in evaluation mode.
    """

    training: bool
    frozen: bool
    fused: bool = False  # True in the copies that `nn.fuse` makes, which are for evaluation only

    # Rows of children that `forward` calls one directly behind the other, and nowhere else: ("conv1", "bn1", "relu1").
    # `nn.fuse` may make them one. A ReLU that forward calls in two places is left out.
    fusable: tuple[tuple[str, ...], ...] = ()

    def __init__(self) -> None:
        self._parameters: dict[str, Parameter | None] = {}
        self._buffers: dict[str, Tensor | None] = {}
        self._modules: dict[str, Module | None] = {}
        self._forward_hooks: list[ForwardHook] = []
        self.training = True
        self.frozen = False

    # Calling

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the module computes. A subclass defines it; callers write `module(x)`, which also runs the hooks."""
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
        """The dotted path of a module below this one, "" for one that is not."""
        return next((name for name, module in self.named_modules() if module is descendant), "")

    def _say_where(self, error: Exception, outermost: bool) -> None:
        """Add the path of the innermost failing module to the message, once; the outermost module knows it whole."""
        if type(error) not in (ValueError, TypeError):  # subclasses may build their message from other arguments
            return
        failed = error.__dict__.setdefault("failed_module", self)
        if outermost and failed is not None:
            path = self._name_of(failed)
            description = f"{type(failed).__name__}({failed.extra_repr()})"
            where = f"in layer {path!r}: {description}" if path else f"in {description}"
            error.args = (f"{error} ({where})",)
            error.__dict__["failed_module"] = None

    @contextlib.contextmanager
    def register_forward_hook(self, hook: ForwardHook) -> Iterator[None]:
        """While this is open, `hook(module, inputs, output)` runs after every forward; its result replaces the output.

        Only as `with module.register_forward_hook(hook):`, so that no hook can be left behind.
        """
        self._forward_hooks.append(hook)
        try:
            yield
        finally:
            self._forward_hooks.remove(hook)

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._store("_parameters", name, value)
        elif isinstance(value, Module):
            self._store("_modules", name, value)
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
        for other in _REGISTRIES:
            if other != registry:
                self.__dict__[other].pop(name, None)
        self.__dict__.pop(name, None)
        self.__dict__[registry][name] = value

    def _registry_of(self, name: str) -> str | None:
        for registry in _REGISTRIES:  # a plain loop: a forward pass asks some hundred times
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
        """Own `parameter` under `name`; None keeps the name for a parameter that this module goes without."""
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"parameter {name!r} must be a Parameter or None, but is {type(parameter).__name__}")
        self._store("_parameters", _checked_name(name), parameter)

    def register_buffer(self, name: str, buffer: Any) -> None:
        """Own an array that is saved with the module but not trained, such as a running mean; None keeps the name."""
        self._store("_buffers", _checked_name(name), None if buffer is None else Tensor(buffer))

    def add_module(self, name: str, module: Module | None) -> None:
        """Own `module` as a child under `name`. Raises TypeError for anything that is neither a Module nor None."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(
                f"child {name!r} must be a Module, but is {type(module).__name__}: {module!r}{_module_hint(module)}"
            )
        self._store("_modules", _checked_name(name), module)

    # What it owns

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of each direct child."""
        return ((name, child) for name, child in self._modules.items() if child is not None)

    def children(self) -> Iterator[Module]:
        """Each direct child."""
        return (child for _, child in self.named_children())

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

        Raises AttributeError, naming the children that are there.
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
        """This module in training mode, or in evaluation mode; what is frozen stays in evaluation mode either way.

        Raises RuntimeError if this is to be trained and was made by `nn.fuse`.
        """
        if mode and self.fused:
            raise RuntimeError(
                f"this {type(self).__name__} was made by fuse() and has no batch norm that could be trained: it is for "
                "evaluation only; train the model that it was made from, and fuse that again"
            )
        for module in self.modules():
            module.training = mode and not (module.frozen or module.fused)
        return self

    def eval(self: M) -> M:
        """This module in evaluation mode: dropout does nothing, batch norm uses its running statistics."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """This module, whose parameters all ask for gradients from now on, or no longer do. Modes stay as they are."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def freeze(self: M) -> M:
        """This module, fixed: its parameters ask for no gradient, and all of it stays in evaluation through train().

        Gradients already there are dropped, so that no optimiser moves a frozen parameter once more.
        """
        for module in self.modules():
            module.frozen, module.training = True, False
        for parameter in self.requires_grad_(False).parameters():
            parameter.grad = None
        return self

    def unfreeze(self: M) -> M:
        """This module, trainable again as a whole; it goes into training mode at the next train()."""
        for module in self.modules():
            module.frozen = False
        return self.requires_grad_(True)

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
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
        """Every parameter and buffer by its dotted name, in torch's order; shared ones under each of their names."""
        tensors: dict[str, Tensor] = {}

        def collect(module: Module, path: str) -> None:
            for name, tensor in (*module._parameters.items(), *module._buffers.items()):
                if tensor is not None:
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

        `state` may also lie in a file: minicnn.weights.open_weights(path). Values are copied in place: dtype and memory
        order stay the module's. Names in `may_be_missing`, and every `num_batches_tracked`, need not be there.
        `strict=False` loads what fits and reports the rest. Raises ValueError, listing names and shapes, if with
        `strict` anything is missing, unexpected or of another shape, or if nothing fits; then nothing was loaded.
        """
        return load_into(self.state_tensors(), state, strict, type(self).__name__, may_be_missing)

    # Reading

    def extra_repr(self) -> str:
        """What stands between the brackets of `repr` besides the children: the layer's sizes."""
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
    """What was probably meant by something that is no Module."""
    if isinstance(value, type):
        return f"; a class makes a Module when it is called: {value.__name__}()"
    if isinstance(value, Iterable):
        return "; a star hands over what is in it one by one: Sequential(*layers)"
    return (
        "; a function is called in forward(), or has a layer of its own, as relu has ReLU()" if callable(value) else ""
    )


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not name or "." in name:
        raise ValueError(f"a name must be a string, not empty and without the dot that separates levels; got {name!r}")
    return name
