"""Every update rule against torch's, step by step: each option alone, every two together, all in a group of its own."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity_tests.optim.rules import OPTIONS, allowed, cases
from parity_tests.optim.twins import follow

RULES = sorted(OPTIONS)


def ids(case):
    return f"{case[0]}({', '.join(case[1])})"


@pytest.mark.parametrize("case", [*cases(0), *cases(1)], ids=ids)
def test_each_option_for_a_hundred_steps(case, dtype):
    follow(*case, dtype, steps=100)


@pytest.mark.parametrize("case", cases(2), ids=ids)
def test_every_two_options(case, dtype):
    follow(*case, dtype, steps=8)


@pytest.mark.parametrize("rule", RULES)
def test_all_options_in_a_group_of_its_own(rule, dtype):
    other = {**OPTIONS[rule], **({"dampening": 0.0} if rule == "SGD" else {})}
    if rule == "Adagrad":  # of a group's own value torch takes no notice
        del other["initial_accumulator_value"]
    follow(rule, {}, dtype, steps=50, other=other)


DECAY = {"weight_decay": st.just(0) | st.floats(0, 0.5), "maximize": st.booleans(), "lr": st.floats(0, 0.3)}
EPS = {"eps": st.sampled_from([1e-8, 1e-3, 0.3])}
BELOW_1 = st.sampled_from([0.0, 0.5]) | st.floats(0.01, 0.98)
ADAM = {**DECAY, **EPS, "betas": st.tuples(BELOW_1, st.floats(0.3, 0.999))}
DECOUPLED = {"decoupled_weight_decay": st.booleans()}
RANGES = {
    "SGD": {**DECAY, "momentum": st.just(0) | st.floats(0, 0.98), "dampening": st.floats(-0.2, 1)},
    "Adam": {**ADAM, **DECOUPLED, "amsgrad": st.booleans()},
    "AdamW": {**ADAM, "amsgrad": st.booleans()},
    "Adamax": ADAM,
    "NAdam": {**ADAM, **DECOUPLED, "momentum_decay": st.floats(0, 2)},
    "RAdam": {**ADAM, **DECOUPLED},
    "RMSprop": {**DECAY, **EPS, "alpha": st.floats(0.3, 0.99), "momentum": st.floats(0, 0.98)},
    "Adagrad": {**DECAY, **EPS, "lr_decay": st.floats(0, 2), "initial_accumulator_value": st.floats(0, 2)},
    "Adadelta": {**DECAY, **EPS, "rho": st.floats(0, 1)},
    "Rprop": {
        **{"lr": DECAY["lr"], "maximize": st.booleans(), "etas": st.tuples(st.floats(0.1, 0.9), st.floats(1.1, 3))},
        "step_sizes": st.tuples(st.floats(0, 0.1), st.floats(0.1, 2)),
    },
    "ASGD": {**DECAY, "lambd": st.floats(0, 0.5), "alpha": st.floats(0, 1), "t0": st.floats(0, 20)},
    "Muon": {
        **{"lr": DECAY["lr"], "weight_decay": DECAY["weight_decay"], "momentum": st.floats(0, 0.98)},
        **{"nesterov": st.booleans(), "ns_steps": st.integers(0, 6)},
        "adjust_lr_fn": st.sampled_from([None, "original", "match_rms_adamw"]),
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_any_options(rule):
    # An average of few gradients that a short memory leaves (beta2 = 0.3) is divided by: 64 units of rounding.
    @settings(max_examples=12, deadline=None, derandomize=True, database=None)
    @given(st.fixed_dictionaries({}, optional=RANGES[rule]))
    def run(options):
        if allowed(rule, options):
            follow(rule, options, "float64", steps=12, units=64)

    run()


def test_radam_takes_the_plain_step_up_to_rho_5():
    """rho_inf is 5 at beta2 = 2/3, and never passed below: all are plain then. With the last, rho_6 is 5 exactly."""
    for beta2 in (0.0, 0.5, 0.66, 2 / 3, 0.67, 0.7, 0.9, 0.999, 0.8397685748659791):
        follow("RAdam", {"betas": (0.9, beta2)}, "float64", steps=12)


def test_asgd_averages_from_t0_on():
    follow("ASGD", {"t0": 3, "lr": 0.3, "lambd": 0.1}, "float64", steps=30)
    follow("ASGD", {"t0": 2.5, "lr": math.pi / 10}, "float32", steps=30)
