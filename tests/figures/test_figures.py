"""Every function that makes a figure is run, and what it drew is asked back from the axes."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from minicnn import Tensor, nn
from minicnn.features.receptive_field import effective_field
from minicnn.figures.bench import rungs_figure, speed_ladder
from minicnn.figures.blocks import branches_figure, window_stack_figure
from minicnn.figures.classification import comparison_figure, confusion_figure
from minicnn.figures.curves import probe_curves, training_curves, transfer_bars
from minicnn.figures.depth import depth_figure
from minicnn.figures.gradients import autograd_figure
from minicnn.figures.graph import draw_graph
from minicnn.figures.images import feature_maps, filter_grid, image_sheet
from minicnn.figures.kernels import tuning_figure
from minicnn.figures.learning import learning_figure
from minicnn.figures.receptive_field import receptive_field_figure


def drawn(figure):
    """The picture, after asserting that something other than the background is on it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    pixels = imread(buffer)
    assert pixels.shape[0] > 50
    assert pixels.shape[1] > 50
    assert pixels[..., :3].std() > 0.01
    return pixels


def test_training_curves_show_the_history():
    history = [
        {"epoch": 1, "loss": 2.0, "validation_accuracy": 0.3},
        {"epoch": 2, "loss": 1.0, "validation_accuracy": 0.6},
    ]
    figure = training_curves(history)
    loss, accuracy = figure.axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[1, 2.0], [2, 1.0]])
    np.testing.assert_array_equal(accuracy.lines[0].get_xydata(), [[1, 0.3], [2, 0.6]])
    drawn(figure)


def test_probe_curves_show_both_networks_and_chance():
    levels = {
        "part": {"trained": [0.2, 0.9], "untrained": [0.2, 0.3]},
        "object": {"trained": [0.1, 0.8], "untrained": [0.1, 0.1]},
    }
    figure = probe_curves(levels, ["stem", "top"], {"part": 1 / 6, "object": 0.1})
    assert [axes.get_title() for axes in figure.axes] == ["part", "object"]
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
    np.testing.assert_array_equal(lines["trained"], [0.1, 0.8])
    np.testing.assert_array_equal(lines["untrained"], [0.1, 0.1])
    assert lines["chance"][0] == 0.1
    drawn(figure)


def test_transfer_bars_have_the_height_of_the_accuracies():
    figure = transfer_bars(
        {"near": {"frozen": 0.9, "scratch": 0.2}, "far": {"frozen": 0.6, "scratch": 0.1}}, chance=0.1
    )
    heights = [patch.get_height() for container in figure.axes[0].containers for patch in container]
    assert heights == [0.9, 0.6, 0.2, 0.1]
    drawn(figure)


def test_image_sheet_has_a_row_a_class_and_leaves_missing_pictures_blank():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 8, 10)).astype(np.uint8)
    figure = image_sheet(images, np.array([0, 1, 0, 1, 0]), ["even", "odd"], per_class=3)
    shown = [bool(axes.images) for axes in figure.axes]
    assert shown == [True, True, True, True, True, False]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), images[2].transpose(1, 2, 0))
    drawn(figure)


def test_filters_share_one_scale_and_grey_is_zero():
    weight = np.zeros((3, 3, 3, 3))
    weight[0, 0, 0, 0], weight[1, 2, 1, 1] = 2.0, -1.0
    figure = filter_grid(weight, columns=2, title="filters")
    first, second, third, blank = (axes.images[0].get_array() if axes.images else None for axes in figure.axes)
    assert first[0, 0, 0] == 1.0
    assert second[1, 1, 2] == 0.25
    assert (third == 0.5).all()
    assert blank is None
    drawn(figure)


def test_feature_maps_show_the_channels_that_vary_most():
    image = np.random.default_rng(0).random((3, 8, 8))
    quiet, loud = np.zeros((2, 4, 4)), np.arange(16.0).reshape(4, 4)
    figure = feature_maps(image, {"stem": np.stack([quiet[0], loud, quiet[1]]), "top": loud[None, :2, :2]}, channels=2)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["picture", "ch 1", "ch 0"]
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), loud)
    drawn(figure)


@pytest.mark.parametrize(
    "function",
    [lambda: image_sheet(np.zeros((2, 4, 8, 8)), np.zeros(2), ["a"]), lambda: filter_grid(np.zeros((2, 16, 3, 3)))],
)
def test_channels_without_colours_are_refused(function):
    with pytest.raises(ValueError, match="1 or 3"):
        function()


