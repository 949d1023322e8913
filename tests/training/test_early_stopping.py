"""Early stopping stops when it should, and gives the best weights back."""

import math

import pytest

from minicnn.training import EarlyStopping
from tests.training.parts import bits, small_model


def stopped_after(stopping, values):
    """The number of epochs until it says stop, or None."""
    model = small_model()
    for epoch, value in enumerate(values, start=1):
        if stopping.update({"epoch": epoch, stopping.monitor: value}, model):
            return epoch
    return None


@pytest.mark.parametrize(
    ("options", "values", "stop", "best"),
    [
        ({"patience": 2}, [3, 2, 2.5, 2.1, 1], 4, 2),
        ({"patience": 2}, [3, 2, 2.5, 1.9, 2, 1], None, 6),
        ({"patience": 1, "mode": "max"}, [0.1, 0.5, 0.4], 3, 2),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.6, 2.5, 1], 3, 1),
        ({"patience": 2}, [1, math.nan, math.nan], 3, 1),
        ({"patience": 3}, [1, 1, 1, 1], 4, 1),
    ],
)
def test_it_stops_when_patience_ends(options, values, stop, best):
    stopping = EarlyStopping("validation_loss", **options)
    assert stopped_after(stopping, values) == stop
    assert stopping.best_epoch == best
    assert stopping.should_stop == (stop is not None)


def test_the_best_weights_come_back():
    model, stopping = small_model(), EarlyStopping()
    stopping.update({"epoch": 1, "validation_loss": 1.0}, model)
    best = bits(model)
    model[0].weight.data += 1
    stopping.update({"epoch": 2, "validation_loss": 2.0}, model)
    stopping.restore(model)
    assert bits(model) == best


def test_it_goes_on_from_its_state():
    model, stopping, other = small_model(), EarlyStopping(patience=2), EarlyStopping(patience=2)
    stopping.update({"epoch": 1, "validation_loss": 1.0}, model)
    stopping.update({"epoch": 2, "validation_loss": 2.0}, model)
    other.load_state_dict(stopping.state_dict())
    assert other.update({"epoch": 3, "validation_loss": 1.5}, model)


def test_a_number_that_is_not_measured_is_named():
    with pytest.raises(ValueError, match=r"'validation_loss'.*only epoch, loss$"):
        EarlyStopping().update({"epoch": 1, "loss": 2.0}, small_model())
    for options in ({"mode": "least"}, {"patience": 0}, {"min_delta": -1}):
        with pytest.raises(ValueError, match=next(iter(options))):
            EarlyStopping(**options)
