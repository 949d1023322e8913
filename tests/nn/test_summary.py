"""summary and receptive fields: the papers' numbers, and fields that equal those measured by changing pixels."""

from fractions import Fraction

import numpy as np
import pytest

from minicnn import backbones, nn
from minicnn import functional as F
from minicnn.grad_mode import no_grad
from minicnn.nn.receptive_field import ReceptiveField, largest
from minicnn.nn.summary import multiply_adds
from minicnn.tensor import Tensor


def fields_of(model, shape):
    return {row.path: row.receptive_field for row in nn.summary(model, shape).rows}


def test_resnet20_has_the_papers_numbers():
    report = nn.summary(backbones.create("resnet20", num_classes=10), (3, 32, 32))
    assert report.parameters == 269_722
    assert round(report.multiply_adds / 1e6, 2) == 40.55
    fields = {row.path: row.receptive_field for row in report.rows}
    assert [fields[f"layer{i}.2.bn2"] for i in (1, 2, 3)] == [(15, 15), (37, 37), (81, 81)]


def test_vgg16s_poolings_see_what_the_literature_says():
    layers = []
    for block in (2, 2, 3, 3, 3):
        layers += [nn.Conv2d(1, 1, 3, padding=1) for _ in range(block)] + [nn.MaxPool2d(2)]
    report = nn.summary(nn.Sequential(*layers), (1, 32, 32))
    assert [row.receptive_field[0] for row in report.rows if row.type == "MaxPool2d"] == [6, 16, 44, 100, 212]


def test_vgg16s_multiply_adds_at_224_pixels():
    # 15.47 G: counted by the same function that summary uses, layer by layer, without running the network
    total, channels, side = 0, 3, 224
    for block in ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3):
        for out in block:
            layer = nn.Conv2d(channels, out, 3, padding=1)
            total += multiply_adds(layer, (1, channels, side, side), (1, out, side, side))
            channels = out
        side //= 2
    total += 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert round(total / 1e9, 2) == 15.47


