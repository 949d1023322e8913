"""What lessons 8 to 10 say in words about their numbers: whoever records them anew must say it anew if it changes."""

from pathlib import Path

import pytest

from minicnn.teach.recorded import read_record

RECORDED = Path(__file__).parents[2] / "lessons" / "recorded"


@pytest.fixture
def value():
    def of(lesson, name):
        return read_record(RECORDED / f"{lesson}.json")["numbers"][name]["value"]

    return of


@pytest.mark.parametrize("name", ["errors_same_cost", "errors_of_relu"])
def test_what_counts_in_lesson_8_is_more_than_three_standard_errors(value, name):
    assert value("08_vgg", name) > 3


def test_what_does_not_count_in_lesson_8_is_less(value):
    assert 0 < value("08_vgg", "errors_same_channels") < 3


def test_deeper_is_worse_without_shortcuts_and_no_worse_with_them_whatever_the_seed(value):
    def ends(kind, which):
        return [value("09_residual", f"{kind}_{depth}{which}") for depth in ("8", "20", "deepest")]

    lowest, highest = ends("plain", "_min"), ends("plain", "_max")
    assert highest[0] < lowest[1]
    assert highest[1] < lowest[2]
    residual_lowest, residual_highest = ends("residual", "_min"), ends("residual", "_max")
    assert residual_highest[1] < residual_lowest[0]
    assert residual_highest[2] < residual_lowest[1]
    assert residual_highest[0] > lowest[0], "with 8 layers the seeds of both kinds overlap"


def test_in_the_plain_network_gradients_grow_and_the_first_layer_is_thrown_off(value):
    assert value("09_residual", "growth_plain_min") > 10 * value("09_residual", "growth_residual_max")
    assert value("09_residual", "first_moved_plain_min") > 1 > 5 * value("09_residual", "first_moved_residual_max")


def test_slices_about_residual_networks_are_bowls_and_about_plain_ones_plateaus(value):
    assert value("09_residual", "downhill_residual_max") < 0.1
    assert value("09_residual", "downhill_plain_min") > 2 * value("09_residual", "downhill_residual_max")
    assert value("09_residual", "slice_lowest_plain") > 1.9
    assert value("09_residual", "slice_highest_plain") < 2.7


def test_another_pictures_shortcut_is_no_better_than_none(value):
    assert value("09_residual", "another_picture_min") > value("09_residual", "plain_deepest_max")


@pytest.mark.parametrize("other", ["without", "keeping"])
def test_what_counts_in_lesson_10_is_more_than_three_standard_errors(value, other):
    assert value("10_inception", f"errors_over_{other}") > 3


@pytest.mark.parametrize("name", ["errors_over_without_wide", "errors_of_deeper"])
def test_what_does_not_count_in_lesson_10_is_less(value, name):
    assert 0 < value("10_inception", name) < 3
