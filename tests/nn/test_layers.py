"""Each layer is torch's layer: same arguments, parameters, outputs and gradients; and says what it can't do."""

import numpy as np
import pytest

from minicnn import nn
from minicnn.kernels import layout
from minicnn.random import manual_seed
from minicnn.tensor import Tensor

IMAGES, ROWS = (3, 4, 6, 5), (3, 4)

# name, positional arguments, named arguments, shape of the input
LAYERS = [
    ("Conv2d", (4, 6, 3), {}, IMAGES),
    ("Conv2d", (4, 6, (3, 2)), {"stride": (2, 1), "padding": (1, 0), "groups": 2, "bias": False}, IMAGES),
    ("Conv2d", (4, 4, 3), {"padding": "same", "dilation": 2, "groups": 4}, IMAGES),
    ("Conv2d", (4, 2, (2, 3)), {"padding": "same", "padding_mode": "reflect"}, IMAGES),
    ("Conv2d", (4, 2, 3), {"padding": (1, 2), "padding_mode": "replicate"}, IMAGES),
    ("Conv2d", (4, 2, 3), {"padding": 1, "padding_mode": "circular", "stride": 2}, IMAGES),
    ("Conv2d", (4, 2, 3), {"padding": "valid"}, IMAGES),
    ("ConvTranspose2d", (4, 6, 3), {"stride": 2, "padding": 1, "output_padding": 1}, IMAGES),
    ("ConvTranspose2d", (4, 6, (2, 3)), {"groups": 2, "dilation": (1, 2), "bias": False}, IMAGES),
    ("Linear", (4, 7), {}, ROWS),
    ("Linear", (5, 2), {"bias": False}, IMAGES),
    ("MaxPool2d", (2,), {}, IMAGES),
    ("MaxPool2d", (3, 2, 1), {"ceil_mode": True}, IMAGES),
    ("AvgPool2d", ((3, 2),), {"stride": 2, "padding": 1, "count_include_pad": False}, IMAGES),
    ("AdaptiveAvgPool2d", (1,), {}, IMAGES),
    ("AdaptiveAvgPool2d", ((2, None),), {}, IMAGES),
    ("AdaptiveMaxPool2d", ((2, 3),), {}, IMAGES),
    ("ReLU", (), {}, IMAGES),
    ("ReLU6", (), {}, IMAGES),
    ("LeakyReLU", (0.2,), {}, IMAGES),
    ("ELU", (0.7,), {}, IMAGES),
    ("GELU", (), {}, IMAGES),
    ("GELU", ("tanh",), {}, IMAGES),
    ("SiLU", (), {}, IMAGES),
    ("Hardtanh", (-0.5, 0.8), {}, IMAGES),
    ("Hardswish", (), {}, IMAGES),
    ("Sigmoid", (), {}, IMAGES),
    ("Tanh", (), {}, IMAGES),
    ("Softplus", (2.0, 1.5), {}, IMAGES),
    ("Softmax", (1,), {}, IMAGES),
    ("LogSoftmax", (-1,), {}, ROWS),
    ("BatchNorm1d", (4,), {}, (6, 4)),
    ("BatchNorm1d", (4,), {"affine": False}, (3, 4, 5)),
    ("BatchNorm2d", (4,), {"eps": 1e-3, "momentum": 0.3}, IMAGES),
    ("BatchNorm2d", (4,), {"momentum": None}, IMAGES),
    ("BatchNorm2d", (4,), {"track_running_stats": False}, IMAGES),
    ("InstanceNorm2d", (4,), {}, IMAGES),
    ("InstanceNorm2d", (4,), {"affine": True, "track_running_stats": True}, IMAGES),
    ("GroupNorm", (2, 4), {}, IMAGES),
    ("GroupNorm", (4, 4), {"affine": False}, IMAGES),
    ("LayerNorm", (5,), {}, IMAGES),
    ("LayerNorm", ([6, 5],), {"bias": False}, IMAGES),
    ("LocalResponseNorm", (3,), {"alpha": 0.1, "k": 2.0}, IMAGES),
    ("Identity", (54,), {"unused": 3}, IMAGES),
    ("Flatten", (), {}, IMAGES),
    ("Flatten", (2,), {}, IMAGES),
    ("Upsample", (), {"scale_factor": 2}, IMAGES),
    ("Upsample", (), {"size": (9, 4), "mode": "bilinear", "align_corners": True}, IMAGES),
    ("PixelShuffle", (2,), {}, IMAGES),
    ("PixelUnshuffle", (2,), {}, (3, 4, 6, 8)),
    ("Unfold", ((2, 3),), {"padding": 1, "stride": 2}, IMAGES),
    ("Fold", ((4, 5), (2, 2)), {"stride": (2, 3)}, (3, 8, 4)),
    ("ZeroPad2d", (2,), {}, IMAGES),
    ("ConstantPad2d", ((1, 0, 2, 3), 1.5), {}, IMAGES),
    ("ReflectionPad2d", ((1, 2, 0, 3),), {}, IMAGES),
    ("ReplicationPad2d", (2,), {}, IMAGES),
    ("CircularPad2d", ((1, 2, 0, 3),), {}, IMAGES),
    ("Dropout", (0.0,), {}, IMAGES),
    ("Dropout2d", (1.0,), {}, IMAGES),
]  # fmt: skip


