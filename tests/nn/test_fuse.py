"""fuse: the same maps without batch norm, at every tap; the model it came from stays what it was."""

import contextlib
import copy
import itertools

import numpy as np
import pytest

from minicnn import backbones, gradcheck, nn
from minicnn import functional as F
from minicnn.backbones.residual import BasicBlock
from minicnn.grad_mode import no_grad
from minicnn.nn import evaluation_mode
from minicnn.tensor import Tensor

KINDS = ("lenet5", "vgg6", "vgg11_bn", "googlenet", "resnet8", "resnet18", "resnet50")

every_backbone = pytest.mark.parametrize("name", KINDS)


def with_random_statistics(model, seed=0):
    """`model` in evaluation mode, its norms with scales of either sign and statistics that matter."""
    rng = np.random.default_rng(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            size = module.num_features
            module.running_mean.data = rng.normal(size=size).astype(module.running_mean.dtype) * 0.3
            module.running_var.data = rng.uniform(0.3, 2, size).astype(module.running_var.dtype)
            if module.affine:
                signs = rng.choice([-1, 1], size)
                module.weight.data = (signs * rng.uniform(0.5, 1.5, size)).astype(module.weight.dtype)
                module.bias.data = rng.normal(size=size).astype(module.bias.dtype) * 0.3
    return model.eval()


@pytest.fixture
def backbone_and_images(narrow):
    """backbone_and_images(name, **settings) -> the backbone, narrow, and two images."""

    def make(name, **settings):
        channels, side = (1, 28) if name == "lenet5" else (3, 32)
        model = with_random_statistics(backbones.create(name, seed=1, **narrow(name, in_chans=channels, **settings)))
        return model, Tensor(np.random.default_rng(2).standard_normal((2, channels, side, side), dtype=np.float32))

    return make


def kinds(model):
    return [type(module) for module in model.modules()]


def assert_close(result, expected):
    scale = max(1.0, float(np.abs(expected.data).max()))
    np.testing.assert_allclose(result.data, expected.data, rtol=0, atol=1e-5 * scale)


@every_backbone
def test_a_fused_backbone_gives_the_same_logits_and_the_same_map_at_every_level(name, backbone_and_images):
    model, images = backbone_and_images(name)
    fused = model.fuse()
    assert type(fused) is type(model)
    with no_grad():
        assert_close(fused(images), model(images))
        (last, maps), (fused_last, fused_maps) = (net.forward_intermediates(images) for net in (model, fused))
    assert_close(fused_last, last)
    for fused_map, true in zip(fused_maps, maps, strict=True):
        assert_close(fused_map, true)


@every_backbone
def test_a_fused_backbone_has_no_batch_norm_left_and_every_path_it_had(name, backbone_and_images):
    model, _ = backbone_and_images(name)
    fused = nn.fuse(model)
    assert nn.BatchNorm2d not in kinds(fused)
    assert nn.ConvReLU2d in kinds(fused)
    assert [path for path, _ in fused.named_modules()] == [path for path, _ in model.named_modules()]
    convolutions = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    assert sum(isinstance(module, nn.Conv2d) for module in fused.modules()) == convolutions


@every_backbone
def test_the_original_is_untouched_and_shares_no_memory_with_the_copy(name, backbone_and_images):
    model, _ = backbone_and_images(name)
    model.train()
    before, modes, shown = model.state_dict(), [module.training for module in model.modules()], repr(model)
    fused = nn.fuse(model)
    for parameter in fused.parameters():
        parameter.data[...] = 7
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(after[key].tobytes() == before[key].tobytes() for key in before)
    assert [module.training for module in model.modules()] == modes
    assert repr(model) == shown
    assert all(parameter.requires_grad for parameter in model.parameters())


@every_backbone
def test_fusing_twice_changes_nothing_more(name, backbone_and_images):
    model, images = backbone_and_images(name)
    once = nn.fuse(model)
    twice = nn.fuse(once)
    assert kinds(twice) == kinds(once)
    with no_grad():
        np.testing.assert_array_equal(twice(images).data, once(images).data)


@every_backbone
def test_what_a_class_declares_is_what_its_forward_does(name, backbone_and_images):
    """The children of a row run one directly behind the other, each on the result of the one before, once a pass."""
    model, images = backbone_and_images(name)
    for module in model.modules():
        for row in getattr(module, "fusable", ()):
            calls = calls_of([module.get_submodule(child) for child in row], lambda: model(images))
            assert [child for child, _, _ in calls] == [module.get_submodule(child) for child in row]
            for (_, _, output), (_, following, _) in itertools.pairwise(calls):
                assert following is output


def calls_of(modules, run):
    """(module, its input, its output) of every call of one of `modules` while `run` runs."""
    calls = []
    with no_grad(), contextlib.ExitStack() as stack:
        for module in modules:
            hook = module.register_forward_hook(
                lambda called, inputs, output: calls.append((called, inputs[0], output))
            )
            stack.enter_context(hook)
        run()
    return calls


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_both_kinds_of_shortcuts(shortcut, backbone_and_images):
    model, images = backbone_and_images("resnet8", shortcut=shortcut)
    with no_grad():
        assert_close(nn.fuse(model)(images), model(images))


def test_features_only_backbones_are_fused_too(backbone_and_images):
    model, images = backbone_and_images("resnet8", features_only=True, out_indices=(0, -1))
    with no_grad():
        for fused, true in zip(nn.fuse(model)(images), model(images), strict=True):
            assert_close(fused, true)


@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 3, "padding": 1, "bias": False},
        {"kernel_size": (2, 3), "stride": (2, 1), "dilation": (1, 2), "groups": 2},
        {"kernel_size": 3, "padding": "same", "padding_mode": "reflect"},
    ],
)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_every_kind_of_convolution_in_a_sequential(settings, affine, relu):
    layers = [nn.Conv2d(4, 6, **settings), nn.BatchNorm2d(6, affine=affine, eps=0.1)] + [nn.ReLU()] * relu
    model = with_random_statistics(nn.Sequential(*layers).double())
    x = Tensor(np.random.default_rng(3).standard_normal((2, 4, 7, 8)))
    fused = nn.fuse(model)
    assert kinds(fused)[1:] == [nn.ConvReLU2d if relu else nn.Conv2d] + [nn.Identity] * (len(layers) - 1)
    with no_grad():
        np.testing.assert_allclose(fused(x).data, model(x).data, rtol=0, atol=1e-12)