def test_the_graph_names_operations_shapes_and_gradient_norms_and_changes_nothing():
    x = Tensor(np.array([[3.0, 4.0]]), requires_grad=True)
    loss = (x * x).sum()
    figure = draw_graph(loss)
    texts = [text.get_text() for text in figure.axes[0].texts if text.get_text()]
    assert any(text.startswith("leaf\n1x2") and "10" in text for text in texts)  # the gradient is (6, 8)
    assert any(text.startswith("sum\nscalar") for text in texts)
    assert len(texts) == 3
    drawn(figure)
    assert x.grad is None
    loss.backward()  # the graph is still there
    np.testing.assert_array_equal(x.grad.data, [[6.0, 8.0]])


def test_autograd_is_drawn_with_the_order_of_backward_and_the_names_of_leaves():
    weight, bias = Tensor(np.array([3.0, 4.0]), requires_grad=True), Tensor(np.array(1.0), requires_grad=True)
    loss = (weight * weight).sum() + bias
    steps, shares = np.array([1e-6, 1e-3]), np.array([1e-9, 1e-5])
    names = {"weight": weight, "bias": bias}
    figure = autograd_figure(loss, names, steps, {"relu": shares}, {"right": np.array([2.0, 1.0])}, every=10)
    graph, check, training = figure.axes
    texts = [text.get_text() for text in graph.texts if text.get_text()]
    orders = [text.partition("\n")[0] for text in texts]
    assert orders in (
        ["1. add", "2. sum", "3. mul", "4. weight", "5. bias"],
        ["1. add", "2. bias", "3. sum", "4. mul", "5. weight"],
    )
    assert {text.partition("\n")[2] for text in texts if "weight" in text} == {"2\n|grad| 10"}  # (6, 8)
    np.testing.assert_array_equal(check.lines[0].get_xydata(), np.transpose([steps, shares]))
    np.testing.assert_array_equal(training.lines[0].get_xydata(), [[10, 2.0], [20, 1.0]])
    drawn(figure)


def test_leaves_of_a_graph_bear_the_names_that_are_given():
    model = nn.Linear(3, 2)
    names = dict(model.named_parameters())
    texts = [text.get_text() for text in draw_graph(model(np.ones((1, 3), "f")).sum(), names=names).axes[0].texts]
    assert {text.partition("\n")[0] for text in texts} >= {"weight", "bias"}


def test_a_graph_of_a_small_network_can_be_drawn():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    drawn(draw_graph(model(Tensor(np.ones((1, 1, 4, 4), np.float32))).sum()))


def test_a_graph_that_is_not_there_or_too_large_is_refused():
    with pytest.raises(RuntimeError, match="no_grad"):
        draw_graph(Tensor(np.ones(2)))
    y = Tensor(np.ones(2), requires_grad=True)
    for _ in range(200):
        y = y + 1
    with pytest.raises(ValueError, match="201 nodes"):
        draw_graph(y)


def test_the_speed_ladder_has_a_mark_for_each_algorithm_and_a_line_at_the_peak():
    shape = {"batch": 64, "c_in": 3, "c_out": 16, "side": 32, "kernel": 3, "stride": 1}
    rates = {"minicnn reference": 4.0, "minicnn direct": 400.0, "torch": 380.0, "peak": 500.0}
    rows = [
        {"operation": "forward", "shape": shape, "GFLOP/s": rates},
        {"operation": "forward + backward", "shape": shape, "GFLOP/s": rates},
        {"operation": "forward", "shape": {**shape, "stride": 2}, "GFLOP/s": {"minicnn direct": 300.0}},
    ]
    figure = speed_ladder({"sections": {"conv": rows}, "summary": {"peak GFLOP/s": {"median": 500.0}}})
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(lines["direct: vector registers"].get_xydata(), [[400, 1], [300, 0]])
    np.testing.assert_array_equal(lines["PyTorch"].get_xydata(), [[380, 1]])
    assert list(lines["multiply-adds in registers only"].get_xdata()) == [500, 500]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["64, 3 \u2192 16, 32\u00d732, 3\u00d73", "64, 3 \u2192 16, 32\u00d732, 3\u00d73 / 2"]
    drawn(figure)


