"""Schedulers against torch's: the rates of all groups, bit for bit, at every one of 100 steps."""

import inspect
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from manual import nn
from parity_tests.optim.schedules import CASES, LRS, OURS, TORCH, follow, optimizers, options

# torch warns where a scheduler is stepped before its optimizer, which its SequentialLR does if it is inside another.
pytestmark = pytest.mark.filterwarnings("ignore:Detected call of")


@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("name", CASES)
def test_a_hundred_steps(name, rule):
    follow(CASES[name], rule=rule)


@pytest.mark.parametrize("name", CASES)
def test_a_rate_that_is_changed_by_hand(name):
    """Chained forms go on from it; closed ones do not."""
    follow(CASES[name], steps=40, change=4)


@pytest.mark.parametrize("name", [name for name in CASES if "row" not in name and "chain" not in name])
def test_from_last_epoch_on(name):
    """A second scheduler that is told last_epoch goes on as torch's does."""
    ours, theirs = optimizers()
    schedulers = []
    for where, optimizer in ((OURS, ours), (TORCH, theirs)):

        class Resumed:
            """The module, with last_epoch=6 for every scheduler."""

            def __getattr__(self, scheduler, where=where):
                return lambda *args, **kwargs: getattr(where, scheduler)(*args, last_epoch=6, **kwargs)

        first = CASES[name](where, optimizer)
        for _ in range(6):
            optimizer.step()
            first.step()
        schedulers.append(CASES[name](Resumed(), optimizer))
    for _ in range(20):
        assert schedulers[0].get_last_lr() == schedulers[1].get_last_lr()
        assert schedulers[0].last_epoch == schedulers[1].last_epoch
        assert options(ours) == options(theirs)
        for optimizer, scheduler in zip((ours, theirs), schedulers, strict=True):
            optimizer.step()
            scheduler.step()


CLOSED = [name for name in CASES if name.split()[0] in ("step", "constant", "linear", "exponential", "polynomial")]
CLOSED += ["milestones", "milestone 0", "cosine", "cosine again and again", "cosine of one step"]


@pytest.mark.parametrize("name", CLOSED)
def test_the_closed_form_is_the_chained_one(name):
    """But for rounding: in 100 steps 2.5 units, 123 after the cosine's turns. The closed one is torch's bit for bit."""
    mine, other = follow(CASES[name], steps=0)
    for _ in range(100):
        mine.optimizer.step()
        other.optimizer.step()
        mine.step()
        other.step()
        closed = mine._get_closed_form_lr()
        assert closed == other._get_closed_form_lr()
        scale = [base * 2.3e-16 for base in mine.base_lrs]
        for chained, exact, unit in zip(mine.get_last_lr(), closed, scale, strict=True):
            assert abs(chained - exact) <= (400 if "again" in name else 8) * unit


KINDS = [
    lambda s, o, n, m, a, b: s.LinearLR(o, a, b, n),
    lambda s, o, n, m, a, b: s.ConstantLR(o, a, n),
    lambda s, o, n, m, a, b: s.PolynomialLR(o, n, 3 * a),
    lambda s, o, n, m, a, b: s.CosineAnnealingLR(o, n, a),
    lambda s, o, n, m, a, b: s.CosineAnnealingWarmRestarts(o, n, 1 + m % 4, a),
    lambda s, o, n, m, a, b: s.OneCycleLR(o, a, 100, pct_start=b * 0.9 + 0.0234, three_phase=n % 2 == 0),
    lambda s, o, n, m, a, b: s.CyclicLR(o, 0.1, a, n, m, ["triangular", "triangular2", "exp_range"][n % 3], b),
    lambda s, o, n, m, a, b: s.SequentialLR(o, [s.StepLR(o, m, a), s.LinearLR(o, a, b), s.StepLR(o, n)], [n, n + m]),
]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(KINDS), st.integers(1, 30), st.integers(1, 40), st.floats(0.01, 1), st.floats(0.01, 1))
def test_any_numbers(kind, n, m, a, b):
    follow(lambda s, o: kind(s, o, n, m, a, b), steps=60)


@pytest.mark.parametrize("name", [*sorted(set(OURS.__all__) - {"LRScheduler"})])
def test_the_constructor_is_torchs(name):
    ours, theirs = (inspect.signature(getattr(where, name).__init__).parameters.values() for where in (OURS, TORCH))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("T_mult", [1, 2, 3])
def test_restarts_at_any_epoch(T_mult):
    """By fractions, forwards and backwards; after it step() goes on from there."""
    ours, theirs = optimizers()
    mine, other = (s.CosineAnnealingWarmRestarts(o, 5, T_mult, 0.01) for s, o in ((OURS, ours), (TORCH, theirs)))
    theirs.step()
    for epoch in (0, 0.25, 4.75, 5, 7.3, 33, 61.5, 3, 0.5, 12.3):
        mine.step(epoch)
        other.step(epoch)
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-14)
        assert (mine.T_i, mine.last_epoch) == (other.T_i, other.last_epoch)
    for _ in range(30):
        mine.step()
        other.step()
        assert mine.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-13)


