"""trace_window: its numbers are those of the layer, forward and backward; it prints and draws these numbers."""

import io
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from minicnn import Tensor, backbones, nn, no_grad, trace_window
from minicnn import functional as F

LAYERS = {
    "plain": nn.Conv2d(3, 4, 3),
    "padded": nn.Conv2d(2, 3, 3, padding=1, bias=False),
    "strided": nn.Conv2d(3, 2, (2, 3), stride=(2, 1), padding=(0, 2)),
    "dilated": nn.Conv2d(2, 2, 3, padding=2, dilation=(2, 1)),
    "grouped": nn.Conv2d(4, 6, 3, padding=1, groups=2),
    "depthwise": nn.Conv2d(3, 6, 3, padding=1, groups=3),
    "one by one": nn.Conv2d(5, 2, 1, stride=2),
    "even, same": nn.Conv2d(2, 2, (2, 4), padding="same"),
    "reflecting": nn.Conv2d(2, 2, 3, padding=2, padding_mode="reflect"),
    "replicating": nn.Conv2d(2, 2, 3, padding=2, stride=2, padding_mode="replicate"),
    "circular": nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
    "many channels": nn.Conv2d(9, 3, 3, padding=1),
    "wide": nn.Conv2d(1, 1, (3, 13), padding=6),
    "float64": nn.Conv2d(2, 3, 3, padding=1).double(),
}
every_layer = pytest.mark.parametrize("name", list(LAYERS))


def image_for(layer, size=(7, 8), seed=0):
    return np.random.default_rng(seed).normal(size=(layer.in_channels, *size)).astype(layer.weight.dtype)


def forward_and_gradients(layer, image, place):
    """One output of the layer, and its gradients for weight and image, by the public way."""
    for parameter in layer.parameters():
        parameter.grad = None
    x = Tensor(image[None], requires_grad=True)
    y = layer(x)[0][place]
    y.backward()
    gradients = layer.weight.grad.data, x.grad.data[0]
    for parameter in layer.parameters():
        parameter.grad = None
    return y.item(), *gradients