def test_the_rungs_have_bars_marks_and_the_peak_and_the_race_has_a_mark_a_run():
    figure = rungs_figure(
        rates={"python": (0.01, 0.02, 0.03), "direct": (300, 350, 400), "winograd": (500, 600, 800)},
        peak=450,
        own_rate=200,
        errors={"python": 1e-6, "direct": 2e-6, "winograd": 3e-6},
        counts={"python": (576, 1153), "direct": (576, 91), "winograd": (144, 43)},
        lost={"2 threads": [0.25, 0.5], "1 thread": [0, 0]},
    )
    speed, errors, counts, race = figure.axes
    assert speed.get_xscale() == counts.get_xscale() == "log"
    assert [patch.get_width() for patch in speed.patches] == [0.03, 400, 800]
    assert [label.get_text() for label in speed.get_yticklabels()] == ["python", "direct", "winograd"]
    assert list(speed.get_yticks()) == [2, 1, 0]
    points = [line.get_xydata().tolist() for line in speed.lines]
    assert [[300, 1], [400, 1]] in points  # slowest to fastest
    assert [[300, 1], [350, 1]] in points  # ticks
    assert [[200, 0]] in points
    assert any(list(line.get_xdata()) == [450, 450] for line in speed.lines)
    assert {"0.03", "400", "800"} <= {text.get_text() for text in speed.texts}
    np.testing.assert_allclose([line.get_xydata()[0] for line in errors.lines], [[1, 2], [2, 1], [3, 0]])
    moved, multiplied = (line.get_xydata().tolist() for line in counts.lines)
    assert moved == [[1153, 2], [91, 1], [43, 0]]
    assert multiplied == [[576, 2], [576, 1], [144, 0]]
    lines = {line.get_label(): line.get_xydata().tolist() for line in race.lines}
    assert lines == {"2 threads": [[1, 0.25], [2, 0.5]], "1 thread": [[1, 0], [2, 0]]}
    drawn(figure)


def test_receptive_fields_are_drawn_as_squares_and_as_maps_of_what_is_in_use():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 5, 2, padding=2))
    images = np.random.default_rng(0).random((4, 1, 20, 24)).astype(np.float32)
    fields = {layer: effective_field(model, images, layer) for layer in ("0", "1")}
    growth = {"layers": [1, 2, 4], "theoretical": [3, 5, 9], "in use": [3, 4.5, 7.5]}
    figure = receptive_field_figure(
        images[0], {"random": fields, "again": fields}, {"0": "first", "1": "second"}, growth
    )
    left, lines = (next(one for one in figure.axes if one.get_label() == name) for name in ("picture", "growth"))
    maps = [one for one in figure.axes if one.get_label().startswith("map")]
    assert [label.get_text() for label in left.get_legend().get_texts()] == [
        "first: 3 x 3 pixels",
        "second: 7 x 7 pixels",
    ]
    # place 10, 12 of the first map sees from pixel 9 and 11 on; place 5, 6 of the second from 2*5 - 3 and 2*6 - 3
    assert [patch.get_bbox().bounds for patch in left.patches] == [(10.5, 8.5, 3, 3), (8.5, 6.5, 7, 7)]
    assert [one.get_title().split("\n")[0] for one in maps] == ["first", "second", "first", "second"]
    assert maps[1].get_title() == f"second\nuses {fields['1'].width:.1f} of 7"
    np.testing.assert_array_equal(maps[1].images[0].get_array(), fields["1"].map)
    by_label = {line.get_label(): line.get_xydata().tolist() for line in lines.lines}
    assert by_label == {"theoretical": [[1, 3], [2, 5], [4, 9]], "in use": [[1, 3], [2, 4.5], [4, 7.5]]}
    drawn(figure)


def test_a_picture_that_does_not_fit_its_receptive_fields_is_refused():
    field = effective_field(nn.Conv2d(1, 1, 3), np.ones((1, 1, 8, 8), np.float32), "")
    for picture, message in ((np.ones((2, 8, 8)), r"must be \(3 or 1, H, W\)"), (np.ones((1, 9, 8)), r"\(8, 8\), but")):
        with pytest.raises(ValueError, match=message):
            receptive_field_figure(picture, {"a": {"": field}})