def layer_id(case):
    return f"{case[0]}{case[1]}{case[2]}"


@pytest.mark.parametrize("case", LAYERS, ids=layer_id)
def test_a_layer_computes_what_torchs_does_in_training_and_in_evaluation(case):
    torch = pytest.importorskip("torch")
    name, arguments, named, shape = case
    theirs = getattr(torch.nn, name)(*arguments, **named).double()
    ours = getattr(nn, name)(*arguments, **named).double()
    generator = np.random.default_rng(0)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    weights = {key: generator.random(value.shape) + 0.5 for key, value in theirs.state_dict().items()}
    weights = {key: np.array(3) if "tracked" in key else array for key, array in weights.items()}
    ours.load_state_dict(weights)
    theirs.load_state_dict({key: torch.from_numpy(np.asarray(array)) for key, array in weights.items()})
    for training in (True, False):
        values = generator.permutation(int(np.prod(shape))).reshape(shape) / np.prod(shape) * 3 - 1.3  # no ties
        x, reference = Tensor(values, requires_grad=True), torch.from_numpy(values.copy()).requires_grad_()
        result, expected = ours.train(training)(x), theirs.train(training)(reference)
        np.testing.assert_allclose(result.data, expected.detach().numpy(), rtol=1e-9, atol=1e-10)
        cotangent = generator.standard_normal(result.shape)
        result.backward(Tensor(cotangent))
        expected.backward(torch.from_numpy(cotangent))
        np.testing.assert_allclose(x.grad.data, reference.grad.numpy(), rtol=1e-7, atol=1e-9)
    for key, value in theirs.state_dict().items():  # running statistics moved alike
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), rtol=1e-9, err_msg=key)
    for (key, mine), parameter in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.grad.data, parameter.grad.numpy(), rtol=1e-7, atol=1e-9, err_msg=key)


LOSSES = [
    ("CrossEntropyLoss", {"label_smoothing": 0.1, "ignore_index": 1}, "labels"),
    ("CrossEntropyLoss", {"reduction": "sum", "weight": [0.5, 1.0, 2.0]}, "labels"),
    ("NLLLoss", {"weight": [0.5, 1.0, 2.0], "ignore_index": 2}, "labels"),
    ("MSELoss", {"reduction": "sum"}, "values"),
    ("L1Loss", {}, "values"),
    ("SmoothL1Loss", {"beta": 0.3}, "values"),
    ("HuberLoss", {"delta": 0.4, "reduction": "none"}, "values"),
    ("BCELoss", {}, "values"),
    ("BCEWithLogitsLoss", {"pos_weight": [1.0, 2.0, 0.5]}, "values"),
    ("KLDivLoss", {"reduction": "batchmean"}, "values"),
    ("KLDivLoss", {"reduction": "sum", "log_target": True}, "values"),
]