@every_layer
def test_every_output_is_what_the_layer_computes(name, capsys):
    layer = LAYERS[name]
    image = image_for(layer)
    with no_grad():
        output = layer(Tensor(image[None])).data[0]
    for channel, i, j in list(np.ndindex(output.shape))[::3]:
        trace = trace_window(layer, image, at=(i, j), channel=channel)
        np.testing.assert_allclose(trace.result, output[channel, i, j], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(trace.output, output[channel, i, j], rtol=0, atol=0)
        np.testing.assert_allclose(trace.products, trace.window.astype(np.float64) * trace.kernel)
        np.testing.assert_allclose(trace.running_sums[-1] + (trace.bias or 0), trace.result, rtol=1e-12)
        assert trace.backward_difference < 1e-6
    assert "FORWARD" in capsys.readouterr().out


@every_layer
def test_the_window_and_the_kernel_are_the_two_gradients(name):
    layer = LAYERS[name]
    image, place = image_for(layer), (layer.out_channels - 1, 1, 2)
    trace = trace_window(layer, image, at=place[1:], channel=place[0])
    _, to_weight, to_image = forward_and_gradients(layer, image, place)
    np.testing.assert_allclose(trace.window, to_weight[place[0]], atol=1e-6)
    np.testing.assert_array_equal(trace.weight_gradient, to_weight)
    np.testing.assert_array_equal(trace.input_gradient, to_image)
    if layer.padding_mode == "zeros":  # the pixels under the kernel receive it, all others nothing
        scattered = np.zeros_like(image)
        for (c, k, m), element in np.ndenumerate(trace.kernel):
            if not trace.padding[k, m]:
                scattered[trace.input_channels[c], trace.rows[k], trace.columns[m]] += element
        np.testing.assert_allclose(scattered, to_image, atol=1e-6)


def test_padding_is_marked_where_the_image_ends():
    trace = trace_window(nn.Conv2d(1, 1, 3, padding=1), np.ones((1, 3, 4), np.float32), at=(0, 3))
    np.testing.assert_array_equal(trace.rows, [-1, 0, 1])
    np.testing.assert_array_equal(trace.columns, [2, 3, 4])
    np.testing.assert_array_equal(trace.padding, [[True, True, True], [False, False, True], [False, False, True]])
    np.testing.assert_array_equal(trace.window[0] == 0, trace.padding)


def test_groups_name_the_channels_of_the_image():
    trace = trace_window(nn.Conv2d(6, 4, 1, groups=2), image_for(nn.Conv2d(6, 4, 1)), channel=3)
    np.testing.assert_array_equal(trace.input_channels, [3, 4, 5])


def test_a_known_window_by_hand():
    """2x2 image (1 2 / 3 4) under the kernel (10 20 / 30 40), bias 5: 10 + 40 + 90 + 160 + 5 = 305."""
    layer = nn.Conv2d(1, 1, 2)
    layer.weight.data = np.array([[[[10, 20], [30, 40]]]], np.float32)
    layer.bias.data = np.array([5], np.float32)
    trace = trace_window(layer, np.array([[[1, 2], [3, 4]]], np.float32))
    np.testing.assert_array_equal(trace.products[0], [[10, 40], [90, 160]])
    assert (trace.result, trace.output, trace.bias, trace.multiply_adds) == (305, 305, 5, 4)
    np.testing.assert_array_equal(trace.weight_gradient[0, 0], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(trace.input_gradient[0], [[10, 20], [30, 40]])


def numbers_under(text, heading, rows, columns):
    """The numbers of the grid whose heading stands at this place, from the lines below it."""
    lines = text.split("\n")
    top = next(k for k, line in enumerate(lines) if heading in line)
    left = lines[top].index(heading)
    grid = [
        re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?", line[left:])[1 : columns + 1]
        for line in lines[top + 2 : top + 2 + rows]
    ]
    return np.array(grid, dtype=float)


@pytest.mark.parametrize("name", ["plain", "padded", "strided", "grouped", "float64"])
def test_what_is_printed_are_the_numbers_returned(name, capsys):
    layer = LAYERS[name]
    trace = trace_window(layer, image_for(layer), at=(0, 2), channel=1)
    text = capsys.readouterr().out
    assert text == f"{trace}\n"
    rows, columns = trace.padding.shape
    forward, backward = text.split("BACKWARD")
    for heading, values in (("window of", trace.window), ("weight[1, 0]", trace.kernel), ("products", trace.products)):
        np.testing.assert_allclose(numbers_under(forward, heading, rows, columns), values[0], atol=6e-5)
    np.testing.assert_allclose(numbers_under(backward, "to weight[1, 0]", rows, columns), trace.window[0], atol=6e-5)
    shown = numbers_under(backward, "to the image", rows, columns)
    np.testing.assert_allclose(shown, trace.kernel[0], atol=6e-4)  # three places on padding
    running = [float(number) for number in re.findall(r"running sum (\S+)", text)]
    np.testing.assert_allclose(running, trace.running_sums, rtol=1e-5)
    result, computed = re.search(r"result (\S+)\nthe layer itself computes (\S+)", text).groups()
    np.testing.assert_allclose([float(result), float(computed)], [trace.result, trace.output], rtol=1e-5)


@every_layer
def test_the_table_fits_a_terminal(name):
    layer = LAYERS[name]
    trace = trace_window(layer, 1000 * image_for(layer), at=(1, 0))
    assert max(map(len, str(trace).split("\n"))) <= 100
    assert str(trace).count("in ( ):") == (2 if trace.padding.any() else 0)


def test_many_channels_are_summed_in_one_line(capsys):
    layer = LAYERS["many channels"]
    trace = trace_window(layer, image_for(layer))
    text = capsys.readouterr().out
    assert text.count("window of the image") == trace.shown == 3
    (rest,) = re.findall(r"input channels 3 to 8    sum (\S+)", text)
    np.testing.assert_allclose(float(rest), trace.products[3:].sum(), rtol=1e-5)
    assert "input channels 3 to 8: in the same way" in text


def test_a_wide_kernel_is_cut_and_says_so(capsys):
    layer = LAYERS["wide"]
    trace_window(layer, image_for(layer, size=(4, 5)), at=(5, 3))
    assert "the first 3 x 12 of 3 x 13" in capsys.readouterr().out


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: x[None], Tensor, lambda x: Tensor(x[None])])
def test_arrays_and_tensors_with_and_without_a_batch_axis(wrap):
    layer = LAYERS["padded"]
    image = image_for(layer)
    assert trace_window(layer, wrap(image), at=(2, 3)).result == trace_window(layer, image, at=(2, 3)).result


def test_a_layer_of_a_network_is_left_as_it_was():
    model = backbones.create("resnet8", width=4, seed=0)
    layer = model.layer1[0].conv1
    before, image = model.state_dict(), image_for(layer)
    layer.weight.grad = Tensor(np.ones_like(layer.weight.data))
    with no_grad():
        trace_window(layer, image)
    np.testing.assert_array_equal(layer.weight.grad.data, 1)
    assert all(np.array_equal(before[key], value) for key, value in model.state_dict().items())
    frozen = model.freeze().layer1[0].conv1
    assert trace_window(frozen, image).backward_difference < 1e-6
    assert not frozen.weight.requires_grad


