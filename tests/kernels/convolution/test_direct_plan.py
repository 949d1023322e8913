"""The tables of the direct convolution: every product of the definition is in them, once, and nothing else."""

import numpy as np
import pytest

from minicnn.kernels.convolution import direct_plan
from minicnn.kernels.registers.vector import ROWS

LIMITS = direct_plan.Limits(units=4, fewest_positions=8, most_positions=64, numbers=500)
PLENTY = direct_plan.Limits(units=1, fewest_positions=1, most_positions=10**6, numbers=10**9)


def positions_of_unit(tables, unit, images):
    """(image offset, result offset) of each position of a unit, and its zone."""
    number, count, source, target = direct_plan.find_unit(tables, unit, images)
    zone = tables.zones[number]
    places = slice(zone.first_position, zone.first_position + count)
    return source + tables.starts[places], target + tables.destinations[places], zone


def products(tables, images):
    """All products of the tables, as a sorted list of (input number, result number, weight number)."""
    weight_of_line = dict(zip(tables.lines.tolist(), tables.elements.tolist(), strict=True))
    found = []
    for unit in range(len(tables.zone_of_unit)):
        starts, destinations, zone = positions_of_unit(tables, unit, images)
        for run in range(zone.first_run, zone.end_run):
            tap, line, length = tables.runs[3 * run : 3 * run + 3].tolist()
            for i in range(length):
                for start, destination in zip(starts.tolist(), destinations.tolist(), strict=True):
                    found.append((start + tap + i, destination, weight_of_line[line + i]))
    return sorted(found)


def expected(images, size, channels, kernel, stride, padding, dilation, out_size, transposed=False):
    """The same from the definition, for one output channel (or input channel, if transposed)."""
    found = []
    for n, i, j, k, m, c in np.ndindex(images, *out_size, *kernel, channels):
        h = i * stride[0] + k * dilation[0] - padding[0]
        w = j * stride[1] + m * dilation[1] - padding[1]
        if 0 <= h < size[0] and 0 <= w < size[1]:
            pixel, position = (n * size[0] + h) * size[1] + w, (n * out_size[0] + i) * out_size[1] + j
            element = (c * kernel[0] + k) * kernel[1] + m
            found.append(
                (position * channels + c, pixel, element) if transposed else (pixel * channels + c, position, element)
            )
    return sorted(found)


GEOMETRIES = [
    ((5, 6), (3, 2), (1, 1), (1, 1), (1, 1)),
    ((7, 4), (3, 3), (2, 1), (1, 2), (1, 1)),
    ((6, 9), (2, 3), (1, 2), (0, 2), (3, 2)),
    ((4, 4), (1, 1), (3, 3), (0, 0), (1, 1)),
    ((3, 2), (1, 1), (1, 1), (2, 2), (1, 1)),
]