def test_a_first_step_to_any_epoch():
    """A row takes the first step of its schedulers back: step() then goes to 0, and step(7.3) to 7.3."""
    for epoch in (None, 7.3):
        both = []
        for s, o in zip((OURS, TORCH), optimizers(), strict=True):
            restarts = s.CosineAnnealingWarmRestarts(o, 5, 2)
            s.SequentialLR(o, [s.ConstantLR(o), restarts], [20])
            assert restarts.last_epoch == -1
            restarts.step(epoch)
            both.append((restarts.last_epoch, restarts.T_i, restarts.get_last_lr()))
        assert both[0][:2] == both[1][:2] == ((0, 5) if epoch is None else (7, 10))
        assert both[0][2] == pytest.approx(both[1][2], rel=1e-14)


def test_a_restart_that_torchs_logarithm_misses():
    """Period 5 of T_mult = 3 begins at (3^5 - 1) / 2 = 121; log_3(3^5) is rounded to 4.999..., the end of period 4."""
    ours, theirs = optimizers()
    mine, other = (s.CosineAnnealingWarmRestarts(o, 1, 3) for s, o in ((OURS, ours), (TORCH, theirs)))
    theirs.step()
    mine.step(121)
    other.step(121)
    assert mine.get_last_lr() == LRS
    if math.log(243, 3) < 5:
        assert other.get_last_lr() == [0.0] * 3


PLATEAUS = [
    {},
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "cooldown": 3},
    {"patience": 0, "mode": "max", "threshold": 0.1},
    {"patience": 1, "threshold": 0.05, "threshold_mode": "abs"},
    {"patience": 1, "threshold": 0.05, "threshold_mode": "abs", "mode": "max"},
    {"patience": 1, "min_lr": 0.02},
    {"patience": 1, "min_lr": [0.1, 0.2, 0.003]},
    {"patience": 1, "min_lr": (0.1, 0.2, 0.003)},
    {"patience": 0, "eps": 0.01, "factor": 0.9},
]


@pytest.mark.parametrize("arguments", PLATEAUS, ids=str)
def test_plateaus(arguments):
    ours, theirs = optimizers()
    mine, other = (s.ReduceLROnPlateau(o, **arguments) for s, o in ((OURS, ours), (TORCH, theirs)))
    assert mine.get_last_lr() == other.get_last_lr() == LRS
    random = np.random.default_rng(0)
    metrics = [
        *(1 / (1 + np.arange(20)) + 0.05 * random.random(20)),
        np.nan,
        np.inf,
        -np.inf,
        *random.random(40),
        0,
        0,
        0,
    ]
    for step, metric in enumerate([metrics[0], metrics[0], *metrics]):
        if step == 30:
            ours.param_groups[1]["lr"] = theirs.param_groups[1]["lr"] = 0.77
        mine.step(metric)
        other.step(metric)
        assert mine.get_last_lr() == other.get_last_lr()
        state, torchs = mine.state_dict(), other.state_dict()
        assert {key: state[key] for key in torchs} == torchs
        assert state == torchs
        assert type(mine.best) is float


@pytest.mark.parametrize("given", [None, [0.1, 0.2, 0.003, 0.04]])
@pytest.mark.parametrize("low", [0.05, [0.1, 0.2, 0.003]])
def test_a_plateau_with_a_group_that_came_later(low, given):
    """One lowest rate for all is the new group's too; a list of them has to be given anew."""
    both = []
    for s, o in zip((OURS, TORCH), optimizers(), strict=True):
        scheduler = s.ReduceLROnPlateau(o, patience=0, factor=0.5, min_lr=low)
        scheduler.step(1.0)
        new = nn.Parameter(np.ones(1)) if s is OURS else torch.nn.Parameter(torch.ones(1))
        o.add_param_group({"params": [new], "lr": 0.11})
        if given:
            scheduler.min_lrs = given
        elif low != 0.05:
            with pytest.raises(ValueError if s is OURS else RuntimeError, match=r"min_lr has 3 values|min_lrs"):
                scheduler.step(1.0)
            continue
        for _ in range(3):
            scheduler.step(1.0)
        both.append((scheduler.get_last_lr(), scheduler.min_lrs))
    assert both[:1] == both[1:]


@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_lies_on_a_plateaus_bound_is_no_better(mode, threshold_mode):
    """From 8 the bounds are 8 -+ 2 and 8 -+ 0.25. A change of just eps is not made."""
    mine, other = (
        s.ReduceLROnPlateau(o, mode, 0.5, 0, 0.25, threshold_mode, eps=0.5)
        for s, o in zip((OURS, TORCH), optimizers(), strict=True)
    )
    for distance in (0, 0.25, 0.3, 2, 2.1, 3):
        for scheduler in (mine, other):
            scheduler.step(8 + distance if mode == "max" else 8 - distance)
        assert (mine.best, mine.get_last_lr()) == (other.best, other.get_last_lr())
    assert mine.get_last_lr() == LRS


def test_a_phase_without_length():
    """Where torch divides by 0: one step to go up in, or none to come down in."""
    for arguments, rates in [({"pct_start": 0.1}, {0: 2.0}), ({"pct_start": 1.0}, {9: 2.0, 10: 2 / 25 / 1e4})]:
        ours, theirs = optimizers()
        mine = OURS.OneCycleLR(ours, 2.0, 10, **arguments)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            other = TORCH.OneCycleLR(theirs, 2.0, 10, **arguments)
            for _ in range(10):
                theirs.step()
                other.step()
        for step in range(11):
            if step in rates:
                assert mine.get_last_lr() == [rates[step]] * 3
            if step < 10:
                mine.step()
