"""Penalties in the loss: half the squares, squares, absolute values, norms of groups, activity of a hidden layer."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

# ---- 0.5 reg (W1^2 + W2^2 + b1^2), beside a softmax ----

REG = 0.13


def ridge_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.relu(inputs["x"] @ params["W1"] + params["b1"])
    logits = h @ params["W2"] + params["b2"]
    penalised = (params["W1"], params["W2"], params["b1"])
    penalty = 0.5 * REG * sum((p * p).sum() for p in penalised)
    loss = F.cross_entropy(logits, inputs["labels"]) + penalty
    return loss, pick(locals(), "h logits")


def ridge_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W2, b2, W1, b1, x, labels = *params.values(), inputs["x"], inputs["labels"]
    n = len(x)
    h = np.maximum(x @ W1 + b1, 0)
    logits = h @ W2 + b2
    p = softmax(logits)
    loss = -np.log(p[np.arange(n), labels]).mean() + 0.5 * REG * ((W1**2).sum() + (W2**2).sum() + (b1**2).sum())

    dlogits = (p - np.eye(len(b2))[labels]) / n
    dW2, db2 = h.T @ dlogits, dlogits.sum(axis=0)
    dh = dlogits @ W2.T
    dz = dh * (h > 0)
    dW1, db1, dx = x.T @ dz, dz.sum(axis=0), dz @ W1.T
    if wrong == "not for W2":
        return loss, *by_hand(locals() | {"dW1": dW1 + REG * W1, "db1": db1 + REG * b1}, "h logits")
    if wrong == "not for W1":
        return loss, *by_hand(locals() | {"dW2": dW2 + REG * W2, "db1": db1 + REG * b1}, "h logits")
    if wrong == "for b2 too":
        db2 = db2 + REG * b2
    if wrong == "divided by the batch":
        dW1, dW2 = dW1 + REG * W1 / n, dW2 + REG * W2 / n
    elif wrong == "2 reg W":
        dW1, dW2 = dW1 + 2 * REG * W1, dW2 + 2 * REG * W2
    elif wrong == "0.5 reg W":
        dW1, dW2 = dW1 + 0.5 * REG * W1, dW2 + 0.5 * REG * W2
    elif wrong == "subtracted":
        dW1, dW2 = dW1 - REG * W1, dW2 - REG * W2
    elif wrong == "inside the mean":  # reg W of every sample, and then the mean
        dW1, dW2 = sum(np.outer(a, g) + REG / n * W1 for a, g in zip(x, dz, strict=True)), dW2 + REG * W2
    else:
        dW1, dW2 = dW1 + REG * W1, dW2 + REG * W2
    if wrong != "not for the bias":
        db1 = db1 + REG * b1
    return loss, *by_hand(locals(), "h logits")


def ridge_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"W2": normal(rng, h, c), "b2": normal(rng, c), "W1": normal(rng, d, h), "b1": normal(rng, h)}
    return params, {"x": normal(rng, n, d), "labels": rng.integers(0, c, n)}


RIDGE = System("half the squared weights", ridge_forward, ridge_backward, ridge_make)

# ---- l2 W^2 + l1 |V| + g (length of each column of U), and h^2 of the hidden layer ----

L1, L2, GROUPS, ACTIVITY = 0.07, 0.11, 0.17, 0.19


def sparse_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    W, V, U = params.values()
    h = torch.tanh(inputs["x"] @ W)
    q = torch.sigmoid(h @ V)
    pred = q @ U
    loss = ((pred - inputs["y"]) ** 2).mean()
    loss = loss + L2 * (W**2).sum() + L1 * V.abs().sum() + GROUPS * U.pow(2).sum(dim=0).sqrt().sum()
    loss = loss + ACTIVITY * h.pow(2).mean()
    return loss, pick(locals(), "h q pred")


def sparse_penalties(W: Array, V: Array, U: Array, n: int, wrong: str) -> tuple[Array, Array, Array]:
    """The penalties' own gradients: l2, l1, by groups."""
    lengths = np.sqrt((U**2).sum(axis=0))
    of_W, of_V, of_U = 2 * L2 * W, L1 * np.sign(V), GROUPS * U / lengths
    if wrong == "2 of the square forgotten":
        of_W = L2 * W
    elif wrong == "sign of l1 lost":
        of_V = np.full_like(V, L1)
    elif wrong == "l1 as a square":
        of_V = L1 * V
    elif wrong == "l1 as |V|":
        of_V = L1 * np.abs(V)
    elif wrong == "l1 left out":
        of_V = 0 * V
    elif wrong == "l1 divided by the batch":
        of_V = of_V / n
    elif wrong == "soft threshold instead":
        of_V = np.clip(V, -L1, L1)
    elif wrong == "groups by rows":
        of_U = GROUPS * U / np.sqrt((U**2).sum(axis=1, keepdims=True))
    elif wrong == "length of all groups together":
        of_U = GROUPS * U / np.sqrt((U**2).sum())
    elif wrong == "divided by the squared length":
        of_U = GROUPS * U / lengths**2
    elif wrong == "length forgotten":
        of_U = GROUPS * U
    elif wrong == "group by group":
        of_U = np.stack([GROUPS * column / np.linalg.norm(column) for column in U.T], axis=1)
    return of_W, of_V, of_U