def test_the_arithmetic_is_that_of_torch():
    torch = pytest.importorskip("torch")
    ours = with_random_statistics(nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)))
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5)).eval()
    theirs.load_state_dict({key: torch.tensor(value) for key, value in ours.state_dict().items()})
    expected = torch.nn.utils.fuse_conv_bn_eval(theirs[0], theirs[1])
    layer = nn.fuse(ours)[0]
    np.testing.assert_allclose(layer.weight.data, expected.weight.detach().numpy(), rtol=1e-6)
    np.testing.assert_allclose(layer.bias.data, expected.bias.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_what_is_not_directly_behind_a_convolution_stays():
    model = with_random_statistics(
        nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 3, 1), nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.ReLU())
    )
    assert kinds(nn.fuse(model)) == kinds(model)


def test_a_convolution_that_stands_in_two_places_is_folded_in_each_by_itself():
    conv, norms = nn.Conv2d(3, 3, 3, padding=1), (nn.BatchNorm2d(3), nn.BatchNorm2d(3))
    relu = nn.ReLU()
    model = with_random_statistics(nn.Sequential(conv, norms[0], relu, conv, norms[1], nn.Tanh(), conv, relu))
    x = Tensor(np.random.default_rng(4).standard_normal((2, 3, 5, 6), dtype=np.float32))
    with no_grad():
        assert_close(nn.fuse(model)(x), model(x))


class Scaled(nn.Conv2d):
    """Not what Conv2d computes."""

    def forward(self, input):
        return 2 * super().forward(input)


class Backwards(nn.Sequential):
    """Not the order of a Sequential."""

    def forward(self, input):
        for module in reversed(list(self)):
            input = module(input)
        return input


class OneReluTwice(nn.Module):
    """As torchvision's blocks: one ReLU in two places, so that only the norms are declared."""

    fusable = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv2, self.bn2 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.relu = nn.ReLU()

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + x)


class ReluFirst(BasicBlock):
    """Inherits the rows of BasicBlock, but has another forward."""

    def forward(self, x):
        return self.bn1(F.tanh(self.conv1(x))) + self.bn2(F.tanh(self.conv2(x)))


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(Scaled(3, 3, 1), nn.BatchNorm2d(3)),
        Backwards(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU()),
        OneReluTwice(),
        ReluFirst(3, 3),
    ],
    ids=["a subclass of Conv2d", "a subclass of Sequential", "one ReLU in two places", "another forward"],
)
def test_what_only_looks_like_a_row_is_not_fused_wrongly(model):
    with_random_statistics(model)
    x = Tensor(np.random.default_rng(5).standard_normal((2, 3, 5, 6), dtype=np.float32))
    with no_grad():
        assert_close(nn.fuse(model)(x), model(x))


