"""check.optimizer: at which step an update rule by hand leaves torch's, and why."""

import numpy as np
import pytest
import torch

from handgrad.checking.optimizer_runs import by_formula, by_torch
from handgrad.checking.optimizers import check_optimizer
from handgrad.checking.rules.update import RIGHT
from handgrad.errors import UsageError
from parity_tests.mistakes import optimizers, optimizers_adaptive

FILES = [optimizers, optimizers_adaptive]
MISTAKES = [mistake for file in FILES for mistake in file.MISTAKES]
VARIANTS = [variant for file in FILES for variant in file.VARIANTS]


def report(rule, wrong="", **options):
    return check_optimizer(
        lambda params, grads, state: rule.step(params, grads, state, wrong),
        rule.torch,
        clip_norm=rule.clip_norm,
        **options,
    )


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: f"{m.rule.name}: {m.wrong}")
def test_why(mistake):
    """Each planted mistake is found; its cause is named first where it is known, and none where it is not."""
    found = report(mistake.rule, mistake.wrong, steps=6)
    assert found.stage == "update"
    assert " at step " in found.first_wrong
    assert [cause.id for cause in found.causes] == ([mistake.id] if mistake.id else []), str(found)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rule", [rule for file in FILES for rule in file.RULES], ids=lambda rule: rule.name)
def test_right(rule, seed):
    """A right rule is at most 2 roundings off, of 64 that are allowed, and its state is torch's."""
    found = report(rule, seed=seed)
    assert found.ok, str(found)
    assert max(row.units for row in found.table) < 2
    assert not found.fine


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v.rule.name}: {v.wrong}")
def test_variant(variant):
    found = report(variant.rule, variant.wrong)
    assert found.ok, str(found)
    assert any(variant.reason in note for note in found.fine) or not variant.reason


SETTINGS = {
    "SGD": [
        {},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        {"momentum": 0.5, "dampening": 0.3},
        {"momentum": 0.9, "weight_decay": 0.1, "maximize": True},
    ],
    "Adam": [{}, {"amsgrad": True, "weight_decay": 0.1, "betas": (0.5, 0.6)}, {"maximize": True}],
    "AdamW": [{}, {"amsgrad": True, "eps": 1e-2}],
    "RMSprop": [{}, {"centered": True, "weight_decay": 0.1}, {"momentum": 0.7, "centered": True}],
    "Adagrad": [{}, {"lr_decay": 0.1, "initial_accumulator_value": 0.4, "weight_decay": 0.1}],
}


@pytest.mark.parametrize(("name", "settings"), [(name, s) for name, all_ in SETTINGS.items() for s in all_])
def test_the_formulas_to_replay_are_torch_s(name, settings):
    """What is changed to get a known mistake is torch's rule to begin with, with all of its settings."""
    rng = np.random.default_rng(3)
    start = {"W": rng.standard_normal((4, 3)), "b": rng.standard_normal(5)}
    gradients = [{key: rng.standard_normal(value.shape) for key, value in start.items()} for _ in range(9)]
    truth = by_torch(lambda tensors: getattr(torch.optim, name)(tensors, lr=0.03, **settings), start, gradients, None)
    replayed = by_formula(RIGHT[truth.optimizer], start, gradients, np.inf, truth)
    assert truth.optimizer == name
    for given, right in zip(replayed.params, truth.params, strict=True):
        for key in start:
            np.testing.assert_allclose(given[key], right[key], rtol=1e-12)


def sgd(tensors):
    return torch.optim.SGD(tensors, lr=0.1, weight_decay=0.2)


def step(params, grads, state, wrong=""):
    sign = {"up the gradient": -1}.get(wrong, 1)
    g = {name: (-grad if wrong == "gradient's sign" else grad) + 0.2 * params[name] for name, grad in grads.items()}
    rate = {"rate": 0.01}.get(wrong, 0.1)
    new = {name: p - sign * rate * g[name] for name, p in params.items()}
    if wrong == "in place":
        for name in params:
            params[name][...] = new[name]
        return None
    if wrong == "one tensor":
        new["b"] = params["b"].copy()
    elif wrong == "second step" and state:
        new["E"][0, 0, 0] *= 1 + 1e-9
    elif wrong == "overwrites":
        grads["W"] *= 2
    elif wrong == "nan":
        new["b"][1] = np.nan
    state["t"] = 1
    return new


def plain(wrong="", **options):
    return check_optimizer(lambda params, grads, state: step(params, grads, state, wrong), sgd, **options)


