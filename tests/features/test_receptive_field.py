"""Receptive fields: the literature's figures; in random networks, those that impulses show; Luo et al.'s measure."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minicnn import Tensor, backbones, nn, no_grad
from minicnn import functional as F
from minicnn.features.receptive_field import effective_field, receptive_fields

# The literature's figures


def residual_stages(blocks, convolutions, stem):
    """A network of one channel with the windows of a residual network: `convolutions` are (kernel, first stride)."""
    layers = {"stem": stem}
    for stage, count in enumerate(blocks):
        rows = []
        for block in range(count):
            down = 2 if stage and block == 0 else 1
            rows.append(Block([(kernel, down if strided else 1) for kernel, strided in convolutions], down))
        layers[f"layer{stage + 1}"] = nn.Sequential(*rows)
    return nn.Sequential(layers)


class Block(nn.Module):
    """A row of convolutions, and a strided 1x1 convolution past them."""

    def __init__(self, convolutions, stride):
        super().__init__()
        self.row = nn.Sequential(*(nn.Conv2d(1, 1, k, s, padding=k // 2) for k, s in convolutions))
        self.shortcut = nn.Conv2d(1, 1, 1, stride)

    def forward(self, x):
        return F.relu(self.row(x) + self.shortcut(x))


PHOTOGRAPHS = nn.Sequential(nn.Conv2d(1, 1, 7, 2, padding=3), nn.MaxPool2d(3, 2, padding=1))
BASIC, BOTTLENECK = [(3, True), (3, False)], [(1, False), (3, True), (1, False)]


@pytest.mark.parametrize(
    ("blocks", "convolutions", "stem", "expected"),
    [
        ((2, 2, 2, 2), BASIC, PHOTOGRAPHS, [43, 99, 211, 435]),
        ((3, 4, 6, 3), BASIC, PHOTOGRAPHS, [59, 179, 547, 899]),
        ((3, 4, 6, 3), BOTTLENECK, PHOTOGRAPHS, [35, 91, 267, 427]),
        ((3, 3, 3), BASIC, nn.Conv2d(1, 1, 3, padding=1), [15, 37, 81]),
    ],
    ids=["resnet18", "resnet34", "resnet50", "cifar resnet20"],
)
def test_residual_networks_see_what_the_literature_says(blocks, convolutions, stem, expected):
    fields = receptive_fields(residual_stages(blocks, convolutions, stem), (1, 64, 64))
    stages = [fields[f"layer{stage + 1}"] for stage in range(len(blocks))]
    assert [field.size for field in stages] == [(size, size) for size in expected]
    stem_stride = 1 if len(blocks) == 3 else 4
    assert [field.stride[0] for field in stages] == [stem_stride * 2**stage for stage in range(len(blocks))]


def test_vgg16_sees_what_the_literature_says():
    layers = []
    for block in (2, 2, 3, 3, 3):
        layers += [nn.Conv2d(1, 1, 3, padding=1) for _ in range(block)] + [nn.MaxPool2d(2)]
    fields = receptive_fields(nn.Sequential(*layers), (1, 64, 64)).values()
    pools = [field for field in fields if field.type == "MaxPool2d"]
    assert [field.size for field in pools] == [(size, size) for size in (6, 16, 44, 100, 212)]
    assert [field.stride for field in pools] == [(jump, jump) for jump in (2, 4, 8, 16, 32)]
    # the middle of the first two places of pool1 is that of pixels 0 and 1, moved by nothing: padding keeps the middle
    assert [field.first_centre[0] for field in pools] == [0.5, 1.5, 3.5, 7.5, 15.5]


@pytest.mark.parametrize("name", ["resnet20", "resnet18"])
def test_backbones_see_what_their_levels_declare(name):
    model = backbones.create(name)
    fields = receptive_fields(model, (3, 64, 64))
    for level in model.feature_info:
        size, stride = level.receptive_field, level.reduction
        assert fields[level.module].size == (size, size)
        assert fields[level.module].stride == (stride, stride)


# Random networks, and impulses

MARGIN = 15  # pixels: no window that lies this far from the edges has met padding on the way


@st.composite
def windows(draw):
    """A layer with one window, of one channel, whose every tap counts."""
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    half = kernel[0] // 2, kernel[1] // 2
    padding = draw(st.integers(0, half[0])), draw(st.integers(0, half[1]))
    dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    kind = draw(st.sampled_from(["conv", "max", "average", "transposed", "nearest", "bilinear", "pad", "shuffle"]))
    if kind == "conv":
        mode = draw(st.sampled_from(["zeros", "replicate"]))
        return nn.Conv2d(1, 1, kernel, stride, padding, dilation, padding_mode=mode)
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=draw(st.booleans()))
    if kind == "average":
        return nn.AvgPool2d(kernel, stride, padding)
    if kind == "transposed":
        return nn.ConvTranspose2d(1, 1, kernel, stride, padding, dilation=dilation)
    if kind == "pad":
        return nn.ZeroPad2d(draw(st.tuples(*[st.integers(0, 3)] * 4)))
    if kind == "shuffle":
        return nn.Sequential(nn.Conv2d(1, 4, 1), nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.Conv2d(4, 1, 1))
    return nn.Upsample(scale_factor=draw(st.sampled_from([2, 3])), mode=kind)


class Branches(nn.Module):
    """Windows of two widths beside one another and a strided shortcut, all of them added up."""

    def __init__(self, kernel, dilation, stride):
        super().__init__()
        self.narrow = nn.Conv2d(1, 1, kernel, stride, padding=kernel // 2)
        self.wide = nn.MaxPool2d(3, stride, padding=1)
        self.dilated = nn.Conv2d(1, 1, 3, stride, padding=dilation, dilation=dilation)
        self.shortcut = nn.Conv2d(1, 1, 1, stride)

    def forward(self, x):
        return F.concat([self.narrow(x), self.wide(x)], 1).sum(1, keepdim=True) + self.dilated(x) + self.shortcut(x)


branches = st.builds(Branches, st.sampled_from([1, 3, 5]), st.integers(1, 3), st.integers(1, 2))


def with_weights_of_one(model):
    """All weights 1 and biases 0, so that a change of a pixel can't cancel on its way."""
    for parameter in model.parameters():
        parameter.data[...] = parameter.ndim == 4
    return model.double()