@pytest.mark.parametrize(("name", "named", "kind"), LOSSES)
@pytest.mark.filterwarnings("ignore:reduction")
def test_a_loss_is_torchs(name, named, kind):
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    input = generator.uniform(0.05, 0.95, (5, 3))
    target = np.array([0, 2, 1, 2, 0]) if kind == "labels" else generator.uniform(0.05, 0.95, (5, 3))
    arrays = {key: np.array(value) for key, value in named.items() if isinstance(value, list)}
    ours = getattr(nn, name)(**{**named, **arrays})
    theirs = getattr(torch.nn, name)(**{**named, **{key: torch.from_numpy(value) for key, value in arrays.items()}})
    expected = theirs(torch.from_numpy(input), torch.from_numpy(target)).numpy()
    np.testing.assert_allclose(ours(Tensor(input), Tensor(target)).data, expected, rtol=1e-9)


def test_unpooling_puts_values_back_and_cosine_similarity_is_torchs():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 4))
    values, indices = nn.MaxPool2d(2, return_indices=True)(Tensor(x))
    expected = torch.nn.MaxUnpool2d(2)(*torch.nn.MaxPool2d(2, return_indices=True)(torch.from_numpy(x)))
    np.testing.assert_array_equal(nn.MaxUnpool2d(2)(values, indices).data, expected.numpy())
    a, b = x[..., :2], x[..., 2:]
    similarity = torch.nn.CosineSimilarity(dim=1)(torch.from_numpy(a.copy()), torch.from_numpy(b.copy()))
    np.testing.assert_allclose(nn.CosineSimilarity(dim=1)(Tensor(a), Tensor(b)).data, similarity.numpy(), rtol=1e-9)


@pytest.mark.parametrize(
    ("make", "bound"),
    [
        (lambda m: m.Conv2d(8, 50, 3, groups=2), 1 / 6),  # fan_in 4 * 9
        (lambda m: m.ConvTranspose2d(9, 50, 2), 1 / np.sqrt(200)),  # torch counts axis 1: 50 * 4
        (lambda m: m.Linear(100, 60), 1 / 10),
    ],
)
def test_weights_and_biases_begin_evenly_within_one_over_the_root_of_fan_in(make, bound):
    layer = make(nn)
    for parameter in (layer.weight, layer.bias):
        assert np.abs(parameter.data).max() <= bound
        assert np.abs(parameter.data).max() > 0.9 * bound
    assert layer.weight.data.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)
    assert layer.weight.dtype == np.float32


def test_a_generator_or_a_seed_fixes_the_weights():
    def weights(**named):
        return nn.Conv2d(2, 3, 3, **named).weight.data.tobytes()

    assert weights(generator=np.random.default_rng(4)) == weights(generator=np.random.default_rng(4))
    manual_seed(3)
    first, second = weights(), weights()
    manual_seed(3)
    assert (weights(), weights()) == (first, second)
    assert first != second


def test_batch_norm_counts_batches_only_in_training():
    norm = nn.BatchNorm2d(2)
    x = Tensor(np.random.default_rng(0).standard_normal((4, 2, 3, 3), dtype=np.float32))
    norm(x)
    norm(x)
    statistics = norm.state_dict()
    assert statistics["num_batches_tracked"] == 2
    norm.eval()(x)
    np.testing.assert_equal(norm.state_dict(), statistics)
    norm.reset_running_stats()
    assert (norm.running_mean.data == 0).all()
    assert (norm.running_var.data == 1).all()


def test_a_frozen_batch_norm_inside_a_training_model_uses_and_keeps_its_statistics():
    model = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2))
    model[0].freeze()
    model[0].running_mean.data[...] = 5
    model.train()
    x = Tensor(np.random.default_rng(0).standard_normal((4, 2, 3, 3), dtype=np.float32))
    first = model[0](x)
    np.testing.assert_allclose(first.data, (x.data - 5) / np.sqrt(1 + 1e-5), rtol=1e-5)
    model(x)
    assert (model[0].running_mean.data == 5).all()
    assert not (model[1].running_mean.data == 0).all()


def test_dropout_acts_in_training_only():
    x = Tensor(np.ones((50, 40), np.float32))
    dropout = nn.Dropout(0.25, generator=np.random.default_rng(0))
    kept = dropout(x).data
    assert set(np.unique(kept)) == {0, np.float32(1 / 0.75)}
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.03)
    assert dropout.eval()(x) is x


def test_layers_keep_images_channels_last():
    x = Tensor(layout.as_channels_last(np.random.default_rng(0).standard_normal((2, 4, 6, 6), dtype=np.float32)))
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.MaxPool2d(2))
    before = layout.conversions()
    assert layout.is_channels_last(model(x).data)
    assert layout.conversions() == before


