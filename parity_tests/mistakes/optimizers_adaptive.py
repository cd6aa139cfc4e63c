"""Adaptive update rules by hand beside torch's: Adam, AdamW, RMSprop, Adagrad."""

from collections.abc import Iterable

import numpy as np
import torch

from parity_tests.mistakes.case import Arrays
from parity_tests.mistakes.optimizers import Rule, State, UpdateMistake, UpdateVariant

LR, B1, B2, EPS = 0.01, 0.9, 0.99, 1e-8


def adam(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """m, v are running means of g, g^2; p = p - lr m' / (sqrt(v') + eps) with m' = m / (1 - b1^t), v' alike."""
    state.setdefault("t", 0)
    state["t"] += 1
    new = {}
    for number, (name, p) in enumerate(params.items()):
        t, g = state["t"], grads[name]
        if wrong == "t counted for each tensor":
            t = (t - 1) * len(params) + number + 1
        elif wrong == "t one ahead":
            t = t + 1
        m, v = state.get(name, (np.zeros_like(p), np.zeros_like(p)))
        m = B1 * m + (1 - B1) * g
        v = B2 * v + (1 - B2) * (np.abs(g) if wrong == "absolute value for the square" else g**2)
        if wrong == "betas exchanged":
            m, v = state.get(name, (np.zeros_like(p), np.zeros_like(p)))
            m, v = B2 * m + (1 - B2) * g, B1 * v + (1 - B1) * g**2
        state[name] = m, v
        first, second = m / (1 - B1**t), v / (1 - B2**t)
        if wrong == "betas exchanged":
            first, second = m / (1 - B2**t), v / (1 - B1**t)
        elif wrong == "not corrected":
            first, second = m, v
        elif wrong == "first moment not corrected":
            first = m
        elif wrong == "second moment not corrected":
            second = v
        elif wrong == "correction kept in the state":
            state[name] = first, second
        root = np.sqrt(second)
        if wrong == "no root":
            root = second
        denominator = np.sqrt(second + EPS) if wrong == "eps under the root" else root + EPS
        new[name] = p - LR * first / denominator
        if wrong == "one rate for both corrections":  # lr_t of the paper's remark, eps moved along with it
            rate = LR * np.sqrt(1 - B2**t) / (1 - B1**t)
            new[name] = p - rate * m / (np.sqrt(v) + EPS * np.sqrt(1 - B2**t))
    return new


def adam_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(tensors, lr=LR, betas=(B1, B2), eps=EPS)


def adamw(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """p = p (1 - lr wd), then Adam's step; the decay never enters the moments. eps is large here."""
    decay, eps = 0.1, 1e-3
    t = state["t"] = state.get("t", 0) + 1
    if wrong == "t from zero":
        t = max(t - 1, 1)
    new = {}
    for name, p in params.items():
        g = grads[name] + decay * p if wrong == "decay in the gradient" else grads[name]
        m, v = state.get(name, (0.0, 0.0))
        state[name] = m, v = B1 * m + (1 - B1) * g, B2 * v + (1 - B2) * g * g
        scale = 1 if wrong == "decay not times the rate" else LR
        kept = p if wrong in ("decay in the gradient", "decay left out") else p * (1 - scale * decay)
        if wrong == "decay after the step":
            kept = p
        correction = 1 if wrong == "not corrected" else 1 - B1**t
        second = v if wrong == "not corrected" else v / (1 - B2**t)
        root = np.sqrt(second + eps) if wrong == "eps under the root" else np.sqrt(second) + eps
        if wrong == "eps before the correction":
            root = (np.sqrt(v) + eps) / np.sqrt(1 - B2**t)
        new[name] = kept - LR / correction * m / root
        if wrong == "decay after the step":
            new[name] = new[name] * (1 - LR * decay)
    return new


def adamw_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(tensors, lr=LR, betas=(B1, B2), eps=1e-3, weight_decay=0.1)


def rmsprop(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """s = 0.95 s + 0.05 g^2; v = 0.6 v + g / (sqrt(s) + eps); p = p - lr v."""
    eps = 1e-4
    new = {}
    for name, p in params.items():
        g = grads[name]
        s, v = state.get(name, (np.zeros_like(p), np.zeros_like(p)))
        before = s
        s = 0.95 * s + 0.05 * g**2
        if wrong == "mean square of the step before":
            scaled = g / (np.sqrt(before) + eps)
        elif wrong == "eps under the root":
            scaled = g / np.sqrt(s + eps)
        elif wrong == "sum, not a running mean":
            s = before + g**2
            scaled = g / (np.sqrt(s) + eps)
        else:
            scaled = g / (np.sqrt(s) + eps)
        old, v = v, 0.6 * v + (0.4 if wrong == "dampened" else 1) * scaled
        state[name] = s, v
        new[name] = p - LR * (old if wrong == "along the buffer before" else v)
    return new


def rmsprop_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(tensors, lr=LR, alpha=0.95, eps=1e-4, momentum=0.6)


def adagrad(params: Arrays, grads: Arrays, state: State, wrong: str = "") -> Arrays:
    """G = G + g^2; p = p - lr / (1 + 0.1 (t - 1)) g / (sqrt(G) + eps)."""
    t = state["t"] = state.get("t", 0) + 1
    new = {}
    for name, p in params.items():
        g = grads[name]
        total = state.get(name, 0.0)
        state[name] = total = (0.9 * total + 0.1 * g**2) if wrong == "running mean" else total + g**2
        rate = LR / (1 + 0.1 * (t if wrong == "rate decays from the first step" else t - 1))
        if wrong == "one sum for the whole tensor":
            total = np.full_like(p, np.sum(total))
        root = total if wrong == "no root" else np.sqrt(total)
        new[name] = p - rate * g / (np.sqrt(total + 1e-3) if wrong == "eps under the root" else root + 1e-3)
    return new


def adagrad_torch(tensors: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(tensors, lr=LR, lr_decay=0.1, eps=1e-3)


ADAM = Rule("adam", adam, adam_torch)
ADAMW = Rule("adamw", adamw, adamw_torch)
RMSPROP = Rule("rmsprop with momentum", rmsprop, rmsprop_torch)
ADAGRAD = Rule("adagrad", adagrad, adagrad_torch)
RULES = [ADAM, ADAMW, RMSPROP, ADAGRAD]

MISTAKES = [
    UpdateMistake(ADAM, "t counted for each tensor", "OPT-ADAM-T"),
    UpdateMistake(ADAM, "t one ahead", "OPT-ADAM-T"),
    UpdateMistake(ADAM, "not corrected", "OPT-ADAM-NO-CORRECTION"),
    UpdateMistake(ADAM, "first moment not corrected", "OPT-ADAM-NO-CORRECTION"),
    UpdateMistake(ADAM, "second moment not corrected", "OPT-ADAM-NO-CORRECTION"),
    UpdateMistake(ADAM, "eps under the root", "OPT-EPS-PLACE"),
    UpdateMistake(ADAM, "absolute value for the square", ""),
    UpdateMistake(ADAM, "betas exchanged", ""),
    UpdateMistake(ADAM, "correction kept in the state", ""),
    UpdateMistake(ADAM, "no root", ""),
    UpdateMistake(ADAMW, "t from zero", "OPT-ADAM-T"),
    UpdateMistake(ADAMW, "decay in the gradient", "OPT-WD-COUPLED"),
    UpdateMistake(ADAMW, "not corrected", "OPT-ADAM-NO-CORRECTION"),
    UpdateMistake(ADAMW, "eps under the root", "OPT-EPS-PLACE"),
    UpdateMistake(ADAMW, "eps before the correction", "OPT-EPS-PLACE"),
    UpdateMistake(ADAMW, "decay not times the rate", ""),
    UpdateMistake(ADAMW, "decay left out", ""),
    UpdateMistake(ADAMW, "decay after the step", ""),
    UpdateMistake(RMSPROP, "mean square of the step before", ""),
    UpdateMistake(RMSPROP, "eps under the root", "OPT-EPS-PLACE"),
    UpdateMistake(RMSPROP, "sum, not a running mean", ""),
    UpdateMistake(RMSPROP, "dampened", "OPT-DAMPENING"),
    UpdateMistake(RMSPROP, "along the buffer before", "OPT-STALE-BUFFER"),
    UpdateMistake(ADAGRAD, "running mean", ""),
    UpdateMistake(ADAGRAD, "rate decays from the first step", ""),
    UpdateMistake(ADAGRAD, "one sum for the whole tensor", ""),
    UpdateMistake(ADAGRAD, "no root", ""),
    UpdateMistake(ADAGRAD, "eps under the root", "OPT-EPS-PLACE"),
]

VARIANTS = [
    UpdateVariant(ADAM, "one rate for both corrections"),
]
