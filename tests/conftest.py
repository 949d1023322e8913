"""What all tests share: Hypothesis without a deadline, and backbones so narrow that a test of them is quick."""

import pytest
from hypothesis import settings

settings.register_profile("minicnn", deadline=None)  # the first example of a kernel compiles it
settings.load_profile("minicnn")


def narrow_settings(name):
    """Settings with which the backbone `name` is narrow and, where it would be deep, shallow."""
    if name.startswith("vgg"):
        return {"width": 0.0625, "stem": "small", "dropout": 0.0}
    if name == "googlenet":
        return {"width": 0.125, "stem": "small", "dropout": 0.0}
    if name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
        return {"width": 4, "stem": "small", "blocks": (1, 2, 1, 1)}
    return {"width": 4, "blocks": 2} if name.startswith("resnet") else {}


@pytest.fixture
def narrow():
    """narrow(name, **settings) -> settings, those given before those that make the backbone narrow."""
    return lambda name, **given: narrow_settings(name) | given
