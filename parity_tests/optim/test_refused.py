"""Options outside their range, refused by torch and by us, by the constructor and for a group."""

import numpy as np
import pytest
import torch

from manual import nn, optim

NAN = float("nan")
LR = [("lr", -0.1)]
DECAY = [("weight_decay", -0.1)]
ADAM = [*LR, *DECAY, ("eps", -1e-9), ("betas", (-0.1, 0.9)), ("betas", (1.0, 0.9)), ("betas", (0.9, -0.1))]
ADAM += [("betas", (0.9, 1.0))]
REFUSED = {
    "SGD": [*LR, *DECAY, ("momentum", -0.1)],
    "Adam": ADAM,
    "AdamW": ADAM,
    "Adamax": ADAM,
    "NAdam": [*ADAM, ("momentum_decay", -0.1)],
    "RAdam": ADAM,
    "RMSprop": [*LR, *DECAY, ("eps", -1e-9), ("alpha", -0.1), ("momentum", -0.1)],
    "Adagrad": [*LR, *DECAY, ("eps", -1e-9), ("lr_decay", -0.1), ("initial_accumulator_value", -0.1)],
    "Adadelta": [*LR, *DECAY, ("eps", -1e-9), ("rho", -0.1), ("rho", 1.1)],
    "Rprop": [*LR, ("etas", (0.0, 1.2)), ("etas", (1.0, 1.2)), ("etas", (0.5, 1.0)), ("etas", (1.2, 0.5))],
    "ASGD": [*LR, *DECAY],
    "Muon": [*LR, *DECAY, ("momentum", -0.1), ("adjust_lr_fn", "another")],
}
CASES = [(rule, option, value) for rule, refused in REFUSED.items() for option, value in refused]


@pytest.mark.parametrize(("rule", "option", "value"), CASES)
def test_refused_by_both(rule, option, value):
    with pytest.raises(ValueError):  # noqa: PT011 - torch's words are its own
        getattr(torch.optim, rule)([torch.nn.Parameter(torch.ones(2, 2))], **{option: value})
    with pytest.raises(ValueError, match=f"^{option} (is|are) "):
        getattr(optim, rule)([nn.Parameter(np.ones((2, 2)))], **{option: value})
    with pytest.raises(ValueError, match=f"^{option} (is|are) "):
        getattr(optim, rule)([{"params": [nn.Parameter(np.ones((2, 2)))], option: value}])


@pytest.mark.parametrize("rule", sorted(REFUSED))
def test_a_rate_that_is_no_number(rule):
    with pytest.raises(ValueError, match="lr is nan, but a learning rate is 0 or above"):
        getattr(optim, rule)([nn.Parameter(np.ones((2, 2)))], lr=NAN)


@pytest.mark.parametrize(("rule", "option"), [("SGD", "momentum"), ("Adam", "weight_decay"), ("RMSprop", "alpha")])
def test_whose_option_is_below_0(rule, option):
    with pytest.raises(ValueError, match=f"{option} is -0.25, but {rule}'s {option} is 0 or above"):
        getattr(optim, rule)([nn.Parameter(np.ones((2, 2)))], **{option: -0.25})


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("SGD", {"lr": 0, "momentum": 0, "weight_decay": 0, "dampening": -3}),
        *((rule, {"lr": 0, "eps": 0, "weight_decay": 0, "betas": (0.0, 0.0)}) for rule in ("Adam", "Adamax", "RAdam")),
        ("NAdam", {"lr": 0, "eps": 0, "weight_decay": 0, "betas": (0.0, 0.0), "momentum_decay": 0}),
        ("RMSprop", {"lr": 0, "alpha": 0, "eps": 0, "weight_decay": 0, "momentum": 0}),
        ("Adagrad", {"lr": 0, "lr_decay": 0, "weight_decay": 0, "initial_accumulator_value": 0, "eps": 0}),
        ("Adadelta", {"lr": 0, "rho": 0, "eps": 0, "weight_decay": 0}),
        ("Adadelta", {"rho": 1}),
        ("Rprop", {"lr": 0, "etas": (0.999, 1.001)}),
        ("ASGD", {"lr": 0, "weight_decay": 0, "lambd": -1}),
        ("Muon", {"lr": 0, "momentum": 0, "weight_decay": 0}),
        ("Muon", {"adjust_lr_fn": "original"}),
    ],
)
def test_the_ends_of_the_ranges_are_allowed(rule, options):
    for where, p in ((optim, nn.Parameter(np.ones((2, 2)))), (torch.optim, torch.nn.Parameter(torch.ones(2, 2)))):
        getattr(where, rule)([p], **options)


@pytest.mark.parametrize("options", [{}, {"momentum": 0.0}, {"momentum": 0.5, "dampening": 0.1}])
def test_nesterov_takes_momentum_and_no_dampening(options):
    for where, p in ((optim, nn.Parameter(np.ones(2))), (torch.optim, torch.nn.Parameter(torch.ones(2)))):
        with pytest.raises(ValueError, match=r"(?i)nesterov .*momentum"):
            where.SGD([p], nesterov=True, **options)


def test_what_no_group_uses_is_refused_too():
    for where, p in ((optim, nn.Parameter(np.ones(2))), (torch.optim, torch.nn.Parameter(torch.ones(2)))):
        with pytest.raises(ValueError, match="learning rate"):
            where.SGD([{"params": [p], "lr": 0.1}], lr=-1)


def test_betas_are_two():
    with pytest.raises(ValueError, match="two numbers"):
        optim.Adam([nn.Parameter(np.ones(2))], betas=(0.9, 0.99, 0.999))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 1), (3, 0)])
def test_muon_takes_matrices(shape):
    with pytest.raises(ValueError, match=r"Muon takes matrices.*AdamW"):
        optim.Muon([nn.Parameter(np.ones((2, 2))), nn.Parameter(np.ones(shape))])
    if len(shape) != 2:
        with pytest.raises(ValueError, match="2D"):
            torch.optim.Muon([torch.nn.Parameter(torch.ones(shape))])


def test_muons_iteration():
    for options, says in [({"ns_steps": 100}, "fewer than 100"), ({"ns_coefficients": (1.5, -0.5)}, "three: a, b, c")]:
        with pytest.raises(ValueError, match=says):
            optim.Muon([nn.Parameter(np.ones((2, 2)))], **options)
    optim.Muon([nn.Parameter(np.ones((2, 2)))], ns_steps=99)


@pytest.mark.parametrize(("given", "kind"), [(nn.Linear(2, 2), "Linear"), (5, "int"), (None, "NoneType")])
def test_a_network_is_no_list_of_parameters(given, kind):
    with pytest.raises(TypeError, match=rf"SGD takes parameters.*, not a {kind}; pass network\.parameters\(\)"):
        optim.SGD(given)
    with pytest.raises(TypeError):
        torch.optim.SGD(torch.nn.Linear(2, 2) if kind == "Linear" else given)
