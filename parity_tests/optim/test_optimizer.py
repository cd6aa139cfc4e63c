"""What all rules share: arguments, groups, names, gradients that are missing, what is refused."""

import inspect

import numpy as np
import pytest
import torch

from manual import nn, optim
from manual.trainer import Trainer
from parity_tests.optim.rules import ENGINE, OPTIONS
from parity_tests.optim.twins import Twins, to_torch

RULES = sorted(OPTIONS)


def parameters(count=2, dtype="float64"):
    return [nn.Parameter(np.full((2, 3), 1.0 + i, dtype)) for i in range(count)]


@pytest.mark.parametrize("rule", RULES)
def test_the_constructor_is_torchs(rule):
    ours, theirs = (inspect.signature(getattr(where, rule)).parameters for where in (optim, torch.optim))
    assert [(p.name, p.default, p.kind) for p in ours.values()] == [
        (p.name, p.default, p.kind) for p in theirs.values()
    ]


@pytest.mark.parametrize("rule", RULES)
def test_groups_defaults_and_repr_are_torchs(rule):
    twins = Twins(rule, OPTIONS[rule] | ({"dampening": 0} if rule == "SGD" else {}), "float32", {"lr": 0.5})
    assert repr(twins.ours) == repr(twins.torchs)
    assert twins.ours.defaults == twins.torchs.defaults
    twins.compare()
    assert twins.ours.state_dict()["param_groups"] == twins.torchs.state_dict()["param_groups"]


@pytest.mark.parametrize(("rule", "option"), [(rule, option) for rule in RULES for option in ENGINE[rule]])
def test_options_of_torchs_engine_are_named(rule, option):
    with pytest.raises(NotImplementedError, match=f"{rule} does not support {option}="):
        getattr(optim, rule)(parameters(), **{option: True})
    with pytest.raises(NotImplementedError, match=option):
        getattr(optim, rule)([{"params": parameters(), option: True}])
    getattr(optim, rule)(parameters(), **{option: False})


def test_of_several_engines_the_first_is_named():
    for i, option in enumerate(ENGINE["Adam"]):
        with pytest.raises(NotImplementedError, match=f"Adam does not support {option}="):
            optim.Adam(parameters(), **dict.fromkeys(ENGINE["Adam"][i:], True))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "SGD"])
def test_complex_parameters_are_refused(rule):
    with pytest.raises(NotImplementedError, match=f"{rule} does not support complex parameters"):
        getattr(optim, rule)([nn.Parameter(np.ones((2, 2), complex))])


@pytest.mark.parametrize("rule", RULES)
def test_nothing_that_was_handed_out_is_written_to(rule):
    p = parameters(1)[0]
    optimizer = getattr(optim, rule)([p])
    p.grad = np.full((2, 3), 0.5)
    optimizer.step()
    seen = [p.data, p.grad, *optimizer.state[p].values()] if optimizer.state else [p.data, p.grad]
    copies = [array.copy() for array in seen]
    optimizer.step()
    assert all(np.array_equal(array, copy) for array, copy in zip(seen, copies, strict=True))
    assert not np.array_equal(p.data, copies[0])


@pytest.mark.parametrize("rule", RULES)
def test_options_of_numpys_change_no_dtype(rule):
    twins = Twins(rule, {}, "float32")
    for group in twins.ours.param_groups:
        for key, value in group.items():
            if isinstance(value, float):
                group[key] = np.float64(value)
            elif isinstance(value, tuple):
                group[key] = [np.float64(part) for part in value]
        group["lr"] = np.array(group["lr"])
    for _ in range(3):
        twins.step()
        twins.compare()


def test_a_parameter_without_gradient_is_skipped_and_one_with_zeros_is_not():
    p, q = parameters()
    optimizer = optim.Adam([p, q], weight_decay=0.1)
    p.grad = np.zeros((2, 3))
    optimizer.step()
    assert (p.data < 1).all()
    assert (q.data == 2).all()
    assert list(optimizer.state) == [p]


@pytest.mark.parametrize("rule", RULES)
def test_a_gradient_that_does_not_fit_changes_nothing(rule):
    for grad, error, says in [
        (np.ones(3), ValueError, r"shape \(3,\) for a parameter of shape \(2, 3\)"),
        (np.ones((4, 2, 3)), ValueError, r"shape \(4, 2, 3\)"),
        (np.ones((2, 3), np.float32), TypeError, "float32 for a parameter of float64"),
    ]:
        p, q = parameters()
        optimizer = getattr(optim, rule)([p, q])
        p.grad, q.grad = np.ones((2, 3)), grad
        with pytest.raises(error, match=says):
            optimizer.step()
        assert (p.data == 1).all()
        assert q.data.shape == (2, 3)


@pytest.mark.parametrize("rule", RULES)
def test_a_gradient_may_be_a_list_of_numbers(rule):
    p, q = parameters()
    q.data = p.data
    grad = np.random.default_rng(0).normal(size=(2, 3))
    p.grad, q.grad = grad, grad.tolist()
    optimizer = getattr(optim, rule)([p, q])
    for _ in range(2):
        optimizer.step()
    assert np.array_equal(p.data, q.data)
    assert (p.data != 1).all()


def test_zero_grad():
    p, q = parameters()
    optimizer = optim.SGD([p, q])
    grad = p.grad = np.ones((2, 3))
    optimizer.zero_grad(set_to_none=False)
    assert (p.grad == 0).all()
    assert not np.signbit(p.grad).any()
    assert p.grad.shape == (2, 3)
    assert q.grad is None
    assert (grad == 1).all()
    optimizer.zero_grad()
    assert p.grad is None


