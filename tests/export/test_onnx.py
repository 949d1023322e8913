"""What save_onnx writes, onnxruntime runs to the same numbers; what it can't write, it refuses by name."""

import json
import sys

import numpy as np
import pytest

import minicnn
from minicnn import backbones, nn, no_grad
from minicnn import functional as F
from minicnn.cli.main import main
from minicnn.export import save_onnx
from minicnn.tensor import Tensor
from minicnn.weights import WeightsInformation
from tests.peers import needs_onnx, onnx, onnxruntime

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves a map of")


def with_random_statistics(model):
    """`model` in evaluation mode, with running statistics that matter."""
    rng = np.random.default_rng(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.data = rng.normal(0, 0.3, module.num_features).astype(np.float32)
            module.running_var.data = rng.uniform(0.5, 2, module.num_features).astype(np.float32)
    return model.eval()


def run(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images}), strict=True))


def assert_same_numbers(model, path, size, batch=3):
    """Of the file, which must be valid, and of the model, on a batch of another size than it was exported with."""
    onnx.checker.check_model(str(path), full_check=True)
    images = np.random.default_rng(1).standard_normal((batch, *size), dtype=np.float32)
    with no_grad():
        expected = model(Tensor(images))
    expected = expected if isinstance(expected, list) else [expected]
    results = run(path, images)
    assert len(results) == len(expected)
    for result, reference in zip(results.values(), expected, strict=True):
        scale = max(1e-6, float(np.abs(reference.data).max()))
        np.testing.assert_allclose(result, reference.data, rtol=0, atol=1e-5 * scale)
    return results


FAMILIES = {
    "lenet5": ({"in_chans": 1}, (1, 28, 28)),
    "lenet5 as in the paper": ({"in_chans": 1, "classic": True}, (1, 28, 28)),
    "vgg6_bn": ({"width": 0.25}, (3, 32, 32)),
    "vgg16 with the paper's head, on maps of 2x3 places": ({"width": 0.05}, (3, 64, 96)),
    "vgg11 with the paper's head, on maps of 7x7": ({"width": 0.05}, (3, 224, 224)),
    "resnet8": ({"width": 4}, (3, 32, 32)),
    "resnet8 of an odd width": ({"width": 3, "in_chans": 1}, (1, 9, 15)),
    "resnet8 of option B": ({"width": 4, "shortcut": "B"}, (3, 16, 16)),
    "resnet8 without shortcuts": ({"width": 4, "shortcut": "none"}, (3, 16, 16)),
    "resnet18": ({"width": 4}, (3, 64, 64)),
    "resnet50": ({"width": 4, "blocks": (1, 2, 1, 1), "stem": "small"}, (3, 32, 48)),
    "googlenet": ({"width": 0.1, "transform_input": True, "aux_logits": True}, (3, 64, 80)),
}


@needs_onnx
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("fused", [False, True])
def test_onnxruntime_gives_the_logits_of_every_family(name, fused, tmp_path):
    settings, size = FAMILIES[name]
    model = with_random_statistics(backbones.create(name.split()[0], num_classes=5, seed=0, **settings))
    save_onnx(model.fuse() if fused else model, tmp_path / "model.onnx", size)
    assert list(assert_same_numbers(model, tmp_path / "model.onnx", size)) == ["logits"]


@needs_onnx
def test_levels_become_outputs_by_their_names(tmp_path):
    model = backbones.create("resnet18", width=4, features_only=True, out_indices=(0, -1), seed=0).eval()
    save_onnx(model, tmp_path / "model.onnx", (3, 64, 64))
    assert list(assert_same_numbers(model, tmp_path / "model.onnx", (3, 64, 64))) == ["level.relu", "level.layer4"]


