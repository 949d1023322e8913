"""Backbones, and the same networks built from torch.nn with the same weights; they take torch to be made."""

import numpy as np

from minicnn import backbones
from tests.peers import optional, torch

twins = optional("minicnn.bench.twins")  # None without torch

# name -> (how the twin is made, the settings of the backbone, (channels, side) of its images)
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
    "vgg6_bn": (lambda: twins.vgg6_bn(), {}, (3, 24)),
    "vgg11_bn": (lambda: twins.vgg11_bn(0.25), {"stem": "small", "width": 0.25, "dropout": 0.0}, (3, 64)),
    "vgg16": (lambda: twins.vgg16(0.05), {"width": 0.05, "dropout": 0.0}, (3, 64)),
    "googlenet": (lambda: twins.GoogLeNet(0.25), {"width": 0.25, "dropout": 0.0}, (3, 112)),  # each pooling rounds up
    "googlenet with auxiliary heads and 5x5 windows": (
        lambda: twins.GoogLeNet(0.125, 5, auxiliary=True),
        {"width": 0.125, "dropout": 0.0, "dropout_aux": 0.0, "branch3_kernel": 5, "aux_logits": True},
        (3, 96),
    ),
    "lenet5": (lambda: twins.LeNet5(), {}, (1, 28)),
}


def model_and_twin(name):
    """The backbone and its twin with the twin's weights, images and labels."""
    build, settings, (channels, side) = TWINS[name]
    torch.manual_seed(0)
    twin = build()
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after some training: a fresh one neither scales nor shifts
            for tensor in (module.weight, module.running_var):
                torch.nn.init.uniform_(tensor, 0.7, 1.4)
            for tensor in (module.bias, module.running_mean):
                torch.nn.init.uniform_(tensor, -0.2, 0.2)
    model = backbones.create(name.split()[0], in_chans=channels, num_classes=10, **settings)
    state = {key: value.numpy() for key, value in twin.state_dict().items()}
    assert list(model.state_dict()) == list(state)
    model.load_state_dict(state)
    generator = np.random.default_rng(0)
    images = generator.standard_normal((4, channels, side, side), dtype=np.float32)
    return model, twin, images, generator.integers(0, 10, 4)


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)
