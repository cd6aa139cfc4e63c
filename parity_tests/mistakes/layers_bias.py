"""Biases, and what stands between two operands: sums over the wrong axes, means, a lost minus."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

# ---- steps: (B, T, D) with as many steps as hidden units, so that a sum over the wrong axis fits ----


def steps_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    z = inputs["x"] @ params["W"] + params["b"]  # (B, T, T)
    h = F.softplus(z)
    pred = F.linear(h, params["V"], params["c"])
    loss = ((pred - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "z h pred")


def steps_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, V, c, x, y = *params.values(), inputs["x"], inputs["y"]
    z = x @ W + b
    h = np.log1p(np.exp(z))
    pred = h @ V.T + c
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    dV = np.einsum("btc,bth->ch", dpred, h)
    dc = dpred.sum(axis=(0, 1))
    if wrong == "c by steps":
        dc = dpred.sum(axis=0)
    elif wrong == "c averaged over batch and steps":
        dc = dpred.mean(axis=(0, 1))
    elif wrong == "c from its weights":
        dc = dV.sum(axis=1)
    elif wrong == "c summed over all":
        dc = np.full_like(c, dpred.sum())
    elif wrong == "c of absolute values":
        dc = np.abs(dpred).sum(axis=(0, 1))
    dh = dpred @ V
    dz = dh / (1 + np.exp(-z))
    dW, db = np.einsum("btd,bth->dh", x, dz), dz.sum(axis=(0, 1))
    if wrong == "b over the features":
        db = dz.sum(axis=(0, 2))
    elif wrong == "b averaged over the batch":
        db = dz.mean(axis=0).sum(axis=0)
    elif wrong == "b averaged over the steps":
        db = dz.mean(axis=1).sum(axis=0)
    elif wrong == "b not summed":
        db = dz
    elif wrong == "b over steps":
        db = dz.sum(axis=1)
    elif wrong == "b largest of the batch":
        db = dz.max(axis=(0, 1))
    elif wrong == "two sums":
        db = dz.sum(axis=1).sum(axis=0)
    elif wrong == "ones times delta":
        db = np.ones(dz[..., 0].size) @ dz.reshape(-1, dz.shape[-1])
    dx = dz @ W.T
    return loss, *by_hand(locals(), "z h pred")


def steps_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, t, d, c = sizes(rng, 4)
    params = {"W": normal(rng, d, t), "b": normal(rng, t), "V": normal(rng, c, t), "c": normal(rng, c)}
    return params, {"x": normal(rng, n, t, d), "y": normal(rng, n, t, c)}


STEPS = System("biases of steps", steps_forward, steps_backward, steps_make)

# ---- as many hidden units as samples: the sum over the wrong axis fits here as well ----


def square_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.relu(inputs["x"] @ params["W"] + params["b"])
    logits = h @ params["V"] + params["c"]
    loss = F.cross_entropy(logits, inputs["labels"])
    return loss, pick(locals(), "h logits")


def square_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, V, c, x, labels = *params.values(), inputs["x"], inputs["labels"]
    n = len(x)
    augmented = np.hstack([x, np.ones((n, 1))]) @ np.vstack([W, b])
    h = np.maximum(augmented if wrong == "a column of ones" else x @ W + b, 0)
    logits = h @ V + c
    p = softmax(logits)
    loss = -np.log(p[np.arange(n), labels]).mean()

    dlogits = (p - np.eye(len(c))[labels]) / n
    dV, dc = h.T @ dlogits, dlogits.sum(axis=0)
    if wrong == "c averaged":
        dc = dlogits.mean(axis=0)
    elif wrong == "c not summed":
        dc = dlogits
    dh = dlogits @ V.T
    dz = dh * (h > 0)
    dW, db, dx = x.T @ dz, dz.sum(axis=0), dz @ W.T
    if wrong == "b from dW":
        db = dW.sum(axis=0)
    elif wrong == "b from the mean of dW":
        db = dW.mean(axis=0)
    elif wrong == "b over the units":
        db = dz.sum(axis=1)
    elif wrong == "b before the mask":
        db = dh.sum(axis=0)
    elif wrong == "b keeps its dimension":
        db = dz.sum(axis=0, keepdims=True)
    elif wrong == "a column of ones":
        both = np.hstack([x, np.ones((n, 1))]).T @ dz
        dW, db = both[:-1], both[-1]
    return loss, *by_hand(locals(), "h logits")


def square_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, c = sizes(rng, 3)
    params = {"W": normal(rng, d, n), "b": normal(rng, n), "V": normal(rng, n, c), "c": normal(rng, c)}
    return params, {"x": normal(rng, n, d), "labels": rng.integers(0, c, n)}


SQUARE = System("as many hidden units as samples", square_forward, square_backward, square_make)

# ---- differences: u - v, then one of the mean, then a centre that all share ----


def difference_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    u = torch.tanh(inputs["x"] @ params["A"])
    v = torch.sigmoid(inputs["x"] @ params["B"])
    r = u - v
    q = 1 - r
    e = q - params["centre"]
    loss = ((e @ params["V"] - inputs["y"]) ** 2).mean()
    return loss, pick(locals(), "u v r q e")


def difference_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    A, B, centre, V, x, y = *params.values(), inputs["x"], inputs["y"]
    u, v = np.tanh(x @ A), 1 / (1 + np.exp(-(x @ B)))
    r = u - v
    q = 1 - r
    e = q - centre
    pred = e @ V
    loss = ((pred - y) ** 2).mean()

    dpred = 2 * (pred - y) / y.size
    dV = e.T @ dpred
    de = dpred @ V.T
    dq = de
    dcentre = de.sum(axis=0) if wrong == "centre's minus lost" else -de.sum(axis=0)
    dr = dq if wrong == "1 - r's minus lost" else -dq
    du = dr
    dv = dr if wrong == "v's minus lost" else -dr
    if wrong == "each gets the other's value":
        du, dv = dr * v, dr * u
    dA = x.T @ (du * (1 - u**2))
    dB = x.T @ (dv * v * (1 - v))
    if wrong == "minus of a logistic of -z":
        dB = x.T @ (dv * (1 - 1 / (1 + np.exp(x @ -B))) / (1 + np.exp(x @ -B)))
    dx = (du * (1 - u**2)) @ A.T + (dv * v * (1 - v)) @ B.T
    return loss, *by_hand(locals(), "u v r q e")


def difference_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"A": normal(rng, d, h), "B": normal(rng, d, h), "centre": normal(rng, h), "V": normal(rng, h, c)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


DIFFERENCE = System("differences", difference_forward, difference_backward, difference_make)

MISTAKES = [
    Mistake(STEPS, "c by steps", "BIAS-UNSUMMED", "dc", same=("ACC-UNBROADCAST",)),
    Mistake(STEPS, "c averaged over batch and steps", "BIAS-MEAN", "dc"),
    Mistake(STEPS, "c from its weights", "BIAS-FROM-DW", "dc"),
    Mistake(STEPS, "c summed over all", "BIAS-SUM-ALL", "dc"),
    Mistake(STEPS, "c of absolute values", "", "dc"),
    Mistake(STEPS, "b over the features", "BIAS-WRONG-AXIS", "db"),
    Mistake(STEPS, "b averaged over the batch", "BIAS-MEAN", "db"),
    Mistake(STEPS, "b averaged over the steps", "BIAS-MEAN", "db", same=("LOSS-WRONG-COUNT",)),
    Mistake(STEPS, "b not summed", "BIAS-UNSUMMED", "db", same=("ACC-UNBROADCAST",)),
    Mistake(STEPS, "b over steps", "BIAS-UNSUMMED", "db", same=("ACC-UNBROADCAST",)),
    Mistake(STEPS, "b largest of the batch", "", "db"),
    Mistake(SQUARE, "c averaged", "BIAS-MEAN", "dc", same=("LOSS-DOUBLE-MEAN",)),
    Mistake(SQUARE, "c not summed", "BIAS-UNSUMMED", "dc", same=("ACC-UNBROADCAST",)),
    Mistake(SQUARE, "b from dW", "BIAS-FROM-DW", "db"),
    Mistake(SQUARE, "b from the mean of dW", "BIAS-FROM-DW", "db"),
    Mistake(SQUARE, "b over the units", "BIAS-WRONG-AXIS", "db"),
    Mistake(SQUARE, "b before the mask", "ACT-MISSING", "db", same=("LIN-RAW-ERROR",)),
    Mistake(SQUARE, "b keeps its dimension", "BIAS-UNSUMMED", "db", same=("ACC-UNBROADCAST",)),
    Mistake(DIFFERENCE, "centre's minus lost", "OP-SUB-SIGN", "dcentre"),
    Mistake(DIFFERENCE, "1 - r's minus lost", "OP-SUB-SIGN", "dr"),
    Mistake(DIFFERENCE, "v's minus lost", "OP-SUB-SIGN", "dv"),
    Mistake(DIFFERENCE, "each gets the other's value", "", "dv"),
]

VARIANTS = [
    Variant(STEPS, "two sums"),
    Variant(STEPS, "ones times delta"),
    Variant(SQUARE, "a column of ones"),
    Variant(DIFFERENCE, "minus of a logistic of -z"),
]
