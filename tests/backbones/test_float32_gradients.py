"""In float32 a backbone's gradients are those of its twin built from torch.nn, and about as near to float64's.

Where a ReLU's input lies within rounding of 0, or two pixels of a pooling window within rounding of each other, another
library may decide otherwise, and float64 too. Both are right, but their gradients differ by up to some percent. So the
decisions that the backbone took are imposed on the twin: all then take the gradient of the same smooth function.
"""

import contextlib

import numpy as np
import pytest

from minicnn import functional as F
from minicnn import nn
from minicnn.backbones.residual import BasicBlock, Bottleneck
from tests.backbones.twins import as_tuple, model_and_twin

torch = pytest.importorskip("torch")  # its modes are the base of a class here

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves a map of")

RELUS = (torch.relu, torch.relu_, torch.nn.functional.relu)
POOLINGS = (torch.max_pool2d, torch.nn.functional.max_pool2d)


class Imposed(torch.overrides.TorchFunctionMode):
    """Inside of it torch's ReLUs and maximum poolings follow `decisions`, in this order, and not their own."""

    def __init__(self, decisions):
        super().__init__()
        self.decisions, self.count, self.changed = iter(decisions), 0, 0

    def __torch_function__(self, function, types, arguments=(), settings=None):
        settings = settings or {}
        if function in RELUS:
            x, passes = arguments[0], self.next_decision()
            self.note(passes != (x > 0))
            return x * passes
        if function in POOLINGS:
            x, places = arguments[0], self.next_decision()
            settings = settings | {"return_indices": True}
            self.note(places != torch.nn.functional.max_pool2d(*arguments, **settings)[1])
            return x.flatten(2).gather(2, places.flatten(2)).view(places.shape)  # (N, C, H*W) -> (N, C, OH, OW)
        return function(*arguments, **settings)

    def next_decision(self):
        return torch.from_numpy(np.ascontiguousarray(next(self.decisions)))

    def note(self, changed):
        self.count, self.changed = self.count + changed.numel(), self.changed + int(changed.sum())


def decisions_of(model, images):
    """The outputs of `model`, and for each of its ReLUs and poolings, in their order, what passed or won."""
    decisions = []

    def note(module, inputs, output):
        if isinstance(module, nn.MaxPool2d):
            window = (module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode)
            decisions.append(F.max_pool2d(inputs[0], *window, return_indices=True)[1].data)
        else:
            decisions.append(output.data > 0)

    with contextlib.ExitStack() as hooks:
        for path, module in model.named_modules():
            relu_inside = isinstance(module, (nn.ReLU, nn.BatchNormAct2d, BasicBlock, Bottleneck))
            if relu_inside or isinstance(module, nn.MaxPool2d) or path.endswith(".fc1"):  # of an auxiliary head
                hooks.enter_context(module.register_forward_hook(note))
        return as_tuple(model(images)), decisions


def gradients_of_twin(twin, images, decisions, factors):
    with Imposed(decisions) as imposed:
        outputs = as_tuple(twin(torch.from_numpy(images)))
    twin.zero_grad()
    sum((output * torch.from_numpy(factor)).sum() for output, factor in zip(outputs, factors, strict=True)).backward()
    assert next(imposed.decisions, None) is None
    assert imposed.changed <= 1e-4 * imposed.count  # only those within rounding
    return [None if each.grad is None else each.grad.numpy().copy() for each in twin.parameters()]


def distance(gradients, reference):
    """The relative L2 norm of the difference, over all arrays as if they were one."""
    gradients, reference = (np.concatenate([each.ravel() for each in arrays]) for arrays in (gradients, reference))
    return np.linalg.norm(gradients.astype(np.float64) - reference) / np.linalg.norm(reference)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "name", ["vgg11_bn", "resnet18", "resnet50 of few blocks", "googlenet with auxiliary heads and 5x5 windows"]
)
def test_float32_gradients_are_a_twins_and_as_near_to_float64s(name, training):
    model, twin, images, _ = model_and_twin(name)
    model.train(training), twin.train(training)
    outputs, decisions = decisions_of(model, images)
    generator = np.random.default_rng(1)
    factors = [generator.standard_normal(output.shape, dtype=np.float32) for output in outputs]
    losses = [(output * factor).sum() for output, factor in zip(outputs, factors, strict=True)]
    sum(losses[1:], losses[0]).backward()

    expected = gradients_of_twin(twin, images, decisions, factors)
    exact = gradients_of_twin(
        twin.double(), images.astype(np.float64), decisions, [factor.astype(np.float64) for factor in factors]
    )
    size = np.sqrt(sum(np.sum(np.square(each)) for each in exact if each is not None))
    # In evaluation auxiliary heads have no gradient; a bias before batch norm has none but rounding.
    used = [i for i, each in enumerate(exact) if each is not None and np.linalg.norm(each) > 1e-9 * size]
    mine = [parameter.grad.data for i, parameter in enumerate(model.parameters()) if i in used]
    expected, exact = ([gradients[i] for i in used] for gradients in (expected, exact))

    assert max(distance([each], [other]) for each, other in zip(mine, expected, strict=True)) <= 1e-3
    assert distance(mine, exact) <= 4 * distance(expected, exact)
