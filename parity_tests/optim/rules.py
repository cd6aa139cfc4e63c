"""Every rule with its options: for each a value that is not the default, and what a second group may have."""

from inspect import signature
from itertools import combinations
from typing import Any

from torch import optim

DECAY = {"weight_decay": 0.3, "maximize": True}
BETAS = {"betas": (0.6, 0.7), "eps": 0.1}
LR = {"lr": 0.07}

OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {**LR, **DECAY, "momentum": 0.7, "dampening": 0.4, "nesterov": True},
    "Adam": {**LR, **DECAY, **BETAS, "amsgrad": True, "decoupled_weight_decay": True},
    "AdamW": {**LR, **DECAY, **BETAS, "amsgrad": True},
    "Adamax": {**LR, **DECAY, **BETAS},
    "NAdam": {**LR, **DECAY, **BETAS, "momentum_decay": 0.5, "decoupled_weight_decay": True},
    "RAdam": {**LR, **DECAY, **BETAS, "decoupled_weight_decay": True},
    "RMSprop": {**LR, **DECAY, "alpha": 0.8, "eps": 0.1, "momentum": 0.7, "centered": True},
    "Adagrad": {**LR, **DECAY, "lr_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 0.1},
    "Adadelta": {**LR, **DECAY, "rho": 0.6, "eps": 0.1},
    "Rprop": {**LR, "maximize": True, "etas": (0.3, 1.4), "step_sizes": (0.02, 0.5)},
    "ASGD": {**LR, **DECAY, "lambd": 0.2, "alpha": 0.5, "t0": 7.0},
    "Muon": {**LR, "weight_decay": 0.3, "momentum": 0.6, "nesterov": False, "ns_steps": 2, "eps": 2.0}
    | {"ns_coefficients": (1.875, -1.25, 0.375), "adjust_lr_fn": "match_rms_adamw"},
}
# Which of torch's engines each rule can be told to take.
ENGINE: dict[str, list[str]] = {
    name: [
        e
        for e in ("foreach", "fused", "capturable", "differentiable")
        if e in signature(getattr(optim, name)).parameters
    ]
    for name in OPTIONS
}


def allowed(rule: str, options: dict[str, Any]) -> bool:
    """Whether the rule takes these together: SGD's nesterov takes a momentum, and no dampening."""
    return not (rule == "SGD" and "nesterov" in options and ("momentum" not in options or "dampening" in options))


def cases(size: int) -> list[tuple[str, dict[str, Any]]]:
    """Return every rule with every choice of `size` options."""
    found = []
    for rule, options in OPTIONS.items():
        for names in combinations(options, size):
            chosen = {name: options[name] for name in names}
            if allowed(rule, chosen):
                found.append((rule, chosen))
    return found