def test_a_fused_model_is_for_evaluation_only():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    fused = nn.fuse(model)
    assert model.training
    assert not any(module.training for module in fused.modules())
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    with pytest.raises(RuntimeError, match=r"made by fuse.*for evaluation only; train the model"):
        fused.train()
    assert fused.eval() is fused
    with evaluation_mode(fused):
        assert not fused.training
    whole = nn.Sequential(fused, nn.Linear(4, 2)).train()
    assert whole[1].training
    assert not any(module.training for module in whole[0].modules())
    assert whole.unfreeze().train()[0][2].training is False


def test_gradients_for_the_input_pass_through_a_fused_model(backbone_and_images):
    model, images = backbone_and_images("resnet8", width=4)
    gradients = []
    for net in (model, nn.fuse(model)):
        x = Tensor(images.data.copy(), requires_grad=True)
        net(x)[:, 3].sum().backward()
        gradients.append(x.grad)
    assert_close(gradients[1], gradients[0])


def test_fusing_moves_no_random_stream():
    import minicnn

    model = backbones.create("vgg6_bn", width=0.25, seed=0)
    draws = []
    for fuse_first in (False, True):
        minicnn.manual_seed(5)
        if fuse_first:
            nn.fuse(model)
        draws.append(nn.Linear(4, 3).weight.data)
    np.testing.assert_array_equal(*draws)


def test_gradients_left_on_the_original_are_not_taken_along():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    model(Tensor(np.ones((2, 1, 4, 4), np.float32))).sum().backward()
    assert all(parameter.grad is None for parameter in nn.fuse(model).parameters())


def test_batch_norm_without_running_statistics_is_refused_by_path():
    model = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)))
    with pytest.raises(ValueError, match=r"BatchNorm2d\(4.* at '0\.1' keeps no running statistics.*each batch"):
        nn.fuse(model)


def test_channels_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"at '1' has num_features=5.*has 4 output channels"):
        nn.fuse(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(5)))


def test_a_registered_hook_is_refused_by_path():
    model = backbones.create("resnet8", width=2)
    with (
        model.layer1[0].conv1.register_forward_hook(lambda *call: None),
        pytest.raises(ValueError, match=r"Conv2d at 'layer1\.0\.conv1' has a forward hook.*outside"),
    ):
        nn.fuse(model)
    assert nn.fuse(model) is not None


def test_only_modules_are_fused():
    with pytest.raises(TypeError, match=r"fuse takes a Module, but got list"):
        nn.fuse([nn.Conv2d(3, 4, 3)])


def test_a_fused_model_is_saved_and_loaded_like_any_other(backbone_and_images):
    model, images = backbone_and_images("vgg6_bn", width=0.25)
    fused = nn.fuse(model)
    again = nn.fuse(with_random_statistics(copy.deepcopy(model), seed=9))
    report = again.load_state_dict(fused.state_dict())
    assert not report.missing
    with no_grad():
        np.testing.assert_array_equal(again(images).data, fused(images).data)


def test_conv2d_relu_is_relu_of_conv2d_forward_and_backward():
    rng = np.random.default_rng(6)
    arrays = [rng.standard_normal(shape) for shape in ((2, 4, 6, 5), (6, 2, 3, 2), (6,))]
    options = {"stride": (1, 2), "padding": (1, 0), "dilation": (2, 1), "groups": 2}
    cotangent, results = rng.standard_normal((2, 6, 4, 2)), []
    for function in (lambda *xs, **kw: F.relu(F.conv2d(*xs, **kw)), F.conv2d_relu):
        tensors = [Tensor(array, requires_grad=True) for array in arrays]
        y = function(*tensors, **options)
        y.backward(cotangent)
        results.append([y.data, *(tensor.grad.data for tensor in tensors)])
    for ours, expected in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)
    assert gradcheck(lambda *xs: F.conv2d_relu(*xs, **options), [Tensor(a, requires_grad=True) for a in arrays])


def test_conv2d_relu_carries_nan_and_takes_one_image_and_no_bias():
    x = np.ones((1, 3, 4), np.float32)
    x[0, 1, 2] = np.nan
    weight = -np.ones((2, 1, 1, 1), np.float32)
    y = F.conv2d_relu(x, weight).data
    expected = np.zeros((2, 3, 4), np.float32)
    expected[:, 1, 2] = np.nan
    np.testing.assert_array_equal(y, expected)
