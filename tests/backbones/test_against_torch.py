"""The same weights in a twin built from torch.nn give the same logits and the same gradients."""

import numpy as np
import pytest

from minicnn import backbones
from minicnn import functional as F
from minicnn.backbones.resnet import subsample_and_pad_channels
from minicnn.gradcheck import gradcheck
from minicnn.kernels import layout
from minicnn.tensor import Tensor

torch = pytest.importorskip("torch")
tnn = torch.nn


class TorchBlock(tnn.Module):
    """The residual block of the CIFAR networks; option A is a slice and a pad, option B a 1x1 convolution."""

    def __init__(self, channels, out, stride, option):
        super().__init__()
        self.conv1 = tnn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = tnn.BatchNorm2d(out)
        self.conv2 = tnn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = tnn.BatchNorm2d(out)
        self.stride, self.extra = stride, (out - channels) // 2
        self.downsample = None
        if channels != out and option == "B":
            self.downsample = tnn.Sequential(tnn.Conv2d(channels, out, 1, stride, bias=False), tnn.BatchNorm2d(out))

    def forward(self, x):
        if self.downsample is None:
            kept = x[:, :, :: self.stride, :: self.stride]
            shortcut = tnn.functional.pad(kept, (0, 0, 0, 0, self.extra, self.extra))
        else:
            shortcut = self.downsample(x)
        return torch.relu(self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))) + shortcut)


class TorchResNet(tnn.Module):
    def __init__(self, blocks, width, option):
        super().__init__()
        self.conv1 = tnn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = tnn.BatchNorm2d(width)
        sizes = [width, width, 2 * width, 4 * width]
        for stage in (1, 2, 3):
            before, after = sizes[stage - 1], sizes[stage]
            members = [TorchBlock(before, after, 1 if stage == 1 else 2, option)]
            members += [TorchBlock(after, after, 1, option) for _ in range(blocks - 1)]
            setattr(self, f"layer{stage}", tnn.Sequential(*members))
        self.linear = tnn.Linear(sizes[3], 10)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def torch_vgg():
    layers, channels = [], 3
    for block in ((32, 32), (64, 64), (128, 128)):
        for out in block:
            layers += [tnn.Conv2d(channels, out, 3, padding=1), tnn.BatchNorm2d(out), tnn.ReLU()]
            channels = out
        layers.append(tnn.MaxPool2d(2))
    model = tnn.Module()
    model.features = tnn.Sequential(*layers)
    model.classifier = tnn.Sequential(tnn.Dropout(0.0), tnn.Linear(128, 10))
    model.forward = lambda x: model.classifier(model.features(x).mean((2, 3)))
    return model


def torch_lenet():
    model = tnn.Module()
    model.conv1, model.conv2 = tnn.Conv2d(1, 6, 5, padding=2), tnn.Conv2d(6, 16, 5)
    model.fc1, model.fc2, model.fc3 = tnn.Linear(400, 120), tnn.Linear(120, 84), tnn.Linear(84, 10)

    def forward(x):
        x = tnn.functional.max_pool2d(torch.relu(model.conv1(x)), 2)
        x = tnn.functional.max_pool2d(torch.relu(model.conv2(x)), 2)
        return model.fc3(torch.relu(model.fc2(torch.relu(model.fc1(x.flatten(1))))))

    model.forward = forward
    return model


TWINS = {
    "resnet20": (lambda: TorchResNet(3, 16, "A"), {}, (3, 32)),
    "resnet14 of option B": (lambda: TorchResNet(2, 6, "B"), {"shortcut": "B", "width": 6}, (3, 20)),
    "vgg6_bn": (torch_vgg, {}, (3, 24)),
    "lenet5": (torch_lenet, {}, (1, 28)),
}


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
        reference = parameter.grad.numpy()
        assert np.linalg.norm(mine.grad.data - reference) <= 1e-3 * np.linalg.norm(reference) + 1e-6, key
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