def test_nan_and_infinity_are_traced():
    layer = LAYERS["padded"]
    image = image_for(layer)
    image[0, 0, 0], image[0, 0, 1] = np.nan, np.inf
    trace = trace_window(layer, image)
    assert np.isnan(trace.result)
    assert np.isnan(trace.output)
    assert "nan" in str(trace)
    trace.figure()


@pytest.mark.parametrize("name", ["padded", "many channels", "wide", "one by one", "reflecting"])
def test_the_figure_holds_the_numbers_and_is_as_wide_as_a_page(name):
    layer = LAYERS[name]
    trace = trace_window(layer, image_for(layer), at=(1, 0), channel=1 if layer.out_channels > 1 else 0)
    figure = trace.figure()
    assert figure.get_size_inches()[0] == 7
    figure.savefig(io.BytesIO(), format="png")
    texts = [text.get_text().replace("\N{MINUS SIGN}", "-") for text in figure.axes[0].texts]
    result = f"{trace.result:.5f}"
    assert result in texts
    assert f"the output (the layer computes {trace.output:.5f})" in texts
    if trace.kernel.shape[2] == 3:
        assert f"{trace.kernel[0, 1, 1]:.3f}".replace("0.", ".", 1) in texts
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer, page = canvas.get_renderer(), figure.bbox
    for text in figure.axes[0].texts:
        extent = text.get_window_extent(renderer)
        assert extent.x0 >= 0, text.get_text()
        assert extent.x1 <= page.width, text.get_text()
        assert extent.y0 >= 0, text.get_text()
        assert extent.y1 <= page.height, text.get_text()


LAYER = nn.Conv2d(3, 4, 3, stride=2, padding=1)
IMAGE = np.zeros((3, 6, 7), np.float32)


@pytest.mark.parametrize("at", [(3, 0), (0, 4), (-1, 0), (9, 9)])
def test_a_place_outside_is_refused_with_the_arithmetic(at):
    message = (
        r"rows are 0 to 2 and columns 0 to 3.*OH = .* = \(6 \+ 2 - 1\*\(3-1\) - 1\)//2 \+ 1 = 3, "
        r"OW = .* = \(7 \+ 2 - 1\*\(3-1\) - 1\)//2 \+ 1 = 4"
    )
    with pytest.raises(ValueError, match=message):
        trace_window(LAYER, IMAGE, at=at)
    assert F.conv2d(IMAGE[None], LAYER.weight, None, 2, 1).shape[2:] == (3, 4)


def test_an_image_too_small_for_any_window_is_refused():
    with pytest.raises(ValueError, match=r"rows are none and columns 0 to 0"):
        trace_window(nn.Conv2d(3, 1, (9, 7)), IMAGE)


@pytest.mark.parametrize("at", [3, (1,), (1, 2, 3), (0.5, 1), "01"])
def test_at_must_be_a_pair_of_ints(at):
    with pytest.raises(TypeError, match=r"at must be a pair of ints, \(row, column\)"):
        trace_window(LAYER, IMAGE, at=at)


def test_other_bad_input_is_named():
    with pytest.raises(ValueError, match="channel=4, but the layer's output channels are 0 to 3"):
        trace_window(LAYER, IMAGE, channel=4)
    with pytest.raises(ValueError, match="channel must be at least 0"):
        trace_window(LAYER, IMAGE, channel=-1)
    with pytest.raises(ValueError, match=r"images of 3 channels, but image has 6.*transpose\(2, 0, 1\)"):
        trace_window(LAYER, IMAGE.transpose(1, 2, 0))
    with pytest.raises(ValueError, match=r"one image .* \(2, 3, 6, 7\); take one of them"):
        trace_window(LAYER, np.stack([IMAGE, IMAGE]))
    with pytest.raises(ValueError, match=r"one image .* \(6, 7\)"):
        trace_window(LAYER, IMAGE[0])
    with pytest.raises(TypeError, match="floating-point image"):
        trace_window(LAYER, IMAGE.astype(np.uint8))


@pytest.mark.parametrize("layer", [nn.Linear(3, 4), nn.ConvTranspose2d(3, 4, 3), nn.ConvReLU2d(3, 4, 3), "conv1"])
def test_only_convolutions_are_traced(layer):
    with pytest.raises(TypeError, match=rf"takes a Conv2d, but got {type(layer).__name__}"):
        trace_window(layer, IMAGE)