def sparse_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, V, U, x, y = *params.values(), inputs["x"], inputs["y"]
    h = np.tanh(x @ W)
    q = 1 / (1 + np.exp(-(h @ V)))
    pred = q @ U
    loss = ((pred - y) ** 2).mean() + ACTIVITY * (h**2).mean()
    loss = loss + L2 * (W**2).sum() + L1 * np.abs(V).sum() + GROUPS * np.sqrt((U**2).sum(axis=0)).sum()

    of_W, of_V, of_U = sparse_penalties(W, V, U, len(x), wrong)
    dpred = 2 * (pred - y) / y.size
    dU = q.T @ dpred + of_U
    dq = dpred @ U.T
    da = dq * q * (1 - q)
    dV = h.T @ da + of_V
    of_h = 2 * ACTIVITY * h / (len(h) if wrong == "activity's mean over samples alone" else h.size)
    dh = da @ V.T + of_h
    if wrong == "activity left out":
        dh = da @ V.T
    elif wrong == "activity after tanh'":  # the penalty's share goes round the slope
        dh = da @ V.T + of_h / (1 - h**2)
    elif wrong == "activity's sign":
        dh = da @ V.T - of_h
    dz = dh * (1 - h**2)
    dW, dx = x.T @ dz + of_W, dz @ W.T
    return loss, *by_hand(locals(), "h q pred")


def sparse_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, k, c = sizes(rng, 5)
    params = {"W": normal(rng, d, h), "V": normal(rng, h, k), "U": normal(rng, k, c)}
    return params, {"x": normal(rng, n, d), "y": normal(rng, n, c)}


SPARSE = System("penalties of four kinds", sparse_forward, sparse_backward, sparse_make)

MISTAKES = [
    Mistake(RIDGE, "2 reg W", "REG-FACTOR", "dW2"),
    Mistake(RIDGE, "0.5 reg W", "REG-FACTOR", "dW2"),
    Mistake(RIDGE, "subtracted", "REG-FACTOR", "dW2", same=("LOSS-SIGN",)),
    Mistake(RIDGE, "divided by the batch", "REG-FACTOR", "dW2", same=("LOSS-DOUBLE-MEAN",)),
    Mistake(RIDGE, "not for W1", "REG-MISSING", "dW1", same=("ACC-BRANCH-LOST",)),
    Mistake(RIDGE, "not for W2", "REG-MISSING", "dW2", same=("ACC-BRANCH-LOST",)),
    Mistake(RIDGE, "not for the bias", "REG-MISSING", "db1", same=("ACC-BRANCH-LOST",)),
    Mistake(RIDGE, "for b2 too", "", "db2"),
    Mistake(SPARSE, "2 of the square forgotten", "REG-FACTOR", "dW", same=("LOSS-FACTOR-2",)),
    Mistake(SPARSE, "sign of l1 lost", "ACT-MISSING", "dV"),
    Mistake(SPARSE, "l1 as a square", "ACT-WRONG-FORMULA", "dV"),
    Mistake(SPARSE, "l1 as |V|", "ACT-WRONG-FORMULA", "dV"),
    Mistake(SPARSE, "l1 left out", "REG-MISSING", "dV", same=("ACC-BRANCH-LOST",)),
    Mistake(SPARSE, "l1 divided by the batch", "REG-FACTOR", "dV", same=("LOSS-DOUBLE-MEAN",)),
    Mistake(SPARSE, "soft threshold instead", "", "dV"),
    Mistake(SPARSE, "groups by rows", "", "dU"),
    Mistake(SPARSE, "length of all groups together", "", "dU"),
    Mistake(SPARSE, "divided by the squared length", "", "dU"),
    Mistake(SPARSE, "length forgotten", "", "dU"),
    Mistake(SPARSE, "activity left out", "REG-MISSING", "dh", same=("ACC-BRANCH-LOST",)),
    Mistake(SPARSE, "activity after tanh'", "", "dh"),
    Mistake(SPARSE, "activity's sign", "REG-FACTOR", "dh", same=("LOSS-SIGN",)),
    Mistake(SPARSE, "activity's mean over samples alone", "LOSS-WRONG-COUNT", "dh", same=("REG-FACTOR",)),
]

VARIANTS = [
    Variant(RIDGE, "inside the mean"),
    Variant(SPARSE, "group by group"),
]
