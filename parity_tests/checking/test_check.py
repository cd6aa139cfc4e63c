"""check(forward, backward, params, inputs): where, why, what is fine, and what is no network at all."""

import numpy as np
import pytest
import torch

from handgrad import check
from handgrad.errors import UsageError
from parity_tests.checking.networks import backward, forward, make


def report(wrong="", seed=0, named=("z1", "a1", "z2", "a2"), fresh=True):
    params, inputs = make(np.random.default_rng(seed))
    return check(forward, lambda p, i: backward(p, i, wrong, named), params, inputs, make if fresh else None)


MISTAKES = {
    "no mean": ("da2", "LOSS-NO-MEAN"),
    "no two": ("da2", "LOSS-FACTOR-2"),
    "sign": ("da2", "LOSS-SIGN"),
    "no slope": ("dz2", "ACT-MISSING"),
    "of z": ("dz2", "ACT-PREACT"),
    "twice": ("dz1", "ACT-TWICE"),
    "bias mean": ("db1", "BIAS-MEAN"),
    "bias all": ("db1", "BIAS-SUM-ALL"),
}


@pytest.mark.parametrize("wrong", MISTAKES)
def test_where_and_why(wrong):
    first, cause = MISTAKES[wrong]
    found = report(wrong)
    assert (found.first_wrong, found.stage, found.causes[0].id) == (first, "backward", cause), str(found)


@pytest.mark.parametrize(
    ("wrong", "cause"), [("twice", "ACT-TWICE"), ("no slope", "ACT-MISSING"), ("of z", "ACT-PREACT")]
)
def test_why_without_any_intermediate(wrong, cause):
    """The replay goes through what was not named: the parameters' gradients alone tell the cause."""
    found = report(wrong, named=())
    assert not found.ok
    assert found.causes[0].id == cause, str(found)


def test_a_mistake_that_is_not_known_gets_no_cause():
    found = report("unknown")
    assert found.first_wrong == "dz2"
    assert not found.causes
    assert "no known cause" in str(found)
    assert found.facts


def test_an_error_of_1e_9_in_one_entry_is_found():
    assert report("tiny").first_wrong == "dz1"


def test_a_second_mistake_is_found_by_the_local_rule():
    found = report("two", fresh=False)
    assert found.first_wrong == "dW2"
    assert list(found.also_wrong) == ["db1"]
    assert found.also_wrong["db1"][0].id == "BIAS-MEAN"


@pytest.mark.parametrize("wrong", ["unsummed", "nan"])
def test_shape_and_nan_come_before_numbers(wrong):
    found = report(wrong, fresh=False)
    assert found.first_wrong == {"unsummed": "db2", "nan": "dW1"}[wrong]


def test_a_wrong_forward_is_told_apart():
    found = report("loss")
    assert (found.first_wrong, found.stage) == ("loss", "forward")


@pytest.mark.parametrize(
    ("wrong", "note"), [("deferred", "factor"), ("feature-major", "feature-major"), ("float32", "float32")]
)
def test_what_is_no_mistake(wrong, note):
    found = report(wrong, fresh=False)
    assert found.ok, str(found)
    assert any(note in line for line in found.fine), found.fine


def test_what_is_handed_in_stays():
    params, inputs = make(np.random.default_rng(0))
    kept = {name: array.copy() for name, array in params.items()}
    found = check(forward, lambda p, i: backward(p, i, "overwrites"), params, inputs)
    assert all(np.array_equal(params[name], kept[name]) for name in params)
    assert any("overwrites" in fact for fact in found.facts)


def test_gradients_kept_from_the_last_call():
    kept = {}

    def accumulating(p, i):
        loss, grads, _ = backward(p, i)
        for name, grad in grads.items():
            kept[name] = kept.get(name, 0) + grad
        return loss, dict(kept)

    found = check(forward, accumulating, *make(np.random.default_rng(0)))
    assert found.causes[0].id == "STATE-NOT-ZEROED", str(found)


@pytest.mark.parametrize("seed", range(12))
def test_no_false_alarm(seed):
    found = report(seed=seed)
    assert found.ok, str(found)
    assert max(row.units for row in found.table) < 64


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_loss_changes_no_verdict(scale):
    def scaled(p, i):
        loss, names = forward(p, i)
        return loss * scale, names

    def by_hand(p, i, wrong=""):
        loss, grads, given = backward(p, i, wrong)
        given = {name: value * scale if name.startswith("d") else value for name, value in given.items()}
        return loss * scale, {name: grad * scale for name, grad in grads.items()}, given

    data = make(np.random.default_rng(3))
    assert check(scaled, by_hand, *data).ok
    assert check(scaled, lambda p, i: by_hand(p, i, "tiny"), *data).first_wrong == "dz1"


def test_saturated_sigmoids_are_no_alarm():
    params, inputs = make(np.random.default_rng(5))
    params["W1"] *= 300
    found = check(forward, backward, params, inputs)
    assert found.ok, str(found)


def test_raise_if_wrong():
    report().raise_if_wrong()
    with pytest.raises(AssertionError, match="dz1 goes wrong first"):
        report("twice").raise_if_wrong()


def in_place(p, i):
    z1 = i["x"] @ p["W1"] + p["b1"]
    a1 = z1.relu_()
    return (a1**2).sum(), {"z1": z1, "a1": a1}


WRONG_USE = {
    "a loss of several numbers": (lambda p, i: p["W1"], backward, "shape"),
    "a loss without gradient": (lambda p, i: forward(p, i)[0].detach(), backward, "depends on no parameter"),
    "in place": (in_place, backward, "in place"),
    "no grads": (forward, lambda p, i: 1.0, "backward returned float"),
    "missing": (forward, lambda p, i: (1.0, {"W1": p["W1"]}), "no entry for b1, W2, b2"),
    "a name twice": (lambda p, i: (forward(p, i)[0], {"W1": torch.ones(2)}), backward, "another tensor"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use(case):
    theirs, by_hand, message = WRONG_USE[case]
    with pytest.raises(UsageError, match=message):
        check(theirs, by_hand, *make(np.random.default_rng(0)))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([1.0], "params is a list"),
        ({"W1": np.array([1, 2])}, "give floats"),
        ({"W1": np.array([np.nan])}, "NaN"),
        ({"W1": np.array(["a"])}, "dtype <U1"),
    ],
)
def test_wrong_arrays(params, message):
    with pytest.raises(UsageError, match=message):
        check(forward, backward, params, {})
