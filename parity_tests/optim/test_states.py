"""States go to torch and back: five steps on one side, loaded into the other, and on from there."""

import copy

import numpy as np
import pytest
import torch

from manual import nn, optim
from parity_tests.optim.rules import OPTIONS
from parity_tests.optim.twins import Twins, to_torch

RULES = sorted(OPTIONS)


def tensors(state):
    """Return our state as torch's."""
    return {
        "state": {i: {key: to_torch(value) for key, value in entries.items()} for i, entries in state["state"].items()},
        "param_groups": state["param_groups"],
    }


def arrays(state):
    """Return torch's state as ours."""
    return {
        "state": {
            i: {key: value.cpu().numpy() for key, value in entries.items()} for i, entries in state["state"].items()
        },
        "param_groups": state["param_groups"],
    }


def options_of(rule):
    chosen = dict(OPTIONS[rule])
    if rule == "SGD":
        del chosen["nesterov"]
    return chosen


def twins_after(rule, dtype, steps=5):
    twins = Twins(rule, options_of(rule), dtype, {"lr": 0.02})
    for _ in range(steps):
        twins.step()
    return twins


@pytest.mark.parametrize("rule", RULES)
def test_the_structure_is_torchs(rule):
    twins = twins_after(rule, "float32")
    mine, other = twins.ours.state_dict(), twins.torchs.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    assert sorted(mine["state"]) == sorted(other["state"])
    for i, entries in mine["state"].items():
        assert set(entries) == set(other["state"][i])
        for key, value in entries.items():
            assert isinstance(value, np.ndarray)
            assert (value.dtype.name, value.shape) == (
                str(other["state"][i][key].dtype).removeprefix("torch."),
                tuple(other["state"][i][key].shape),
            )


@pytest.mark.parametrize("to_torch_first", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_go_on_from_the_state_of_the_other_side(rule, to_torch_first, dtype):
    twins = twins_after(rule, dtype)
    fresh = Twins(rule, {} if rule != "Adagrad" else {"initial_accumulator_value": 0.1}, dtype)
    for p, q, given in zip(fresh.hand, fresh.theirs, twins.hand, strict=True):
        p.data, q.data = given.data.copy(), to_torch(given.data)
    if to_torch_first:
        mine, other = twins.ours.state_dict(), tensors(twins.ours.state_dict())
    else:
        mine, other = arrays(twins.torchs.state_dict()), copy.deepcopy(twins.torchs.state_dict())
    fresh.ours.load_state_dict(mine)
    fresh.torchs.load_state_dict(other)
    # Loaded, torch's eta and mu of ASGD have the parameter's dtype for good; ours are float32 again after a step.
    fresh.compare(dtypes=rule != "ASGD")
    for _ in range(5):
        fresh.step()
        fresh.compare(dtypes=rule != "ASGD")
    assert fresh.ours.state_dict()["param_groups"] == fresh.torchs.state_dict()["param_groups"]


def test_loaded_floats_take_the_parameters_dtype_but_for_step():
    p = nn.Parameter(np.ones(2))
    optimizer = optim.NAdam([p])
    state = {"step": 3, "mu_product": np.float32(0.5), "exp_avg": np.ones(2, np.float32), "exp_avg_sq": np.ones(2)}
    optimizer.load_state_dict({"state": {7: state}, "param_groups": [{**optimizer.param_groups[0], "params": [7]}]})
    assert {key: value.dtype.name for key, value in optimizer.state[p].items()} == {
        "step": "float32",
        "mu_product": "float64",
        "exp_avg": "float64",
        "exp_avg_sq": "float64",
    }


@pytest.mark.parametrize("step", [3, 3.0, np.float64(3)])
def test_a_count_of_steps_that_is_a_number(step):
    """As torch kept it once, and as JSON does."""
    p, q = nn.Parameter(np.array([1.0, -2.0])), torch.nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64))
    ours, theirs = optim.Adam([p]), torch.optim.Adam([q])
    averages = {"exp_avg": np.array([0.3, 0.1]), "exp_avg_sq": np.array([0.2, 0.7])}
    states = [{"step": step, **averages}, {"step": step, **{key: to_torch(value) for key, value in averages.items()}}]
    for optimizer, state in zip((ours, theirs), states, strict=True):
        optimizer.load_state_dict({"state": {0: state}, "param_groups": optimizer.state_dict()["param_groups"]})
    p.grad, q.grad = np.array([0.5, 0.7]), torch.tensor([0.5, 0.7], dtype=torch.float64)
    ours.step()
    theirs.step()
    assert ours.state[p]["step"] == 4
    np.testing.assert_allclose(p.data, q.detach().cpu().numpy(), rtol=1e-15)


