"""Keys, shapes and counts of all published layouts: those of torchvision's networks and of the paper's for CIFAR."""

import json
import os
from pathlib import Path

import pytest

from minicnn import backbones, nn

# Of each: parameters, keys, and keys without batch norm's counters.
COUNTS = {
    "vgg11": (132_863_336, 22, 22),
    "vgg11_bn": (132_868_840, 62, 54),
    "vgg13": (133_047_848, 26, 26),
    "vgg13_bn": (133_053_736, 76, 66),
    "vgg16": (138_357_544, 32, 32),
    "vgg16_bn": (138_365_992, 97, 84),
    "vgg19": (143_667_240, 38, 38),
    "vgg19_bn": (143_678_248, 118, 102),
    "resnet18": (11_689_512, 122, 102),
    "resnet34": (21_797_672, 218, 182),
    "resnet50": (25_557_032, 320, 267),
    "resnet101": (44_549_160, 626, 522),
    "resnet152": (60_192_808, 932, 777),
    "googlenet": (6_624_904, 344, 287),
    "googlenet+aux": (13_004_888, 364, 305),
    "cifar_resnet20": (269_722, 116, 97),
    "cifar_resnet32": (464_154, 188, 157),
    "cifar_resnet44": (658_586, 260, 217),
    "cifar_resnet56": (853_018, 332, 277),
    "cifar_resnet110": (1_727_962, 656, 547),
}


def manifest():
    """Every key and shape of these layouts, where the file lies beside the data sets or beside the project."""
    places = [Path(__file__).parents[3] / "shared"]
    if "MINICNN_DATA" in os.environ:
        places.insert(0, Path(os.environ["MINICNN_DATA"]).parent)
    files = [place / "state_dict_manifest.json" for place in places]
    return next((json.loads(file.read_text()) for file in files if file.exists()), None)


MANIFEST = manifest()


@pytest.fixture
def undrawn(monkeypatch):
    """Weights are left as memory was: half a gigabyte of them is allocated here and never looked at."""
    for name in ("uniform_", "normal_"):
        monkeypatch.setattr(f"minicnn.nn.init.{name}", lambda tensor, *arguments, **named: tensor)


def make(layout, **settings):
    if layout.startswith("cifar_"):
        return backbones.create(layout.removeprefix("cifar_"), num_classes=10, **settings)
    if layout.endswith("+aux"):
        return backbones.create(layout.removesuffix("+aux"), aux_logits=True, **settings)
    return backbones.create(layout, **settings)


def shapes(model):
    """Of every parameter and buffer, by its name, in no order that matters."""
    return {name: tensor.shape for name, tensor in (*model.named_parameters(), *model.named_buffers())}


@pytest.mark.parametrize("layout", COUNTS)
def test_counts_are_those_of_the_reference(layout, undrawn):
    model = make(layout)
    parameters, keys, without_counters = COUNTS[layout]
    own = shapes(model)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert len(own) == keys
    assert sum(not name.endswith("num_batches_tracked") for name in own) == without_counters
    if MANIFEST is not None:
        assert own == {key: tuple(shape) for key, shape in MANIFEST[layout]["shapes"].items()}


@pytest.mark.skipif(MANIFEST is None, reason="no state_dict_manifest.json beside the data sets")
@pytest.mark.parametrize("layout", COUNTS)
def test_keys_come_in_torchvisions_order(layout):
    assert list(make(layout, width=4 if "resnet" in layout else 0.02).state_dict()) == list(MANIFEST[layout]["shapes"])


def test_the_papers_larger_window_has_more_parameters(undrawn):
    model = backbones.create("googlenet", branch3_kernel=5)
    assert sum(parameter.numel() for parameter in model.parameters()) == 7_005_832


def test_counts_for_small_images_are_those_of_the_reference():
    expected = {"vgg11": (9_225_610, 152.8), "vgg16": (14_719_818, 313.2), "resnet18": (11_173_962, 555.4)}
    for name, (parameters, millions) in expected.items():
        report = nn.summary(backbones.create(name, stem="small", num_classes=10), (3, 32, 32))
        assert report.parameters == parameters
        assert round(report.multiply_adds / 1e6, 1) == millions


@pytest.mark.parametrize(
    ("name", "millions"), [("resnet20", 40.55), ("resnet32", 68.86), ("resnet44", 97.17), ("resnet56", 125.49)]
)
def test_multiply_adds_for_cifar_are_those_of_the_reference(name, millions):
    report = nn.summary(backbones.create(name, num_classes=10), (3, 32, 32))
    assert round(report.multiply_adds / 1e6, 2) == millions


def test_receptive_fields_and_reductions_are_those_of_the_literature():
    fields = {
        "vgg16": [5, 14, 40, 92, 196, 212],  # before each pooling, which then see 6, 16, 44, 100 and 212
        "resnet18": [7, 43, 99, 211, 435],
        "resnet34": [7, 59, 179, 547, 899],
        "resnet50": [7, 35, 91, 267, 427],
        "resnet20": [3, 15, 37, 81],
    }
    for name, expected in fields.items():
        info = backbones.create(name, width=0.02 if name == "vgg16" else 2).feature_info
        assert info.receptive_field() == expected
    for name, width in (("resnet50", 2), ("googlenet", 0.1)):
        assert backbones.create(name, width=width).feature_info.reduction() == [2, 4, 8, 16, 32]
    assert backbones.create("vgg11_bn", width=0.05).feature_info.reduction() == [1, 2, 4, 8, 16, 32]
    assert backbones.create("resnet50", stem="small", width=2).feature_info.reduction() == [1, 1, 2, 4, 8]
    assert backbones.create("googlenet", stem="small", width=0.1).feature_info.reduction() == [1, 1, 2, 4]