def zeros(*shape):
    return Tensor(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(0, 4, 3), "in_channels must be at least 1, but is 0"),
        (lambda: nn.Conv2d(4, 6, 3, groups=4), r"groups must divide out_channels, but 6 % 4 = 2"),
        (lambda: nn.Conv2d(4, 6, 0), "kernel_size must be at least 1"),
        (lambda: nn.Conv2d(4, 6, 3, padding="full"), "'same' or 'valid', but is 'full'"),
        (lambda: nn.Conv2d(4, 6, 3, padding="same", stride=2), "padding='same' needs stride 1"),
        (lambda: nn.Conv2d(4, 6, 3, padding_mode="mirror"), "padding_mode must be one of"),
        (lambda: nn.ConvTranspose2d(4, 6, 3, padding_mode="reflect"), "must be 'zeros'"),
        (lambda: nn.Linear(3, 0), "out_features must be at least 1, but is 0"),
        (lambda: nn.Dropout(1.5), r"Dropout: p must be in \[0, 1\], but is 1.5"),
        (lambda: nn.BatchNorm2d(0), "num_features must be at least 1"),
        (lambda: nn.GroupNorm(3, 4), "num_groups=3 must divide num_channels=4"),
        (lambda: nn.LayerNorm(()), "normalized_shape must name at least one axis"),
        (lambda: nn.ZeroPad2d((1, 2)), "left, right, top, bottom"),
        (lambda: nn.BatchNorm2d(3)(zeros(2, 3)), r"input \(N, C, H, W\), but its shape is \(2, 3\) \(in"),
        (lambda: nn.BatchNorm1d(3)(zeros(2, 3, 1, 1)), r"input \(N, C\) or \(N, C, L\), but .* \(2, 3, 1, 1\) \(in"),
        (lambda: nn.BatchNorm2d(3)(zeros(3, 8, 8)), r"shape is \(3, 8, 8\); add the batch axis with unsqueeze\(0\)"),
        (lambda: nn.BatchNorm2d(4)(zeros(2, 3, 8, 8)), r"\(2, 3, 8, 8\) has 3 channels, but num_features is 4"),
    ],
)
def test_arguments_that_make_no_layer_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3.0, 4, 3), "Conv2d: in_channels must be an int, but is float: 3.0"),
        (lambda: nn.Conv2d(3, "4", 3), "Conv2d: out_channels must be an int, but is str: '4'"),
        (lambda: nn.Conv2d(3, 4, 3.0), "kernel_size must be an int or a pair of ints"),
        (lambda: nn.Linear(12 / 2, 4), "Linear: in_features must be an int, but is float: 6.0"),
        (lambda: nn.GroupNorm(2.0, 4), "GroupNorm: num_groups must be an int, but is float: 2.0"),
        (lambda: nn.BatchNorm2d(True), "num_features must be an int, but is bool"),
    ],
)
def test_sizes_that_are_no_ints_are_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 4, 3), (2, 3, 6, 5)),
        (nn.ConvTranspose2d(3, 4, 3), (2, 3, 6, 5)),
        (nn.BatchNorm2d(3), (2, 3, 6, 5)),
        (nn.BatchNorm1d(3), (4, 3)),
        (nn.InstanceNorm2d(3), (2, 3, 6, 5)),
        (nn.GroupNorm(1, 3), (2, 3, 6, 5)),
        (nn.LayerNorm(5), (2, 5)),
        (nn.Linear(5, 2), (2, 5)),
        (nn.MaxPool2d(2), (2, 3, 6, 5)),
        (nn.AdaptiveAvgPool2d(1), (2, 3, 6, 5)),
        (nn.ReLU(), (2, 5)),
        (nn.Softmax(dim=1), (2, 5)),
        (nn.Dropout(), (2, 5)),
        (nn.Flatten(), (2, 3, 6, 5)),
        (nn.Upsample(scale_factor=2), (2, 3, 6, 5)),
        (nn.Identity(), (2, 5)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_layer_takes_a_numpy_array_as_it_takes_a_tensor(layer, shape):
    array = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    layer.eval()
    np.testing.assert_array_equal(layer(array).data, layer(Tensor(array)).data)
