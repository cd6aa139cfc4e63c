"""Cross entropy and its targets: labels, class weights, smoothing, padding, clipped probabilities, micro-batches."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from parity_tests.mistakes.case import Array, Arrays, Mistake, System, Variant
from parity_tests.mistakes.named import by_hand, normal, pick, sizes
from parity_tests.mistakes.softmax import softmax

# ---- labels: log-softmax, then minus the mean of the labels' entries ----


def labels_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    h = torch.tanh(inputs["x"] @ params["W1"] + params["b1"])
    logits = h @ params["W2"] + params["b2"]
    logp = torch.log_softmax(logits, dim=1)
    loss = -logp[torch.arange(len(logp)), inputs["labels"]].mean()
    return loss, pick(locals(), "h logits logp")


def labels_dlogits(p: Array, labels: Array, wrong: str) -> Array:
    n, c = p.shape
    onehot = np.eye(c)[(labels + 1) % c if wrong == "labels counted from 1" else labels]
    if wrong == "smoothed nevertheless":
        onehot = 0.9 * onehot + 0.1 / c
    delta = p - onehot
    if wrong == "slope of a sigmoid besides":
        delta = delta * p * (1 - p)
    elif wrong == "y - p":
        delta = onehot - p
    elif wrong == "the label's column alone":
        delta = delta * onehot
    elif wrong == "error of the largest class":
        delta = (p == p.max(axis=1, keepdims=True)) - onehot
    if wrong == "mean forgotten":
        return delta
    return delta / (n * c if wrong == "divided by all logits" else n)


def labels_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W1, b1, W2, b2, x, labels = *params.values(), inputs["x"], inputs["labels"]
    n = len(x)
    h = np.tanh(x @ W1 + b1)
    logits = h @ W2 + b2
    p = softmax(logits)
    logp = np.log(p)
    loss = -logp[np.arange(n), labels].mean()

    if wrong in ("through the log-softmax", "log2's slope"):
        dlogp = np.zeros_like(logp)
        dlogp[np.arange(n), labels] = -1 / n
        dlogits = dlogp - p * dlogp.sum(axis=1, keepdims=True)
        if wrong == "log2's slope":  # as if the logarithm of the sum alone were one to base 2
            dlogits = dlogp - p * dlogp.sum(axis=1, keepdims=True) / np.log(2)
    else:
        dlogits = labels_dlogits(p, labels, wrong)
    dW2, db2 = h.T @ dlogits, dlogits.sum(axis=0)
    dh = dlogits @ W2.T
    dz = dh * (1 - h**2)
    dW1, db1, dx = x.T @ dz, dz.sum(axis=0), dz @ W1.T
    return loss, *by_hand(locals(), "h logits logp")


def labels_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, h, c = sizes(rng, 4)
    params = {"W1": normal(rng, d, h), "b1": normal(rng, h), "W2": normal(rng, h, c), "b2": normal(rng, c)}
    return params, {"x": normal(rng, n, d), "labels": rng.integers(0, c, n)}


LABELS = System("softmax and cross entropy", labels_forward, labels_backward, labels_make)

# ---- torch's own cross entropy: smoothed, weighted by class ----


def smoothed_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    logits = F.linear(torch.sigmoid(inputs["x"]), params["W"], params["b"])
    loss = F.cross_entropy(logits, inputs["labels"], label_smoothing=0.2)
    return loss, {"logits": logits}


def weighted_forward(params: dict[str, Any], inputs: dict[str, Any]) -> Any:
    logits = F.linear(torch.sigmoid(inputs["x"]), params["W"], params["b"])
    loss = F.cross_entropy(logits, inputs["labels"], weight=inputs["rare"].detach())
    return loss, {"logits": logits}


def targets_backward(params: Arrays, inputs: Arrays, wrong: str = "") -> tuple[Any, Arrays, Arrays]:
    W, b, labels = *params.values(), inputs["labels"]
    n, c = len(labels), len(b)
    s = 1 / (1 + np.exp(-inputs["x"]))
    logits = s @ W.T + b
    p = softmax(logits)
    onehot = np.eye(c)[labels]
    if "rare" in inputs:
        weight = inputs["rare"][labels]
        loss = -(weight * np.log(p[np.arange(n), labels])).sum() / weight.sum()
        each = np.ones(n) if wrong == "weights ignored" else weight
        total = n if wrong == "divided by the batch" else each.sum()
        by_class = wrong == "weights of the columns"  # each class by its own weight, not each sample by its label's
        dlogits = (p - onehot) * (inputs["rare"] if by_class else each[:, None]) / total
    else:
        q = 0.8 * onehot + 0.2 / c
        loss = -(q * np.log(p)).sum(axis=1).mean()
        if wrong == "hard targets":
            q = onehot
        elif wrong == "mass on the other classes":
            q = 0.8 * onehot + 0.2 / (c - 1) * (1 - onehot)
        elif wrong == "mass not taken from the label":
            q = onehot + 0.2 / c
        dlogits = (p - q) / n
        if wrong == "sums to one by rows":  # p (sum of q) - q, which also holds where q does not sum to one
            dlogits = (p * q.sum(axis=1, keepdims=True) - q) / n
    dW, db = dlogits.T @ s, dlogits.sum(axis=0)
    return loss, *by_hand(locals(), "logits")


def targets_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    n, d, c = sizes(rng, 3, low=4)
    labels = rng.permutation(np.arange(n) % c)
    return {"W": normal(rng, c, d), "b": normal(rng, c)}, {"x": normal(rng, n, d), "labels": labels}


def weighted_make(rng: np.random.Generator) -> tuple[Arrays, Arrays]:
    params, inputs = targets_make(rng)
    return params, inputs | {"rare": rng.uniform(0.3, 3.0, len(params["b"]))}


SMOOTHED = System("smoothed cross entropy", smoothed_forward, targets_backward, targets_make)
WEIGHTED = System("cross entropy weighted by class", weighted_forward, targets_backward, weighted_make)

MISTAKES = [
    Mistake(LABELS, "labels counted from 1", "LOSS-ONEHOT-SHIFT", "dlogits"),
    Mistake(LABELS, "smoothed nevertheless", "", "dlogits"),
    Mistake(LABELS, "slope of a sigmoid besides", "LOSS-EXTRA-FPRIME", "dlogits"),
    Mistake(LABELS, "y - p", "LOSS-SIGN", "dlogits", same=("OP-SUB-SIGN",)),
    Mistake(LABELS, "the label's column alone", "", "dlogits"),
    Mistake(LABELS, "error of the largest class", "", "dlogits"),
    Mistake(LABELS, "mean forgotten", "LOSS-NO-MEAN", "dlogits"),
    Mistake(LABELS, "divided by all logits", "LOSS-WRONG-COUNT", "dlogits"),
    Mistake(LABELS, "log2's slope", "", "dlogits"),
    Mistake(SMOOTHED, "hard targets", "LOSS-SMOOTHING-IGNORED", "dlogits"),
    Mistake(SMOOTHED, "mass on the other classes", "", "dlogits"),
    Mistake(SMOOTHED, "mass not taken from the label", "", "dlogits"),
    Mistake(WEIGHTED, "weights ignored", "", "dlogits"),
    Mistake(WEIGHTED, "divided by the batch", "LOSS-WRONG-COUNT", "dlogits"),
    Mistake(WEIGHTED, "weights of the columns", "", "dlogits"),
]

VARIANTS = [
    Variant(LABELS, "through the log-softmax"),
    Variant(SMOOTHED, "sums to one by rows"),
]