def test_states_are_copies():
    twins = twins_after("Adam", "float64")
    state = twins.ours.state_dict()
    kept = copy.deepcopy(state)
    fresh = Twins("Adam", {}, "float64")
    fresh.ours.load_state_dict(state)
    state["state"][0]["exp_avg"][:] = 7
    assert np.array_equal(fresh.ours.state_dict()["state"][0]["exp_avg"], kept["state"][0]["exp_avg"])
    assert np.array_equal(twins.ours.state_dict()["state"][0]["exp_avg"], kept["state"][0]["exp_avg"])
    state["param_groups"][0]["params"].append(9)
    assert fresh.ours.state_dict()["param_groups"][0]["params"] == [0, 1, 2]


def test_options_that_the_state_lacks_are_the_defaults():
    p = nn.Parameter(np.ones(2))
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5)
    optimizer.load_state_dict({"state": {}, "param_groups": [{"lr": 0.25, "initial_lr": 1, "params": [0]}]})
    assert optimizer.param_groups[0] == {**optimizer.defaults, "lr": 0.25, "initial_lr": 1, "params": [p]}


def test_names_are_kept_where_the_state_has_none():
    for given, expected in [({}, ["own"]), ({"param_names": ["theirs"]}, ["theirs"])]:
        p, q = nn.Parameter(np.ones(2)), torch.nn.Parameter(torch.ones(2))
        ours, theirs = optim.SGD([("own", p)]), torch.optim.SGD([("own", q)])
        for optimizer in (ours, theirs):
            optimizer.load_state_dict({"state": {}, "param_groups": [{"lr": 0.25, "params": [0], **given}]})
            assert optimizer.param_groups[0]["param_names"] == expected


def test_adamw_stays_decoupled():
    p, q = nn.Parameter(np.ones(2)), torch.nn.Parameter(torch.ones(2))
    ours, theirs = optim.AdamW([p]), torch.optim.AdamW([q])
    for mine, adam in ((ours, optim.Adam([p])), (theirs, torch.optim.Adam([q]))):
        mine.load_state_dict(adam.state_dict())
        assert mine.param_groups[0]["decoupled_weight_decay"] is True
        assert mine.param_groups[0]["weight_decay"] == 0


def test_a_state_that_does_not_fit_changes_nothing():
    p, q = nn.Parameter(np.ones(2)), nn.Parameter(np.ones(3))
    optimizer = optim.Adam([p, q], lr=0.5)
    group = {**optimizer.defaults, "lr": 0.1, "params": [0, 1]}
    entry = {"step": np.float32(1), "exp_avg": np.ones(2)}
    for groups, state, error, says in [
        ([group, group], {}, ValueError, r"groups of \[2\] parameters, the state groups of \[2, 2\]"),
        ([{**group, "params": [0]}], {}, ValueError, r"groups of \[1\]"),
        ([group], {1: entry}, ValueError, r"exp_avg has shape \(2,\), but the parameter \(3,\)"),
        ([group], {0: {"exp_avg": torch.ones(2, device="cpu")}}, TypeError, r"exp_avg is a Tensor.*\.numpy\(\)"),
        ([{**group, "eps": -1}], {0: entry}, ValueError, "eps is -1"),
        ([{**group, "fused": True}], {0: entry}, NotImplementedError, "fused"),
        ([group], {2: entry}, KeyError, "2"),
    ]:
        with pytest.raises(error, match=says):
            optimizer.load_state_dict({"state": state, "param_groups": groups})
        assert optimizer.param_groups[0]["lr"] == 0.5
        assert not optimizer.state


@pytest.mark.parametrize(
    "schedule",
    [
        lambda s, o: s.LinearLR(o, end_factor=0.0, total_iters=5),
        lambda s, o: s.OneCycleLR(o, 0.1, total_steps=5, anneal_strategy="linear", cycle_momentum=False),
    ],
)
def test_a_rate_that_a_scheduler_took_below_0_is_loaded(schedule):
    p = nn.Parameter(np.ones(2))
    saved, loaded = optim.SGD([p], lr=0.001), optim.SGD([p], lr=0.5)
    scheduler = schedule(optim.lr_scheduler, saved)
    for _ in range(5):
        scheduler.step()
    assert saved.param_groups[0]["lr"] < 0
    loaded.load_state_dict(saved.state_dict())
    assert loaded.param_groups[0]["lr"] == saved.param_groups[0]["lr"]