@pytest.mark.parametrize("wrong", ["", "in place"])
def test_returned_or_in_place(wrong):
    assert plain(wrong).ok


@pytest.mark.parametrize("wrong", ["up the gradient", "gradient's sign"])
def test_signs(wrong):
    found = plain(wrong)
    assert found.causes[0].id == "LOSS-SIGN", str(found)


def test_a_factor_is_a_fact_and_no_cause():
    found = plain("rate")
    assert (found.first_wrong, found.causes) == ("W at step 1", [])
    assert any("0.1 times the right one, and lr" in fact for fact in found.facts), found.facts


@pytest.mark.parametrize(
    ("wrong", "first"),
    [("one tensor", "b at step 1"), ("second step", "E at step 2"), ("nan", "b at step 1")],
)
def test_where(wrong, first):
    found = plain(wrong)
    assert found.first_wrong == first, str(found)
    assert [row.name for row in found.table if row.verdict] == [first.split()[0]]


def test_overwritten_gradients_are_a_fact():
    found = plain("overwrites")
    assert found.ok
    assert "W" in found.facts[0]


def test_the_scale_of_the_parameters_changes_no_verdict():
    for scale in (1e-6, 1e6):
        params = {"b": scale * np.arange(1.0, 4.0), "E": np.full((2, 2, 2), scale)}
        assert plain(params=params).ok
        assert plain("second step", params=params).first_wrong == "E at step 2"


def test_norm_without_the_millionth_is_fine():
    def clip(params, grads, state):
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        return {name: p - 0.1 * grads[name] * min(1.0, 0.7 / norm) for name, p in params.items()}

    found = check_optimizer(clip, lambda tensors: torch.optim.SGD(tensors, lr=0.1), clip_norm=0.7)
    assert found.ok, str(found)
    assert "1e-6" in found.fine[0]


def test_an_optimizer_whose_formula_is_not_known_is_compared_all_the_same():
    def still(params, grads, state):
        return params

    found = check_optimizer(still, torch.optim.NAdam)
    assert (found.first_wrong, found.causes) == ("W at step 1", [])
    assert "leaves W where it is" in found.facts[0]


def test_the_state_is_named_by_step():
    def adam(params, grads, state):
        state["t"] = t = state.get("t", 0) + 1
        new = {}
        for name, p in params.items():
            m = state.setdefault("m", {}).get(name, 0.0)
            v = state.setdefault("v", {}).get(name, 0.0)
            state["m"][name] = m = 0.9 * m + 0.1 * grads[name]
            state["v"][name] = v = (0.99 if t > 2 else 0.999) * v + 0.001 * grads[name] ** 2
            new[name] = p - 0.001 * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return new

    found = check_optimizer(adam, torch.optim.Adam)
    assert found.first_wrong == "W at step 3"
    assert any("state['v']['W']" in fact and "exp_avg_sq from step 3" in fact for fact in found.facts), found.facts
    assert not any("exp_avg " in fact for fact in found.facts)


WRONG_USE = {
    "returns a list": (lambda p, g, s: [1], sgd, {}, "step returned list"),
    "leaves one out": (lambda p, g, s: {"W": p["W"]}, sgd, {}, "without b, E"),
    "another shape": (lambda p, g, s: p | {"b": p["b"][:2]}, sgd, {}, r"step returned b of shape \(2,\)"),
    "no factory": (step, sgd([torch.zeros(1, requires_grad=True)]), {}, "give a function that builds one"),
    "no optimizer": (step, lambda tensors: 3, {}, "returned a int"),
    "asks for the loss": (step, torch.optim.LBFGS, {}, "LBFGS"),
    "a tensor left out": (step, lambda tensors: sgd(tensors[:2]), {}, "no group with E"),
    "no steps": (step, sgd, {"steps": 0}, "steps is 0"),
    "params are a list": (step, sgd, {"params": [1.0]}, "params is a list"),
    "integers": (step, sgd, {"params": {"W": np.array([1])}}, "finite floats"),
}


@pytest.mark.parametrize("case", WRONG_USE)
def test_wrong_use(case):
    by_hand, factory, options, message = WRONG_USE[case]
    with pytest.raises(UsageError, match=message):
        check_optimizer(by_hand, factory, **options)


def test_an_error_in_the_code_under_test_stays_theirs():
    def broken(params, grads, state):
        return state["missing"]

    with pytest.raises(KeyError, match="missing"):
        check_optimizer(broken, sgd)