@needs_onnx
def test_weights_keep_their_names_and_values(tmp_path):
    model = backbones.create("resnet8", width=4, seed=0)
    save_onnx(model, tmp_path / "model.onnx")
    file = onnx.load(tmp_path / "model.onnx")
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in file.graph.initializer}
    for name, array in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(arrays[name], array)
    assert model.training  # and the model is left in the mode that it had


LAYERS = {
    "strides, dilation and groups": nn.Conv2d(4, 6, (2, 3), (2, 1), (1, 2), (1, 2), groups=2),
    "same padding, an odd pixel": nn.Conv2d(4, 3, (2, 4), padding="same", bias=False),
    "reflected borders": nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"),
    "repeated borders": nn.Conv2d(4, 3, 3, padding=(2, 1), padding_mode="replicate"),
    "batch norm without parameters": nn.BatchNorm2d(4, affine=False),
    "batch norm with relu": nn.BatchNormAct2d(4, eps=0.1),
    "maxima, rounded up": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "maxima, dilated": nn.MaxPool2d(2, (1, 2), dilation=2),
    "means": nn.AvgPool2d((3, 2), 2, 1, count_include_pad=False),
    "means with the padding": nn.AvgPool2d(3, 2, 1),
    "means of regions": nn.AdaptiveAvgPool2d((3, 5)),
    "means of more regions than there are pixels": nn.AdaptiveAvgPool2d((11, 2)),
    "flattened and weighted": nn.Sequential(nn.Flatten(), nn.Linear(4 * 7 * 9, 3, bias=False)),
    "axes joined": nn.Sequential(nn.Flatten(2), nn.LogSoftmax(1)),
    "leaky": nn.LeakyReLU(0.2),
    "elu": nn.ELU(0.7),
    "silu": nn.SiLU(),
    "hardswish": nn.Hardswish(),
    "sigmoid and tanh": nn.Sequential(nn.Sigmoid(), nn.Tanh()),
    "softmax": nn.Softmax(1),
    "neighbours": nn.LocalResponseNorm(3, alpha=0.1, beta=0.5, k=2.0),
    "nothing and dropout": nn.Sequential(nn.Identity(), nn.ReLU(), nn.Dropout(0.5)),
}


@needs_onnx
@pytest.mark.parametrize("name", LAYERS)
def test_single_layers_give_the_same_numbers(name, tmp_path):
    model = LAYERS[name].eval()
    save_onnx(model, tmp_path / "layer.onnx", (4, 7, 9))
    assert_same_numbers(model, tmp_path / "layer.onnx", (4, 7, 9))


class Branches(nn.Module):
    """Sums and stacks, and one layer called twice."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv2d(4, 4, 1), nn.ReLU()

    def forward(self, x):
        first = self.relu(self.conv(x))
        second = self.relu(self.conv(first))
        return F.concat([F.relu(first + second), x, first], 1)


@needs_onnx
def test_what_happens_between_layers_is_exported(tmp_path):
    model = Branches()
    save_onnx(model, tmp_path / "model.onnx", (4, 5, 6))
    assert_same_numbers(model, tmp_path / "model.onnx", (4, 5, 6))


class Between(nn.Module):
    """Something that can't be exported, in place of a layer."""

    def __init__(self, function):
        super().__init__()
        self.function, self.relu, self.scale = function, nn.ReLU(), nn.Parameter(np.ones(1, np.float32))

    def forward(self, x):
        return self.relu(self.function(self, x))