def test_the_tuning_figure_shows_kernels_maps_and_answers():
    upright = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    kernels = {"upright": upright, "lying": upright.T}
    maps, picture, edge = np.stack([np.eye(4), -2 * np.eye(4)]), np.eye(6), np.ones((5, 5))
    answers = {"upright": np.array([0.0, 1.0]), "lying": np.array([1.0, 0.0])}
    measured = (np.array([45]), {"upright": np.array([0.75])})
    figure = tuning_figure(kernels, maps, picture, edge, np.array([0, 90]), answers, measured)
    by_title = {one.get_title(): one for one in figure.axes}
    weights = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in by_title["upright kernel"].texts]
    assert [float(weight) for weight in weights] == upright.ravel().tolist()
    np.testing.assert_array_equal(by_title["a drawn edge"].images[0].get_array(), edge)
    shown = [one.images[0] for one in figure.axes if one.get_title() == "its answers (grey: 0)"]
    for image, expected in zip(shown, maps, strict=True):
        np.testing.assert_array_equal(image.get_array(), expected)
        assert image.get_clim() == (-2, 2)
    lines = {line.get_label(): line.get_xydata() for line in by_title["Answers by the direction of the edge"].lines}
    np.testing.assert_array_equal(lines["lying, drawn edges"], [[0, 1], [90, 0]])
    np.testing.assert_array_equal(lines["upright, PartWorld strokes"], [[45, 0.75]])
    drawn(figure)


def test_learning_shows_kernels_curves_rates_and_pairs():
    generator = np.random.default_rng(0)
    teachers = {"plain": generator.random((6, 7)), "noise": generator.random((6, 7))}
    kernels = {name: generator.standard_normal((3, 3, 3)) for name in teachers}
    kernels["noise"][2] = -0.04
    losses = {"plain": 1 / np.arange(1, 11), "noise": 0.1 ** np.arange(10)}
    distances = {name: np.linspace(1, 0, 11) for name in teachers}
    rates = (np.array([0.1, 0.9, 1.1]), np.array([0.5, 0.1, 30.0]))
    pairs = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [-0.8, 0.6]]])
    figure = learning_figure(teachers, kernels, losses, distances, [0, 1, 10], rates, pairs)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:8] == ["plain", "0 steps", "1 step", "10 steps", "noise", "0 steps", "1 step", "10 steps"]
    by_title = {axes.get_title(): axes for axes in figure.axes[8:]}
    assert {text.get_text() for text in figure.axes[7].texts} == {"0.0"}  # a rounded zero has no sign
    np.testing.assert_array_equal(by_title["Loss"].lines[0].get_ydata(), losses["plain"])
    np.testing.assert_array_equal(by_title["Distance to Sobel"].lines[0].get_xdata()[1:], np.arange(1, 11))
    np.testing.assert_array_equal(by_title["Larger steps, up to a limit"].lines[-1].get_xydata(), np.transpose(rates))
    arrows = by_title["Pairs learnt from steepness"].lines[1:]
    np.testing.assert_array_equal([line.get_xydata()[1] for line in arrows], pairs.reshape(4, 2))
    drawn(figure)


