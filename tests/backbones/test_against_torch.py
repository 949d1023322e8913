"""The same weights in a twin built from torch.nn give the same logits and the same gradients."""

import warnings

import numpy as np
import pytest

import minicnn
from minicnn import backbones, nn, no_grad
from minicnn import functional as F
from tests.backbones.twins import TWINS, as_tuple, model_and_twin, twins
from tests.peers import needs_torch, torch

pytestmark = [needs_torch, pytest.mark.filterwarnings("ignore:.*leaves a map of")]


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("training", [True, False])
def test_logits_equal_those_of_a_twin(name, training):
    model, twin, images, _ = model_and_twin(name)
    with no_grad(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that statistics of the batch are in use
        outputs = as_tuple(model.train(training)(images))
        expected = as_tuple(twin.train(training)(torch.from_numpy(images)))
    for logits, reference in zip(outputs, expected, strict=True):
        assert_close(logits, reference)


@pytest.mark.parametrize("name", TWINS)
def test_a_saved_network_is_loaded_by_torch_as_it_is(name, tmp_path):
    """By the safetensors package and load_state_dict alone, every name and shape as the twin has it; and back."""
    safetensors_torch = pytest.importorskip("safetensors.torch")
    build, settings, (channels, side) = TWINS[name]
    model = backbones.create(name.split()[0], in_chans=channels, num_classes=10, seed=3, **settings).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.data += np.linspace(-0.2, 0.2, module.num_features, dtype=np.float32)
    minicnn.save(model, tmp_path / "ours.safetensors", {"model": name})
    twin = build().eval()
    twin.load_state_dict(safetensors_torch.load_file(tmp_path / "ours.safetensors"), strict=True)
    images = np.random.default_rng(0).standard_normal((2, channels, side, side), dtype=np.float32)
    with torch.no_grad(), no_grad():
        assert_close(model(images), twin(torch.from_numpy(images)))
    safetensors_torch.save_model(twin, tmp_path / "theirs.safetensors")
    again = backbones.create(
        name.split()[0], in_chans=channels, num_classes=10, weights=tmp_path / "theirs.safetensors", **settings
    )
    for key, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[key], array, err_msg=key)


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_and_statistics_equal_those_of_a_twin(name, training):
    """In float64, where no number rounds to a ReLU's other side; test_float32_gradients.py has the other dtype."""
    model, twin, images, labels = model_and_twin(name)
    model, twin, images = model.double().train(training), twin.double().train(training), images.astype(np.float64)
    losses = [F.cross_entropy(logits, labels) for logits in as_tuple(model(images))]
    target = torch.from_numpy(labels)
    expected = [torch.nn.functional.cross_entropy(each, target) for each in as_tuple(twin(torch.from_numpy(images)))]
    assert [loss.item() for loss in losses] == pytest.approx([loss.item() for loss in expected], rel=1e-9)
    sum(losses[1:], losses[0]).backward()
    sum(expected[1:], expected[0]).backward()
    for (key, mine), parameter in zip(model.named_parameters(), twin.parameters(), strict=True):
        if parameter.grad is None:  # an auxiliary head in evaluation
            assert mine.grad is None, key
            continue
        reference = parameter.grad.numpy()  # of a bias before batch norm it is 0, but for rounding
        assert np.linalg.norm(mine.grad.data - reference) <= 1e-8 * np.linalg.norm(reference) + 1e-12, key
    for key, value in twin.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[key], value.numpy(), rtol=1e-9, atol=1e-12, err_msg=key)


def assert_close(result, reference):
    """Largest difference over largest value at most 1e-4."""
    expected = reference.detach().numpy()
    np.testing.assert_allclose(result.data, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


WHOLE = {
    "resnet50": lambda: twins.ResNet((3, 4, 6, 3), "imagenet", bottleneck=True, num_classes=1000),
    "vgg16": lambda: twins.VGG(twins.VGG_D, 1000, batch_norm=False, hidden=4096),
    "googlenet": lambda: twins.GoogLeNet(num_classes=1000),
    "resnet56": lambda: twins.CifarResNet(9, num_classes=1000),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_network_gives_the_twins_logits_and_maps(name, monkeypatch):
    """At 64x64. Weights are one draw, repeated: drawing 138 million would take longer than everything else here."""
    monkeypatch.setattr("minicnn.nn.init.normal_", quick_normal)
    monkeypatch.setattr("minicnn.nn.init.uniform_", quick_uniform)
    model = backbones.create(name, seed=0).eval()
    with torch.device("meta"):
        twin = WHOLE[name]()
    twin.load_state_dict({key: torch.from_numpy(array) for key, array in model.state_dict().items()}, assign=True)
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64), dtype=np.float32)

    expected_maps = {}
    for path in model.feature_info.module_name()[name.startswith("resnet") :]:  # the twin's first relu is a function
        twin.get_submodule(path).register_forward_hook(
            lambda module, inputs, output, path=path: expected_maps.update({path: output.clone()})
        )
    with torch.no_grad(), no_grad():
        expected = twin.eval()(torch.from_numpy(images))
        last, maps = model.forward_intermediates(images)
        logits = model.forward_head(last)
    assert_close(logits, expected)
    for level, features in zip(model.feature_info, maps, strict=True):
        if level.module in expected_maps:
            assert_close(features, expected_maps[level.module])
    assert len(expected_maps) >= 3


def quick_normal(tensor, mean=0.0, std=1.0, generator=None):
    drawn = mean + std * np.random.default_rng(tensor.data.size).standard_normal(99_991)
    tensor.data[...] = np.resize(drawn, tensor.data.size).reshape(tensor.shape)
    return tensor


def quick_uniform(tensor, a=0.0, b=1.0, generator=None):
    return quick_normal(tensor, (a + b) / 2, (b - a) / 4, generator)
