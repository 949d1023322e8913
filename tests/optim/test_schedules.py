"""Learning rates over 50 steps equal torch's, and a schedule continued from its state goes on as it would have."""

import numpy as np
import pytest

from minicnn import optim
from minicnn.nn import Parameter
from minicnn.optim import lr_scheduler as ours


def optimizer_of(rates=(0.1, 0.02), kind="SGD", **settings):
    groups = [{"params": [Parameter(np.zeros(1))], "lr": rate} for rate in rates]
    return getattr(optim, kind)(groups, lr=0.5, **settings)


def torch_optimizer_of(torch, rates=(0.1, 0.02), kind="SGD", **settings):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return getattr(torch.optim, kind)(groups, lr=0.5, **settings)


def halve(step):
    return 0.5**step


MAKERS = {
    "step": lambda s, o: s.StepLR(o, 7, gamma=0.3),
    "multi-step": lambda s, o: s.MultiStepLR(o, [5, 20, 21, 40], gamma=0.5),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.8, total_iters=13),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, T_max=50, eta_min=0.001),
    "cosine, up again": lambda s, o: s.CosineAnnealingLR(o, T_max=15),
    "lambda": lambda s, o: s.LambdaLR(o, halve),
    "lambdas": lambda s, o: s.LambdaLR(o, [halve, lambda step: 1 / (1 + step)]),
    "one cycle": lambda s, o: s.OneCycleLR(o, 0.4, total_steps=50, cycle_momentum=False),
    "one cycle, linear, three phases": lambda s, o: s.OneCycleLR(
        o, [0.4, 0.2], epochs=10, steps_per_epoch=5, pct_start=0.4, anneal_strategy="linear", three_phase=True,
        div_factor=5, final_div_factor=7, cycle_momentum=False,
    ),
    "warm-up, then cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, T_max=45)], [5]
    ),
    "three in a row": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.StepLR(o, 3, 0.5), s.MultiStepLR(o, [4], 0.1)], [5, 25]
    ),
    "warm-up times steps": lambda s, o: s.ChainedScheduler([s.LinearLR(o, 0.25, total_iters=10), s.StepLR(o, 8, 0.5)]),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MAKERS)
def test_fifty_steps_give_torchs_rates(name):
    torch = pytest.importorskip("torch")
    theirs = torch_optimizer_of(torch)
    reference = MAKERS[name](torch.optim.lr_scheduler, theirs)
    mine = optimizer_of()
    schedule = MAKERS[name](ours, mine)
    for _ in range(50):
        np.testing.assert_allclose(
            [group["lr"] for group in mine.param_groups], [group["lr"] for group in theirs.param_groups], rtol=1e-10
        )
        assert schedule.get_last_lr() == [group["lr"] for group in mine.param_groups]
        schedule.step()
        theirs.step()
        reference.step()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "settings"), [("SGD", {"momentum": 0.9}), ("Adam", {})])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_moves_momentum_as_torch_does(kind, settings, three_phase):
    torch = pytest.importorskip("torch")
    arguments = {"max_lr": 0.3, "total_steps": 50, "three_phase": three_phase}
    theirs = torch_optimizer_of(torch, kind=kind, **settings)
    reference = torch.optim.lr_scheduler.OneCycleLR(theirs, **arguments)
    mine = optimizer_of(kind=kind, **settings)
    schedule = ours.OneCycleLR(mine, **arguments)
    for _ in range(50):  # the fiftieth call, after the last batch, is allowed too
        for a, b in zip(mine.param_groups, theirs.param_groups, strict=True):
            assert a["lr"] == pytest.approx(b["lr"], rel=1e-10)
            momenta = [group.get("momentum", group.get("betas", (None,))) for group in (a, b)]
            np.testing.assert_allclose(*momenta, rtol=1e-10)
        schedule.step()
        theirs.step()
        reference.step()


