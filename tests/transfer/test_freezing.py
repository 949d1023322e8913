"""freeze and unfreeze: the lower part of a network stays as it is, through train() and every step."""

import numpy as np
import pytest

from minicnn import backbones, nn, optim, randn
from minicnn import functional as F
from minicnn.transfer.freezing import freeze, unfreeze


def step(model, images, labels):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = optim.SGD(trained, lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(2):
        model.train()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    ("name", "width", "to", "kept"),
    [
        ("resnet8", 4, "layer3", ("conv1.", "bn1.", "layer1.", "layer2.")),
        ("resnet8", 4, None, ("conv1.", "bn1.", "layer1.", "layer2.", "layer3.")),
        ("vgg6_bn", 0.1, "features.7", tuple(f"features.{place}." for place in range(7))),
    ],
)
def test_all_before_the_module_keeps_every_bit_and_all_from_it_on_moves(name, width, to, kept):
    model = backbones.create(name, num_classes=3, seed=0, width=width)
    frozen = freeze(model, to)
    before = model.state_dict()
    step(model, randn(4, 3, 32, 32), np.array([0, 1, 2, 0]))
    after = model.state_dict()
    moved = {name for name in before if before[name].tobytes() != after[name].tobytes()}
    expected = {name for name in before if not name.startswith(kept)}
    assert moved == expected
    assert set(frozen) == {name for name, _ in model.named_parameters()} - expected


def test_unfreeze_makes_all_trainable_again():
    model = backbones.create("resnet8", num_classes=3, width=4, seed=0)
    freeze(model)
    unfreeze(model)
    model.train()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())


def test_a_module_that_is_not_there_is_named_with_the_nearest():
    model = backbones.create("resnet8", num_classes=3, width=4, seed=0)
    with pytest.raises(ValueError, match=r"no module 'layer4'; did you mean 'layer3'"):
        freeze(model, "layer4")
    with pytest.raises(ValueError, match="does not name its classifier: say with `to`"):
        freeze(nn.Sequential(nn.Linear(2, 2)))
    assert all(parameter.requires_grad for parameter in model.parameters())