def test_a_closure_is_called_first_and_its_loss_returned():
    p = parameters(1)[0]
    optimizer = optim.SGD([p], lr=1)

    def closure():
        p.grad = np.ones((2, 3))
        return 0.25

    assert optimizer.step(closure) == 0.25
    assert (p.data == 0).all()
    assert optimizer.step() is None


def test_a_group_may_come_later_and_options_may_change():
    p, q, r = parameters(3)
    given = {"params": q, "lr": 0.5}
    optimizer = optim.SGD([p], lr=1)
    optimizer.add_param_group(given)
    optimizer.add_param_group({"params": iter([r])})
    assert given == {"params": q, "lr": 0.5}
    assert [group["lr"] for group in optimizer.param_groups] == [1, 0.5, 1]
    optimizer.param_groups[2]["lr"] = 0.25
    for parameter in (p, q, r):
        parameter.grad = np.ones((2, 3))
    optimizer.step()
    assert [float(parameter.data[0, 0]) for parameter in (p, q, r)] == [0.0, 1.5, 2.75]


def test_adagrads_state_is_there_for_a_group_that_comes_later():
    p, q = parameters()
    twins = [torch.nn.Parameter(to_torch(x.data)) for x in (p, q)]
    ours, theirs = (
        optim.Adagrad([p], initial_accumulator_value=3),
        torch.optim.Adagrad([twins[0]], initial_accumulator_value=3),
    )
    assert ours.state[p]["sum"].tolist() == theirs.state[twins[0]]["sum"].cpu().tolist() == [[3.0] * 3] * 2
    assert ours.state[p]["step"].dtype == np.float32
    assert str(ours.state[p]["step"]) == "0.0"
    ours.add_param_group({"params": [q]})
    theirs.add_param_group({"params": [twins[1]]})
    q.grad, twins[1].grad = np.ones((2, 3)), torch.ones((2, 3), dtype=torch.float64)
    ours.step()
    theirs.step()
    assert ours.state[q]["sum"].tolist() == theirs.state[twins[1]]["sum"].cpu().tolist() == [[4.0] * 3] * 2
    assert np.array_equal(q.data, twins[1].detach().cpu().numpy())
    own = optim.Adagrad([{"params": parameters(1), "initial_accumulator_value": 2.0}])
    assert own.state[own.param_groups[0]["params"][0]]["sum"].tolist() == [[2.0] * 3] * 2


def test_named_parameters():
    network, other = nn.Linear(3, 2), nn.Linear(2, 2)
    twin, second = torch.nn.Linear(3, 2), torch.nn.Linear(2, 2)
    ours, theirs = optim.SGD(network.named_parameters()), torch.optim.SGD(twin.named_parameters())
    assert ours.param_groups[0]["params"] == [network.weight, network.bias]
    ours.add_param_group({"params": list(other.named_parameters())})
    theirs.add_param_group({"params": list(second.named_parameters())})
    assert ours.state_dict() == theirs.state_dict()
    assert [group["param_names"] for group in ours.param_groups] == [["weight", "bias"]] * 2


def test_names_for_all_or_none():
    p, q = parameters()
    with pytest.raises(ValueError, match="only 1 of 2 parameters have names"):
        optim.SGD([("p", p), q])
    for first, then in ((p, ("q", q)), (("p", p), q)):
        with pytest.raises(ValueError, match="some groups have names"):
            optim.SGD([first]).add_param_group({"params": [then]})


def test_what_is_no_list_of_parameters():
    p, q = parameters()
    for given, error, says in [
        (p, TypeError, r"pass \[parameter\]"),
        (np.ones(3), TypeError, r"pass \[parameter\]"),
        ([], ValueError, r"no parameters"),
        ([{"params": {p, q}}], TypeError, "a set of parameters has no order"),
        ([{"params": [p]}, q], TypeError, "a group is a dictionary"),
        ([{"lr": 0.1, "eps": 0}], KeyError, 'has no "params", only lr, eps; give'),
        ([{}], KeyError, 'has no "params", only nothing; give'),
        ([p, np.ones(3)], TypeError, "takes parameters"),
        ([p, q, p], ValueError, "twice"),
        ([{"params": [p]}, {"params": [q, p]}], ValueError, "twice"),
    ]:
        with pytest.raises(error, match=says):
            optim.Adam(given)
    optimizer = optim.Adam([p])
    with pytest.raises(ValueError, match="twice"):
        optimizer.add_param_group({"params": [p]})
    with pytest.raises(ValueError, match="learning rate"):
        optimizer.add_param_group({"params": [q], "lr": -1})
    assert len(optimizer.param_groups) == 1


def test_an_optimizer_that_is_no_rule_says_what_it_lacks():
    class Half(optim.Optimizer):
        def check(self, options):
            pass

    p = parameters(1)[0]
    p.grad = p.data
    with pytest.raises(NotImplementedError, match="Half has no update"):
        Half([p], {}).step()
    with pytest.raises(NotImplementedError, match="Optimizer has no check"):
        optim.Optimizer([p], {})


def test_the_trainer_takes_any_rule():
    network = nn.Linear(3, 1, dtype=np.float64, generator=np.random.default_rng(0))
    random = np.random.default_rng(1)
    x = random.normal(size=(50, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 0.3
    trainer = Trainer(network, nn.MSELoss(), optim.Adam(network.parameters(), lr=0.1))
    losses = [float(trainer.step(x, y)) for _ in range(200)]
    assert losses[-1] < 1e-3 * losses[0]