@needs_onnx
@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (nn.PixelShuffle(2), r"'PixelShuffle' \(PixelShuffle\) has no form in ONNX here; these have: .*'Conv2d'"),
        (Between(lambda self, x: F.exp(x)), r"'exp' \(exp\) has no form"),
        (Between(lambda self, x: x * self.scale), "operation 'mul' takes a parameter or a constant outside of a layer"),
        (Between(lambda self, x: x.detach()), "does not come from the images"),
        (Between(lambda self, x: x.reshape(-1, 3, 3)), "reshapes a batch"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), "padding_mode='circular' can't be exported"),
        (nn.AvgPool2d(2, divisor_override=3), "divisor_override can't be exported"),
        (nn.BatchNorm2d(4, track_running_stats=False), "keeps no running statistics"),
        (nn.LocalResponseNorm(2), "size=2 is even"),
        (nn.Linear(9, 2), r"exported for inputs \(N, F\), but gets \(2, 4, 6, 9\)"),
        (nn.MaxPool2d(2, return_indices=True), "returns tuple"),
    ],
)
def test_what_cannot_be_exported_is_named(model, complaint, tmp_path):
    with pytest.raises(ValueError, match=complaint):
        save_onnx(model, tmp_path / "model.onnx", (4, 6, 9))
    assert not list(tmp_path.iterdir())


def test_arguments_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"input_size must be that of one image, \(C, H, W\), but is None"):
        save_onnx(nn.ReLU(), tmp_path / "model.onnx")
    with pytest.raises(ValueError, match=r"but is \(1, 3, 8, 8\)"):
        save_onnx(nn.ReLU(), tmp_path / "model.onnx", (1, 3, 8, 8))
    with pytest.raises(TypeError, match=r"some are float64; call float\(\) first"):
        save_onnx(nn.Conv2d(1, 1, 1).double(), tmp_path / "model.onnx", (1, 8, 8))
    with pytest.raises(TypeError, match="takes a Module, but got str"):
        save_onnx("resnet50", tmp_path / "model.onnx", (1, 8, 8))


@needs_onnx
def test_the_command_writes_what_a_training_left(tmp_path, capsys):
    model = backbones.create("resnet8", width=4, num_classes=3, in_chans=1, seed=7).eval()
    about = {"model": "resnet8", "model_options": {"width": 4}, "num_classes": 3, "image_shape": [1, 8, 8]}
    about |= WeightsInformation(mean=(0.5,), std=(0.25,), categories=("a", "b", "c")).as_metadata()
    minicnn.save(model, tmp_path / "weights.safetensors", metadata=about)
    file = tmp_path / "model.onnx"
    assert main(["export", "--weights", str(tmp_path / "weights.safetensors"), "--onnx", str(file)]) == 0
    assert "resnet8 with the weights of" in capsys.readouterr().out
    assert_same_numbers(model, file, (1, 8, 8))
    properties = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert json.loads(properties["categories"]) == ["a", "b", "c"]
    assert json.loads(properties["std"]) == [0.25]


@needs_onnx
def test_the_command_writes_fresh_networks_and_names_what_is_missing(tmp_path, capsys):
    file = tmp_path / "model.onnx"
    assert main(["export", "resnet8", "--set", "width=2", "--input", "3", "8", "8", "--onnx", str(file)]) == 0
    assert "resnet8 with fresh weights, for images (N, 3, 8, 8)" in capsys.readouterr().out
    assert run(file, np.zeros((1, 3, 8, 8), np.float32))["logits"].shape == (1, 10)
    assert main(["export", "--onnx", str(file)]) == 2
    assert "which backbone?" in capsys.readouterr().err
    assert main(["export", "resnet8", "--onnx", str(tmp_path / "no" / "folder.onnx")]) == 2
    assert "folder" in capsys.readouterr().err


@needs_onnx
def test_the_command_takes_weights_that_say_nothing_of_themselves(tmp_path, capsys):
    model = backbones.create("resnet18", width=4, num_classes=6, seed=7).eval()
    minicnn.save(model, tmp_path / "weights.npz")
    file = tmp_path / "model.onnx"
    command = ["export", "--weights", str(tmp_path / "weights.npz"), "--set", "width=4", "--onnx", str(file)]
    assert main([*command, "--input", "3", "64", "64"]) == 0
    assert "the weights have the names of resnet18" in capsys.readouterr().err
    assert_same_numbers(model, file, (3, 64, 64))
    assert main([*command, "--input", "1", "64", "64"]) == 0
    assert "3 input channels in the source, 1 in the model: summed" in capsys.readouterr().err
    assert run(file, np.zeros((2, 1, 64, 64), np.float32))["logits"].shape == (2, 6)
    assert main([*command, "--num-classes", "9"]) == 2
    assert "no classifier for 9 classes" in capsys.readouterr().err


