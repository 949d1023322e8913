"""VGG and ResNet as torchvision has them: the same keys and shapes, the papers' counts, the same numbers as a twin."""

import json
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import backbones, nn, optim
from minicnn import functional as F
from minicnn.kernels import layout
from minicnn.tensor import Tensor

MANIFEST = Path(__file__).parents[3] / "shared" / "state_dict_manifest.json"  # used where it lies beside the project


def vgg11_bn_keys():
    """Names and shapes, written down from torchvision's rule: conv, bn, relu, and a pooling after some of them."""
    keys, number, channels = [], 0, 3
    for block in ((64,), (128,), (256, 256), (512, 512), (512, 512)):
        for out in block:
            keys += [(f"features.{number}.weight", (out, channels, 3, 3)), (f"features.{number}.bias", (out,))]
            keys += batch_norm_keys(f"features.{number + 1}", out)
            number, channels = number + 3, out
        number += 1
    for layer, shape in ((0, (4096, 512 * 7 * 7)), (3, (4096, 4096)), (6, (1000, 4096))):
        keys += [(f"classifier.{layer}.weight", shape), (f"classifier.{layer}.bias", shape[:1])]
    return dict(keys)


def resnet18_keys():
    keys = [("conv1.weight", (64, 3, 7, 7)), *batch_norm_keys("bn1", 64)]
    channels = 64
    for stage, out in enumerate((64, 128, 256, 512), start=1):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            keys += [(f"{name}.conv1.weight", (out, channels, 3, 3)), *batch_norm_keys(f"{name}.bn1", out)]
            keys += [(f"{name}.conv2.weight", (out, out, 3, 3)), *batch_norm_keys(f"{name}.bn2", out)]
            if channels != out:
                keys += [(f"{name}.downsample.0.weight", (out, channels, 1, 1))]
                keys += batch_norm_keys(f"{name}.downsample.1", out)
            channels = out
    return dict([*keys, ("fc.weight", (1000, 512)), ("fc.bias", (1000,))])


def batch_norm_keys(name, channels):
    rows = [(f"{name}.{part}", (channels,)) for part in ("weight", "bias", "running_mean", "running_var")]
    return [*rows, (f"{name}.num_batches_tracked", ())]


def shapes(model):
    return {key: array.shape for key, array in model.state_dict().items()}


KEYS = {"vgg11_bn": vgg11_bn_keys, "resnet18": resnet18_keys}


@pytest.mark.parametrize("name", KEYS)
def test_keys_and_shapes_are_torchvisions(name):
    model = backbones.create(name, num_classes=1000)
    assert list(shapes(model).items()) == list(KEYS[name]().items())
    if MANIFEST.exists():
        entry = json.loads(MANIFEST.read_text())[name]
        assert shapes(model) == {key: tuple(shape) for key, shape in entry["shapes"].items()}
        assert sum(parameter.numel() for parameter in model.parameters()) == entry["stats"]["params"]


def test_counts_for_small_images_are_those_of_the_reference():
    report = nn.summary(backbones.create("vgg11_bn", stem="small"), (3, 32, 32))
    assert report.parameters == 9_225_610 + 2 * (64 + 128 + 256 + 256 + 4 * 512)
    assert round(report.multiply_adds / 1e6, 1) == 152.8
    report = nn.summary(backbones.create("resnet18", stem="small"), (3, 32, 32))
    assert report.parameters == 11_173_962
    assert round(report.multiply_adds / 1e6, 1) == 555.4


def test_receptive_fields_and_reductions_are_those_of_the_literature():
    info = backbones.create("resnet18", width=2).feature_info
    assert info.receptive_field() == [7, 43, 99, 211, 435]
    assert info.reduction() == [2, 4, 8, 16, 32]
    assert backbones.create("resnet18", stem="small", width=2).feature_info.reduction() == [1, 1, 2, 4, 8]
    assert backbones.create("vgg11_bn", width=0.05).feature_info.reduction() == [1, 2, 4, 8, 16, 32]


def test_the_papers_head_of_vgg_can_be_cut_and_replaced():
    model = backbones.create("vgg11_bn", width=0.03, seed=0).eval()
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64), dtype=np.float32)
    vectors = model.forward_head(model.forward_features(Tensor(images)), pre_logits=True)
    assert vectors.shape == (2, model.head_features) == (2, round(0.03 * 4096))
    model.reset_classifier(3)
    assert model(images).shape == (2, 3)
    assert model.get_submodule("classifier.6").out_features == 3
    bare = backbones.create("vgg11_bn", width=0.03, features_only=True)
    assert [tuple(features.shape[1:]) for features in bare(images)][-1] == (round(0.03 * 512), 2, 2)


def test_the_papers_head_of_vgg_trains_without_a_change_of_layout():
    model = backbones.create("vgg11_bn", width=0.03, seed=0)
    images = layout.as_channels_last(np.random.default_rng(0).random((4, 3, 32, 32), dtype=np.float32))
    optimizer, before = optim.SGD(model.parameters(), lr=0.01), layout.conversions()
    F.cross_entropy(model(minicnn.Tensor(images)), np.arange(4)).backward()
    optimizer.step()
    assert layout.conversions() == before


@pytest.mark.parametrize("name", KEYS)
def test_an_unknown_stem_is_refused(name):
    with pytest.raises(ValueError, match=r"stem must be 'imagenet' .* or 'small' .*, but is 'cifar'"):
        backbones.create(name, stem="cifar")


def test_widths_and_blocks_below_one_are_refused():
    with pytest.raises(ValueError, match=r"blocks \(of every stage\) must be at least 1"):
        backbones.resnet.ResNet((1, 0, 1, 1))
    with pytest.raises(ValueError, match=r"width \(the channels of the first stage\) must be at least 1"):
        backbones.create("resnet18", width=0)