def test_one_cycle_ends():
    schedule = ours.OneCycleLR(optimizer_of(momentum=0.9), 0.1, total_steps=3)
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="made for 3 steps, but this is step 4"):
        schedule.step()


@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 2, "factor": 0.5},
        {"patience": 1, "factor": 0.3, "cooldown": 3, "mode": "max"},
        {"patience": 0, "threshold": 0.05, "threshold_mode": "abs", "min_lr": [0.03, 0.001]},
        {"patience": 1, "threshold": 0.2, "mode": "max", "threshold_mode": "abs", "eps": 0.004},
    ],
)
def test_plateau_cuts_when_torch_does(settings):
    torch = pytest.importorskip("torch")
    theirs = torch_optimizer_of(torch)
    reference = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
    mine = optimizer_of()
    schedule = ours.ReduceLROnPlateau(mine, **settings)
    measures = np.random.default_rng(3).random(50) + np.linspace(1, 0, 50)
    for measure in measures:
        schedule.step(measure)
        reference.step(measure)
        np.testing.assert_allclose(schedule.get_last_lr(), [group["lr"] for group in theirs.param_groups], rtol=1e-12)
    assert schedule.get_last_lr()[0] < 0.1  # it did cut


@pytest.mark.parametrize("name", MAKERS)
def test_a_schedule_continued_from_its_state_goes_on_as_it_would_have(name):
    whole = MAKERS[name](ours, optimizer_of())
    for _ in range(17):
        whole.step()
    state = whole.state_dict()
    resumed = MAKERS[name](ours, optimizer_of(rates=(9.0, 9.0)))
    resumed.load_state_dict(state)
    for _ in range(20):
        assert resumed.get_last_lr() == whole.get_last_lr()
        whole.step()
        resumed.step()


def test_a_plateau_continued_from_its_state_goes_on_as_it_would_have():
    def make():
        return ours.ReduceLROnPlateau(optimizer_of(), patience=2, cooldown=1)

    measures = np.random.default_rng(0).random(30)
    whole, resumed = make(), make()
    for measure in measures[:11]:
        whole.step(measure)
    resumed.load_state_dict(whole.state_dict())
    for measure in measures[11:]:
        whole.step(measure)
        resumed.step(measure)
        assert resumed.get_last_lr() == whole.get_last_lr()


def test_a_state_of_other_groups_is_refused():
    state = ours.StepLR(optimizer_of(rates=(0.1,)), 3).state_dict()
    with pytest.raises(ValueError, match="of 1 groups, but the optimiser has 2"):
        ours.StepLR(optimizer_of(), 3).load_state_dict(state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda o: ours.StepLR(o, 0), "step_size must be positive"),
        (lambda o: ours.LinearLR(o, start_factor=0.0), "start_factor"),
        (lambda o: ours.CosineAnnealingLR(o, 0), "T_max must be positive"),
        (lambda o: ours.LambdaLR(o, [halve]), "1 functions, and the optimiser 2 groups"),
        (lambda o: ours.OneCycleLR(o, 0.1), "total_steps, or both"),
        (lambda o: ours.OneCycleLR(o, 0.1, 10, pct_start=2), "pct_start"),
        (lambda o: ours.OneCycleLR(o, 0.1, 10, anneal_strategy="cosine"), "'cos' or 'linear'"),
        (lambda o: ours.OneCycleLR(o, [0.1], 10), "max_lr has 1 values"),
        (lambda o: ours.ReduceLROnPlateau(o, factor=1.0), "factor must be below 1"),
        (lambda o: ours.ReduceLROnPlateau(o, mode="lower"), "mode is 'min' or 'max'"),
        (lambda o: ours.SequentialLR(o, [ours.StepLR(o, 3)], [4]), "0 rising milestones"),
        (lambda o: ours.SequentialLR(o, [ours.StepLR(optimizer_of(), 3)], []), "another optimiser"),
        (lambda o: ours.ChainedScheduler([]), "at least one schedule"),
    ],
)
def test_settings_that_make_no_sense_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make(optimizer_of())
