"""One training step of every backbone: it learns, and only its input has to be put into channels-last order."""

import numpy as np
import pytest

import minicnn
from minicnn import backbones, optim
from minicnn import functional as F
from minicnn.kernels import layout

KINDS = ("lenet5", "vgg6_bn", "vgg11", "googlenet", "resnet8", "resnet18", "resnet50")


@pytest.fixture
def make(narrow):
    """make(name, **settings) -> the backbone, narrow, six images and their labels."""

    def build(name, **settings):
        channels, side = (1, 28) if name == "lenet5" else (3, 32)
        generator = np.random.default_rng(0)
        images = generator.standard_normal((6, channels, side, side), dtype=np.float32)
        model = backbones.create(name, in_chans=channels, num_classes=10, seed=0, **narrow(name, **settings))
        return model, images, generator.integers(0, 10, 6)

    return build


def step(model, images, labels, lr=0.01):
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(minicnn.Tensor(images)), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("name", KINDS)
def test_a_training_step_converts_the_layout_of_its_input_and_of_nothing_else(name, make):
    model, images, labels = make(name)
    before = layout.conversions()
    step(model, images, labels)
    assert layout.conversions() - before == (0 if images.shape[1] == 1 else 1)  # one channel lies alike in both orders


@pytest.mark.parametrize("name", KINDS)
def test_a_training_step_on_channels_last_images_converts_nothing(name, make):
    model, images, labels = make(name)
    images = layout.as_channels_last(images)
    before = layout.conversions()
    step(model, images, labels)
    assert layout.conversions() == before


@pytest.mark.parametrize("name", KINDS)
def test_every_parameter_moves_in_a_training_step(name, make):
    model, images, labels = make(name)
    before = model.state_dict()
    step(model, images, labels)
    after = model.state_dict()
    for key, _ in model.named_parameters():
        assert not np.array_equal(before[key], after[key]), key


def test_steps_on_one_batch_lower_its_loss(make):
    model, images, labels = make("resnet8")
    losses = [step(model, images, labels, lr=0.1) for _ in range(12)]
    assert losses[-1] < 0.5 * losses[0]
