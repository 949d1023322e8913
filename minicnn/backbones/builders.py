"""The table of all backbones: their names, the functions that build them, and the settings of these functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from minicnn.backbones import cifar_resnet, googlenet, lenet, resnet, vgg
from minicnn.backbones.backbone import Backbone
from minicnn.files.suggestions import did_you_mean

BUILDERS: dict[str, Callable[..., Backbone]] = {
    "lenet5": lenet.lenet5,
    "vgg6": vgg.vgg6,
    "vgg6_bn": vgg.vgg6_bn,
    "vgg11": vgg.vgg11,
    "vgg11_bn": vgg.vgg11_bn,
    "vgg13": vgg.vgg13,
    "vgg13_bn": vgg.vgg13_bn,
    "vgg16": vgg.vgg16,
    "vgg16_bn": vgg.vgg16_bn,
    "vgg19": vgg.vgg19,
    "vgg19_bn": vgg.vgg19_bn,
    "googlenet": googlenet.googlenet,
    "resnet8": cifar_resnet.resnet8,
    "resnet14": cifar_resnet.resnet14,
    "resnet20": cifar_resnet.resnet20,
    "resnet32": cifar_resnet.resnet32,
    "resnet44": cifar_resnet.resnet44,
    "resnet56": cifar_resnet.resnet56,
    "resnet110": cifar_resnet.resnet110,
    "resnet18": resnet.resnet18,
    "resnet34": resnet.resnet34,
    "resnet50": resnet.resnet50,
    "resnet101": resnet.resnet101,
    "resnet152": resnet.resnet152,
}
COMMON_SETTINGS = ("num_classes", "in_chans", "generator")  # create() takes them for every backbone
FIXED_BY_BUILDER = ("block", "batch_norm")  # arguments of a class that its builder functions choose


def settings_of(name: str) -> set[str]:
    """The settings that create() takes for this network only: arguments of its function, and of its class.

    Raises ValueError for an unknown name; the message lists similar names.
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be text, such as 'resnet50', but is {name!r}")
    if name not in BUILDERS:
        raise ValueError(f"no backbone is called {name!r}; {did_you_mean(name, BUILDERS)}")
    signature = inspect.signature(BUILDERS[name], eval_str=True)
    names = set(signature.parameters)
    if "settings" in names:
        names |= set(inspect.signature(signature.return_annotation).parameters)
    return names - {"settings", *COMMON_SETTINGS, *FIXED_BY_BUILDER}


def own_classes(name: str) -> int:
    """The default number of classes of a network: 1000 for photographs, 10 for small images."""
    return int(inspect.signature(BUILDERS[name]).parameters["num_classes"].default)