class Branches(nn.Module):
    """A 5x5 branch beside a dilated 3x3 one, a strided shortcut, and a transposed convolution at the end."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(2, 3, (3, 1), stride=(1, 2), padding=(1, 0))
        self.wide = nn.Conv2d(3, 3, 5, stride=2, padding=2)
        self.dilated = nn.Conv2d(3, 3, 3, stride=2, dilation=3, padding=3)
        self.shortcut = nn.Conv2d(3, 6, 1, stride=2)
        self.last = nn.Conv2d(6, 2, (2, 3), padding=(0, 1))

    def forward(self, x):
        x = self.first(x)
        x = F.concat([self.wide(x), self.dilated(x)], 1) + self.shortcut(x)
        return self.last(x)


def measured_field(model, shape, row, column):
    """How many rows and columns of pixels change one place of the output: each pixel is changed in turn."""
    generator = np.random.default_rng(0)
    image = generator.standard_normal((1, *shape))
    with no_grad():
        before = model(Tensor(image)).data[0, :, row, column]
        changed = np.zeros(shape[1:], bool)
        for i in range(shape[1]):
            for j in range(shape[2]):
                other = image.copy()
                other[0, :, i, j] += 1.0
                changed[i, j] = not np.array_equal(before, model(Tensor(other)).data[0, :, row, column])
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def test_a_branched_networks_field_is_the_one_that_changing_pixels_shows():
    model = Branches().double()
    shape = (2, 22, 30)
    assert fields_of(model, shape)["last"] == measured_field(model, shape, 5, 3)


def test_a_transposed_convolutions_field_is_the_largest_that_changing_pixels_shows():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.ConvTranspose2d(2, 1, 3, stride=2, padding=1)
    ).double()
    shape = (1, 14, 14)
    measured = [measured_field(model, shape, row, row) for row in (5, 6)]
    assert fields_of(model, shape)["1"] == max(measured)


def test_behind_a_flattened_map_everything_is_seen():
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 1))
    # 10x8 -> conv 8x6 -> pool 4x3: field 4, stride 2; over all places 4 + 3*2 = 10 and 4 + 2*2 = 8
    assert fields_of(model, (1, 10, 8))["3"] == (10, 8)


def test_a_window_is_placed_on_the_image():
    field = ReceptiveField().after(3, padding=1).after(2, 2).after(3, padding=1)
    assert (field.size, field.stride, field.start) == (8, 2, -3)
    assert field.window(0) == (-3, 5)
    assert field.window(4) == (5, 13)
    assert field.first_centre == 0.5
    assert largest([ReceptiveField(((-1, 2),)), ReceptiveField()]) == ReceptiveField(((-1, 2),))
    assert largest([ReceptiveField(((-3, 1),)), ReceptiveField(((0, 4),))]) == ReceptiveField(((-3, 4),))


def test_behind_an_upsampling_neighbours_see_differently():
    # output 2p and 2p + 1 look at input p (taps 0 and 1); a window of 2 then meets one input or two
    field = ReceptiveField(((0, 4),), 3).after_upsampling(2, 2).after(2)
    assert [field.window(place) for place in range(4)] == [(0, 4), (0, 7), (3, 7), (3, 10)]
    assert (field.size, field.stride) == (7, Fraction(3, 2))
    # with one tap, every other output sees nothing
    sparse = ReceptiveField().after_upsampling(1, 2)
    assert [end - first for first, end in map(sparse.window, range(4))] == [1, 0, 1, 0]
    assert [sparse.after(2).window(place) for place in range(3)] == [(0, 1), (1, 2), (1, 2)]


def test_summary_leaves_modes_statistics_and_gradients_alone():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    model[1].eval()
    before = model.state_dict()
    nn.summary(model, (1, 5, 5))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    np.testing.assert_equal(model.state_dict(), before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_rows_show_shapes_memory_and_multiply_adds_and_count_a_shared_layer_once():
    shared = nn.Conv2d(2, 2, 3, padding=1)
    report = nn.summary(nn.Sequential(shared, nn.ReLU(), shared, nn.ConvTranspose2d(2, 3, 2, stride=2)), (2, 5, 4))
    first, relu, again, last = report.rows
    assert (first.path, first.type, first.output_shape, first.parameters) == ("0", "Conv2d", (2, 5, 4), 38)
    assert first.multiply_adds == again.multiply_adds == 2 * 5 * 4 * 2 * 9
    assert again.parameters == relu.multiply_adds == 0
    assert last.multiply_adds == 2 * 5 * 4 * 3 * 2 * 2  # each input pixel meets each tap of each output channel once
    assert first.activation_bytes == 2 * 5 * 4 * 4
    assert report.parameters == 38 + 27
    shared.freeze()
    assert nn.summary(nn.Sequential(shared, nn.Conv2d(2, 1, 1)), (2, 5, 4)).trainable_parameters == 3


def test_the_table_is_aligned_and_ends_with_the_totals():
    lines = str(nn.summary(backbones.create("lenet5", in_chans=1, num_classes=10), (1, 28, 28))).split("\n")
    assert lines[0].split() == ["layer", "type", "output", "parameters", "multiply-adds", "sees", "KiB"]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert "61,706 parameters (61,706 trainable), 0.42 M multiply-adds" in lines[-1]


def test_models_of_vectors_have_no_field():
    report = nn.summary(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (4,))
    assert [row.receptive_field for row in report.rows] == [None, None]


def test_fields_are_found_inside_no_grad_too():
    with no_grad():
        report = nn.summary(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), (1, 5, 5))
    assert [row.receptive_field for row in report.rows] == [(3, 3), (3, 3)]


def test_a_shape_with_a_batch_axis_is_refused():
    with pytest.raises(ValueError, match="without the batch axis"):
        nn.summary(backbones.create("resnet8"), (1, 3, 32, 32))


def test_a_model_and_a_shape_that_changed_places_are_named():
    model = nn.Linear(3, 2)
    for arguments in (((3,), model), (model, 3)):
        with pytest.raises(TypeError, match=r"summary takes a model and a shape such as \(3, 32, 32\), but got"):
            nn.summary(*arguments)


class Odd(nn.Module):
    """A convolution, and a layer that returns what `function` makes of its result (or of nothing)."""

    def __init__(self, function, with_input=True):
        super().__init__()
        self.conv, self.odd, self.with_input = nn.Conv2d(3, 4, 3), Returning(function), with_input

    def forward(self, x):
        y = self.conv(x)
        self.odd(y) if self.with_input else self.odd()
        return y


class Returning(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


MAP = 4 * 6 * 6 * 4  # bytes of the convolution's output


@pytest.mark.parametrize(
    ("function", "shape", "bytes_", "field"),
    [
        (lambda x: None, (), 0, None),
        (lambda x: 3.0, (), 0, None),
        (lambda x: {"out": x, "size": 3}, (4, 6, 6), MAP, (3, 3)),
        (lambda x: [x, x], (4, 6, 6), 2 * MAP, (3, 3)),
        (lambda x: (None, (x, x)), (4, 6, 6), 2 * MAP, (3, 3)),
        (lambda x: x.mean(), (), 4, (8, 8)),
        (lambda x: x.reshape(16, 9), (9,), MAP, (8, 8)),
    ],
    ids=["None", "a number", "a dictionary", "a list", "a tuple", "a scalar", "other rows"],
)
def test_layers_may_return_anything(function, shape, bytes_, field):
    summary = nn.summary(Odd(function), (3, 8, 8))
    row = summary.rows[1]
    assert (row.path, row.type, row.output_shape) == ("odd", "Returning", shape)
    assert (row.activation_bytes, row.receptive_field, row.multiply_adds) == (bytes_, field, 0)
    assert summary.activation_bytes == MAP + bytes_
    assert "odd    Returning" in str(summary)


def test_a_layer_may_take_nothing():
    row = nn.summary(Odd(lambda: Tensor(np.ones((1, 4), np.float32)), with_input=False), (3, 8, 8)).rows[1]
    assert (row.output_shape, row.activation_bytes, row.receptive_field) == ((4,), 16, None)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)

    def forward(self, x, y):
        return self.conv(x).mean((2, 3)) + self.linear(y)


def test_a_model_may_take_several_inputs():
    summary = nn.summary(TwoInputs(), [(3, 8, 8), (5,)])
    assert summary.input_shape == ((3, 8, 8), (5,))
    assert [(row.path, row.output_shape, row.receptive_field) for row in summary.rows] == [
        ("conv", (4, 6, 6), (3, 3)),
        ("linear", (4,), None),
    ]
    assert summary.multiply_adds == 4 * 36 * 27 + 5 * 4
    assert "TwoInputs for inputs of 3x8x8 and 5: " in str(summary)


def test_another_number_of_inputs_is_told_with_what_to_do():
    for model, shapes in ((TwoInputs(), (3, 8, 8)), (nn.ReLU(), [(4,), (4,)])):
        with pytest.raises(TypeError, match=r"summary gave \d inputs?, one for each shape: give a list of shapes"):
            nn.summary(model, shapes)
    with pytest.raises(ValueError, match=r"must be of one input, .* but is \(1, 3, 8, 8\)"):
        nn.summary(TwoInputs(), [(1, 3, 8, 8), (5,)])
    for shape in ((3, 8.5, 8), "abc", [(3, 8, 8), 5], [(3, "a")]):
        with pytest.raises(TypeError, match=r"must be a shape such as \(3, 32, 32\), or a list of such shapes"):
            nn.summary(TwoInputs(), shape)
