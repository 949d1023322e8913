"""The same weights in a twin built from torch.nn give the same logits and the same gradients."""

import warnings

import numpy as np
import pytest

import minicnn
from minicnn import backbones, nn, no_grad
from minicnn import functional as F
from minicnn.backbones.residual import subsample_and_pad_channels
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor

torch = pytest.importorskip("torch")
tnn = torch.nn
twins = pytest.importorskip("minicnn.bench.twins")

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves a map of")


TWINS = {
    "resnet20": (lambda: twins.CifarResNet(3), {}, (3, 32)),
    "resnet14 of option B": (lambda: twins.CifarResNet(2, 6, "B"), {"shortcut": "B", "width": 6}, (3, 20)),
    "resnet18": (lambda: twins.ResNet((2, 2, 2, 2), "imagenet", 8), {"width": 8}, (3, 64)),
    "resnet34 of few blocks, for small images": (
        lambda: twins.ResNet((1, 2, 1, 1), "small", 8),
        {"width": 8, "stem": "small", "blocks": (1, 2, 1, 1)},
        (3, 24),
    ),
    "resnet50 of few blocks": (
        lambda: twins.ResNet((1, 2, 1, 1), "imagenet", 6, bottleneck=True),
        {"width": 6, "blocks": (1, 2, 1, 1)},
        (3, 96),
    ),
    "vgg6_bn": (twins.vgg6_bn, {}, (3, 24)),
    "vgg11_bn": (lambda: twins.vgg11_bn(0.25), {"stem": "small", "width": 0.25, "dropout": 0.0}, (3, 64)),
    "vgg16": (lambda: twins.vgg16(0.05), {"width": 0.05, "dropout": 0.0}, (3, 64)),
    "googlenet": (lambda: twins.GoogLeNet(0.25), {"width": 0.25, "dropout": 0.0}, (3, 112)),  # each pooling rounds up
    "googlenet with auxiliary heads and 5x5 windows": (
        lambda: twins.GoogLeNet(0.125, 5, auxiliary=True),
        {"width": 0.125, "dropout": 0.0, "dropout_aux": 0.0, "branch3_kernel": 5, "aux_logits": True},
        (3, 96),
    ),
    "lenet5": (twins.LeNet5, {}, (1, 28)),
}


def model_and_twin(name):
    """The backbone and its twin with the twin's weights, images and labels."""
    build, settings, (channels, side) = TWINS[name]
    torch.manual_seed(0)
    twin = build()
    for module in twin.modules():
        if isinstance(module, tnn.BatchNorm2d):  # as after some training: a fresh one neither scales nor shifts
            for tensor in (module.weight, module.running_var):
                tnn.init.uniform_(tensor, 0.7, 1.4)
            for tensor in (module.bias, module.running_mean):
                tnn.init.uniform_(tensor, -0.2, 0.2)
    model = backbones.create(name.split()[0], in_chans=channels, num_classes=10, **settings)
    state = {key: value.numpy() for key, value in twin.state_dict().items()}
    assert list(model.state_dict()) == list(state)
    model.load_state_dict(state)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((4, channels, side, side), dtype=np.float32)
    return model, twin, images, generator.integers(0, 10, 4)


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
    expected = [tnn.functional.cross_entropy(each, target) for each in as_tuple(twin(torch.from_numpy(images)))]
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


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


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


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_shortcut_of_option_a_is_a_slice_and_a_pad_forward_and_backward(stride):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    result = subsample_and_pad_channels(Tensor(x), 8, stride)
    expected = tnn.functional.pad(torch.from_numpy(x)[:, :, ::stride, ::stride], (0, 0, 0, 0, 2, 3))
    np.testing.assert_array_equal(result.data, expected.numpy())
    assert layout.is_channels_last(result.data)
    gradcheck(lambda a: subsample_and_pad_channels(a, 8, stride), [Tensor(x, requires_grad=True)])