def numbers_of_cells(axes):
    """The text of each cell of a matrix, by (row, column)."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts[:-1]}


def test_the_confusion_figure_has_percent_of_the_true_class_by_rows_and_leaves_empty_cells_blank():
    figure = confusion_figure(np.array([[3, 1, 0], [0, 8, 0], [0, 0, 0]]), ["disc", "ring", "star"])
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.images[0].get_array(), [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]])
    assert numbers_of_cells(axes) == {(0, 0): "75", (0, 1): "25", (1, 1): "100"}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["disc  0", "ring  1", "star  2"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]
    assert axes.get_xlabel() == "taken for class"
    assert axes.texts[-1].get_text() == "true class"
    drawn(figure)


def test_a_confusion_matrix_of_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"must be \(3, 3\).*shape \(2, 2\)"):
        confusion_figure(np.eye(2), ["disc", "ring", "star"])


def test_the_comparison_has_means_and_single_seeds_of_both_networks():
    def run(*accuracies):
        rows = enumerate(accuracies, 1)
        return [{"epoch": k, "loss": 2 - value, "validation_accuracy": value} for k, value in rows]

    histories = {"LeNet": [run(0.25, 0.75), run(0.5, 1.0)], "MLP": [run(0.25, 0.25), run(0.0, 0.5)]}
    accuracies = {
        "as drawn": {"LeNet": [0.75, 1.0], "MLP": [0.25, 0.5]},
        "shuffled": {"LeNet": [0.0, 0.25], "MLP": [0.5, 0.5]},
    }
    pictures = {"as drawn": np.zeros((4, 4, 3)), "shuffled": np.ones((4, 4, 3))}
    figure = comparison_figure(histories, accuracies, pictures, np.array([[1, 1], [0, 2]]), ["disc", "ring"])
    by_name = {one.get_label(): one for one in figure.axes}

    lines = {line.get_label(): line.get_xydata().tolist() for line in by_name["accuracy"].lines}
    assert lines["LeNet"] == [[1, 0.375], [2, 0.875]]
    assert lines["MLP"] == [[1, 0.125], [2, 0.375]]
    assert lines["chance"] == [[0, 0.5], [1, 0.5]]
    band = by_name["accuracy"].collections[0].get_paths()[0].vertices
    assert (band.min(axis=0).tolist(), band.max(axis=0).tolist()) == ([1, 0.25], [2, 1.0])
    losses = {line.get_label(): line.get_xydata().tolist() for line in by_name["loss"].lines}
    assert losses["LeNet"] == [[1, 1.625], [2, 1.125]]
    assert losses["chance"][0][1] == pytest.approx(np.log(2))

    bars = by_name["bars"]
    heights = {container.get_label(): [bar.get_height() for bar in container] for container in bars.containers}
    assert heights == {"LeNet": [0.875, 0.125], "MLP": [0.375, 0.5]}
    assert [text.get_text() for text in bars.texts] == ["0.88", "0.12", "0.38", "0.50"]
    points = [line.get_ydata().tolist() for line in bars.lines if line.get_marker() == "o"]
    assert points == [[0.75, 0.0], [1.0, 0.25], [0.25, 0.5], [0.5, 0.5]]
    np.testing.assert_array_equal(by_name["picture shuffled"].images[0].get_array(), pictures["shuffled"])
    assert numbers_of_cells(by_name["confusion"]) == {(0, 0): "50", (0, 1): "50", (1, 1): "100"}


def of_large_mark(axes, row):
    """Where the mean of a network is drawn; its line, its mean and its seeds are drawn after one another."""
    return axes.lines[3 * row + 1].get_xydata().tolist()


def test_a_stack_of_windows_shows_what_one_result_sees_and_what_came_out():
    figure = window_stack_figure({"one 5x5": (5,), "two 3x3": (3, 3)}, {"wide": [0.8, 0.9, 1.0], "small": [0.5, 0.7]})
    one, results, two = figure.axes
    assert [axes.get_title() for axes in (one, two)] == [
        "one 5x5: one result sees 5x5 pixels",
        "two 3x3: one result sees 5x5 pixels",
    ]
    places = [sorted(line.get_xdata().tolist()) for line in two.lines if line.get_marker() == "s"]
    assert [-2.0, -1.0, 0.0, 1.0, 2.0] in places  # the pixels seen
    assert [-1.0, 0.0, 1.0] in places
    assert sum(line.get_marker() == "None" for line in one.lines) == 5  # from the result to each pixel
    assert sum(line.get_marker() == "None" for line in two.lines) == 3 + 3 * 3
    np.testing.assert_allclose(of_large_mark(results, 0), [[0.9, 0]])
    np.testing.assert_allclose(of_large_mark(results, 1), [[0.6, 1]])
    assert [text.get_text() for text in results.texts] == ["wide", "small"]
    drawn(figure)


def test_branches_are_boxes_as_high_as_their_channels_with_their_costs():
    cheap = [([("1x1", 64)], 9.6), ([("1x1", 16), ("5x5", 32)], 12.4)]
    dear = [([("1x1", 64)], 9.6), ([("5x5", 32)], 120.4)]
    figure = branches_figure(192, {"with": cheap, "without": dear}, {"with": [0.8, 0.9]})
    left, right, results = figure.axes
    assert left.get_title() == "with: 22.0 million multiply-adds"
    assert right.get_title() == "without: 130.0 million multiply-adds"
    assert sorted(patch.get_height() for patch in left.patches) == [16, 32, 32, 64, 64, 192]
    assert sorted(patch.get_height() for patch in right.patches) == [32, 32, 64, 64, 192]
    texts = [text.get_text() for text in left.texts]
    assert {"in\n192", "1x1\n16", "5x5\n32", "12.4 M", "out\n96"} <= set(texts)
    np.testing.assert_allclose(of_large_mark(results, 0), [[0.85, 0]])
    drawn(figure)


def test_depth_figure_shows_every_depth_seed_and_layer():
    offsets = np.linspace(-1, 1, 3)
    bowl = np.add.outer(offsets**2, 2 * offsets**2)
    losses = {
        "plain": {8: np.array([[2.0, 1.0], [2.2, 1.2]]), 20: np.array([[2.3, 1.9], [2.3, 2.1]])},
        "residual": {8: np.array([[2.0, 0.8], [2.0, 1.0]]), 20: np.array([[2.1, 0.1], [2.1, 0.3]])},
    }
    gradients = {kind: np.array([[4.0, 1.0], [9.0, 1.0]]) for kind in losses}
    control = ("another's", 20, np.array([[2.4, 2.2]]))
    figure = depth_figure(losses, control, gradients, {"plain": bowl + 2, "residual": 10 * bowl}, offsets)
    plain, residual, end, plain_slice, residual_slice, by_layer = figure.axes
    assert [axes.get_title() for axes in (plain, residual)] == ["Plain: training loss", "Residual: training loss"]
    lines = {line.get_label(): line.get_ydata() for line in plain.lines}
    np.testing.assert_allclose(lines["8 layers"], [2.1, 1.1])
    np.testing.assert_allclose(lines["20 layers"], [2.3, 2.0])
    lines = {line.get_label(): line.get_ydata() for line in end.lines}
    np.testing.assert_allclose(lines["plain"], [1.1, 2.0])
    np.testing.assert_allclose(lines["residual"], [0.9, 0.2])
    np.testing.assert_allclose(lines["another's"], [2.2])
    assert sum(len(line.get_ydata()) for line in end.lines if line.get_marker() == ".") == 8  # a point for every run
    np.testing.assert_allclose(by_layer.lines[0].get_ydata(), [6, 1])  # the geometric mean
    band = by_layer.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (1, 9)  # from the lowest seed to the highest
    assert "lines 0.25 apart" in plain_slice.get_title()
    assert "lines 2 apart" in residual_slice.get_title()
    drawn(figure)


def test_a_slice_is_drawn_with_its_first_direction_to_the_right():
    offsets = np.array([-1.0, 0.0, 1.0])
    surface = np.repeat(offsets[:, None], 3, axis=1)  # it rises along the first direction only
    losses = {"plain": {8: np.array([[2.0, 1.0]])}}
    gradients = {"plain": np.array([[2.0, 1.0]])}
    figure = depth_figure(losses, ("control", 8, np.array([[2.0]])), gradients, {"plain": surface}, offsets)
    shades = figure.axes[2].collections[0].get_array().reshape(3, 3)  # [y, x]
    np.testing.assert_array_equal(shades, [[-1, 0, 1]] * 3)


# Names that matplotlib would read as formulas

ODD_NAMES = ["$5 and $10", r"$\bad$", "a$b_{$c", r"\frac", "x_y^2", "100 %"]


def drawn_texts(figure):
    """All texts of a figure, as matplotlib draws them: without the marks that switch formulas off."""
    from matplotlib.text import Text

    figure.savefig(io.BytesIO(), format="svg")
    texts = [text._preprocess_math(text.get_text()) for text in figure.findobj(Text)]
    return "\n".join(text for text, is_formula in texts if not is_formula)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_are_drawn_as_they_are(name):
    pictures = np.random.default_rng(0).random((4, 3, 8, 8)).astype(np.float32)
    leaf = Tensor(np.ones(3), requires_grad=True)
    stages = {"trained": [0.5, 0.6], "untrained": [0.1, 0.2]}
    for figure in (
        confusion_figure(np.eye(2, dtype=int), [name, "b"]),
        image_sheet(pictures, np.array([0, 1, 0, 1]), [name, "b"], per_class=2),
        feature_maps(pictures[0], {name: pictures[0]}, channels=2),
        filter_grid(pictures, title=name),
        draw_graph((leaf * leaf).sum(), names={name: leaf}),
        probe_curves({"a": stages}, [name, "b"], {"a": 0.1}),
        probe_curves({name: stages}, ["a", "b"], {name: 0.1}),
        transfer_bars({name: {"frozen": 0.5}}, 0.1),
        transfer_bars({"near": {name: 0.5}}, 0.1),
    ):
        assert name in drawn_texts(figure)