def output_size(size, kernel, stride, padding, dilation):
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    return tuple((s + 2 * p - r) // t + 1 for s, p, r, t in zip(size, padding, reach, stride, strict=True))


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("limits", [LIMITS, PLENTY])
def test_the_forward_plan_has_every_product_once_and_no_padding(geometry, limits):
    size, kernel, stride, padding, dilation = geometry
    out_size = output_size(*geometry)
    axes = [(direct_plan.forward_axis(*a),) for a in zip(out_size, kernel, stride, padding, dilation, strict=True)]
    strides = kernel[1], kernel[0] * kernel[1]
    tables = direct_plan.plan(3, size, 2, 2, out_size, 1, *axes, strides, limits)
    assert products(tables, 3) == expected(3, size, 2, kernel, stride, padding, dilation, out_size)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_input_gradient_plan_has_every_product_once(geometry):
    size, kernel, stride, padding, dilation = geometry
    out_size = output_size(*geometry)
    axes = [direct_plan.input_gradient_axes(*a) for a in zip(size, kernel, stride, padding, dilation, strict=True)]
    strides = kernel[1], kernel[0] * kernel[1]
    tables = direct_plan.plan(3, out_size, 2, 2, size, 1, *axes, strides, LIMITS)
    assert products(tables, 3) == expected(3, size, 2, kernel, stride, padding, dilation, out_size, transposed=True)


def test_every_position_has_a_result_even_where_it_sees_nothing_but_padding():
    axis = direct_plan.forward_axis(7, 1, 1, 2, 1)
    tables = direct_plan.plan(2, (3, 3), 1, 1, (7, 7), 1, (axis,), (axis,), (1, 1), LIMITS)
    units = range(len(tables.zone_of_unit))
    targets = np.concatenate([positions_of_unit(tables, unit, 2)[1] for unit in units])
    np.testing.assert_array_equal(np.sort(targets), np.arange(2 * 49))


def test_zones_of_a_padded_image_are_nine():
    spans = direct_plan.spans(direct_plan.forward_axis(8, 3, 1, 1, 1), 8)
    assert spans == [direct_plan.Span(0, 1, 1, 3), direct_plan.Span(1, 6, 0, 3), direct_plan.Span(7, 1, 0, 2)]


def test_a_bundle_sees_the_taps_of_all_its_pixels():
    axis = direct_plan.forward_axis(8, 3, 1, 1, 1, 2)
    assert axis.taps == (-1, 0, 1, 2)
    assert axis.kernel == ((0, -1), (1, 0), (2, 1), (-1, 2))  # the second pixel's window lies one further
    assert (axis.positions, axis.window_stride, axis.spacing) == (4, 2, 2)
    (axis,) = direct_plan.input_gradient_axes(8, 3, 2, 1, 1, 2)
    # Output i sees pixels 2 i - 1, 2 i, 2 i + 1. So 0 sees pixel 0 through 1, and 0 and 1 see pixel 1 through 2 and 0.
    assert axis.taps == (0, 1)
    assert axis.kernel == ((1, 2), (-1, 0))


def test_runs_join_what_lies_together():
    axis = direct_plan.forward_axis(4, 3, 1, 0, 1)
    tables = direct_plan.plan(1, (6, 6), 5, 5, (4, 4), 1, (axis,), (axis,), (3, 9), LIMITS)
    np.testing.assert_array_equal(tables.runs.reshape(-1, 3), [[0, 0, 15], [30, 15, 15], [60, 30, 15]])
    group = direct_plan.plan(1, (6, 6), 5, 10, (4, 4), 1, (axis,), (axis,), (3, 9), LIMITS)
    np.testing.assert_array_equal(group.runs.reshape(-1, 3)[:2], [[0, 0, 5], [10, 5, 5]])


def test_tap_tables_repeat_the_last_tap_for_a_spare_line():
    axis = direct_plan.forward_axis(4, 3, 1, 0, 1)
    tables = direct_plan.plan(1, (6, 6), 1, 1, (4, 4), 1, (axis,), (axis,), (3, 9), LIMITS)
    assert len(tables.taps) % ROWS == 0
    assert tables.tap_lines.tolist() == [*range(9), *[9] * (len(tables.taps) - 9)]
    assert (tables.taps[9:] == tables.taps[8]).all()


def test_units_keep_to_their_limits_and_fill_their_tiles():
    axis = direct_plan.forward_axis(56, 3, 1, 1, 1)
    limits = direct_plan.Limits(units=32, fewest_positions=64, most_positions=512, numbers=50_000)
    tables = direct_plan.plan(4, (56, 56), 64, 64, (56, 56), 64, (axis,), (axis,), (3, 9), limits)
    largest = tables.zones[0]
    assert (largest.height, largest.width, largest.images) == (54, 54, 1)
    assert largest.rows * 54 % ROWS == 0
    assert 64 <= largest.rows * 54 <= tables.most_positions <= 512
    assert len(tables.zone_of_unit) >= 32
