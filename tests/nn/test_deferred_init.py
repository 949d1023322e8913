"""Initialisation that waits is done once, at the end, and not at all for what something else has filled."""

import numpy as np
import pytest

from minicnn import nn, random
from minicnn.nn import init
from minicnn.nn.deferred_init import is_deferred

pytestmark = pytest.mark.usefixtures("own_random_streams")


class Twice(nn.Module):
    """A network that draws its layers' weights anew, as most do."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.norm = nn.Conv2d(2, 3, 3), nn.Linear(3, 4), nn.BatchNorm2d(3)
        init.normal_(self.first.weight, 0.0, 0.1)
        init.zeros_(self.first.bias)


FILLINGS = {
    "constant_": lambda t: init.constant_(t, 3),
    "zeros_": init.zeros_,
    "ones_": init.ones_,
    "uniform_": init.uniform_,
    "normal_": init.normal_,
    "trunc_normal_": init.trunc_normal_,
    "kaiming_uniform_": init.kaiming_uniform_,
    "kaiming_normal_": init.kaiming_normal_,
    "xavier_uniform_": init.xavier_uniform_,
    "xavier_normal_": init.xavier_normal_,
    "orthogonal_": init.orthogonal_,
    "dirac_": init.dirac_,
}


@pytest.mark.parametrize("name", FILLINGS)
def test_every_function_waits_and_then_does_what_it_would_have_done(name):
    random.manual_seed(1)
    at_once = FILLINGS[name](nn.Parameter(np.full((4, 3, 2, 2), 9, np.float32)))
    random.manual_seed(1)
    waiting = nn.Parameter(np.full((4, 3, 2, 2), 9, np.float32))
    with init.deferred():
        assert FILLINGS[name](waiting) is waiting
        assert (waiting.data == 9).all()
        assert is_deferred(waiting)
    assert not is_deferred(waiting)
    np.testing.assert_array_equal(waiting.data, at_once.data)
    assert not (waiting.data == 9).all()


def test_a_network_that_waited_has_the_same_bits():
    at_once = Twice().state_dict()
    random.manual_seed(0)
    with init.deferred():
        model = Twice()
    np.testing.assert_equal(model.state_dict(), at_once)


def test_what_is_drawn_twice_is_drawn_once(monkeypatch):
    drawn = []
    normal_, uniform_ = init.normal_, init.uniform_
    monkeypatch.setattr(init, "normal_", lambda t, *a: drawn.append(t) or normal_(t, *a))
    with init.deferred():
        weight = nn.Parameter(np.empty((2, 2), np.float32))
        uniform_(weight, 5, 6)
        normal_(weight, 0.0, 1.0)
    assert drawn == [weight]
    assert (weight.data < 5).all()


def test_of_one_stream_the_last_requests_draw_in_their_order():
    def draw():
        generator = np.random.default_rng(3)
        first, second = (nn.Parameter(np.zeros((2, 2), np.float32)) for _ in range(2))
        for weight in (first, second, second, first):
            init.normal_(weight, generator=np.random.default_rng(9) if weight is first else None)
        for weight in (second, first):
            init.normal_(weight, 0.0, 1.0, generator)
        return first, second

    at_once = draw()
    with init.deferred():
        waiting = draw()
    for one, other in zip(at_once, waiting, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_what_was_loaded_is_not_drawn_and_the_rest_is(monkeypatch):
    fresh = Twice().state_dict()
    random.manual_seed(0)
    state = {"first.weight": np.full((3, 2, 3, 3), 7, np.float32), "second.bias": np.full(4, 8, np.float32)}
    with init.deferred():
        model = Twice()
        model.load_state_dict(state, strict=False)
        assert not is_deferred(model.first.weight)
        assert is_deferred(model.second.weight)
    loaded = model.state_dict()
    assert (loaded["first.weight"] == 7).all()
    assert (loaded["second.bias"] == 8).all()
    assert (loaded["first.bias"] == 0).all()
    np.testing.assert_array_equal(loaded["second.weight"], fresh["second.weight"])


def test_after_an_error_nothing_holds_arbitrary_memory():
    at_once = Twice().state_dict()
    random.manual_seed(0)
    models = []

    def build_and_load():
        with init.deferred():
            models.append(Twice())
            models[0].load_state_dict({"first.weight": np.zeros((9, 9))})

    with pytest.raises(ValueError, match="nothing was loaded"):
        build_and_load()
    (model,) = models
    np.testing.assert_equal(model.state_dict(), at_once)
    assert not is_deferred(model.first.weight)


def test_of_two_blocks_the_outer_one_decides():
    with init.deferred():
        with init.deferred():
            weight = init.ones_(nn.Parameter(np.zeros(3, np.float32)))
        assert is_deferred(weight)
        assert (weight.data == 0).all()
    assert (weight.data == 1).all()


def test_wrong_arguments_are_told_at_once():
    weight = nn.Parameter(np.zeros(3, np.float32))
    with init.deferred():
        for function in (init.kaiming_normal_, init.orthogonal_, init.dirac_):
            with pytest.raises(ValueError, match="shape is"):
                function(weight)
        with pytest.raises(ValueError, match="within 4 std"):
            init.trunc_normal_(weight, mean=9.0)
        assert not is_deferred(weight)
