"""States of schedulers, to torch and back, and what schedulers refuse."""

import copy

import numpy as np
import pytest
import torch

from manual import nn, optim
from manual.optim.lr_scheduler import factors
from parity_tests.optim.schedules import CASES, OURS, TORCH, optimizers, options

pytestmark = pytest.mark.filterwarnings("ignore:Detected call of")


@pytest.mark.parametrize("to_torch_first", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_go_on_from_the_state_of_the_other_side(name, to_torch_first):
    pairs = [[(CASES[name](s, o), o) for s, o in zip((OURS, TORCH), optimizers(), strict=True)] for _ in range(2)]
    for scheduler, optimizer in pairs[0]:
        for _ in range(13):
            optimizer.step()
            scheduler.step()
    giver = pairs[0][0 if to_torch_first else 1]
    state, groups = copy.deepcopy(giver[0].state_dict()), options(giver[1])
    for scheduler, optimizer in pairs[1]:
        scheduler.load_state_dict(state)
        for group, changed in zip(optimizer.param_groups, groups, strict=True):
            group.update(changed)
    for _ in range(30):
        for scheduler, optimizer in pairs[1]:
            optimizer.step()
            scheduler.step()
        assert pairs[1][0][0].get_last_lr() == pairs[1][1][0].get_last_lr()
        assert options(pairs[1][0][1]) == options(pairs[1][1][1])


@pytest.mark.parametrize("name", CASES)
def test_keys_and_values_are_torchs(name):
    schedulers = [CASES[name](s, o) for s, o in zip((OURS, TORCH), optimizers(), strict=True)]
    for scheduler in schedulers:
        for _ in range(3):
            scheduler.step()
    mine, other = (scheduler.state_dict() for scheduler in schedulers)
    assert set(other) - set(mine) <= {"_get_lr_called_within_step"}
    assert set(mine) <= set(other)
    for key in set(mine) - {"_schedulers"}:
        assert mine[key] == other[key], key


class Decay:
    """A function that is an object: its attributes go into the state."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, t):
        return self.rate**t


@pytest.mark.parametrize("where", [OURS, TORCH])
def test_functions_that_are_objects(where):
    optimizer = optimizers()[where is TORCH]
    build = {
        "lr_lambdas": lambda a, b: where.LambdaLR(optimizer, [Decay(a), Decay(b), lambda t: 1]),
        "_scale_fn_custom": lambda a, b: where.CyclicLR(optimizer, 0.1, 0.9, 4, scale_fn=Decay(a)),
    }
    expected = {"lr_lambdas": [{"rate": 0.9}, {"rate": 0.8}, None], "_scale_fn_custom": {"rate": 0.9}}
    for key, make in build.items():
        state = make(0.9, 0.8).state_dict()
        assert state[key] == expected[key]
        fresh = make(0.1, 0.2)
        fresh.load_state_dict(state)
        assert fresh.state_dict()[key] == expected[key]
        assert where is TORCH or state[key] == expected[key]  # torch's CyclicLR takes it out of what it is handed


def test_states_are_copies():
    ours, _ = optimizers()
    scheduler = OURS.OneCycleLR(ours, 2.0, 100)
    state = scheduler.state_dict()
    state["_schedule_phases"][0]["end_step"] = -7
    state["base_lrs"][0] = 5
    assert scheduler._schedule_phases[0]["end_step"] == 29
    scheduler.load_state_dict(state)
    state["base_lrs"][1] = 6
    assert scheduler.base_lrs[:2] == [5, 0.08]
    decay, milestones, high = Decay(0.5), [4], [1.0, 2.0, 3.0]
    parts = [OURS.LambdaLR(ours, decay), OURS.CyclicLR(ours, 0.1, high, 4, scale_fn=decay)]
    row = OURS.SequentialLR(ours, parts, milestones)
    state = row.state_dict()
    state["_milestones"][0] = 9
    state["_schedulers"][0]["lr_lambdas"][0]["rate"] = 9
    state["_schedulers"][0]["base_lrs"][0] = 9
    state["_schedulers"][1]["_scale_fn_custom"]["rate"] = 9
    milestones[0] = high[0] = parts[0] = 9
    assert row.state_dict()["_milestones"] == [4]
    assert row._schedulers[0].base_lrs[0] != 9
    assert row._schedulers[1].max_lrs[0] == 1.0
    assert decay.rate == 0.5


def test_a_state_of_another_scheduler():
    ours, _ = optimizers()
    state = OURS.StepLR(ours, 3).state_dict()
    with pytest.raises(KeyError, match=r"milestones.*another scheduler than MultiStepLR"):
        OURS.MultiStepLR(ours, [3]).load_state_dict(state)


def test_milestones_may_be_counted_in_a_plain_dict():
    """As a checkpoint has them; 1 is none of them."""
    optimizer, _ = optimizers()
    scheduler = OURS.MultiStepLR(optimizer, [2, 2])
    state = scheduler.state_dict()
    scheduler.load_state_dict({**state, "milestones": dict(state["milestones"])})
    scheduler.step()
    assert scheduler.get_last_lr() == scheduler._get_closed_form_lr() == scheduler.base_lrs


def test_rates_of_numpys_become_pythons():
    ours, _ = optimizers(lrs=[np.float64(0.3), np.float32(1), 1])
    scheduler = OURS.LambdaLR(ours, lambda t: np.float32(0.5) ** t)
    scheduler.step()
    assert all(type(lr) is float for lr in scheduler.base_lrs)
    assert all(type(lr) is float for lr in scheduler.get_last_lr())
    assert all(type(group["lr"]) is float for group in ours.param_groups)


def test_initial_lr_is_kept():
    """A second scheduler on the same optimizer starts from the rates that the first did."""
    ours, theirs = optimizers()
    for where, optimizer in ((OURS, ours), (TORCH, theirs)):
        where.ConstantLR(optimizer, 0.5)
        assert [group["initial_lr"] for group in optimizer.param_groups] == [0.3, 1.0, 0.007]
        assert where.LambdaLR(optimizer, lambda t: 1.0).get_last_lr() == [0.3, 1.0, 0.007]


def test_a_cycle_that_goes_on_keeps_what_the_groups_have():
    """With last_epoch the rates and momentums that the first constructor wrote into the groups count."""
    for build in (
        lambda s, o, high, last: s.OneCycleLR(o, high, 100, max_momentum=high / 3, base_momentum=0.1, last_epoch=last),
        lambda s, o, high, last: s.CyclicLR(o, 0.1, high, max_momentum=high / 3, base_momentum=0.1, last_epoch=last),
    ):
        ours, theirs = optimizers()
        for where, optimizer in ((OURS, ours), (TORCH, theirs)):
            for high, last in ((2.0, -1), (1.0, 6)):
                build(where, optimizer, high, last)
        assert options(ours) == options(theirs)


def test_a_rate_that_training_uses():
    p = nn.Parameter(np.zeros(1))
    optimizer = optim.SGD([p], lr=1.0)
    scheduler = OURS.StepLR(optimizer, 2, gamma=0.5)
    for _ in range(5):
        p.grad = -np.ones(1)
        optimizer.step()
        scheduler.step()
    assert p.data.tolist() == [1 + 1 + 0.5 + 0.5 + 0.25]


REFUSED = [
    (lambda s, o: s.LambdaLR(o, [lambda t: 1]), ValueError, "lr_lambda has 1 values, but the optimizer 3 groups"),
    (lambda s, o: s.MultiplicativeLR(o, [0.5, 0.6, 0.7]), TypeError, "takes functions of the step number"),
    (lambda s, o: s.LambdaLR(o, [lambda t: 1, 0.5, lambda t: 1]), TypeError, "takes functions of the step number"),
    (lambda s, o: s.ConstantLR(o, 1.1), ValueError, "factor is 1.1"),
    (lambda s, o: s.ConstantLR(o, -0.1), ValueError, "factor is -0.1"),
    (lambda s, o: s.LinearLR(o, 0.0), ValueError, "start_factor is 0.0"),
    (lambda s, o: s.LinearLR(o, 1.1), ValueError, "start_factor is 1.1"),
    (lambda s, o: s.LinearLR(o, end_factor=1.1), ValueError, "end_factor is 1.1"),
    (lambda s, o: s.LinearLR(o, end_factor=-0.1), ValueError, "end_factor is -0.1"),
    (lambda s, o: s.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0 is 0"),
    (lambda s, o: s.CosineAnnealingWarmRestarts(o, 2.5), ValueError, "T_0 is 2.5"),
    (lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 0), ValueError, "T_mult is 0"),
    (lambda s, o: s.CosineAnnealingWarmRestarts(o, 2).step(-1), ValueError, "epoch is -1"),
    (lambda s, o: s.OneCycleLR(o, 1.0), ValueError, "has to know its end"),
    (lambda s, o: s.OneCycleLR(o, 1.0, epochs=3), ValueError, "has to know its end"),
    (lambda s, o: s.OneCycleLR(o, 1.0, steps_per_epoch=3), ValueError, "has to know its end"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 0), ValueError, "total_steps is 0"),
    (lambda s, o: s.OneCycleLR(o, 1.0, epochs=0, steps_per_epoch=3), ValueError, "epochs is 0"),
    (lambda s, o: s.OneCycleLR(o, 1.0, epochs=3, steps_per_epoch=1.5), ValueError, "steps_per_epoch is 1.5"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 10, pct_start=1.1), ValueError, "pct_start is 1.1"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 10, pct_start=-0.1), ValueError, "pct_start is -0.1"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 10, anneal_strategy="another"), ValueError, "anneal_strategy is 'another'"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 10, div_factor=0, final_div_factor=0), ValueError, "^div_factor is 0"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 10, final_div_factor=0), ValueError, "final_div_factor is 0"),
    (lambda s, o: s.CyclicLR(o, 0.1, 1.0, 0), ValueError, "step_size_up is 0"),
    (lambda s, o: s.OneCycleLR(o, [1.0, 2.0], 10), ValueError, "max_lr has 2 values"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 10, base_momentum=[0.1]), ValueError, "base_momentum has 1 values"),
    (lambda s, o: s.OneCycleLR(o, 1.0, 10, max_momentum=[0.1]), ValueError, "max_momentum has 1 values"),
    (lambda s, o: s.CyclicLR(o, 0.1, 1.0, mode="another"), ValueError, "mode is 'another'"),
    (lambda s, o: s.CyclicLR(o, 0.1, [1.0]), ValueError, "max_lr has 1 values"),
    (lambda s, o: s.CyclicLR(o, [0.1], 1.0), ValueError, "base_lr has 1 values"),
    (lambda s, o: s.SequentialLR(o, [], []), ValueError, "no schedulers"),
    (lambda s, o: s.SequentialLR(o, [s.StepLR(o, 2)], [3]), ValueError, "1 schedulers and 1 milestones"),
    (lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []), ValueError, "scheduler 0 is a ReduceLROnPlateau"),
    (lambda s, o: s.ChainedScheduler([]), ValueError, "no schedulers"),
    (lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor is 1.0"),
    (lambda s, o: s.ReduceLROnPlateau(o, "another"), ValueError, "mode is 'another'"),
    (lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="another"), ValueError, "threshold_mode is 'another'"),
    (lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]), ValueError, "min_lr has 1 values"),
    (lambda s, o: s.StepLR(o, 3, last_epoch=2), KeyError, 'group 0 has no "initial_lr"'),
]


@pytest.mark.parametrize(("build", "error", "says"), REFUSED)
def test_refused_by_both(build, error, says):
    ours, theirs = optimizers()
    with pytest.raises(error, match=says):
        build(OURS, ours)
    with pytest.raises((ValueError, TypeError, KeyError, ZeroDivisionError)):
        build(TORCH, theirs)


def test_the_ends_of_the_ranges_are_allowed():
    for where, optimizer in zip((OURS, TORCH), optimizers(), strict=True):
        where.ConstantLR(optimizer, 1.0)
        where.LinearLR(optimizer, 1.0, 0.0)
        where.LinearLR(optimizer, 1.0, 1.0)
        where.CosineAnnealingWarmRestarts(optimizer, 1, 1).step(0)
        where.OneCycleLR(optimizer, 1.0, 1, pct_start=0.0)
        where.OneCycleLR(optimizer, 1.0, epochs=1, steps_per_epoch=1, pct_start=0.0)
        where.StepLR(optimizer, 1)
        where.CosineAnnealingLR(optimizer, 1)


def test_refused_by_us_alone():
    """torch divides by 0 at a later step, or by what is not there."""
    ours, theirs = optimizers()
    for build, says in [
        (lambda s: s.PolynomialLR(ours, 2, power=-1), "power is -1"),
        (lambda s: s.CyclicLR(ours, 0.1, 1.0, 2, -1), "step_size_down -1"),
        (lambda s: s.CyclicLR(ours, 0.1, 1.0, -1), "step_size_up is -1"),
        (lambda s: s.StepLR(ours, 0), "step_size is 0"),
        (lambda s: s.ConstantLR(ours, 0.0), "factor is 0.0"),
        (lambda s: s.CosineAnnealingLR(ours, 0), "T_max is 0"),
    ]:
        with pytest.raises(ValueError, match=says):
            build(OURS)
    with pytest.raises(NotImplementedError, match=r"StepLR\.step does not support epoch="):
        OURS.StepLR(ours, 3).step(5)
    with pytest.raises(NotImplementedError, match=r"ReduceLROnPlateau\.step does not support epoch="):
        OURS.ReduceLROnPlateau(ours).step(1.0, 5)
    before = options(theirs)
    for build in (lambda: OURS.StepLR(theirs, 3), lambda: OURS.OneCycleLR(theirs, 1.0, 9),
                  lambda: OURS.CyclicLR(theirs, 1.0, 2.0), lambda: OURS.ReduceLROnPlateau(theirs)):  # fmt: skip
        with pytest.raises(TypeError, match=r"takes an optimizer of manual\.optim, not SGD"):
            build()
    assert options(theirs) == before


def test_momentum_that_is_not_there():
    p, q = nn.Parameter(np.ones(1)), torch.nn.Parameter(torch.ones(1))
    for where, optimizer in ((OURS, optim.Adagrad([p])), (TORCH, torch.optim.Adagrad([q]))):
        for build in (lambda s, o, **k: s.OneCycleLR(o, 1.0, 9, **k), lambda s, o, **k: s.CyclicLR(o, 0.1, 1.0, **k)):
            with pytest.raises(ValueError, match="cycle_momentum"):
                build(where, optimizer)
            build(where, optimizer, cycle_momentum=False)


def test_too_many_steps():
    for where, optimizer in zip((OURS, TORCH), optimizers(), strict=True):
        scheduler = where.OneCycleLR(optimizer, 1.0, 3)
        optimizer.step()
        for _ in range(3):
            scheduler.step()
        with pytest.raises(ValueError, match=r"step"):
            scheduler.step()


def test_schedulers_of_two_optimizers():
    first, second = optimizers()[0], optimizers()[0]
    schedulers = [OURS.StepLR(first, 3), OURS.StepLR(second, 3)]
    for build in (lambda: OURS.SequentialLR(first, schedulers, [3]), lambda: OURS.ChainedScheduler(schedulers),
                  lambda: OURS.ChainedScheduler(schedulers[:1], second)):  # fmt: skip
        with pytest.raises(ValueError, match=r"scheduler \d is of another optimizer"):
            build()


def test_a_base_class_says_what_it_lacks():
    ours, _ = optimizers()
    with pytest.raises(NotImplementedError, match="LRScheduler has no get_lr"):
        OURS.LRScheduler(ours)
    with pytest.raises(NotImplementedError, match="_Factors has no ratio"):
        factors._Factors(ours)
    half = type("Half", (factors._Factors,), {"ratio": lambda self, t: 1})(ours)
    with pytest.raises(NotImplementedError, match="Half has no product"):
        half._restart()
