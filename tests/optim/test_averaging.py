"""The moving average of weights: its values, its buffers, swapping in, saving."""

import contextlib

import numpy as np
import pytest

from minicnn import nn
from minicnn.optim import ExponentialMovingAverage


def network():
    return nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))


def set_all(model, value):
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data[...] = value


def test_weights_and_statistics_are_averaged_and_counters_copied():
    model = network()
    ema = ExponentialMovingAverage(model, decay=0.75)
    for value in (8, 4, 0):  # copied; 0.75*8 + 0.25*4 = 7; 0.75*7 + 0.25*0 = 5.25
        set_all(model, value)
        ema.update_parameters(model)
    state = ema.module.state_dict()
    assert (state["0.weight"] == 5.25).all()
    assert (state["1.running_var"] == 5.25).all()
    assert state["1.num_batches_tracked"] == 0


def test_statistics_are_copied_if_asked():
    model = network()
    ema = ExponentialMovingAverage(model, decay=0.75, use_buffers=False)
    for value in (8, 4):
        set_all(model, value)
        ema.update_parameters(model)
    assert (ema.module[1].running_mean.data == 4).all()
    assert (ema.module[1].weight.data == 7).all()


def test_averaging_leaves_the_model_alone_and_asks_for_no_gradients():
    model = network()
    before = model.state_dict()
    ema = ExponentialMovingAverage(model, decay=0.5)
    ema.update_parameters(model)
    ema.module.train()
    assert not any(module.training for module in ema.module.modules())
    assert not any(parameter.requires_grad for parameter in ema.module.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.training
    np.testing.assert_equal(model.state_dict(), before)


def test_swapping_in_shows_the_average_and_gives_the_weights_back_even_after_an_error():
    model = network()
    ema = ExponentialMovingAverage(model, decay=0.5)
    set_all(model, 2)
    ema.update_parameters(model)
    set_all(model, 6)
    seen = []
    with contextlib.suppress(KeyboardInterrupt), ema.swapped_in(model):
        seen.append(model.state_dict()["0.weight"])
        raise KeyboardInterrupt
    assert (seen[0] == 2).all()
    assert (model[0].weight.data == 6).all()
    assert (ema.module[0].weight.data == 2).all()


def test_a_saved_average_goes_on_with_the_same_bits():
    model = network()
    ema = ExponentialMovingAverage(model, decay=0.9)
    ema.update_parameters(model)
    fresh = ExponentialMovingAverage(network(), decay=0.9)
    fresh.load_state_dict(ema.state_dict())
    set_all(model, 0.3)
    for each in (ema, fresh):
        each.update_parameters(model)
    np.testing.assert_equal(fresh.state_dict(), ema.state_dict())


def test_another_model_and_a_senseless_decay_are_refused():
    with pytest.raises(ValueError, match="decay must be in"):
        ExponentialMovingAverage(network(), decay=1.0)
    with pytest.raises(ValueError, match="must have the parameters of the model"):
        ExponentialMovingAverage(network()).update_parameters(nn.Linear(2, 2))


def test_swapping_in_twice_shows_the_average_inside_of_both_blocks():
    model = network()
    ema = ExponentialMovingAverage(model, decay=0.5)
    set_all(model, 2)
    ema.update_parameters(model)
    set_all(model, 6)
    with ema.swapped_in(model):
        with ema.swapped_in(model):
            assert (model[0].weight.data == 2).all()
        assert (model[0].weight.data == 2).all()
        with pytest.raises(RuntimeError, match="another model has the averaged weights"), ema.swapped_in(network()):
            pass
        with pytest.raises(RuntimeError, match=r"update_parameters\(\) must not be called inside swapped_in"):
            ema.update_parameters(model)
    assert (model[0].weight.data == 6).all()
    assert (ema.module[0].weight.data == 2).all()