def rows_and_columns_seen(model, shape):
    """Two arrays of truth: [r, i] whether image row r reaches output row i, and likewise for columns.

    A whole row of the image is set to 1 in turn; nothing else can make an output differ from 0.
    """
    height, width = shape
    lines = np.zeros((height + width, 1, height, width))
    for row in range(height):
        lines[row, 0, row, :] = 1
    for column in range(width):
        lines[height + column, 0, :, column] = 1
    with no_grad():
        reached = model(Tensor(lines)).data[:, 0] > 0
    return reached[:height].any(axis=2), reached[height:].any(axis=1)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(2, 4).flatmap(lambda count: st.lists(windows() | branches, min_size=count, max_size=count)))
def test_in_random_networks_the_field_is_what_impulses_show(layers):
    shape = (56, 51)
    model = with_weights_of_one(nn.Sequential(*layers))
    try:
        with no_grad():
            output_size = model(Tensor(np.zeros((1, 1, *shape)))).shape[2:]
    except ValueError as error:
        assume("smaller kernel" not in str(error))  # a map that has become too small for the next window
        raise
    assume(max(output_size) <= 160)
    field = receptive_fields(model, (1, *shape))[str(len(layers) - 1)]
    for axis, (reached, places) in enumerate(zip(rows_and_columns_seen(model, shape), output_size, strict=True)):
        along = (field.down, field.across)[axis]
        for place in range(places):
            seen = np.flatnonzero(reached[:, place])
            first, end = along.window(place)
            # Nothing outside of the window; and in the middle of the image, away from all padding, all of it.
            assert len(seen) == 0 or (first <= seen[0] and seen[-1] < end)
            if first > MARGIN and end < shape[axis] - MARGIN:
                assert (seen[0], seen[-1] + 1) == (first, end) if len(seen) else first == end


def test_the_field_of_a_gate_is_the_whole_image_and_the_map_keeps_its_stride():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3, 2, padding=1)
            self.gate = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            x = self.conv(x)
            return x * self.gate(x.mean((2, 3), keepdim=True))

    field = receptive_fields(Gated(), (1, 9, 12))[""]
    # 9 rows make 5 places, whose windows end at row 2 * 4 - 1 + 3 = 10; 12 columns make 6, up to column 12
    assert [field.box(0, 0), field.box(4, 5)] == [(-1, -1, 10, 12)] * 2
    assert field.stride == (2, 2)


def test_adaptive_pooling_whose_regions_differ_is_told_place_by_place():
    fields = receptive_fields(nn.Sequential(nn.AdaptiveAvgPool2d((3, 2))), (1, 7, 4))
    # regions of torch: rows 0-2, 2-4, 4-6 of 7; columns 0-1, 2-3 of 4
    assert [fields["0"].down.window(i) for i in range(3)] == [(0, 3), (2, 5), (4, 7)]
    assert [fields["0"].across.window(i) for i in range(2)] == [(0, 2), (2, 4)]


def test_a_flattened_map_has_seen_everything_and_a_shared_module_counts_at_its_last_call():
    shared = nn.Conv2d(1, 1, 3)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Flatten(), nn.Linear(20, 2))
    fields = receptive_fields(model, (1, 8, 9))
    assert list(fields) == ["1", "0", "3", "4", ""]
    assert fields["0"].size == (5, 5)
    assert fields["4"].size == (8, 9)


def test_windows_that_the_graph_does_not_tell_are_refused_by_name():
    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x):
            return F.max_pool2d(F.relu(self.conv(x)), 2)

    class Same(nn.Module):
        def forward(self, x):
            return F.conv2d(x, Tensor(np.ones((1, 1, 3, 3), np.float32)), padding=1)

    for model, name in ((Functions(), "max_pool2d"), (Same(), "conv2d")):
        with pytest.raises(ValueError, match=f"calls {name} outside of a layer"):
            receptive_fields(model, (1, 9, 9))