def test_the_command_does_not_write_over_a_file_of_weights(tmp_path, capsys):
    file = tmp_path / "weights.pth"
    file.write_bytes(b"precious")
    assert main(["export", "resnet8", "--onnx", str(file)]) == 2
    assert "must end in .onnx, but is" in capsys.readouterr().err
    assert file.read_bytes() == b"precious"


def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[onnx\]'"):
        save_onnx(nn.ReLU(), tmp_path / "model.onnx", (1, 8, 8))
    assert main(["export", "resnet8", "--onnx", str(tmp_path / "model.onnx")]) == 2
    assert "minicnn: error: writing ONNX files takes the package onnx" in capsys.readouterr().err


class Named(nn.Module):
    """A network whose layers have these names; the result of the last is the output, or those of all."""

    def __init__(self, names, every=False):
        super().__init__()
        self.names, self.every = names, every
        for name in names:
            self.add_module(name, nn.Conv2d(3, 3, 3, padding=1))

    def forward(self, x):
        results = []
        for name in self.names:
            x = self.get_submodule(name)(x)
            results.append(x)
        return results if self.every else x


class Listed(nn.Module):
    """Layers in a list: their paths are output.0 and output.1, as the outputs of a file with two are called."""

    def __init__(self):
        super().__init__()
        self.output = nn.ModuleList([nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3)])

    def forward(self, x):
        return [layer(x) for layer in self.output]


class WithParts(nn.Module):
    """Paths that an intermediate result or a constant of another step would like to have."""

    def __init__(self):
        super().__init__()
        self.add_relu = nn.Sequential()
        self.add_relu.add_module("sum", nn.Conv2d(3, 3, 1))
        self.pad = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")
        self.reshape = nn.Sequential()
        self.reshape.add_module("shape", nn.ReLU())

    def forward(self, x):
        x = F.add_relu(self.add_relu(x), self.pad(x))
        return self.reshape(x.reshape(x.shape[0], 3, 4, 16))


@needs_onnx
@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (Named(["logits"]), ["logits"]),
        (Named(["logits", "logits_1"]), ["logits"]),
        (Named(["images", "logits", "images_1"]), ["logits"]),
        (Named(["logits", "other"], every=True), ["output.0", "output.1"]),
        (Listed(), ["output.0", "output.1"]),
        (WithParts(), ["logits"]),
    ],
    ids=["logits", "logits and logits_1", "images", "logits among others", "a list called output", "parts"],
)
def test_layers_may_have_the_names_of_inputs_and_outputs(model, outputs, tmp_path):
    save_onnx(model, tmp_path / "model.onnx", (3, 8, 8))
    assert list(assert_same_numbers(model.eval(), tmp_path / "model.onnx", (3, 8, 8))) == outputs


@needs_onnx
@pytest.mark.parametrize("size", [7, 8, 9, 10])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 0), (3, 2, 1), (2, 2, 1), (3, 3, 1), (2, 3, 1)]
)
def test_poolings_in_ceil_mode_have_the_size_and_the_numbers_of_the_network(kernel, stride, padding, size, tmp_path):
    """`assert_same_numbers` checks with full_check, which infers the shapes, too."""
    settings = {"stride": stride, "padding": padding, "ceil_mode": True}
    layers = [nn.MaxPool2d(kernel, **settings)]
    layers += [nn.AvgPool2d(kernel, **settings, count_include_pad=counts) for counts in (True, False)]
    for layer in layers:
        save_onnx(layer, tmp_path / "model.onnx", (3, size, 11))
        assert_same_numbers(layer, tmp_path / "model.onnx", (3, size, 11))


