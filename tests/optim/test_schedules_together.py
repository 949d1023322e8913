"""Schedules beside one another, and rates that something else has changed: torch's rates, or an error."""

import numpy as np
import pytest

from minicnn import optim
from minicnn.nn import Parameter
from minicnn.optim import lr_scheduler as ours


def optimizer_of(rate=1.0):
    return optim.SGD([Parameter(np.zeros(1))], lr=rate)


def pairs(make):
    """(optimiser, its schedules, the module lr_scheduler) here and in torch."""
    torch = pytest.importorskip("torch")
    mine, theirs = optimizer_of(), torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    return (mine, make(ours, mine)), (theirs, make(torch.optim.lr_scheduler, theirs))


def rates(optimizer, schedules, steps, changes):
    found = []
    for step in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        if step in changes:
            optimizer.param_groups[0]["lr"] = changes[step]
        for schedule in schedules:
            schedule.step(1.0) if "Plateau" in type(schedule).__name__ else schedule.step()
    return np.array(found)


PLATEAU = {"factor": 0.5, "patience": 1}
TOGETHER = {
    "two kinds of steps": lambda s, o: [s.StepLR(o, 2, 0.5), s.MultiStepLR(o, [3, 3, 7], 0.1)],
    "warm-up and plateau": lambda s, o: [s.LinearLR(o, 0.1, total_iters=3), s.ReduceLROnPlateau(o, **PLATEAU)],
    "cosine and plateau": lambda s, o: [s.CosineAnnealingLR(o, 6, 0.01), s.ReduceLROnPlateau(o, **PLATEAU)],
    "cosine and steps": lambda s, o: [s.CosineAnnealingLR(o, 5, 0.01), s.StepLR(o, 4, 0.5)],
    "warm-up and cosine": lambda s, o: [s.LinearLR(o, 0.2, total_iters=4), s.CosineAnnealingLR(o, 7)],
    "lambda and steps": lambda s, o: [s.LambdaLR(o, lambda step: 0.9**step), s.StepLR(o, 3, 0.5)],
    "a sequence and plateau": lambda s, o: [
        s.SequentialLR(o, [s.LinearLR(o, 0.1, total_iters=4), s.CosineAnnealingLR(o, 9)], [4]),
        s.ReduceLROnPlateau(o, **PLATEAU),
    ],
    "chained, not by factors": lambda s, o: [
        s.ChainedScheduler([s.LinearLR(o, 0.5, total_iters=3), s.CosineAnnealingLR(o, 6, 0.05), s.StepLR(o, 4, 0.5)])
    ],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize("changes", [{}, {1: 0.3, 9: 0.7}])
def test_schedules_side_by_side_give_torchs_rates(name, changes):
    mine, theirs = pairs(TOGETHER[name])
    np.testing.assert_allclose(rates(*mine, 20, changes), rates(*theirs, 20, changes), rtol=1e-9)


ALONE = {
    "step": lambda s, o: [s.StepLR(o, 3, 0.1)],
    "linear": lambda s, o: [s.LinearLR(o, 0.1, 0.0, total_iters=6)],
    "cosine": lambda s, o: [s.CosineAnnealingLR(o, 5, 0.02)],
    "lambda": lambda s, o: [s.LambdaLR(o, lambda step: 1 / (1 + step))],
    "one cycle": lambda s, o: [s.OneCycleLR(o, 0.5, total_steps=20, cycle_momentum=False)],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("when", range(8))
def test_a_rate_set_by_hand_is_taken_up_as_torch_does(name, when):
    mine, theirs = pairs(ALONE[name])
    np.testing.assert_allclose(rates(*mine, 16, {when: 0.3}), rates(*theirs, 16, {when: 0.3}), rtol=1e-9, atol=1e-15)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in ALONE if name != "one cycle"])
def test_a_second_schedule_begins_where_torchs_does(name):
    def make(s, o):
        s.StepLR(o, 10)  # the first phase
        o.param_groups[0]["lr"] = 0.02
        return ALONE[name](s, o)

    mine, theirs = pairs(make)
    np.testing.assert_allclose(rates(*mine, 9, {}), rates(*theirs, 9, {}), rtol=1e-9, atol=1e-15)


def test_a_changed_rate_survives_saving_and_loading():
    def make():
        optimizer = optimizer_of()
        return optimizer, ours.CosineAnnealingLR(optimizer, 10), ours.ReduceLROnPlateau(optimizer, **PLATEAU)

    whole, resumed = make(), make()
    rates(whole[0], whole[1:], 6, {2: 0.5})
    for fresh, used in zip(resumed, whole, strict=True):
        fresh.load_state_dict(used.state_dict())
    np.testing.assert_array_equal(rates(resumed[0], resumed[1:], 8, {}), rates(whole[0], whole[1:], 8, {}))


def test_a_state_without_rates_goes_on_from_the_curve():
    schedule = ours.StepLR(optimizer_of(), 2, 0.5)
    schedule.load_state_dict({"last_epoch": 5, "base_lrs": [0.8]})
    assert schedule.get_last_lr() == [0.2]


@pytest.mark.parametrize("mode", ["min", "max"])
def test_an_equal_measure_is_no_better_one_below_zero_too(mode):
    optimizer = optimizer_of()
    plateau = ours.ReduceLROnPlateau(optimizer, mode=mode, patience=1)
    for _ in range(3):
        plateau.step(-1.0)
    assert plateau.get_last_lr() == [0.1]


def test_a_better_negative_measure_keeps_the_rate():
    plateau = ours.ReduceLROnPlateau(optimizer_of(), patience=0, threshold=0.1)
    for measure in (-1.0, -1.2, -1.5, -2.0):
        plateau.step(measure)
    assert plateau.get_last_lr() == [1.0]
    plateau.step(-2.1)  # better, but by less than a tenth of 2
    assert plateau.get_last_lr() == [0.1]


def test_a_group_added_later_is_cut_by_a_plateau_and_by_factors():
    optimizer = optimizer_of()
    plateau, steps = ours.ReduceLROnPlateau(optimizer, patience=0), ours.StepLR(optimizer, 1, 0.5)
    optimizer.add_param_group({"params": [Parameter(np.zeros(1))], "lr": 0.4})
    for _ in range(2):
        plateau.step(1.0)
    np.testing.assert_allclose(plateau.get_last_lr(), [0.1, 0.04])
    steps.step()
    np.testing.assert_allclose(steps.get_last_lr(), [0.05, 0.02])


def test_a_group_added_later_is_refused_where_the_first_rate_counts():
    optimizer = optimizer_of()
    schedule = ours.CosineAnnealingLR(optimizer, 5)
    plateau = ours.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1])
    optimizer.add_param_group({"params": [Parameter(np.zeros(1))]})
    with pytest.raises(ValueError, match="group 1 was added after this CosineAnnealingLR was made"):
        schedule.step()
    plateau.step(1.0)
    with pytest.raises(ValueError, match="min_lr has 1 values, and the optimiser 2 groups"):
        plateau.step(1.0)


def test_a_schedule_of_anything_else_is_refused():
    for kind in (lambda o: ours.StepLR(o, 3), ours.ReduceLROnPlateau):
        with pytest.raises(TypeError, match="optimizer must be an Optimizer, but is list"):
            kind([Parameter(np.zeros(1))])