def test_wrong_arguments_are_named():
    for shape in ((9, 9), (1, 1, 9, 9), (1, 0, 9)):
        with pytest.raises(ValueError, match=r"input_shape must be \(C, H, W\)"):
            receptive_fields(nn.Conv2d(1, 1, 3), shape)
    with pytest.raises(TypeError, match="takes a model"):
        receptive_fields((1, 9, 9), nn.Conv2d(1, 1, 3))


# Effective fields


def plain_network(depth, channels=8, kernel=3):
    convolutions = [
        nn.Conv2d(channels if i else 1, channels, kernel, padding=kernel // 2, bias=False) for i in range(depth)
    ]
    return nn.Sequential(*convolutions)


def test_the_effective_field_of_one_convolution_is_its_kernel():
    layer = nn.Conv2d(2, 1, (3, 5), padding=(1, 2))
    result = effective_field(layer, np.zeros((3, 2, 9, 11), np.float32), "", place=(4, 6))
    expected = np.zeros((9, 11))
    strength = np.sqrt(np.square(layer.weight.data[0].astype(float)).sum(axis=0))  # over colours, as the docstring says
    expected[3:6, 4:9] = strength / strength.max()
    np.testing.assert_allclose(result.map, expected, atol=1e-6)
    assert result.place == (4, 6)
    in_use = expected > 0.0455
    np.testing.assert_array_equal(result.in_use, in_use)
    assert result.width == pytest.approx(math.sqrt(in_use.sum()))
    assert result.share == pytest.approx(math.sqrt(in_use.sum() / 15))
    assert str(result) == f"layer '' uses {result.width:.1f} pixels of 3x5: {result.share:.0%}"
    expected_text = "layer '' (Conv2d) sees 3x5 pixels, one every 1x1, the first around (0.0, 0.0)"
    assert str(result.theoretical) == expected_text


def test_the_map_is_the_root_mean_square_of_the_jacobian_over_channels_and_images():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1)).double()
    image = np.random.default_rng(1).standard_normal((1, 1, 7, 7))
    squares = np.zeros((7, 7))
    for channel in range(3):
        pixels = Tensor(image, requires_grad=True)
        model(pixels)[0, channel, 3, 3].backward()
        squares += pixels.grad.data[0, 0] ** 2
    measured = effective_field(model, np.repeat(image, 4000, axis=0), "2", batch_size=1000).map
    np.testing.assert_allclose(measured, np.sqrt(squares / squares.max()), atol=0.03)


def test_outside_of_the_theoretical_field_the_map_is_exactly_zero_and_no_gradient_is_left():
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.MaxPool2d(2)
    )
    images = np.random.default_rng(0).standard_normal((20, 3, 40, 40)).astype(np.float32)
    result = effective_field(model, images, "4")
    top, left, bottom, right = result.theoretical.box(10, 10)
    assert (top, left, bottom, right) == (18, 18, 24, 24)
    assert (result.map[18:24, 18:24] > 0).all()
    assert np.count_nonzero(result.map) == 36
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training for module in model.modules())


@pytest.mark.slow
@pytest.mark.usefixtures("own_random_streams")  # of weights drawn at random, a few in a hundred miss the bounds
def test_the_effective_field_is_a_shrinking_share_of_the_theoretical_one_as_layers_are_added():
    """Luo et al., figure 2 and section 3.1: of random convolutions, the width grows about as the square root."""
    images = np.zeros((30, 1, 97, 97), np.float32)
    widths, shares = [], []
    for depth in (4, 16, 40):
        result = effective_field(plain_network(depth), images, str(depth - 1), generator=np.random.default_rng(depth))
        assert result.theoretical.size == (2 * depth + 1,) * 2
        widths.append(result.width)
        shares.append(result.share)
    assert shares[0] > shares[1] > shares[2]
    exponent = np.log(widths[2] / widths[1]) / np.log(40 / 16)
    assert 0.35 < exponent < 0.75


def test_the_same_generator_gives_the_same_bits():
    images = np.random.default_rng(0).standard_normal((4, 1, 16, 16)).astype(np.float32)
    model = plain_network(3)
    first, second = (effective_field(model, images, "2", generator=np.random.default_rng(3)).map for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_has_no_effective_field_is_said():
    images = np.zeros((2, 1, 8, 8), np.float32)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    for layer in ("3", "conv1"):
        with pytest.raises(ValueError, match=r"puts out no map .* these do: \['0', '1'\]"):
            effective_field(model, images, layer)
    with pytest.raises(ValueError, match="map of 6x6 places"):
        effective_field(model, images, "0", place=(6, 0))
    with pytest.raises(ValueError, match=r"must be \(N, C, H, W\)"):
        effective_field(model, images[0], "0")
    model[0].bias.data[...] = -1.0
    with pytest.raises(ValueError, match="lets nothing pass"):
        effective_field(model, images, "1")