@needs_onnx
def test_windows_with_gaps_in_ceil_mode_are_exported_or_refused(tmp_path):
    layer = nn.MaxPool2d(3, stride=2, dilation=2, ceil_mode=True)
    save_onnx(layer, tmp_path / "model.onnx", (3, 8, 9))
    assert_same_numbers(layer, tmp_path / "model.onnx", (3, 8, 9))
    with pytest.raises(ValueError, match=r"layer 'MaxPool2d': ceil_mode=True with dilation=\(5, 5\) can't be exported"):
        save_onnx(
            nn.MaxPool2d(2, stride=5, dilation=5, padding=1, ceil_mode=True), tmp_path / "model.onnx", (3, 10, 10)
        )


@needs_onnx
@pytest.mark.parametrize("layer", [nn.Identity(), nn.Dropout(0.5)])
def test_a_model_that_returns_its_images_is_exported(layer, tmp_path):
    save_onnx(layer, tmp_path / "model.onnx", (3, 4, 4))
    assert_same_numbers(layer.eval(), tmp_path / "model.onnx", (3, 4, 4))


class Returning(nn.Module):
    """Returns the function's result, whatever it is."""

    def __init__(self, function):
        super().__init__()
        self.function, self.relu, self.scale = function, nn.ReLU(), nn.Parameter(np.ones(1, np.float32))

    def forward(self, x):
        return self.function(self, x)


@needs_onnx
def test_images_among_the_outputs_and_a_concatenation_of_one_are_exported(tmp_path):
    for function in (lambda self, x: [x, self.relu(x)], lambda self, x: minicnn.concat([self.relu(x)], 1)):
        model = Returning(function)
        save_onnx(model, tmp_path / "model.onnx", (3, 4, 4))
        assert_same_numbers(model.eval(), tmp_path / "model.onnx", (3, 4, 4))


class ReLU(nn.Module):
    """A layer of a reader's own, with a name that minicnn knows: it returns something else."""

    def forward(self, x):
        return F.exp(x)


@needs_onnx
@pytest.mark.parametrize(
    ("model", "error", "complaint"),
    [
        (Returning(lambda self, x: {"out": self.relu(x)}), TypeError, "the model returns a dict; a model that returns"),
        (Returning(lambda self, x: [x, None]), TypeError, "returns a list, whose item 1 is a NoneType"),
        (Returning(lambda self, x: 3.0), TypeError, "the model returns a float"),
        (
            Returning(lambda self, x: minicnn.concat([x, x], 0)),
            ValueError,
            "step 'concat' concatenates .*, along the batch",
        ),
        (Returning(lambda self, x: self.scale), ValueError, "a parameter of shape .* does not come from the images"),
        (Returning(lambda self, x: self.relu(x).sum()), ValueError, "'sum' .sum. has no form"),
        (
            Returning(lambda self, x: self.relu(3.0)),
            ValueError,
            "layer 'relu' takes float; layers that take one Tensor",
        ),
        (nn.Sequential(ReLU()), ValueError, r"'0' \(ReLU\) has no form in ONNX here"),
    ],
)
def test_what_a_model_returns_is_named_if_it_cannot_be_exported(model, error, complaint, tmp_path):
    with pytest.raises(error, match=complaint):
        save_onnx(model, tmp_path / "model.onnx", (3, 4, 4))
    assert list(tmp_path.iterdir()) == []


@needs_onnx
@pytest.mark.parametrize("size", [5, (3, 4), (3, 4, 0), "abc", (3, 4.5, 4), None])
def test_an_input_size_that_is_not_one_is_named(size, tmp_path):
    with pytest.raises(ValueError, match=r"input_size must be that of one image, \(C, H, W\), but is"):
        save_onnx(nn.ReLU(), tmp_path / "model.onnx", size)
