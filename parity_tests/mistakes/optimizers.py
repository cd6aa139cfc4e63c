"""Update rules by hand beside torch's: step(params, grads, state) returns the new parameters.

`state` is an empty dict before the first step and is kept between steps. `wrong` names the one mistake to make.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from parity_tests.mistakes.case import Arrays

State = dict[str, Any]
LR = 0.02


@dataclass(frozen=True, eq=False)
class Rule:
    """An update rule by hand, torch's optimizer of the same settings, and the norm to which gradients are clipped."""

    name: str
    step: Callable[..., Arrays]
    torch: Callable[[Iterable[torch.Tensor]], torch.optim.Optimizer]
    clip_norm: float | None = None


@dataclass(frozen=True)
class UpdateMistake:
    """A switch of a rule that makes it wrong; `id` is the catalogue's, or "" where the honest answer is "unknown"."""

    rule: Rule
    wrong: str
    id: str
    same: tuple[str, ...] = ()


@dataclass(frozen=True)
class UpdateVariant:
    """A switch that gives another form of the same rule. `reason` is a word of the note to expect."""

    rule: Rule
    wrong: str
    reason: str = ""


# ---- stochastic gradient descent ----


def momentum(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """v = 0.9 v + g + 0.03 p; p = p - lr v. The first v is the first gradient."""
    new = {}
    for name, p in params.items():
        g = grads[name] if wrong == "weight decay left out" else grads[name] + 0.03 * p
        old = state.get(name)
        v = g if old is None else 0.9 * old + g
        if wrong == "dampened":
            v = 0.1 * g if old is None else 0.9 * old + (1 - 0.9) * g
        elif wrong == "dampened after the first step":
            v = g if old is None else 0.9 * old + (1 - 0.9) * g
        elif wrong == "weight decay outside the buffer":
            v = grads[name] if old is None else 0.9 * old + grads[name]
        state[name] = v
        step = v + 0.03 * p if wrong == "weight decay outside the buffer" else v
        if wrong == "along the buffer before":
            step = np.zeros_like(p) if old is None else old
        elif wrong == "gradient added again":
            step = g + 0.9 * v
        new[name] = p - LR * step
        if wrong == "learning rate in the buffer":  # the same until the rate changes
            v = LR * g if old is None else 0.9 * old + LR * g
            state[name] = v
            new[name] = p - v
        elif wrong == "learning rate in the buffer and outside":
            state[name] = LR * g if old is None else 0.9 * old + LR * g
            new[name] = p - LR * state[name]
    return new


def momentum_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(tensors, lr=LR, momentum=0.9, weight_decay=0.03)


def nesterov(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """v = 0.8 v + g; p = p - lr (g + 0.8 v)."""
    new = {}
    for name, p in params.items():
        g, old = grads[name], state.get(name, np.zeros_like(p))
        state[name] = v = 0.8 * old + (0.2 if wrong == "dampened" else 1) * g
        ahead = g + 0.8 * v
        if wrong == "plain momentum":
            ahead = v
        elif wrong == "twice ahead":
            ahead = g + 0.8 * (0.8 * v + g)
        new[name] = p - LR * ahead
    return new


def nesterov_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(tensors, lr=LR, momentum=0.8, nesterov=True)


def dampened(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """v = 0.7 v + (1 - 0.4) g, but the first v is the first gradient; p = p - lr v."""
    new = {}
    for name, p in params.items():
        g = grads[name]
        if name not in state and wrong != "first step dampened too":
            state[name] = g
        else:
            factor = 0.4 if wrong == "dampening for its complement" else 1 - 0.4
            state[name] = 0.7 * state.get(name, np.zeros_like(p)) + (1.0 if wrong == "not dampened" else factor) * g
        new[name] = p - LR * state[name]
    return new


def dampened_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(tensors, lr=LR, momentum=0.7, dampening=0.4)


def falling(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """v = 0.9 v + g; p = p - lr_t v with lr_t = lr 0.8^t."""
    rate = LR * 0.8 ** state.get("t", 0)
    state["t"] = state.get("t", 0) + 1
    new = {}
    for name, p in params.items():
        old = state.get(name, np.zeros_like(p))
        if wrong == "learning rate in the buffer":  # the same as torch's until the rate changes
            state[name] = 0.9 * old + rate * grads[name]
            new[name] = p - state[name]
            continue
        state[name] = v = 0.9 * old + grads[name]
        step = old if wrong == "along the buffer before" else v
        new[name] = p - (rate * 0.8 if wrong == "rate of the step after" else rate) * step
    return new


class Falling(torch.optim.SGD):
    """Momentum whose learning rate falls by a fifth after each step."""

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        super().step()
        for group in self.param_groups:
            group["lr"] *= 0.8


def falling_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return Falling(tensors, lr=LR, momentum=0.9)


def clipped(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """All gradients times min(1, 0.5 / (norm of them all + 1e-6)); then p = p - lr g."""
    limit = 0.5
    norm = np.sqrt(sum(float((g**2).sum()) for g in grads.values()))
    if wrong == "norm without its root":
        norm = norm**2
    elif wrong == "norm of the largest tensor":
        norm = max(float(np.linalg.norm(g)) for g in grads.values())
    factor = min(1.0, limit / (norm + 1e-6))
    if wrong == "always scaled to the limit":
        factor = limit / (norm + 1e-6)
    new = {}
    for name, p in params.items():
        g = grads[name] * factor
        if wrong == "each tensor by its own norm":
            g = grads[name] * min(1.0, limit / (np.linalg.norm(grads[name]) + 1e-6))
        elif wrong == "entries cut off":
            g = np.clip(grads[name], -limit, limit)
        elif wrong == "not clipped":
            g = grads[name]
        new[name] = p - LR * g
    return new


def sgd_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(tensors, lr=LR)


MOMENTUM = Rule("momentum with weight decay", momentum, momentum_torch)
NESTEROV = Rule("nesterov", nesterov, nesterov_torch)
DAMPENED = Rule("dampened momentum", dampened, dampened_torch)
FALLING = Rule("momentum with a falling rate", falling, falling_torch)
CLIPPED = Rule("clipped by the global norm", clipped, sgd_torch, clip_norm=0.5)
RULES = [MOMENTUM, NESTEROV, DAMPENED, FALLING, CLIPPED]

MISTAKES = [
    UpdateMistake(MOMENTUM, "weight decay left out", ""),
    UpdateMistake(MOMENTUM, "dampened", "OPT-DAMPENING"),
    UpdateMistake(MOMENTUM, "dampened after the first step", "OPT-DAMPENING"),
    UpdateMistake(MOMENTUM, "weight decay outside the buffer", ""),
    UpdateMistake(MOMENTUM, "along the buffer before", "OPT-STALE-BUFFER"),
    UpdateMistake(MOMENTUM, "gradient added again", ""),
    UpdateMistake(MOMENTUM, "learning rate in the buffer and outside", ""),
    UpdateMistake(NESTEROV, "dampened", "OPT-DAMPENING"),
    UpdateMistake(NESTEROV, "plain momentum", ""),
    UpdateMistake(NESTEROV, "twice ahead", ""),
    UpdateMistake(DAMPENED, "first step dampened too", ""),
    UpdateMistake(DAMPENED, "dampening for its complement", ""),
    UpdateMistake(DAMPENED, "not dampened", ""),
    UpdateMistake(FALLING, "learning rate in the buffer", "OPT-LR-IN-BUFFER"),
    UpdateMistake(FALLING, "along the buffer before", "OPT-STALE-BUFFER"),
    UpdateMistake(FALLING, "rate of the step after", ""),
    UpdateMistake(CLIPPED, "norm without its root", ""),
    UpdateMistake(CLIPPED, "norm of the largest tensor", ""),
    UpdateMistake(CLIPPED, "always scaled to the limit", ""),
    UpdateMistake(CLIPPED, "each tensor by its own norm", "OPT-CLIP-PER-TENSOR"),
    UpdateMistake(CLIPPED, "entries cut off", "OPT-CLIP-VALUE"),
    UpdateMistake(CLIPPED, "not clipped", ""),
]

VARIANTS = [
    UpdateVariant(MOMENTUM, "learning rate in the buffer", reason="learning rate"),
]
