"""Freezing: the lower part of a network stays unchanged, bit for bit, while the upper part is trained."""

from __future__ import annotations

from collections.abc import Sequence

from minicnn.files.suggestions import did_you_mean
from minicnn.nn import Module


def freeze(model: Module, to: str | None = None) -> list[str]:
    """The names of the parameters that are frozen now: those of every module before the module `to`.

    `to` is a dotted module name, such as "layer3" or one of `feature_info.module_name()`; None freezes everything but
    the classifiers of a backbone. "Before" means the order in which modules were registered, which for backbones is the
    order of the forward pass. Batch-norm statistics of frozen modules stay fixed through `train()`. Give an optimiser
    the other parameters: `[p for p in model.parameters() if p.requires_grad]`.

    Raises ValueError if the model has no module `to`, or no classifier to leave trainable.
    """
    for module in _before(model, to):
        module.freeze()
    return [name for name, parameter in model.named_parameters() if not parameter.requires_grad]


def unfreeze(model: Module) -> None:
    """Make the whole model trainable again; the next `train()` sets training mode."""
    model.unfreeze()


def _before(model: Module, to: str | None) -> list[Module]:
    """The modules that are frozen; with a container, all modules inside are in the list too."""
    modules = dict(model.named_modules())
    if to is None:
        kept = [name for name in getattr(model, "classifiers", ()) if name in modules]
        if not kept:
            raise ValueError(f"{type(model).__name__} does not name its classifier: say with `to` what stays trainable")
        return [module for name, module in modules.items() if not _touches(name, kept)]
    if to not in modules or not to:
        known = [name for name in modules if name.count(".") < 2 and name]  # deeper ones would fill a screen
        raise ValueError(f"{type(model).__name__} has no module {to!r}; {did_you_mean(to, known)}")
    names = list(modules)
    return [modules[name] for name in names[: names.index(to)] if not _touches(name, [to])]


def _touches(name: str, kept: Sequence[str]) -> bool:
    """True if the module `name` is one of `kept`, or around or inside one of them."""
    return any(f"{each}.".startswith(f"{name}." if name else "") or name.startswith(f"{each}.") for each in kept)
