"""The same weights in a twin built from torch.nn give the same logits and the same gradients."""

import numpy as np
import pytest

from minicnn import backbones
from minicnn import functional as F
from minicnn.backbones.residual import subsample_and_pad_channels
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor

torch = pytest.importorskip("torch")
tnn = torch.nn
twins = pytest.importorskip("minicnn.bench.twins")


TWINS = {
    "resnet20": (lambda: twins.CifarResNet(3), {}, (3, 32)),
    "resnet14 of option B": (lambda: twins.CifarResNet(2, 6, "B"), {"shortcut": "B", "width": 6}, (3, 20)),
    "resnet18": (lambda: twins.ResNet((2, 2, 2, 2), "imagenet", 8), {"width": 8}, (3, 64)),
    "resnet18 for small images": (
        lambda: twins.ResNet((2, 2, 2, 2), "small", 8),
        {"width": 8, "stem": "small"},
        (3, 24),
    ),
    "vgg6_bn": (twins.vgg6_bn, {}, (3, 24)),
    "vgg11_bn": (lambda: twins.vgg11_bn(0.25), {"stem": "small", "width": 0.25, "dropout": 0.0}, (3, 64)),
    "vgg11_bn with the paper's head": (lambda: with_the_papers_head(0.05), {"width": 0.05, "dropout": 0.0}, (3, 64)),
    "lenet5": (twins.LeNet5, {}, (1, 28)),
}


def with_the_papers_head(width):
    """VGG-11 with its three linear layers over 7x7 places, as torchvision has them."""
    model = twins.vgg11_bn(width)
    channels, hidden = round(512 * width), round(4096 * width)
    model.classifier = tnn.Sequential(
        *(tnn.Linear(49 * channels, hidden), tnn.ReLU(), tnn.Dropout(0.0)),
        *(tnn.Linear(hidden, hidden), tnn.ReLU(), tnn.Dropout(0.0)),
        tnn.Linear(hidden, 10),
    )
    pool = tnn.AdaptiveAvgPool2d(7)
    model.forward = lambda x: model.classifier(pool(model.features(x)).flatten(1))
    return model


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("training", [True, False])
def test_logits_gradients_and_statistics_equal_those_of_a_twin(name, training):
    build, settings, (channels, side) = TWINS[name]
    torch.manual_seed(0)
    twin = build().train(training)
    model = backbones.create(name.split()[0], in_chans=channels, **settings).train(training)
    state = {key: value.numpy() for key, value in twin.state_dict().items()}
    assert list(model.state_dict()) == list(state)
    model.load_state_dict(state)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((4, channels, side, side), dtype=np.float32)
    labels = generator.integers(0, 10, 4)

    logits = model(Tensor(images))
    expected = twin(torch.from_numpy(images))
    scale = float(expected.detach().abs().max())
    np.testing.assert_allclose(logits.data, expected.detach().numpy(), atol=1e-4 * scale)
    F.cross_entropy(logits, labels).backward()
    tnn.functional.cross_entropy(expected, torch.from_numpy(labels)).backward()
    for (key, mine), parameter in zip(model.named_parameters(), twin.parameters(), strict=True):
        reference = parameter.grad.numpy()  # of a bias before batch norm it is 0, but for rounding
        assert np.linalg.norm(mine.grad.data - reference) <= 1e-3 * np.linalg.norm(reference) + 1e-5, key
    for key, value in twin.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[key], value.numpy(), rtol=1e-3, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_shortcut_of_option_a_is_a_slice_and_a_pad_forward_and_backward(stride):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    result = subsample_and_pad_channels(Tensor(x), 8, stride)
    expected = tnn.functional.pad(torch.from_numpy(x)[:, :, ::stride, ::stride], (0, 0, 0, 0, 2, 3))
    np.testing.assert_array_equal(result.data, expected.numpy())
    assert layout.is_channels_last(result.data)
    gradcheck(lambda a: subsample_and_pad_channels(a, 8, stride), [Tensor(x, requires_grad=True)])
